"""Settings of one installation: environment variables that start with FMNIST_, read in one place.

Hosted copies may give the same names as Streamlit secrets: Streamlit exports top-level secrets to the environment.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from fmnist_core.errors import LabError

T = TypeVar("T")
GIB = 1024**3
MIRROR = "https://storage.googleapis.com/tensorflow/tf-keras-datasets"  # Where Keras itself downloads from.


@dataclass(frozen=True)
class Settings:
    """One installation's settings; the README lists them with their defaults.

    data: folder with the four Fashion-MNIST files, or None to search the usual places.
    cache: folder for decompressed, memory-mapped data. runs: folder of the run store.
    runs_budget: bytes that stored runs may take. engine: address of a Dask scheduler ("" for this machine).
    mirror: address of the folder that the data set is downloaded from.
    workers: worker processes on this machine. worker_memory: bytes for each. compute_budget: FLOPs for one training.
    """

    data: Path | None
    cache: Path
    runs: Path
    runs_budget: int
    engine: str
    mirror: str
    workers: int
    worker_memory: int
    compute_budget: float


def settings() -> Settings:
    """The settings in force now.

    Raises:
        LabError: a variable holds a value that cannot be used; the sentence names it.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fashion-mnist-lab"
    data = os.environ.get("FMNIST_DATA", "")
    return Settings(
        data=Path(data).expanduser() if data else None,
        cache=_path("FMNIST_CACHE", home / "data"),
        runs=_path("FMNIST_RUNS", home / "runs"),
        runs_budget=_number("FMNIST_RUNS_BUDGET", 2 * GIB, _bytes, low=10 * 1024**2),
        engine=os.environ.get("FMNIST_ENGINE", ""),
        mirror=os.environ.get("FMNIST_MIRROR") or MIRROR,
        workers=_number("FMNIST_WORKERS", 1, int, low=1),
        worker_memory=_number("FMNIST_WORKER_MEMORY", int(1.7 * GIB), _bytes, low=700 * 1024**2),
        # 1e15 is a little under six minutes at a sustained 3e12 and about an hour at 3e11 FLOP/s (a 2-core machine).
        compute_budget=_number("FMNIST_COMPUTE_BUDGET", 1e15, float, low=1.0),
    )


def _path(name: str, default: Path) -> Path:
    return Path(os.environ.get(name) or default).expanduser()


def _bytes(text: str) -> int:
    """A whole number, also written as 20e9."""
    try:
        return int(float(text))
    except OverflowError:
        raise ValueError from None


def _number(name: str, default: T, convert: Callable[[str], T], *, low: float) -> T:
    text = os.environ.get(name, "")
    if not text:
        return default
    try:
        value = convert(text)
    except ValueError:
        raise LabError(f"The setting {name} is {text!r}, but it must be a number; unset it for {default}.") from None
    if not value >= low:  # type: ignore[operator]
        raise LabError(f"The setting {name} is {text}, but it must be at least {low:g}; unset it for {default}.")
    return value
