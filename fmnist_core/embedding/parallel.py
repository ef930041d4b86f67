"""Work on all cores by threads of our own: compiled kernels and NumPy let go of Python's lock while they compute.

numba's own threads are not used: its default threading layer ends the process when two fits run at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

T = TypeVar("T")


@cache
def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
