"""Maps of what layers make of images, and how far the classes lie apart in each layer: a worker's analyses of a stored run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmnist_core import __version__
from fmnist_core.data import dataset
from fmnist_core.embedding.checks import EmbeddingError
from fmnist_core.embedding.map_methods import METHODS, Frame
from fmnist_core.embedding.maps import film
from fmnist_core.embedding.neighbours import K, Neighbours
from fmnist_core.engine.analysis import Analysis
from fmnist_core.experiment.layer_names import PIXELS, layer_title, layers_of
from fmnist_core.findings.map_request import Chosen, MapRequest, RequestError, chosen, features
from fmnist_core.jobs.train_runs import Events
from fmnist_core.settings import settings
from fmnist_core.store.result_store import Results, name_of
from fmnist_core.store.run import Run
from fmnist_core.store.run_store import RunStore

Watch = Callable[[float, str, NDArray[np.float32] | None], None]
SEPARATION_IMAGES = 2_000


# --- What pages ask for --------------------------------------------------------------------------------------------------


def map_analysis(request: MapRequest) -> Analysis:
    """The analysis that makes a map or a film."""
    params = request.params()
    what = "Film" if len(request.epochs) > 1 else "Map"
    title = f"{what} of the {layer_title(request.layer)}"
    return Analysis(f"{__name__}:map_job", "map", request.run, name_of("map", params), params, title)


def grid_analysis(request: MapRequest, layers: tuple[str, ...]) -> Analysis:
    """The analysis that makes a film of each layer over the request's epochs, for small multiples."""
    params = {**request.params(), "layer": "", "layers": list(layers)}
    title = f"Maps of {len(layers)} layers at {len(request.epochs)} epochs"
    return Analysis(f"{__name__}:grid_job", "map", request.run, name_of("grid", params), params, title)


def separation_analysis(run: Run, split: str) -> Analysis:
    """The analysis that measures every layer at every checkpointed epoch.

    Its facts: points, and rows (epoch, layer, measure, value). Its array "right", bool (epochs, layers, images): whether
    most of an image's neighbours are of its class.
    """
    params = {"run": run.run_id, "split": split, "points": SEPARATION_IMAGES}
    title = "Separation of the classes"
    return Analysis(f"{__name__}:separation_job", "map", run.run_id, name_of("separation", params), params, title)


# --- The worker's side ---------------------------------------------------------------------------------------------------


def map_job(params: Mapping[str, Any], watch: Events, should_stop: Callable[[], bool]) -> Mapping[str, Any]:
    """The job of `map_analysis`."""
    request = MapRequest.of(params)
    results, name = Results(_store()), map_analysis(request).name

    def tell(share: float, doing: str, points: NDArray[np.float32] | None) -> None:
        watch.share(share, doing)
        if points is not None:
            results.show(request.run, name, points)

    made = make(request, tell, should_stop)
    if made is None:
        results.forget_view(request.run, name)
        return {"stopped": True}
    facts, arrays = made
    results.write(request.run, name, facts, arrays)
    return {"stopped": False}


def grid_job(params: Mapping[str, Any], watch: Events, should_stop: Callable[[], bool]) -> Mapping[str, Any]:
    """The job of `grid_analysis`."""
    layers = tuple(params["layers"])
    requests = [MapRequest.of({**_request_of(params), "layer": layer}) for layer in layers]
    name = grid_analysis(requests[0], layers).name
    begun, made = time.perf_counter(), []
    for place, request in enumerate(requests):

        def tell(share: float, doing: str, points: NDArray[np.float32] | None, place: int = place) -> None:
            watch.share((place + share) / len(requests), f"{layer_title(layers[place])}, {doing}")

        try:
            found = _film(request, tell, should_stop)
        except EmbeddingError as error:  # the other layers have their maps
            found = _nothing(request, str(error))
        if found is None:
            return {"stopped": True}
        made.append(found)
    facts = {
        "request": dict(params),
        "epochs": list(requests[0].epochs),
        "seconds": time.perf_counter() - begun,
        "program": METHODS[requests[0].method].program,
        "versions": versions(requests[0]),
        "layers": [facts["frames"] for facts, _ in made],
    }
    Results(_store()).write(
        requests[0].run, name, facts, {"points": np.stack([arrays["points"] for _, arrays in made])}
    )
    return {"stopped": False}


def separation_job(params: Mapping[str, Any], watch: Events, should_stop: Callable[[], bool]) -> Mapping[str, Any]:
    """The job of `separation_analysis`."""
    from fmnist_core.embedding import measures

    run = stored(params["run"])
    images = _chosen(run, params["split"], params["points"])
    layers = layers_of(run.experiment)
    measured: dict[tuple[int, str], tuple[NDArray[np.bool_], float]] = {}
    for place, epoch in enumerate(run.epochs):
        weights = run.weights(epoch)
        for number, layer in enumerate(layers):
            if should_stop():
                return {"stopped": True}
            watch.share((place + number / len(layers)) / len(run.epochs), f"epoch {epoch}, {layer_title(layer)}")
            if layer == PIXELS and place:  # images do not learn
                measured[epoch, layer] = measured[run.epochs[0], layer]
                continue
            values = features(run.experiment, weights, layer, images.images)
            measured[epoch, layer] = measures.separation(values, images.labels, k=K)
    rows = [
        {"epoch": epoch, "layer": layer, "measure": measure, "value": value}
        for (epoch, layer), (right, silhouette) in measured.items()
        for measure, value in (("knn", float(right.mean())), ("silhouette", silhouette))
    ]
    facts = {"points": len(images.rows), "rows": rows}
    right = np.stack([[measured[epoch, layer][0] for layer in layers] for epoch in run.epochs])
    name = separation_analysis(run, params["split"]).name
    Results(_store()).write(run.run_id, name, facts, {"right": right})
    return {"stopped": False}


def make(
    request: MapRequest, watch: Watch, should_stop: Callable[[], bool] = lambda: False
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]] | None:
    """Make a map or a film in this process; None where it was stopped.

    watch: called with the share that is done, what is done now, and the unfinished map of a single epoch. Returns facts
    (epochs, seconds, and for each frame its measures) and arrays (points float32 (frames, n, dimensions), rows int32
    (n,), the images' numbers).

    Raises: LabError (the run or its data is not there, or its layer cannot be mapped).
    """
    run = stored(request.run)
    lacking = [epoch for epoch in request.epochs if epoch not in run.epochs]
    if lacking:
        kept = ", ".join(map(str, run.epochs))
        raise RequestError(
            f"epoch is {lacking[0]}, but the checkpointed epochs of this run are {kept}; choose one of them."
        )
    images = _chosen(run, request.split, request.points)
    begun = time.perf_counter()

    reached = request.epochs[-1]

    def values_at(epoch: int) -> NDArray[np.float32]:
        nonlocal reached
        reached = epoch
        weights = {} if request.layer == PIXELS else run.weights(epoch)
        return features(run.experiment, weights, request.layer, images.images)

    frames: list[dict[str, Any]] = [{} for _ in request.epochs]

    def keep(place: int, frame: Frame, values: NDArray[np.float32], neighbours: Neighbours) -> None:
        frames[place] = _measured(frame, values, neighbours, images, request)

    moments = [partial(values_at, epoch) for epoch in request.epochs]
    try:
        made = film(moments, request, watch, should_stop, keep, at_least=K)
    except EmbeddingError as error:
        if len(request.epochs) == 1:
            raise
        raise EmbeddingError(f"Epoch {reached} has no map, so there is no film of all epochs. {error}") from error
    if made is None:
        return None
    facts = {
        "request": request.params(),
        "epochs": list(request.epochs),
        "seconds": time.perf_counter() - begun,
        "program": METHODS[request.method].program,
        "versions": versions(request),
        "frames": frames,
    }
    return facts, {"points": np.stack([frame.points for frame in made]), "rows": images.rows}


def versions(request: MapRequest) -> dict[str, str]:
    """The versions of what draws a map: of this program, and of the packages that the method takes parts from."""
    packages = METHODS[request.method].packages
    return {"fmnist_core": __version__} | {name: metadata.version(name) for name in packages}


def _store() -> RunStore:
    return RunStore(settings().runs, settings().runs_budget)


def _film(
    request: MapRequest, watch: Watch, should_stop: Callable[[], bool]
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]] | None:
    """As `make`; the pixels, which are the same at every epoch, are mapped once."""
    if request.layer != PIXELS:
        return make(request, watch, should_stop)
    found = make(replace(request, epochs=request.epochs[:1]), watch, should_stop)
    if found is None:
        return None
    count = len(request.epochs)
    return {"frames": found[0]["frames"] * count}, {"points": np.repeat(found[1]["points"], count, axis=0)}


def _nothing(request: MapRequest, why: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """In place of a film that cannot be made."""
    images = len(_chosen(stored(request.run), request.split, request.points).rows)
    shape = (len(request.epochs), images, request.dimensions)
    return {"frames": [{"error": why}] * len(request.epochs)}, {"points": np.full(shape, np.nan, np.float32)}


def stored(name: str) -> Run:
    """The run of this name, or of this digest on the embedded sample. Raises: RequestError."""
    run = _store().find(name) or _store().find(f"{name}-sample")
    if run is None:
        raise RequestError(
            f"run is {name[:40]!r}, but the run store {settings().runs} has no such run; train it first."
        )
    return run


def _chosen(run: Run, split: str, points: int) -> Chosen:
    experiment = run.experiment
    data = dataset.load(run.data_name)
    return chosen(data, experiment.validation_fraction, experiment.training_fraction, split, points)


def _request_of(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if name != "layers"}


def _measured(
    frame: Frame, values: NDArray[np.float32], neighbours: Neighbours, images: Chosen, request: MapRequest
) -> dict[str, Any]:
    """How far to trust one epoch's map, by name; see `embedding.measures` and `embedding.reading`."""
    from fmnist_core.embedding import measures, rank_measures

    trust = measures.trust(values, frame.points, images.labels, neighbours, request.metric, K)
    ranks = rank_measures.ranks(values, frame.points, images.labels, request.metric)
    figures = {"kl": frame.kl, "iterations": frame.iterations}
    return {**figures, **trust._asdict(), "spread_rank": ranks.spread, "distance_rank": ranks.distance}
