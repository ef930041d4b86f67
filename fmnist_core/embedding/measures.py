"""How far to trust a map, and how far apart the classes lie in a layer: exact, in blocks, on all cores.

scikit-learn has some of them and is their oracle in the tests. Its silhouette takes twice the processor time (10,000
points of 512 features: 2.5 s, this one 1.2), and its trustworthiness holds and sorts all n x n distances at once.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fmnist_core.embedding.kernels import compiled, span, spread
from fmnist_core.embedding.neighbours import K, Neighbours, Real, blocks, nearest, prepared

Floats = NDArray[np.float32]
Labels = NDArray[np.uint8]
FEWEST = 4  # classes: a rank correlation of fewer says nothing


class Trust(NamedTuple):
    """Measures of a map, each a float: see the functions of these names."""

    trustworthiness: float
    continuity: float
    knn_layer: float
    knn_map: float
    silhouette: float
    overlap: float


def trust(
    features: Floats, points: Floats, labels: Labels, neighbours: Neighbours, metric: str = "euclidean", k: int = K
) -> Trust:
    """All measures of a map. features: float32 (n, width), n > 2 k. points: float32 (n, dimensions). labels: (n,).

    neighbours: at least k of each point in the layer. metric: of the layer; in a map distances are Euclidean.
    Raises: EmbeddingError (too few points).
    """
    layer, mapped = neighbours.first(k).indices, _nearest(points, k)
    return Trust(
        trustworthiness(features, mapped, metric),
        trustworthiness(points, layer),
        votes(layer, labels),
        votes(mapped, labels),
        silhouette(features, labels, metric),
        overlap(layer, mapped),
    )


def separation(
    features: Floats, labels: Labels, metric: str = "euclidean", k: int = K
) -> tuple[NDArray[np.bool_], float]:
    """How far apart the classes lie in a layer: which points their neighbours agree with, and the silhouette."""
    return agreeing(_nearest(features, k, metric), labels), silhouette(features, labels, metric)


def trustworthiness(features: Floats, mapped: NDArray[np.int32], metric: str = "euclidean") -> float:
    """1 where the map's neighbours are the layer's; strangers count by how far behind they come there.

    Venna & Kaski (2001), doi 10.1007/3-540-44668-0_68: 1 - 2 / (n k (2 n - 3 k - 1)) sum of (rank in the layer - k).
    With layer and map exchanged it is their continuity. features: of the layer. mapped: (n, k), neighbours in the map.
    Equal distances have the better rank. nan where k is half of the points or more: then it has no scale.
    """
    n, k = mapped.shape
    if 2 * k >= n:
        return float("nan")
    rows = prepared(features, metric)
    lost = 0.0
    for start, squares in blocks(rows):
        squares[np.arange(len(squares)), start + np.arange(len(squares))] = -1.0  # a point is nearest to itself
        lost += sum(spread(partial(_part, squares, mapped[start : start + len(squares)])))
    return float(1 - 2 / (n * k * (2 * n - 3 * k - 1)) * lost)


def votes(neighbours: NDArray[np.int32], labels: Labels) -> float:
    """The share of points that most of their neighbours give their own class: see `agreeing`."""
    return float(agreeing(neighbours, labels).mean())


def agreeing(neighbours: NDArray[np.int32], labels: Labels) -> NDArray[np.bool_]:
    """Which points most of their neighbours give their own class, bool (n,); ties go to the smaller class.

    neighbours: (n, k), without the point itself. As scikit-learn's KNeighborsClassifier, leaving one out.
    """
    counts = (labels[neighbours][:, :, None] == np.arange(int(labels.max()) + 1)).sum(axis=1)
    right: NDArray[np.bool_] = counts.argmax(axis=1) == labels
    return right


def silhouette(features: Floats, labels: Labels, metric: str = "euclidean") -> float:
    """The mean of (b - a) / max(a, b), a and b a point's mean distance to its own class and to the nearest other one.

    Rousseeuw (1987), doi 10.1016/0377-0427(87)90125-7; 0 for a class of one point, nan where there is one class alone.
    """
    classes, class_of = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        return float("nan")
    counts = np.bincount(class_of)
    members = np.eye(len(classes), dtype=np.float32)[class_of]
    total = 0.0
    for start, squares in blocks(prepared(features, metric)):
        here = class_of[start : start + len(squares)]
        squares[np.arange(len(squares)), start + np.arange(len(squares))] = 0.0
        distances = np.sqrt(squares) if metric == "euclidean" else squares / 2
        sums = distances @ members.astype(distances.dtype)
        rows = np.arange(len(here))
        inside = sums[rows, here] / np.maximum(counts[here] - 1, 1)
        means = sums / counts
        means[rows, here] = np.inf
        outside = means.min(axis=1)
        larger = np.maximum(inside, outside)
        total += float(
            np.where((counts[here] > 1) & (larger > 0), (outside - inside) / np.where(larger > 0, larger, 1), 0).sum()
        )
    return total / len(labels)


def overlap(layer: NDArray[np.int32], mapped: NDArray[np.int32]) -> float:
    """The share of neighbours that are the same in layer and map. layer, mapped: (n, k)."""
    n, k = layer.shape
    a, b = (np.sort(np.arange(n)[:, None] * n + part, axis=None) for part in (layer.astype(np.int64), mapped))
    return float(len(np.intersect1d(a, b, assume_unique=True)) / (n * k))


class Ranks(NamedTuple):
    """What a map's cluster sizes and distances say of the layer: Spearman's rank correlations of the classes' spreads,
    and of the distances between their centres; nan where there are too few classes."""

    spread: float
    distance: float


def ranks(features: Floats, points: Floats, labels: Labels, metric: str = "euclidean") -> Ranks:
    """features: float32 (n, width). points: float32 (n, dimensions). labels: (n,)."""
    classes = np.unique(labels)
    if len(classes) < FEWEST:
        return Ranks(float("nan"), float("nan"))
    layer, mapped = (_shape(rows, labels, classes) for rows in (prepared(features, metric), prepared(points)))
    return Ranks(spearman(layer[0], mapped[0]), spearman(layer[1], mapped[1]))


def spearman(a: Real, b: Real) -> float:
    """Spearman's rank correlation; equal values share their mean rank; nan where one of them is constant."""
    from scipy.stats import spearmanr

    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(spearmanr(a, b).statistic)


def _shape(rows: Real, labels: Labels, classes: Labels) -> tuple[Real, Real]:
    """Root mean square distance of each class from its centre, and the distances between all pairs of centres."""
    centres = np.stack([rows[labels == label].mean(axis=0) for label in classes])
    squares = [
        ((rows[labels == label] - centre) ** 2).sum(axis=1) for label, centre in zip(classes, centres, strict=True)
    ]
    spreads = np.sqrt([part.mean() for part in squares])
    first, second = np.triu_indices(len(classes), 1)
    return spreads, np.linalg.norm(centres[first] - centres[second], axis=1)


def _nearest(features: Floats, k: int, metric: str = "euclidean") -> NDArray[np.int32]:
    neighbours = nearest(features, k, metric)
    assert neighbours is not None  # nobody stops it
    return neighbours.indices


def _part(squares: Real, mapped: NDArray[np.int32], piece: int) -> float:
    return float(_excess(squares, mapped, mapped.shape[1], *span(len(squares), piece)))


@compiled
def _excess(squares: Real, mapped: NDArray[np.int32], k: int, first: int, last: int) -> float:
    """The sum over the map's neighbours of max(rank in the layer - k, 0), for rows first to last of a block.

    squares: of the block's rows to all; a row's own is below all others and counts as the rank's 1.
    """
    lost = 0
    for row in range(first, last):
        for neighbour in mapped[row]:
            limit = squares[row, neighbour]
            nearer = 0
            for other in range(squares.shape[1]):
                nearer += squares[row, other] < limit
            lost += max(nearer - k, 0)
    return float(lost)
