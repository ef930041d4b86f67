"""Principal component analysis: the map that is there at once, and where t-SNE and UMAP start. NumPy alone.

scikit-learn's is as fast (10,000 x 512: 0.04 s), but the app draws this map itself, and importing it costs the app's
process half a second and 75 MB.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fmnist_core.embedding.map_methods import Floats, Frame, MapSettings, Stop, Watch
from fmnist_core.embedding.neighbours import Neighbours


class PCA(NamedTuple):
    """points: float32 (n, dimensions). explained: share of the variance along each axis, float64 (dimensions,)."""

    points: NDArray[np.float32]
    explained: NDArray[np.float64]


def pca(features: NDArray[np.float32], dimensions: int = 2) -> PCA:
    """Project onto the eigenvectors of the covariance with the largest eigenvalues (Pearson 1901).

    features: float32 (n, width). Where there are fewer features than dimensions, the axes that are missing are 0.
    Signs are chosen so that each axis' largest weight is positive: the same data gives the same picture.
    """
    centred = features - features.mean(axis=0, dtype=np.float64).astype(np.float32)
    # The small covariance matrix in place of a decomposition of the data: 10,000 x 784 take a fraction of a second.
    covariance = (centred.T @ centred).astype(np.float64)
    values, vectors = np.linalg.eigh(covariance)
    axes = vectors[:, ::-1][:, :dimensions]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0)
    axes = axes * np.where(largest < 0, -1, 1)
    missing = dimensions - axes.shape[1]
    total = max(float(np.trace(covariance)), np.finfo(np.float64).tiny)
    explained = np.pad(np.maximum(values[::-1][:dimensions], 0) / total, (0, missing))
    points = np.pad(centred @ axes.astype(np.float32), ((0, 0), (0, missing)))
    return PCA(points.astype(np.float32), explained)


def draw(
    features: Floats,
    neighbours: Neighbours,
    settings: MapSettings,
    initial: Floats | None = None,
    watch: Watch = lambda done, text, points: None,
    should_stop: Stop = lambda: False,
) -> Frame | None:
    """The map of the first components; None when stopped. A `Maker` that needs neither neighbours nor a start."""
    return None if should_stop() else Frame(pca(features, settings.dimensions).points)
