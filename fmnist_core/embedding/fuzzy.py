"""UMAP's view of the data: a fuzzy graph of neighbours, and the curve that a map's distances shall follow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fmnist_core.embedding.compiled import compiled
from fmnist_core.embedding.graph import Graph, union
from fmnist_core.embedding.neighbours import Neighbours
from fmnist_core.embedding.parallel import span, spread

STEPS, TOLERANCE, UNBOUNDED = 64, 1e-5, 1e300
SMALLEST = 1e-3  # of the mean distance: a bandwidth below would cut off all but equal points
FITTED, DAMPING = 100, 1e-3


def fuzzy_graph(neighbours: Neighbours, n_neighbors: int) -> Graph:
    """Membership strengths of edges (McInnes, Healy & Melville 2018, arXiv 1802.03426, section 3.1 and algorithm 3).

    neighbours: n_neighbors - 1 others for each point, since n_neighbors counts the point itself, as in umap-learn.
    From point i, the edge to its neighbour at distance d has the strength exp(-max(0, d - rho_i) / sigma_i): rho_i is
    the distance of the nearest distinct neighbour, and sigma_i makes the strengths sum to log2(n_neighbors). The two
    directions a and b are united as a + b - ab.
    """
    strengths = np.empty(neighbours.distances.shape, np.float64)
    wanted, mean = np.log2(n_neighbors), float(neighbours.distances.mean(dtype=np.float64))
    share = (n_neighbors - 1) / n_neighbors  # umap-learn's means count the point itself, at distance 0
    spread(
        lambda piece: _strengths(neighbours.distances, wanted, mean * share, strengths, *span(len(strengths), piece))
    )
    return union(neighbours.indices, strengths, product=1.0)


@compiled
def _strengths(
    distances: NDArray[np.float32], wanted: float, mean: float, found: NDArray[np.float64], start: int, stop: int
) -> None:
    """Bisect each point's bandwidth sigma."""
    count = distances.shape[1]
    for i in range(start, stop):
        nearest, own_mean = 0.0, 0.0
        for j in range(count):
            own_mean += distances[i, j] / (count + 1)
            if nearest == 0.0:
                nearest = np.float64(distances[i, j])
        width, low, high = 1.0, 0.0, UNBOUNDED
        for _ in range(STEPS):
            total = 0.0
            for j in range(count):
                total += np.exp(-max(distances[i, j] - nearest, 0.0) / width)
            if abs(total - wanted) < TOLERANCE:
                break
            if total > wanted:
                high = width
                width = (low + high) / 2
            else:
                low = width
                width = width * 2 if high == UNBOUNDED else (low + high) / 2
        width = max(width, SMALLEST * (own_mean if nearest > 0 else mean))
        for j in range(count):
            found[i, j] = np.exp(-max(distances[i, j] - nearest, 0.0) / width)


def curve(min_dist: float) -> tuple[float, float]:
    """a and b of 1 / (1 + a d^2b), nearest to 1 up to min_dist and exp(min_dist - d) beyond, for d in [0, 3).

    Least squares after Levenberg (1944) and Marquardt (1963), in log a and log b so that both stay positive.
    """
    d = np.linspace(0, 3, 300)[1:]
    wanted = np.exp(-np.maximum(d - min_dist, 0))
    logs, damping = np.zeros(2), DAMPING

    def values(logs: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        a, b = np.exp(logs)
        power = a * d ** (2 * b)
        height = 1 / (1 + power)
        slope = -(height**2) * power
        return height - wanted, np.stack([slope, slope * 2 * b * np.log(d)], axis=1)

    errors, slopes = values(logs)
    for _ in range(FITTED):
        normal = slopes.T @ slopes
        trial = logs - np.linalg.solve(normal + damping * np.diag(np.diag(normal)), slopes.T @ errors)
        new_errors, new_slopes = values(trial)
        better = new_errors @ new_errors < errors @ errors
        damping *= 0.1 if better else 10
        if better:
            logs, errors, slopes = trial, new_errors, new_slopes
    a, b = np.exp(logs)
    return float(a), float(b)
