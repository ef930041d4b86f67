"""The weighted graph of neighbours that t-SNE and UMAP lay out: every edge from both its ends."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Graph(NamedTuple):
    """Compressed sparse rows of a symmetric matrix: point i's edges are starts[i] to starts[i + 1], ends ascending.

    starts: int32 (n + 1,). ends: int32 (edges,). weights: float32 (edges,).
    """

    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    weights: NDArray[np.float32]


def union(indices: NDArray[np.int32], weights: NDArray[np.floating], product: float = 0.0) -> Graph:
    """a + b - product * a * b for each pair with the weights a in one direction and b in the other, or 0.

    indices, weights: (n, k), the directed edges. product 0: the sum; 1: the probabilistic union.
    """
    n, k = indices.shape
    own, other = np.repeat(np.arange(n), k), indices.ravel().astype(np.int64)
    keys = np.concatenate([own * n + other, other * n + own])
    order = np.argsort(keys, kind="stable")
    keys, values = keys[order], np.concatenate([weights.ravel()] * 2)[order]
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    total = np.add.reduceat(values, first)
    both = np.diff(first, append=len(keys)) == 2
    if product:
        total[both] -= product * np.multiply.reduceat(values, first)[both]
    rows, ends = np.divmod(keys[first], n)
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))])
    return Graph(starts.astype(np.int32), ends.astype(np.int32), total.astype(np.float32))
