"""The forces of t-SNE between all pairs of points of a plane map, exactly; compiled.

O(n^2), yet up to about 20,000 points this beats the approximations (Barnes-Hut trees, interpolation by FFT) on a
processor with wide vectors, because the inner loop is nothing but arithmetic.

A map is float32 (2, n) here: one row for each coordinate, so that the loops run over neighbouring numbers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fmnist_core.embedding.kernels import compiled, cores, span, spread
from fmnist_core.embedding.neighbour_graphs import Graph

Floats = NDArray[np.float32]
ONE, NONE = np.float32(1), np.float32(0)


class Forces:
    """Room for the forces on n points. pulls: float32 (2, n); pushes: float32 (cores, 2, n), to be summed."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        n = len(graph.starts) - 1
        self.pulls = np.empty((2, n), np.float32)
        self.pushes = np.empty((cores(), 2, n), np.float32)

    def measure(self, points: Floats) -> float:
        """Fill pulls with sum_j p_ij w_ij (y_i - y_j) and pushes with sum_j w_ij^2 (y_i - y_j); w = 1 / (1 + d^2).

        Returns the sum of w over all ordered pairs, the normaliser Z of q_ij = w_ij / Z.
        """

        def work(piece: int) -> float:
            _pull(points, *self.graph, self.pulls, *span(points.shape[1], piece))
            return float(_push(points, self.pushes[piece], piece, cores()))

        return sum(spread(work))

    def divergence(self, points: Floats, normaliser: float) -> float:
        """The Kullback-Leibler divergence of the map's q from p: sum p_ij log(p_ij / q_ij), in nats."""
        parts = spread(lambda piece: _divergence(points, *self.graph, *span(points.shape[1], piece)))
        return float(sum(part for part, _ in parts) + np.log(normaliser) * sum(total for _, total in parts))


@compiled
def _pull(
    points: Floats,
    starts: NDArray[np.int32],
    ends: NDArray[np.int32],
    weights: Floats,
    pulls: Floats,
    start: int,
    stop: int,
) -> None:
    x, y = points[0], points[1]
    for i in range(start, stop):
        xi, yi, pull_x, pull_y = x[i], y[i], NONE, NONE
        mine, given = ends[starts[i] : starts[i + 1]], weights[starts[i] : starts[i + 1]]
        for place in range(len(mine)):
            dx, dy = xi - x[mine[place]], yi - y[mine[place]]
            force = given[place] / (ONE + dx * dx + dy * dy)
            pull_x += force * dx
            pull_y += force * dy
        pulls[0, i], pulls[1, i] = pull_x, pull_y


@compiled
def _push(points: Floats, push: Floats, piece: int, pieces: int) -> float:
    """Every pair once, for both its ends. Four points at a time meet all later ones, which are then loaded less often.

    Groups of four go round the pieces, since the later ones have fewer points left to meet.
    """
    x, y, push_x, push_y = points[0], points[1], push[0], push[1]
    n, total = len(x), 0.0
    push[:] = NONE
    for first in range(4 * piece, n, 4 * pieces):
        after = min(first + 4, n)
        for i in range(first, after):
            for j in range(i + 1, after):
                dx, dy = x[i] - x[j], y[i] - y[j]
                w = ONE / (ONE + dx * dx + dy * dy)
                total += w
                dx, dy = w * w * dx, w * w * dy
                push_x[i] += dx
                push_y[i] += dy
                push_x[j] -= dx
                push_y[j] -= dy
        if after - first == 4:
            total += _meet(x, y, push_x, push_y, first)
    return 2 * total


@compiled
def _meet(x: Floats, y: Floats, push_x: Floats, push_y: Floats, a: int) -> float:
    """Points a to a + 3 against all after them. Written out: the compiler vectorises it over the later points."""
    x0, x1, x2, x3 = x[a], x[a + 1], x[a + 2], x[a + 3]
    y0, y1, y2, y3 = y[a], y[a + 1], y[a + 2], y[a + 3]
    f0 = f1 = f2 = f3 = g0 = g1 = g2 = g3 = total = NONE
    later_x, later_y, back_x, back_y = x[a + 4 :], y[a + 4 :], push_x[a + 4 :], push_y[a + 4 :]
    for j in range(len(later_x)):
        xj, yj = later_x[j], later_y[j]
        u0, u1, u2, u3 = x0 - xj, x1 - xj, x2 - xj, x3 - xj
        v0, v1, v2, v3 = y0 - yj, y1 - yj, y2 - yj, y3 - yj
        w0, w1 = ONE / (ONE + u0 * u0 + v0 * v0), ONE / (ONE + u1 * u1 + v1 * v1)
        w2, w3 = ONE / (ONE + u2 * u2 + v2 * v2), ONE / (ONE + u3 * u3 + v3 * v3)
        total += (w0 + w1) + (w2 + w3)
        w0, w1, w2, w3 = w0 * w0, w1 * w1, w2 * w2, w3 * w3
        u0, u1, u2, u3 = w0 * u0, w1 * u1, w2 * u2, w3 * u3
        v0, v1, v2, v3 = w0 * v0, w1 * v1, w2 * v2, w3 * v3
        f0, f1, f2, f3 = f0 + u0, f1 + u1, f2 + u2, f3 + u3
        g0, g1, g2, g3 = g0 + v0, g1 + v1, g2 + v2, g3 + v3
        back_x[j] -= (u0 + u1) + (u2 + u3)
        back_y[j] -= (v0 + v1) + (v2 + v3)
    push_x[a] += f0
    push_x[a + 1] += f1
    push_x[a + 2] += f2
    push_x[a + 3] += f3
    push_y[a] += g0
    push_y[a + 1] += g1
    push_y[a + 2] += g2
    push_y[a + 3] += g3
    return float(total)


@compiled
def _divergence(
    points: Floats, starts: NDArray[np.int32], ends: NDArray[np.int32], weights: Floats, start: int, stop: int
) -> tuple[float, float]:
    """Sum of p log(p / w), and of p."""
    x, y = points[0], points[1]
    divergence, total = 0.0, 0.0
    for i in range(start, stop):
        for place in range(starts[i], starts[i + 1]):
            p = np.float64(weights[place])
            if p > 0:
                dx, dy = np.float64(x[i] - x[ends[place]]), np.float64(y[i] - y[ends[place]])
                divergence += p * (np.log(p) + np.log(1 + dx * dx + dy * dy))
                total += p
    return divergence, total


@compiled
def step(
    points: Floats,
    pulls: Floats,
    pushes: Floats,
    velocity: Floats,
    gains: Floats,
    normaliser: float,
    exaggeration: float,
    rate: float,
    momentum: float,
    longest: float,
) -> None:
    """Move all points by one step of gradient descent with momentum and gains (Jacobs 1988), and centre the map.

    A point moves by at most `longest`. velocity, gains: float32 (2, n), kept between steps.
    """
    n = points.shape[1]
    mean_x, mean_y = 0.0, 0.0
    for i in range(n):
        for axis in range(2):
            push = NONE
            for piece in range(len(pushes)):
                push += pushes[piece, axis, i]
            slope = np.float32(exaggeration) * pulls[axis, i] - push / np.float32(normaliser)
            along = (slope > 0) == (velocity[axis, i] > 0)  # downhill lies the other way: we have gone too far
            gains[axis, i] = (
                gains[axis, i] * np.float32(0.8) + np.float32(0.01) if along else gains[axis, i] + np.float32(0.2)
            )
            velocity[axis, i] = np.float32(momentum) * velocity[axis, i] - np.float32(rate) * gains[axis, i] * slope
        length = np.sqrt(velocity[0, i] ** 2 + velocity[1, i] ** 2)
        if length > longest:
            velocity[0, i] *= np.float32(longest) / length
            velocity[1, i] *= np.float32(longest) / length
        points[0, i] += velocity[0, i]
        points[1, i] += velocity[1, i]
        mean_x += points[0, i]
        mean_y += points[1, i]
    points[0] -= np.float32(mean_x / n)
    points[1] -= np.float32(mean_y / n)
