"""Kernels compiled by numba, and threads of our own that run them on all cores: neither holds Python's lock meanwhile.

The machine code is kept between processes: in __pycache__ beside the source, or where that is read-only in numba's
folder for the user (~/.cache/numba, or NUMBA_CACHE_DIR). Where neither can be written, each process compiles again.
numba's own threads are not used: its default threading layer ends the process when two fits run at once.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fmnist_core.settings import settings

F = TypeVar("F", bound=Callable[..., object])
T = TypeVar("T")


def compiled(function: F) -> F:
    """The function as machine code. Sums may be reordered, and values must be finite: that lets loops vectorise.

    A division by zero gives inf and raises nothing, for the same reason.
    """
    options: dict[str, Any] = {"nogil": True, "fastmath": True, "error_model": "numpy"}
    kernel: Any
    try:
        kernel = njit(**options, cache=True)(function)
    except RuntimeError:  # no folder for the cache
        kernel = njit(**options)(function)
    compiled_function: F = kernel
    return compiled_function


@cache
def cores() -> int:
    """The cores that this process uses."""
    return settings().cores


def spread(work: Callable[[int], T]) -> list[T]:
    """work(piece) for each piece from 0 to cores() - 1, all at once; their results in order."""
    others = [_pool().submit(work, piece) for piece in range(1, cores())]
    first = work(0)
    return [first, *(other.result() for other in others)]


def span(length: int, piece: int) -> tuple[int, int]:
    """The first row of a piece of `length` rows, and the first one after it."""
    return length * piece // cores(), length * (piece + 1) // cores()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(cores() - 1, 1), thread_name_prefix="embedding")


def squared_distances(rows: NDArray[np.float32], candidates: NDArray[np.int32]) -> NDArray[np.float32]:
    """From each row to each of its candidates, float32 (n, candidates): computed directly, not from products."""
    squares = np.empty(candidates.shape, np.float32)
    spread(lambda piece: _squares(rows, candidates, squares, *span(len(rows), piece)))
    return squares


@compiled
def _squares(
    rows: NDArray[np.float32], candidates: NDArray[np.int32], squares: NDArray[np.float32], start: int, stop: int
) -> None:
    for i in range(start, stop):
        row = rows[i]
        for rank in range(candidates.shape[1]):
            other = rows[candidates[i, rank]]
            total = np.float32(0)
            for feature in range(len(row)):
                difference = row[feature] - other[feature]
                total += difference * difference
            squares[i, rank] = total
