"""Settings of one installation: environment variables that start with FMNIST_, read in one place.

Hosted copies may give the same names as Streamlit secrets: Streamlit exports top-level secrets to the environment.
"""

from __future__ import annotations

import math
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from fmnist_core.cores import available_cores
from fmnist_core.errors import MOST_QUOTED, BadValueError, reason_of

T = TypeVar("T", int, float)
PREFIX = "FMNIST_"
GIB = 1024**3
LEAST_MEMORY = 10**9
MIRROR = "https://storage.googleapis.com/tensorflow/tf-keras-datasets"  # Where Keras itself downloads from.
NEAR = 0.85  # likeness to a setting's name from which another name is taken for a slip
ON, OFF = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


class SettingError(BadValueError):
    """A setting has a value that cannot be used; the sentence names setting, value and remedy."""


@dataclass(frozen=True)
class Settings:
    """One installation's settings; the README lists them with their defaults. Each is FMNIST_ and its name in capitals.

    data: folder with the four Fashion-MNIST files, or None to search the usual places.
    cache: folder for decompressed, memory-mapped data. runs: folder of the run store.
    runs_budget: bytes that stored runs may take. engine: address of a Dask scheduler ("" for this machine).
    mirror: address of the folder that the data set is downloaded from.
    workers: worker processes on this machine. worker_memory: bytes for each. compute_budget: FLOPs for one training.
    gpu: whether networks train on a GPU, where there is one.
    cores: processor cores to use in all; in a worker, its share of them.
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
    gpu: bool
    cores: int


def settings() -> Settings:
    """The settings in force now.

    Raises:
        SettingError: a variable holds a value that cannot be used; the sentence names it.
    """
    return Settings(
        data=_folder("FMNIST_DATA") if _text("FMNIST_DATA") else None,
        cache=_own_folder("FMNIST_CACHE", "data"),
        runs=_own_folder("FMNIST_RUNS", "runs"),
        runs_budget=_number(
            "FMNIST_RUNS_BUDGET", 2 * GIB, _bytes, "a number of bytes, such as 20e9 or 20 GB", low=10 * 1024**2
        ),
        engine=_text("FMNIST_ENGINE"),
        mirror=_address("FMNIST_MIRROR", MIRROR),
        workers=_number("FMNIST_WORKERS", 1, int, "a whole number", low=1, high=256),
        # The least is what the smallest training needs, by `cost.training_memory`.
        worker_memory=_number(
            "FMNIST_WORKER_MEMORY", int(1.7 * GIB), _bytes, "a number of bytes, such as 2e9 or 2 GB", low=LEAST_MEMORY
        ),
        # 1e15 is a little under six minutes at a sustained 3e12 and about an hour at 3e11 FLOP/s (a 2-core machine).
        compute_budget=_number("FMNIST_COMPUTE_BUDGET", 1e15, float, "a number, such as 1e15", low=1),
        gpu=_switch("FMNIST_GPU"),
        cores=_number("FMNIST_CORES", available_cores(), int, "a whole number", low=1),
    )


def misspelt() -> tuple[str, ...]:
    """A sentence for each variable that looks like a setting but is none, with the setting that may be meant."""
    return _misspelt(frozenset(os.environ))


@lru_cache(maxsize=1)
def _misspelt(names: frozenset[str]) -> tuple[str, ...]:
    known = [PREFIX + field.name.upper() for field in fields(Settings)]
    sentences = []
    for name in sorted(names.difference(known)):
        text = name.upper()
        if text.startswith(PREFIX):  # what all have in common makes no two alike
            near = get_close_matches(text.removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in known], n=1)
            meant = f"{PREFIX}{near[0]} may be meant" if near else "the README lists those that there are"
            sentences.append(f"There is no setting {name}; {meant}.")
        elif near := get_close_matches(text, known, n=1, cutoff=NEAR):
            sentences.append(f"There is no setting {name}; {near[0]} may be meant.")
    return tuple(sentences)


def home() -> Path | None:
    """The home folder of this user; None where there is none, as in a container with a user of its own."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def check_runs_folder() -> None:
    """Make the folder of the run store where it is missing.

    Raises:
        SettingError: nothing can be written there.
    """
    folder = settings().runs
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            tempfile.TemporaryFile(dir=folder).close()  # says why: permissions, or a read-only disk
    except OSError as error:
        remedy = "set FMNIST_RUNS to a folder that can be written"
        raise SettingError(f"No run can be stored in {folder} ({reason_of(error)}); {remedy}.") from None


# --- Variables of other programs --------------------------------------------------------------------------------------

_given: dict[str, str | None] = {}


def given(name: str) -> str | None:
    """A variable's value as the installation gives it, whatever `replaced` shows to others; None where it is unset."""
    return _given[name] if name in _given else os.environ.get(name)


def of_own_program() -> dict[str, str]:
    """The environment of a program of ours that is started as `python -m fmnist_core...`, wherever this one runs."""
    root = str(Path(__file__).parents[1])
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}


@contextmanager
def replaced(name: str, value: str) -> Iterator[None]:
    """Another value for a variable, while foreign code reads it in this or another thread."""
    before = _given[name] = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
        del _given[name]


# --- One variable -----------------------------------------------------------------------------------------------------


def _text(name: str) -> str:
    return os.environ.get(name, "").strip()


def _wrong(name: str, problem: str) -> SettingError:
    text = _text(name)
    shown = text if len(text) <= MOST_QUOTED else f"{text[:MOST_QUOTED]}…"
    return SettingError(f"The setting {name} is {shown!r}, but {problem}.")


def _folder(name: str) -> Path:
    try:
        return Path(_text(name)).expanduser()
    except RuntimeError:
        raise _wrong(name, "there is no such home folder; name another folder") from None


def _own_folder(name: str, default: str) -> Path:
    """A folder that the app makes where it is missing."""
    if _text(name):
        folder = _folder(name)
        if os.path.exists(folder) and not os.path.isdir(folder):  # noqa: PTH110, PTH112  these bear a locked parent
            raise _wrong(name, "that is a file; name a folder")
        return folder
    if caches := os.environ.get("XDG_CACHE_HOME"):
        return Path(caches) / "fashion-mnist-lab" / default
    if (user := home()) is None:
        raise SettingError(f"This user has no home folder; set {name} to a folder that can be written.")
    return user / ".cache" / "fashion-mnist-lab" / default


def _address(name: str, default: str) -> str:
    text = _text(name)
    if text and not re.match(r"https?://[^/]", text):
        raise _wrong(name, f"it must be an address that starts with https:// or http://; unset it for {default}")
    return text or default


def _switch(name: str) -> bool:
    text = _text(name).lower()
    if text not in (*ON, *OFF):
        raise _wrong(name, "it must be 0 or 1; unset it for 0")
    return text in ON


def _bytes(text: str) -> int:
    """A whole number of bytes, also written as 20e9, 20 GB or 20 GiB. Raises: ValueError, OverflowError."""
    match = re.fullmatch(r"(.+?)\s*([kMGT])(i?)B?", text, re.IGNORECASE)
    if match is None:
        return int(float(text))
    number, unit, binary = match.groups()
    return int(float(number) * (1024 if binary else 1000) ** (" kmgt".index(unit.lower())))


def _number(name: str, default: T, convert: Callable[[str], T], form: str, *, low: float, high: float = math.inf) -> T:
    """form: what is allowed, in words."""
    if not _text(name):
        return default
    with suppress(ValueError, OverflowError):
        value = convert(_text(name))
        if math.isfinite(value) and low <= value <= high:
            return value
    bounds = f"at least {low:,.0f}" if high == math.inf else f"from {low:,.0f} to {high:,.0f}"
    unset = f"{default:,}" if isinstance(default, int) else f"{default:g}"
    raise _wrong(name, f"it must be {form}, {bounds}; unset it for {unset}")
