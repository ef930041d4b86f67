"""One map, or a film of them, by any method: from a layer's features to points. The app may import this module.

The methods themselves are imported where they run: they need numba.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fmnist_core.embedding.align import align
from fmnist_core.embedding.checks import EmbeddingError, check_count, check_distinct, check_features
from fmnist_core.embedding.neighbours import METRICS, NARROW, Neighbours, nearest
from fmnist_core.embedding.pca import pca

Floats = NDArray[np.float32]
Watch = Callable[[float, str, Floats | None], None]
Stop = Callable[[], bool]
Keep = Callable[[int, "Frame", Floats, Neighbours], None]

K = 15  # neighbours of the trust measures
SEARCH = 0.1  # of the work of a map: finding the neighbours
NONE = Neighbours(np.empty((0, 0), np.int32), np.empty((0, 0), np.float32))


@dataclass(frozen=True)
class MapSettings:
    """How a map is made. method: "tsne", "umap" or "pca". dimensions: 2, or 3 for UMAP and PCA.

    perplexity: of t-SNE. n_neighbors (with the point itself) and min_dist: of UMAP. metric: of the neighbours.
    """

    method: str
    dimensions: int = 2
    perplexity: float = 30.0
    n_neighbors: int = 15
    min_dist: float = 0.1
    metric: str = METRICS[0]
    seed: int = 42


class Frame(NamedTuple):
    """A map. points: float32 (n, dimensions). kl: t-SNE's Kullback-Leibler divergence in nats; nan for others."""

    points: Floats
    kl: float


def neighbours_needed(settings: MapSettings) -> int:
    """How many nearest neighbours of each point the method looks at."""
    return {"tsne": int(3 * settings.perplexity), "umap": settings.n_neighbors - 1, "pca": 0}[settings.method]


def find_neighbours(
    features: Floats, settings: MapSettings, at_least: int = 0, should_stop: Stop = lambda: False
) -> Neighbours | None:
    """The neighbours that a map needs, `at_least` so many (for the trust measures, say); None when stopped.

    Raises: EmbeddingError where the features have no neighbours worth the name.
    """
    check(features, settings)
    k = max(neighbours_needed(settings), min(at_least, len(features) - 1))
    return nearest(features, k, settings.metric, should_stop) if k else NONE


def make(
    features: Floats,
    settings: MapSettings,
    neighbours: Neighbours | None = None,
    initial: Floats | None = None,
    watch: Watch | None = None,
    should_stop: Stop = lambda: False,
) -> Frame | None:
    """A map of the features, float32 (n, width); None when stopped.

    neighbours: at least `neighbours_needed` of the same features and metric; found here where they are not given.
    initial: a map of the same points to start from. watch: called as (share done, text, points or None).
    Raises: EmbeddingError.
    """
    tell: Watch = watch or (lambda done, text, points: None)
    if neighbours is None:
        tell(0.0, "finding neighbours", None)
        neighbours = find_neighbours(features, settings, should_stop=should_stop)
    else:
        check(features, settings)
    if neighbours is None:
        return None
    neighbours = neighbours.first(neighbours_needed(settings))
    return MAKERS[settings.method](features, settings, neighbours, initial, tell, should_stop)


def film(
    features_of: Sequence[Callable[[], Floats]],
    settings: MapSettings,
    watch: Watch | None = None,
    should_stop: Stop = lambda: False,
    keep: Keep | None = None,
    at_least: int = 0,
) -> list[Frame] | None:
    """Maps of the same points over epochs, in which points move no more than they must; None when stopped.

    features_of: for each epoch a function that computes its features, so that one epoch at a time needs memory.
    Made from the last to the first, since the last has the clearest shape: each map starts from its successor's and
    is laid over it. keep: called with (place, frame, features, neighbours) as each is done, the last place first;
    neighbours are `at_least` so many. watch: as for `make`, for all frames together.
    Raises: EmbeddingError.
    """
    frames: list[Frame] = []
    count = len(features_of)
    for done, place in enumerate(reversed(range(count))):
        features = features_of[place]()
        neighbours = find_neighbours(features, settings, at_least, should_stop)
        if neighbours is None:
            return None
        before = frames[-1].points if frames else None
        frame = make(features, settings, neighbours, before, _part(watch, done, count), should_stop)
        if frame is None:
            return None
        if before is not None:
            frame = frame._replace(points=align(frame.points, before))
        frames.append(frame)
        if keep:
            keep(place, frame, features, neighbours)
    return frames[::-1]


def warm() -> None:
    """Load or compile all that maps and their measures need, on a few points; then no one waits for it."""
    from fmnist_core.embedding.measures import trust

    for width in (NARROW, NARROW + 1):  # features in float64 and in float32
        features = np.random.default_rng(0).random((64, width), np.float32)
        neighbours = nearest(features, K)
        assert neighbours is not None  # nobody stops it
        trust(features, features[:, :2].copy(), np.arange(64, dtype=np.uint8) % 2, neighbours)
    for method in MAKERS:
        make(features, MapSettings(method, perplexity=5, n_neighbors=5))


def check(features: Floats, settings: MapSettings) -> None:
    """Refuse features and settings that give no map. Raises: EmbeddingError."""
    if settings.method not in MAKERS:
        raise EmbeddingError(f"The method is {settings.method!r}, but it must be one of {', '.join(MAKERS)}.")
    allowed = (2,) if settings.method == "tsne" else (2, 3)
    if settings.dimensions not in allowed:
        raise EmbeddingError(
            f"The map's dimensions are {settings.dimensions}, but {settings.method} draws in "
            f"{' or '.join(map(str, allowed))}; choose one of these."
        )
    check_features(features)
    needed = neighbours_needed(settings)
    if settings.method == "tsne":
        check_count(len(features), needed + 1, "The perplexity", settings.perplexity, "a smaller perplexity")
    if settings.method == "umap":
        check_count(len(features), needed + 2, "n_neighbors", settings.n_neighbors, "a smaller n_neighbors")
    check_distinct(features, needed + 1)


def _part(watch: Watch | None, done: int, count: int) -> Watch | None:
    """A watch for one of several maps."""
    if watch is None:
        return None

    which = f"map {done + 1} of {count}, " if count > 1 else ""

    def part(share: float, text: str, points: Floats | None) -> None:
        watch((done + share) / count, f"{which}{text}", points)

    return part


def _tsne(
    features: Floats, settings: MapSettings, neighbours: Neighbours, initial: Floats | None, tell: Watch, stop: Stop
) -> Frame | None:
    from fmnist_core.embedding.tsne import tsne

    def watch(iteration: int, total: int, kl: float, points: Floats) -> None:
        text = f"iteration {iteration} of {total}, Kullback-Leibler divergence {kl:.2f}"
        tell(SEARCH + (1 - SEARCH) * iteration / total, text, points)

    found = tsne(features, neighbours, settings.perplexity, settings.seed, initial, watch, stop)
    return found and Frame(found.points, found.kl)


def _umap(
    features: Floats, settings: MapSettings, neighbours: Neighbours, initial: Floats | None, tell: Watch, stop: Stop
) -> Frame | None:
    from fmnist_core.embedding.umap import umap

    def watch(epoch: int, total: int, points: Floats) -> None:
        tell(SEARCH + (1 - SEARCH) * epoch / total, f"epoch {epoch} of {total} of the layout", points)

    points = umap(
        *(features, neighbours, settings.n_neighbors, settings.min_dist, settings.dimensions, settings.seed),
        *(initial, watch, stop),
    )
    return None if points is None else Frame(points, np.nan)


def _pca(
    features: Floats, settings: MapSettings, neighbours: Neighbours, initial: Floats | None, tell: Watch, stop: Stop
) -> Frame | None:
    """PCA has one solution: it starts from nothing."""
    return None if stop() else Frame(pca(features, settings.dimensions).points, np.nan)


MAKERS: dict[str, Callable[[Floats, MapSettings, Neighbours, Floats | None, Watch, Stop], Frame | None]] = {
    "tsne": _tsne,
    "umap": _umap,
    "pca": _pca,
}
