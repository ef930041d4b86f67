"""Functions compiled by numba, which need not hold Python's lock: see `parallel`.

The machine code is kept between processes: in __pycache__ beside the source, or where that is read-only in numba's
folder for the user (~/.cache/numba, or NUMBA_CACHE_DIR). Where neither can be written, each process compiles anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """The function as machine code. Sums may be reordered, and values must be finite: that lets loops vectorise.

    A division by zero gives inf and raises nothing, for the same reason.
    """
    options: dict[str, Any] = {"nogil": True, "fastmath": True, "error_model": "numpy"}
    found: Any
    try:
        found = njit(**options, cache=True)(function)
    except RuntimeError:  # no folder for the cache
        found = njit(**options)(function)
    compiled_function: F = found
    return compiled_function
