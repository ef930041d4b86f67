"""Exact k-nearest neighbours, found once and used by t-SNE, UMAP and the trust measures.

scikit-learn searches, 10,000 points with 90 neighbours in 2.9 s of processor time for 784 features, 2.0 for 512 and 0.4
for 10; blocks of NumPy took 2.1, 1.6 and 1.3. Its distances alone would not do: those of equal rows are not always 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fmnist_core.errors import LabError

METRICS = ("euclidean", "cosine")
K = 15  # neighbours of the trust measures
BLOCK = 512  # rows of distances at a time: 20 MB for 10,000 points
NARROW = 32  # features: up to here float64 costs nothing, and keeps what saturated outputs still tell apart
LARGEST, SMALLEST = 1e15, 1e-15  # of values, and of what they differ by: squares of others leave float32
SPARE = 8  # candidates beyond k, since rounding may change the order of nearly equal distances

Floats = NDArray[np.float32]
Real = NDArray[np.floating]


class EmbeddingError(LabError):
    """Features or settings that give no map; the text is one sentence with the value and the remedy."""


class Neighbours(NamedTuple):
    """The k nearest other points of each point, nearest first. indices: int32 (n, k). distances: float32 (n, k)."""

    indices: NDArray[np.int32]
    distances: Floats

    def first(self, k: int) -> Neighbours:
        """The nearest k of them."""
        return Neighbours(np.ascontiguousarray(self.indices[:, :k]), np.ascontiguousarray(self.distances[:, :k]))


def nearest(
    features: Floats, k: int, metric: str = "euclidean", should_stop: Callable[[], bool] = lambda: False
) -> Neighbours | None:
    """The k nearest other rows of each row; None when stopped. features: float32 (n, width), k < n.

    scikit-learn's search, by matrix products, chooses k + SPARE candidates, whose distances are then computed directly:
    equal rows have distance 0, and nearly equal ones keep what tells them apart.

    The distance "cosine" is 1 - cos of the angle between two rows; rows of zeros, which have no angle, are at 0 from
    each other and at 1/2 from all others. Raises: EmbeddingError for an unknown metric or too few rows.
    """
    from sklearn.neighbors import NearestNeighbors

    from fmnist_core.embedding.kernels import squared_distances

    _check(len(features) - 1, k, metric)
    if should_stop():
        return None
    search = NearestNeighbors(n_neighbors=min(k + SPARE, len(features) - 1), algorithm="brute")
    indices = search.fit(prepared(features, metric)).kneighbors(return_distance=False)
    if should_stop():
        return None
    candidates = np.sort(indices.astype(np.int32), axis=1)
    return _result(candidates, squared_distances(_directed(features, metric), candidates), k, metric)


def nearest_to(queries: Floats, features: Floats, k: int, metric: str = "euclidean") -> Neighbours:
    """The k rows of features nearest to each of a few queries, nearest first. For the screens: NumPy alone.

    queries: float32 (few, width). A query that is itself a row of features is its own nearest one.
    Raises: EmbeddingError for an unknown metric or too few rows.
    """
    _check(len(features), k, metric)
    rows, query_rows = (_directed(part, metric) for part in (features, queries))
    squares = np.stack([np.square(rows - query).sum(axis=1, dtype=np.float64) for query in query_rows])
    candidates = np.sort(np.argpartition(squares, k - 1, axis=1)[:, :k].astype(np.int32), axis=1)
    return _result(candidates, np.take_along_axis(squares, candidates, axis=1), k, metric)


def prepared(features: Floats, metric: str = "euclidean") -> Real:
    """Rows whose squared Euclidean distances have the metric's order: centred, which keeps rounding small."""
    rows = _directed(features, metric)
    if rows.shape[1] <= NARROW:
        rows = rows.astype(np.float64)
    return np.ascontiguousarray(rows - rows.mean(axis=0))


def blocks(rows: Real) -> Iterator[tuple[int, Real]]:
    """(first row, squared distances of BLOCK rows to all rows), by matrix products: never negative, nearly exact."""
    sizes, doubled = np.einsum("ij,ij->i", rows, rows), -2 * rows.T
    for start in range(0, len(rows), BLOCK):
        squares = rows[start : start + BLOCK] @ doubled
        squares += sizes
        squares += sizes[start : start + BLOCK, None]
        yield start, np.maximum(squares, 0, out=squares)


def _directed(features: Floats, metric: str) -> Floats:
    """Rows as they are, or of length 1 where the metric is the angle's."""
    if metric == "euclidean":
        return np.ascontiguousarray(features, dtype=np.float32)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return (features / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def _result(candidates: NDArray[np.int32], squares: Real, k: int, metric: str) -> Neighbours:
    """The first k candidates by distance; equal ones by index, since candidates come in that order."""
    order = np.argsort(squares, axis=1, kind="stable")[:, :k]
    squares = np.take_along_axis(squares, order, axis=1)
    distances = np.sqrt(squares) if metric == "euclidean" else squares / 2
    return Neighbours(np.take_along_axis(candidates, order, axis=1), distances.astype(np.float32))


def _check(others: int, k: int, metric: str) -> None:
    if metric not in METRICS:
        raise EmbeddingError(f"The metric is {metric!r}, but it must be one of {', '.join(METRICS)}.")
    if not 1 <= k <= others:
        raise EmbeddingError(
            f"{k:,} neighbours are requested, but there are only {others:,} points; choose more points."
        )


def check_features(features: NDArray[np.float32]) -> None:
    """Refuse what has no neighbours worth the name. features: float32 (n, width).

    Raises: EmbeddingError for values that are not finite or too large, and where all rows are equal, or nearly so.
    """
    if features.ndim != 2 or not features.size:
        raise EmbeddingError(
            f"There is nothing to embed: the features have the shape {features.shape}; choose some images."
        )
    bad = int(np.sum(~np.isfinite(features).all(axis=1)))
    large = max(features.max(), -features.min()) > LARGEST and int(np.sum((np.abs(features) > LARGEST).any(axis=1)))
    if bad or large:
        what = "that are not finite" if bad else f"over {LARGEST:.0e}"
        raise EmbeddingError(
            f"{bad or large:,} of {len(features):,} points have values {what} in this layer (the training has "
            "diverged); choose an earlier epoch, or train with a smaller learning rate."
        )
    if np.ptp(features, axis=0).max() < SMALLEST:
        raise EmbeddingError(
            f"All {len(features):,} points are equal in this layer (so its weights are all zero, or its units dead "
            "or saturated): there is nothing to map; choose another layer or epoch."
        )


def check_distinct(features: NDArray[np.float32], needed: int) -> None:
    """Refuse features with fewer distinct rows than a point needs for its neighbourhood. Raises: EmbeddingError."""
    seen: set[bytes] = set()
    for row in features:
        seen.add((row + 0.0).tobytes())  # makes -0.0 and 0.0 the same
        if len(seen) >= needed:
            return
    raise EmbeddingError(
        f"Only {len(seen):,} of {len(features):,} points differ in this layer (most of its units are dead or"
        f" saturated), but a neighbourhood needs {needed:,}; choose another layer or epoch, or a smaller neighbourhood."
    )
