"""A worker's analyses of a stored run: maps of what its layers make of images, how far they set the classes apart."""

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
from fmnist_core.embedding.map_methods import METHODS, Frame, Gap
from fmnist_core.embedding.maps import film
from fmnist_core.embedding.neighbours import EmbeddingError, K, Neighbours, check_features
from fmnist_core.experiment.analysis_facts import (
    FrameFacts,
    GridFacts,
    MapFacts,
    SeparationFacts,
    SeparationGap,
    SeparationRow,
)
from fmnist_core.experiment.layer_names import PIXELS, layer_title, layers_of
from fmnist_core.experiment.recording import JobContext
from fmnist_core.findings.map_request import Chosen, MapRequest, RequestError, chosen, features
from fmnist_core.jobs.reference_umap import all_makers
from fmnist_core.store.result_store import Results
from fmnist_core.store.run import Run
from fmnist_core.store.run_store import configured_store

# Takes the fraction that is done, what is done now, and the unfinished map of a single epoch.
OnProgress = Callable[[float, str, NDArray[np.float32] | None], None]


def map_job(params: Mapping[str, Any], context: JobContext) -> bool:
    """The job of `analyses.map_analysis`.

    The unfinished map goes to pages by way of the disk, not as an event: Dask's scheduler keeps a topic's last 1,000
    events, which would be up to 240 MB, and a page that is opened later needs the last one alone.
    """
    request = MapRequest.of(params["request"])
    results, run, name = Results(configured_store()), params["run"], params["name"]
    opened = stored(run)

    def on_progress(fraction: float, doing: str, points: NDArray[np.float32] | None) -> None:
        context.fraction(fraction, doing)
        if points is not None:
            results.show(run, name, points)

    result = make(request, on_progress, context.should_stop)
    if result is None:
        results.forget_view(run, name)
        return False
    results.write(run, name, *result, made_from=opened)
    return True


def grid_job(params: Mapping[str, Any], context: JobContext) -> bool:
    """The job of `analyses.grid_analysis`."""
    run = stored(params["run"])
    layers = params["request"]["layers"]
    settings_of_all = {name: value for name, value in params["request"].items() if name != "layers"}
    requests = [MapRequest.of({**settings_of_all, "layer": layer}) for layer in layers]
    start, frames, points = time.perf_counter(), [], []
    for index, request in enumerate(requests):

        def on_progress(fraction: float, doing: str, points: NDArray[np.float32] | None, index: int = index) -> None:
            context.fraction((index + fraction) / len(requests), f"{layer_title(layers[index])}, {doing}")

        film = _film(request, on_progress, context.should_stop)
        if film is None:
            return False
        frames.append(film[0])
        points.append(film[1])
    facts: GridFacts = {
        "request": params["request"],
        "epochs": list(requests[0].epochs),
        "seconds": time.perf_counter() - start,
        "program": METHODS[requests[0].method].program,
        "versions": versions(requests[0]),
        "layers": frames,
    }
    Results(configured_store()).write(params["run"], params["name"], facts, {"points": np.stack(points)}, run)
    return True


def separation_job(params: Mapping[str, Any], context: JobContext) -> bool:
    """The job of `analyses.separation_analysis`."""
    from fmnist_core.embedding import measures

    request = params["request"]
    run = stored(request["run"])
    images = _images(run, request["split"], request["points"])
    layers = layers_of(run.experiment)
    measured: dict[tuple[int, str], tuple[NDArray[np.bool_], float]] = {}
    gaps: list[SeparationGap] = []
    for index, epoch in enumerate(run.epochs):
        weights = run.weights(epoch)
        for number, layer in enumerate(layers):
            if context.should_stop():
                return False
            done = (index + number / len(layers)) / len(run.epochs)
            context.fraction(done, f"epoch {epoch}, {layer_title(layer)}")
            if layer == PIXELS and index:  # images do not learn
                measured[epoch, layer] = measured[run.epochs[0], layer]
                continue
            values = features(run.experiment, weights, layer, images.images)
            try:
                check_features(values)
            except EmbeddingError as error:
                gaps.append({"epoch": epoch, "layer": layer, "error": str(error)})
                measured[epoch, layer] = np.zeros(len(images.rows), bool), np.nan
            else:
                measured[epoch, layer] = measures.separation(values, images.labels, k=K)
    lost = {(gap["epoch"], gap["layer"]) for gap in gaps}
    rows: list[SeparationRow] = [
        {"epoch": epoch, "layer": layer, "measure": measure, "value": None if (epoch, layer) in lost else value}
        for (epoch, layer), (right, silhouette) in measured.items()
        for measure, value in (("knn", float(right.mean())), ("silhouette", silhouette))
    ]
    facts: SeparationFacts = {"points": len(images.rows), "rows": rows, "gaps": gaps}
    right = np.stack([[measured[epoch, layer][0] for layer in layers] for epoch in run.epochs])
    Results(configured_store()).write(params["run"], params["name"], facts, {"right": right}, run)
    return True


def make(
    request: MapRequest, on_progress: OnProgress, should_stop: Callable[[], bool] = lambda: False
) -> tuple[MapFacts, dict[str, NDArray[Any]]] | None:
    """Make a map or a film in this process; None where it was stopped.

    Returns facts and arrays: points float32 (frames, n, dimensions), rows int32 (n,), the images' numbers. An epoch
    whose layer cannot be mapped is a gap: its facts are an "error" alone, its points nan.

    Raises: LabError (the run or its data is not there).
    """
    run = stored(request.run)
    missing = [epoch for epoch in request.epochs if epoch not in run.epochs]
    if missing:
        kept = ", ".join(map(str, run.epochs))
        raise RequestError(
            f"epoch is {missing[0]}, but the checkpointed epochs of this run are {kept}; choose one of them."
        )
    images = _images(run, request.split, request.points)
    start = time.perf_counter()

    def values_at(epoch: int) -> NDArray[np.float32]:
        weights = {} if request.layer == PIXELS else run.weights(epoch)
        return features(run.experiment, weights, request.layer, images.images)

    frames: list[FrameFacts] = [{} for _ in request.epochs]

    def keep(index: int, frame: Frame, values: NDArray[np.float32], neighbours: Neighbours) -> None:
        frames[index] = _frame_facts(frame, values, neighbours, images, request)

    values_of_epochs = [partial(values_at, epoch) for epoch in request.epochs]
    with all_makers() as makers:
        maps = film(values_of_epochs, request, on_progress, should_stop, keep, K, makers)
    if maps is None:
        return None
    points = np.full((len(maps), len(images.rows), request.dimensions), np.nan, np.float32)
    for index, made in enumerate(maps):
        if isinstance(made, Gap):
            frames[index] = {"error": made.reason}
        else:
            points[index] = made.points
    facts: MapFacts = {
        "request": request.params(),
        "epochs": list(request.epochs),
        "seconds": time.perf_counter() - start,
        "program": METHODS[request.method].program,
        "versions": versions(request),
        "frames": frames,
    }
    return facts, {"points": points, "rows": images.rows}


def versions(request: MapRequest) -> dict[str, str]:
    """The versions of what draws a map: of this program, and of the packages that the method takes parts from."""
    packages = METHODS[request.method].packages
    return {"fmnist_core": __version__} | {name: metadata.version(name) for name in packages}


def _film(
    request: MapRequest, on_progress: OnProgress, should_stop: Callable[[], bool]
) -> tuple[list[FrameFacts], NDArray[np.float32]] | None:
    """The frames and points of `make`; the pixels, which are the same at every epoch, are mapped once."""
    once = replace(request, epochs=request.epochs[:1]) if request.layer == PIXELS else request
    result = make(once, on_progress, should_stop)
    if result is None:
        return None
    facts, arrays = result
    count = len(request.epochs) // len(once.epochs)
    return facts["frames"] * count, np.repeat(arrays["points"], count, axis=0)


def stored(name: str) -> Run:
    """The run of this name, or of this digest on the embedded sample. Raises: RequestError."""
    store = configured_store()
    run = store.find(name) or store.find(f"{name}-sample")
    if run is None and (problem := store.problem(name) or store.problem(f"{name}-sample")):
        raise problem
    if run is None:
        raise RequestError(f"run is {name[:40]!r}, but the run store {store.root} has no such run; train it first.")
    return run


def _images(run: Run, split: str, points: int) -> Chosen:
    experiment, data = run.experiment, dataset.load(run.data_name)
    return chosen(data, experiment.validation_fraction, experiment.training_fraction, split, points)


def _frame_facts(
    frame: Frame, values: NDArray[np.float32], neighbours: Neighbours, images: Chosen, request: MapRequest
) -> FrameFacts:
    from fmnist_core.embedding import measures

    trust = measures.trust(values, frame.points, images.labels, neighbours, request.metric, K)
    ranks = measures.ranks(values, frame.points, images.labels, request.metric)
    return {
        "kl": frame.kl,
        "iterations": frame.iterations,
        "trustworthiness": trust.trustworthiness,
        "continuity": trust.continuity,
        "knn_layer": trust.knn_layer,
        "knn_map": trust.knn_map,
        "silhouette": trust.silhouette,
        "overlap": trust.overlap,
        "spread_rank": ranks.spread,
        "distance_rank": ranks.distance,
    }
