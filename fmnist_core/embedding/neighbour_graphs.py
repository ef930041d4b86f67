"""The weighted graphs of neighbours that t-SNE and UMAP lay out: every edge from both its ends.

t-SNE's probabilities are openTSNE's. UMAP's strengths are ours: umap-learn's function gives the same ones, yet compiles
for seconds in every new process and is slower afterwards (10,000 points: 0.20 s against 0.06 s).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fmnist_core.embedding.kernels import compiled, cores, span, spread
from fmnist_core.embedding.neighbours import Neighbours

STEPS, TOLERANCE, UNBOUNDED = 64, 1e-5, 1e300
SMALLEST = 1e-3  # of the mean distance: a bandwidth below would cut off all but equal points


class Graph(NamedTuple):
    """Compressed sparse rows of a symmetric matrix: point i's edges are starts[i] to starts[i + 1], ends ascending.

    starts: int32 (n + 1,). ends: int32 (edges,). weights: float32 (edges,).
    """

    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    weights: NDArray[np.float32]


def joint_probabilities(neighbours: Neighbours, perplexity: float) -> Graph:
    """t-SNE's p_ij, which sum to 1 (van der Maaten & Hinton 2008, equations 1 and 2; van der Maaten 2014).

    For each point a Gaussian over its neighbours whose perplexity, 2 to the power of its entropy in bits, is the
    given one; then p_ij = (p_j|i + p_i|j) / 2n.
    """
    from openTSNE.affinity import joint_probabilities_nn

    # In units of the mean distance: openTSNE's search for the bandwidth starts at 1, whatever the size of the features.
    distances = neighbours.distances.astype(np.float64)
    distances /= max(float(distances.mean()), np.finfo(np.float64).tiny)
    return _graph(joint_probabilities_nn(neighbours.indices, distances, [float(perplexity)], n_jobs=cores()))


def fuzzy_graph(neighbours: Neighbours, n_neighbors: int) -> Graph:
    """UMAP's strengths of edges (McInnes, Healy & Melville 2018, arXiv 1802.03426, section 3.1, algorithm 3).

    neighbours: n_neighbors - 1 others for each point, since n_neighbors counts the point itself, as in umap-learn.
    From point i, the edge to its neighbour at distance d has the strength exp(-max(0, d - rho_i) / sigma_i): rho_i is
    the distance of the nearest distinct neighbour, and sigma_i makes the strengths sum to log2(n_neighbors). The two
    directions a and b are united as a + b - ab.
    """
    from scipy.sparse import csr_array

    n, k = neighbours.indices.shape
    strengths = np.empty((n, k), np.float64)
    total, mean = np.log2(n_neighbors), float(neighbours.distances.mean(dtype=np.float64))
    mean *= (n_neighbors - 1) / n_neighbors  # umap-learn's means count the point itself, at distance 0
    spread(lambda piece: _strengths(neighbours.distances, total, mean, strengths, *span(n, piece)))
    directed = csr_array((strengths.ravel(), neighbours.indices.ravel(), np.arange(0, n * k + 1, k)), shape=(n, n))
    reverse = directed.T.tocsr()
    return _graph(directed + reverse - directed * reverse)


def _graph(matrix: Any) -> Graph:
    """matrix: scipy's compressed sparse rows, symmetric."""
    matrix.sort_indices()
    return Graph(matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32), matrix.data.astype(np.float32))


@compiled
def _strengths(
    distances: NDArray[np.float32], target: float, mean: float, strengths: NDArray[np.float64], start: int, stop: int
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
            if abs(total - target) < TOLERANCE:
                break
            if total > target:
                high = width
                width = (low + high) / 2
            else:
                low = width
                width = width * 2 if high == UNBOUNDED else (low + high) / 2
        width = max(width, SMALLEST * (own_mean if nearest > 0 else mean))
        for j in range(count):
            strengths[i, j] = np.exp(-max(distances[i, j] - nearest, 0.0) / width)
