"""UMAP (McInnes, Healy & Melville 2018, arXiv 1802.03426), on all cores and yet the same for the same seed.

umap-learn moves both ends of an edge at once, edge after edge; so it must work on one core to repeat itself. Here each
point is moved by itself, with random numbers of its own, from where all points were at the beginning of a round. For an
edge both ends compute the same pull from the same places, so they still move equally and oppositely: without that,
maps are too dense and less trustworthy (0.960 for 0.968, measured). Nothing is compiled while a person waits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fmnist_core.embedding.kernels import compiled, span, spread
from fmnist_core.embedding.map_methods import SEARCH, Floats, Frame, MapSettings, Stop, Watch
from fmnist_core.embedding.neighbour_graphs import Graph, fuzzy_graph
from fmnist_core.embedding.neighbours import Neighbours
from fmnist_core.embedding.pca import pca

SMALL, EPOCHS_SMALL, EPOCHS_LARGE = 10_000, 500, 200  # umap-learn's: more epochs for up to 10,000 points
WARM = 0.4  # of the epochs, and of the first step size, where a map to start from is given
OFTEN = 10  # epochs between two reports, and two looks at should_stop
SIZE, JITTER = 10.0, 1e-4  # of the start
ROUNDS = 4  # of an epoch: a point's edges hardly ever act on it at the same time, as in umap-learn they never do
NEGATIVES, LIMIT = 5, np.float32(4)
ZERO, ONE, TWO = np.float32(0), np.float32(1), np.float32(2)
NEAR = np.float32(1e-3)
STRIDE, PHASES = np.uint64(0x9E3779B97F4A7C15), 2.0**24


def umap(
    features: Floats,
    neighbours: Neighbours,
    settings: MapSettings,
    initial: Floats | None = None,
    watch: Watch = lambda done, text, points: None,
    should_stop: Stop = lambda: False,
) -> Frame | None:
    """A map of the features in 2 or 3 dimensions; None when stopped. A `Maker`.

    neighbours: n_neighbors - 1 for each point. initial: a map of the same points to start from; then fewer and smaller
    steps follow. watch: called every OFTEN epochs.
    """
    graph, n = fuzzy_graph(neighbours, settings.n_neighbors), len(features)
    epochs, rate = (EPOCHS_SMALL if n <= SMALL else EPOCHS_LARGE), 1.0
    if initial is None:
        initial = start(features, settings.dimensions, settings.seed)
    else:
        epochs, rate = round(epochs * WARM), WARM
    return descend(graph, initial, curve(settings.min_dist), epochs, rate, settings.seed, watch, should_stop)


def curve(min_dist: float) -> tuple[float, float]:
    """a and b of 1 / (1 + a d^2b), nearest to 1 up to min_dist and exp(min_dist - d) beyond, for d in [0, 3)."""
    from scipy.optimize import curve_fit

    d = np.linspace(0, 3, 300)[1:]
    target = np.exp(-np.maximum(d - min_dist, 0))
    (a, b), _ = curve_fit(lambda d, a, b: 1 / (1 + a * d ** (2 * b)), d, target)
    return float(a), float(b)


def start(features: Floats, dimensions: int, seed: int) -> Floats:
    """Principal components, within a box of SIZE, with a jitter that parts equal points."""
    points = pca(features, dimensions).points
    points -= points.min(axis=0)
    points *= SIZE / max(float(points.max()), float(np.finfo(np.float32).tiny))
    return (points + np.random.default_rng(seed).normal(0, JITTER * SIZE, points.shape)).astype(np.float32)


def descend(
    graph: Graph,
    initial: Floats,
    shape: tuple[float, float],
    epochs: int,
    rate: float,
    seed: int,
    watch: Watch,
    should_stop: Stop,
) -> Frame | None:
    """Stochastic gradient descent with a step size that falls from `rate` to 0; None when stopped."""
    n, dimensions = initial.shape
    old = np.zeros((n, 3), np.float32)  # in the plane the third coordinate stays 0
    old[:, :dimensions] = initial
    new = np.empty_like(old)
    shares = graph.weights / graph.weights.max()
    shares[shares < 1 / epochs] = 0
    shares /= ROUNDS
    a, b = np.float32(shape[0]), np.float32(shape[1])
    for epoch in range(epochs):
        if epoch % OFTEN == 0:
            if should_stop():
                return None
            text = f"epoch {epoch} of {epochs} of the layout"
            watch(SEARCH + (1 - SEARCH) * epoch / epochs, text, old[:, :dimensions].copy())
        step = np.float32(rate * (1 - epoch / epochs))
        for turn in range(epoch * ROUNDS, (epoch + 1) * ROUNDS):
            _on_all_cores(old, new, graph, shares, a, b, turn, step, seed)
            old, new = new, old
    return Frame(np.ascontiguousarray(old[:, :dimensions]), iterations=epochs)


def _on_all_cores(
    old: Floats,
    new: Floats,
    graph: Graph,
    shares: NDArray[np.float32],
    a: np.float32,
    b: np.float32,
    moment: int,
    step: np.float32,
    seed: int,
) -> None:
    key = np.uint64((seed * 1_000_003 + moment) % 2**63)
    spread(
        lambda piece: _move(old, new, graph.starts, graph.ends, shares, a, b, moment, step, key, *span(len(old), piece))
    )


@compiled
def _mixed(state: np.uint64) -> np.uint64:
    """splitmix64 (Steele, Lea & Flood 2014, doi 10.1145/2660193.2660195): counters become random bits."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


@compiled
def _due(moment: int, share: float, phase: float) -> bool:
    """Whether something that happens in `share` of all moments, evenly from a phase in [0, 1) on, happens now."""
    return bool(np.floor((moment + 1) * share + phase) > np.floor(moment * share + phase))


@compiled
def _clipped(value: np.float32) -> np.float32:
    return max(-LIMIT, min(LIMIT, value))


@compiled
def _move(
    old: Floats,
    new: Floats,
    starts: NDArray[np.int32],
    ends: NDArray[np.int32],
    shares: NDArray[np.float32],
    a: np.float32,
    b: np.float32,
    moment: int,
    step: np.float32,
    key: np.uint64,
    start: int,
    stop: int,
) -> None:
    """One round of the points from start to stop. An edge acts once in each direction in `share` of all rounds.

    It draws both its ends together, and pushes the one it starts from away from NEGATIVES random points.
    """
    n = np.uint64(len(old))
    for i in range(start, stop):
        x, y, z = old[i, 0], old[i, 1], old[i, 2]
        state = _mixed(key * STRIDE + np.uint64(i))
        for place in range(starts[i], starts[i + 1]):
            j, share = ends[place], np.float64(shares[place])
            # Both ends of an edge come to the same phases, one for each direction.
            pair = _mixed(np.uint64(min(i, j)) * n + np.uint64(max(i, j)))
            upward = np.float64(pair >> np.uint64(40)) / PHASES
            downward = np.float64((pair >> np.uint64(16)) & np.uint64(0xFFFFFF)) / PHASES
            own, others = (upward, downward) if i < j else (downward, upward)
            head, tail = _due(moment, share, own), _due(moment, share, others)
            if not (head or tail):
                continue
            dx, dy, dz = old[i, 0] - old[j, 0], old[i, 1] - old[j, 1], old[i, 2] - old[j, 2]
            square = dx * dx + dy * dy + dz * dz
            if square > ZERO:
                power = a * np.exp(b * np.log(square))
                force = -TWO * b * power / (square * (power + ONE))
                times = step * (np.float32(head) + np.float32(tail))
                x += times * _clipped(force * dx)
                y += times * _clipped(force * dy)
                z += times * _clipped(force * dz)
            if not head:
                continue
            for _ in range(NEGATIVES):
                state += STRIDE
                far = np.int64(((_mixed(state) >> np.uint64(32)) * n) >> np.uint64(32))
                dx, dy, dz = x - old[far, 0], y - old[far, 1], z - old[far, 2]
                square = dx * dx + dy * dy + dz * dz
                if square > ZERO and far != i:
                    force = TWO * b / ((NEAR + square) * (a * np.exp(b * np.log(square)) + ONE))
                    x += step * _clipped(force * dx)
                    y += step * _clipped(force * dy)
                    z += step * _clipped(force * dz)
        new[i, 0], new[i, 1], new[i, 2] = x, y, z
