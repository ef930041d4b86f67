"""Numbers behind two rules of reading a map: what its cluster sizes and distances say of the layer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fmnist_core.embedding.neighbours import prepared

FEWEST = 4  # classes: a rank correlation of fewer says nothing


class Ranks(NamedTuple):
    """Spearman's rank correlations between a layer and its map: of the classes' spreads, and of the distances between
    their centres; nan where there are too few classes."""

    spread: float
    distance: float


def ranks(
    features: NDArray[np.float32], points: NDArray[np.float32], labels: NDArray[np.uint8], metric: str = "euclidean"
) -> Ranks:
    """features: float32 (n, width). points: float32 (n, dimensions). labels: (n,)."""
    classes = np.unique(labels)
    if len(classes) < FEWEST:
        return Ranks(float("nan"), float("nan"))
    layer, mapped = (_shape(rows, labels, classes) for rows in (prepared(features, metric), prepared(points)))
    return Ranks(spearman(layer[0], mapped[0]), spearman(layer[1], mapped[1]))


def spearman(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Spearman's rank correlation; equal values share their mean rank; nan where one of them is constant."""
    from scipy.stats import spearmanr

    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(spearmanr(one, other).statistic)


def _shape(
    rows: NDArray[np.floating], labels: NDArray[np.uint8], classes: NDArray[np.uint8]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Root mean square distance of each class from its centre, and the distances between all pairs of centres."""
    centres = np.stack([rows[labels == label].mean(axis=0) for label in classes])
    spreads = np.array(
        [
            np.sqrt(((rows[labels == label] - centre) ** 2).sum(axis=1).mean())
            for label, centre in zip(classes, centres, strict=True)
        ]
    )
    first, second = np.triu_indices(len(classes), 1)
    return spreads, np.linalg.norm(centres[first] - centres[second], axis=1)
