"""How strongly t-SNE ties each point to its neighbours: joint probabilities of a given perplexity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fmnist_core.embedding.compiled import compiled
from fmnist_core.embedding.graph import Graph, union
from fmnist_core.embedding.neighbours import Neighbours
from fmnist_core.embedding.parallel import span, spread

STEPS, TOLERANCE, UNBOUNDED = 100, 1e-6, 1e300


def affinities(neighbours: Neighbours, perplexity: float) -> Graph:
    """Joint probabilities p_ij, which sum to 1 (van der Maaten & Hinton 2008, equations 1 and 2; van der Maaten 2014).

    For each point a Gaussian over its neighbours whose perplexity, 2 to the power of its entropy in bits, is the
    given one; then p_ij = (p_j|i + p_i|j) / 2n.
    """
    n = len(neighbours.indices)
    conditional = np.empty(neighbours.distances.shape, np.float64)
    spread(lambda piece: _gaussians(neighbours.distances, perplexity, conditional, *span(n, piece)))
    return union(neighbours.indices, conditional / (2 * n))


@compiled
def _gaussians(
    distances: NDArray[np.float32], perplexity: float, found: NDArray[np.float64], start: int, stop: int
) -> None:
    """Bisect each point's precision, in units of its own mean squared distance, whatever the size of the features."""
    count = distances.shape[1]
    wanted = np.log(perplexity)
    squares = np.empty(count)
    for i in range(start, stop):
        mean = 0.0
        for j in range(count):
            squares[j] = np.float64(distances[i, j]) ** 2 - np.float64(distances[i, 0]) ** 2
            mean += squares[j] / count
        for j in range(count):
            squares[j] = squares[j] / mean if mean > 0 else 0.0
        precision, low, high = 1.0, 0.0, UNBOUNDED
        for _ in range(STEPS):
            total, weighted = 0.0, 0.0
            for j in range(count):
                power = np.exp(-precision * squares[j])
                found[i, j] = power
                total += power
                weighted += power * squares[j]
            entropy = np.log(total) + precision * weighted / total
            if abs(entropy - wanted) < TOLERANCE:
                break
            if entropy > wanted:
                low = precision
                precision = min(precision * 2, 1e30) if high == UNBOUNDED else (low + high) / 2
            else:
                high = precision
                precision = (low + high) / 2
        for j in range(count):
            found[i, j] /= total
