"""Maps of a trained network's layers against scikit-learn's t-SNE and umap-learn: same data, same settings, same run.

The UMAPs are made in processes of their own, from the start of the process to the third map, as a person waits who
runs the notebook's cells.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TypeVar
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import ROOT
from benchmarks.report import Row, at_least, at_most, say, told
from fmnist_core.data import dataset
from fmnist_core.embedding.map_methods import Frame, MapSettings
from fmnist_core.embedding.maps import align, displacement, film, make, warm
from fmnist_core.embedding.neighbours import nearest
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.findings import map_request
from fmnist_core.store.run import Run

T = TypeVar("T")
Floats = NDArray[np.float32]
LAYERS = ("hidden_1", "hidden_2", "output")
EPOCHS, FILMED = 5, 2_000
SPEED, SPEED_UMAP, EQUAL, MOVED = 5.0, 2.0, 0.005, 0.5
PATIENCE = 1_200  # seconds for three UMAPs


def rows(quick: bool) -> Iterator[Row]:
    """t-SNE, UMAP, the film, then seconds for information."""
    with tempfile.TemporaryDirectory(prefix="lab-embedding-") as folder, patch.dict(os.environ, FMNIST_RUNS=folder):
        run = _trained(quick)
        begun = time.perf_counter()
        warm()
        yield told("loading all that maps need, while nobody waits", time.perf_counter() - begun, "s")
        for count in (600, 300) if quick else (10_000, 3_000):
            yield from _tsne(_features(run, "output", "test", count))
        yield from _umap(run, Path(folder), 600 if quick else 10_800)
        for method in ("tsne", "umap"):
            yield from _film(run, method, 300 if quick else FILMED)


def _trained(quick: bool) -> Run:
    from fmnist_core.jobs.train_runs import train_and_store

    experiment = Experiment(epochs=2 if quick else EPOCHS, training_fraction=0.1 if quick else 1.0)
    say("training the network whose layers are mapped")
    return train_and_store(experiment, dataset.load().name)


def _features(run: Run, layer: str, split: str, count: int, epoch: int | None = None) -> Floats:
    """float32 (count or fewer, units), of the last epoch if none is given."""
    chosen = map_request.chosen(dataset.load(), run.experiment.validation_fraction, 1.0, split, count)
    weights = run.weights(run.epochs[-1] if epoch is None else epoch)
    return map_request.features(run.experiment, weights, layer, chosen.images)


def _tsne(features: Floats) -> Iterator[Row]:
    """Speed and divergence, the latter of both maps by one exact formula."""
    from sklearn.manifold import TSNE

    from fmnist_core.embedding import tsne
    from fmnist_core.embedding.neighbour_graphs import joint_probabilities

    ours, our_map = _timed(lambda: _points(features, MapSettings("tsne")))
    theirs, their_map = _timed(lambda: TSNE(init="pca", random_state=42).fit_transform(features))
    found = nearest(features, 90)
    assert found is not None  # nobody stops it
    graph = joint_probabilities(found, 30.0)
    our_kl, their_kl = (tsne.gradient(graph, points)[0] for points in (our_map, their_map))
    name = f"t-SNE of {len(features):,} outputs"
    say(f"{name}: ours {ours:.1f} s, scikit-learn {theirs:.1f} s")
    yield at_least(f"{name}: scikit-learn / ours", theirs / ours, "times", SPEED)
    yield at_most(f"{name}: Kullback-Leibler divergence, ours", our_kl, "nats", their_kl, "target: scikit-learn's")
    yield told(f"{name}: ours", ours, "s")
    yield told(f"{name}: scikit-learn", theirs, "s")


def _umap(run: Run, folder: Path, count: int) -> Iterator[Row]:
    """The notebook's three maps from a fresh process, by ours and by umap-learn with and without a seed."""
    layers = {layer: _features(run, layer, "training", count) for layer in LAYERS}
    np.savez(folder / "features.npz", allow_pickle=False, **layers)
    seconds, faith = {}, {}
    for name, cache in (("ours, compiling", folder / "numba"), ("ours", None), ("seeded", None), ("plain", None)):
        seconds[name] = _fresh(name.split(",")[0], folder, cache)
        say(f"three UMAPs, {name}: {seconds[name]:.1f} s")
        with np.load(folder / "maps.npz") as maps:
            faith[name] = [_faithful(layers[layer], maps[layer]) for layer in LAYERS]
    name = f"three UMAPs of {count:,} points from a fresh process"
    for peer, call in (("seeded", "UMAP(random_state=42)"), ("plain", "UMAP()")):
        yield at_least(f"{name}: {call} / ours", seconds[peer] / seconds["ours"], "times", SPEED_UMAP)
        worst = min(ours - theirs for ours, theirs in zip(faith["ours"], faith[peer], strict=True))
        yield at_least(f"trustworthiness, ours - {call}, worst layer", worst, "", -EQUAL)
        yield told(f"{name}: {call}", seconds[peer], "s")
    yield told(f"{name}: ours", seconds["ours"], "s")
    yield told(f"{name}: ours, on a machine that has compiled nothing yet", seconds["ours, compiling"], "s")


def _faithful(features: Floats, points: Floats) -> float:
    from fmnist_core.embedding.measures import trustworthiness

    found = nearest(points, 15)
    assert found is not None  # nobody stops it
    return trustworthiness(features, found.indices)


def _film(run: Run, method: str, count: int) -> Iterator[Row]:
    """How far points move between recorded epochs, in the film and between maps of their own."""
    settings = MapSettings(method)
    epochs: list[Callable[[], Floats]] = [
        lambda epoch=epoch: _features(run, "output", "test", count, epoch)  # type: ignore[misc]
        for epoch in run.epochs
    ]
    together, frames = _timed(lambda: film(epochs, settings))
    assert frames is not None  # nobody stops it
    maps = [frame.points for frame in frames if isinstance(frame, Frame)]
    alone = [_points(features(), settings) for features in epochs]
    moved = [displacement(later, sooner) for sooner, later in pairwise(maps)]
    apart = [displacement(later, align(sooner, later)) for sooner, later in pairwise(alone)]
    name = f"film of {len(frames)} epochs by {method}, {count:,} outputs"
    yield at_most(f"{name}: movement / that of maps of their own", float(np.mean(moved) / np.mean(apart)), "", MOVED)
    yield told(name, together, "s")


def _points(features: Floats, settings: MapSettings) -> Floats:
    frame = make(features, settings)
    assert frame is not None  # nobody stops it
    return frame.points


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    begun = time.perf_counter()
    result = work()
    return time.perf_counter() - begun, result


def _fresh(maker: str, folder: Path, cache: Path | None) -> float:
    """Seconds from the start of a process to its third map. Raises: CalledProcessError, TimeoutExpired."""
    environment = dict(os.environ) | ({"NUMBA_CACHE_DIR": str(cache)} if cache else {})
    begun = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "benchmarks.embedding", maker, str(folder)],
        cwd=ROOT, env=environment, check=True, timeout=PATIENCE, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return time.perf_counter() - begun


def _make_three(maker: str, folder: Path) -> None:
    """What one of these processes does."""
    with np.load(folder / "features.npz") as layers:
        features = {layer: layers[layer] for layer in LAYERS}
    if maker == "ours":
        found = {layer: _points(rows, MapSettings("umap")) for layer, rows in features.items()}
    else:
        import umap

        settings = {"random_state": 42} if maker == "seeded" else {}
        found = {layer: umap.UMAP(**settings).fit_transform(rows) for layer, rows in features.items()}
    np.savez(folder / "maps.npz", allow_pickle=False, **found)


if __name__ == "__main__":
    _make_three(sys.argv[1], Path(sys.argv[2]))
