"""t-SNE (van der Maaten & Hinton 2008) with exact forces, live and stoppable.

Schedule, step sizes and start are those of openTSNE (Poličar, Stražar & Zupan 2024, doi 10.18637/jss.v109.i03), after
Kobak & Berens (2019) and Belkina et al. (2019); the loop is ours. openTSNE's own, given an exact kernel as its
gradient, reaches the same divergence (10,000 points of 512 features: 1.557) in 15.2 s of processor time, this one in
7.0; of 3,000 points in 4.6 and 1.0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fmnist_core.embedding.forces import Forces, step
from fmnist_core.embedding.map_methods import SEARCH, Floats, Frame, MapSettings, Stop, Watch
from fmnist_core.embedding.neighbour_graphs import Graph, joint_probabilities
from fmnist_core.embedding.neighbours import Neighbours
from fmnist_core.embedding.pca import pca

EXAGGERATION, EARLY, LATER = 12.0, 250, 500
# Of large maps fewer: for 10,000 outputs that is a fifth of the time for 7 % more divergence (0.613 instead of 0.571,
# scikit-learn's after 1,000 iterations: 0.674).
LARGE, LATER_LARGE = 5_000, 350
# From a given map: shrunk first, so that points which belong elsewhere by now can still pass each other. Measured with
# 2,000 outputs: at its own size, the map of an untrained network stays at a divergence of 2.1 (a fresh map: 1.5), at
# this one it reaches 1.6, and between trained epochs points still move a third as far as between fresh maps.
WARM_SIZE, WARM_EXAGGERATION, WARM_EARLY, WARM_LATER = 0.6, 4.0, 150, 350
MOMENTUM, LONGEST = 0.8, 5.0
OFTEN = 25  # iterations between two reports, and two looks at should_stop
START = 1e-4  # standard deviation of the first axis at the start


def tsne(
    features: Floats,
    neighbours: Neighbours,
    settings: MapSettings,
    initial: Floats | None = None,
    watch: Watch = lambda done, text, points: None,
    should_stop: Stop = lambda: False,
) -> Frame | None:
    """A plane map of the features whose neighbours are given; None when stopped. A `Maker`.

    neighbours: about 3 * perplexity of them. initial: a map of the same points to start from; then there are fewer
    iterations, and less exaggeration. Without it, PCA is the start; the seed jitters points that coincide there.
    watch: called every OFTEN iterations.
    """
    graph = joint_probabilities(neighbours, settings.perplexity)
    if initial is None:
        phases = [(EXAGGERATION, EARLY), (1.0, LATER if len(features) <= LARGE else LATER_LARGE)]
        initial = start(features, settings.seed)
    else:
        initial = WARM_SIZE * initial
        phases = [(WARM_EXAGGERATION, WARM_EARLY), (1.0, WARM_LATER)]
    return descend(graph, initial, phases, watch, should_stop)


def start(features: Floats, seed: int) -> Floats:
    """The first two principal components, small, with a jitter that parts equal points."""
    points = pca(features).points
    spread = max(float(points[:, 0].std()), float(np.finfo(np.float32).tiny))
    jitter = np.random.default_rng(seed).normal(0, 0.01, points.shape)
    return ((points / spread + jitter) * START).astype(np.float32)


def descend(
    graph: Graph,
    initial: Floats,
    phases: list[tuple[float, int]],
    watch: Watch = lambda done, text, points: None,
    should_stop: Stop = lambda: False,
) -> Frame | None:
    """Gradient descent through phases of (exaggeration of the attraction, iterations); None when stopped."""
    points = np.ascontiguousarray(initial.T, dtype=np.float32)
    points -= points.mean(axis=1, keepdims=True)
    forces, n, total = Forces(graph), points.shape[1], sum(count for _, count in phases)
    iteration = 0
    for exaggeration, count in phases:
        velocity, gains = np.zeros_like(points), np.ones_like(points)
        for _ in range(count):
            normaliser = forces.measure(points)
            if iteration % OFTEN == 0:
                if should_stop():
                    return None
                text = f"iteration {iteration} of {total}, Kullback-Leibler divergence"
                divergence = forces.divergence(points, normaliser)
                watch(SEARCH + (1 - SEARCH) * iteration / total, f"{text} {divergence:.2f}", points.T.copy())
            step(
                *(points, forces.pulls, forces.pushes, velocity, gains),
                *(normaliser, exaggeration, n / exaggeration, MOMENTUM, LONGEST),
            )
            iteration += 1
    return Frame(points.T.copy(), forces.divergence(points, forces.measure(points)), total)


def gradient(graph: Graph, points: Floats) -> tuple[float, NDArray[np.float64]]:
    """(KL, its gradient float64 (n, 2)): 4 sum_j (p_ij - q_ij) w_ij (y_i - y_j), van der Maaten & Hinton's eq. 5."""
    forces, columns = Forces(graph), np.ascontiguousarray(points.T, dtype=np.float32)
    normaliser = forces.measure(columns)
    slope = forces.pulls.astype(np.float64) - forces.pushes.sum(axis=0, dtype=np.float64) / normaliser
    return forces.divergence(columns, normaliser), 4 * slope.T
