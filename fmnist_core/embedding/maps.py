"""One map, or a film of them, by any method: from a layer's features to points. The app may import this module."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from fmnist_core.embedding.map_methods import METHODS, Floats, Frame, Gap, Maker, MapSettings, Stop, Watch, problem
from fmnist_core.embedding.neighbours import (
    NARROW,
    EmbeddingError,
    K,
    Neighbours,
    check_distinct,
    check_features,
    nearest,
)

Keep = Callable[[int, Frame, Floats, Neighbours], None]

NONE = Neighbours(np.empty((0, 0), np.int32), np.empty((0, 0), np.float32))


def own_makers() -> dict[str, Maker]:
    """The functions of this package's methods, by name. Loads compiled code: a second or two."""
    from fmnist_core.embedding import pca, tsne, umap

    return {"tsne": tsne.tsne, "umap": umap.umap, "pca": pca.draw}


def find_neighbours(
    features: Floats, settings: MapSettings, at_least: int = 0, should_stop: Stop = lambda: False
) -> Neighbours | None:
    """The neighbours that a map needs, `at_least` so many (for the trust measures, say); None when stopped.

    Raises: EmbeddingError where the features have no neighbours worth the name.
    """
    check(features, settings)
    k = max(METHODS[settings.method].neighbours_needed(settings), min(at_least, len(features) - 1))
    return nearest(features, k, settings.metric, should_stop) if k else NONE


def make(
    features: Floats,
    settings: MapSettings,
    neighbours: Neighbours | None = None,
    initial: Floats | None = None,
    watch: Watch = lambda done, text, points: None,
    should_stop: Stop = lambda: False,
    makers: Mapping[str, Maker] | None = None,
) -> Frame | None:
    """A map of the features, float32 (n, width); None when stopped.

    neighbours: of the same features and metric, at least as many as the method needs; found here where they are not
    given. initial: a map of the same points to start from. watch: called as (fraction done, text, points or None).
    makers: the function of each method, by name; default: `own_makers`. Raises: EmbeddingError.
    """
    if neighbours is None:
        watch(0.0, "finding neighbours", None)
        neighbours = find_neighbours(features, settings, should_stop=should_stop)
    else:
        check(features, settings)
    if neighbours is None:
        return None
    neighbours = neighbours.first(METHODS[settings.method].neighbours_needed(settings))
    maker = (makers or own_makers())[settings.method]
    frame = maker(features, neighbours, settings, initial, watch, should_stop)
    if frame is not None and not np.isfinite(frame.points).all():
        raise EmbeddingError(
            f"{METHODS[settings.method].title} gives these {len(features):,} points no finite positions; choose another"
            " method, layer or epoch."
        )
    return frame


def film(
    features_of: Sequence[Callable[[], Floats]],
    settings: MapSettings,
    watch: Watch = lambda done, text, points: None,
    should_stop: Stop = lambda: False,
    keep: Keep | None = None,
    at_least: int = 0,
    makers: Mapping[str, Maker] | None = None,
) -> list[Frame | Gap] | None:
    """Maps of the same points over epochs, in which points move no more than they must; None when stopped.

    An epoch that cannot be mapped is a gap; the others have their maps all the same.

    features_of: for each epoch a function that computes its features, so that one epoch at a time needs memory.
    Made from the last to the first, since the last has the clearest shape: each map starts from the one made before it
    and is laid over it. keep: called with (index, frame, features, neighbours) as each is done, the last index first;
    neighbours are `at_least` so many. watch: as for `make`, for all frames together. makers: as for `make`.
    """
    frames: list[Frame | Gap] = []
    previous: Floats | None = None
    count = len(features_of)
    for done, index in enumerate(reversed(range(count))):
        which = f"map {done + 1} of {count}, " if count > 1 else ""

        def watch_frame(
            fraction: float, text: str, points: Floats | None, done: int = done, which: str = which
        ) -> None:
            watch((done + fraction) / count, f"{which}{text}", points)

        features = features_of[index]()
        try:
            neighbours = find_neighbours(features, settings, at_least, should_stop)
            if neighbours is None:
                return None
            frame = make(features, settings, neighbours, previous, watch_frame, should_stop, makers)
        except EmbeddingError as error:
            frames.append(Gap(str(error)))
            continue
        if frame is None:
            return None
        if previous is not None:
            frame = frame._replace(points=align(frame.points, previous))
        previous = frame.points
        frames.append(frame)
        if keep:
            keep(index, frame, features, neighbours)
    return frames[::-1]


def align(points: Floats, onto: Floats, scale: bool = False) -> Floats:
    """Turn, mirror and move points so that they lie as close to `onto` as they can; float32 (n, d) both.

    Maps have no up, no left and no unit. Orthogonal Procrustes (Schönemann 1966, doi 10.1007/BF02289451). scale:
    stretch or shrink them, too.
    """
    centre, target = points.mean(axis=0), onto.mean(axis=0)
    source, reference = (points - centre).astype(np.float64), (onto - target).astype(np.float64)
    left, values, right = np.linalg.svd(source.T @ reference)
    size = np.square(source).sum()
    factor = values.sum() / size if scale and size > 0 else 1.0
    return np.asarray(factor * (source @ left @ right) + target, np.float32)


def displacement(a: Floats, b: Floats) -> float:
    """The mean distance between the same points of two maps, relative to the root mean square radius of a."""
    moved = np.linalg.norm((b - a).astype(np.float64), axis=1).mean()
    radius = np.sqrt(np.square(a - a.mean(axis=0), dtype=np.float64).sum(axis=1).mean())
    return float(moved / radius) if radius > 0 else float(moved > 0)


def warm() -> None:
    """Load or compile all that maps and their measures need, on a few points; then no one waits for it."""
    from fmnist_core.embedding.measures import trust

    for width in (NARROW, NARROW + 1):  # features in float64 and in float32
        features = np.random.default_rng(0).random((64, width), np.float32)
        neighbours = nearest(features, K)
        assert neighbours is not None  # nobody stops it
        trust(features, features[:, :2].copy(), np.arange(64, dtype=np.uint8) % 2, neighbours)
    for name in own_makers():  # not umap-learn: few want it, and it compiles for seconds
        make(features, MapSettings(name, perplexity=5, n_neighbors=5))


def check(features: Floats, settings: MapSettings) -> None:
    """Refuse features and settings that give no map. Raises: EmbeddingError."""
    if sentence := problem(settings, len(features)):
        raise EmbeddingError(sentence)
    check_features(features)
    check_distinct(features, METHODS[settings.method].neighbours_needed(settings) + 1)
