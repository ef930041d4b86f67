"""Distances to chosen candidates, computed directly and not from products; compiled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fmnist_core.embedding.kernels import compiled, span, spread


def refined(rows: NDArray[np.float32], candidates: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The candidates, and the squared distance of each row to each of its candidates, float32 (n, candidates)."""
    squares = np.empty(candidates.shape, np.float32)
    spread(lambda piece: _squares(rows, candidates, squares, *span(len(rows), piece)))
    return candidates, squares


@compiled
def _squares(
    rows: NDArray[np.float32], candidates: NDArray[np.int32], squares: NDArray[np.float32], start: int, stop: int
) -> None:
    for i in range(start, stop):
        row = rows[i]
        for place in range(candidates.shape[1]):
            other = rows[candidates[i, place]]
            total = np.float32(0)
            for feature in range(len(row)):
                difference = row[feature] - other[feature]
                total += difference * difference
            squares[i, place] = total
