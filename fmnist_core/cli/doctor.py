"""The command `doctor`: what a user will need is tried, and what cannot be is one sentence each."""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Callable

from fmnist_core import __version__
from fmnist_core.cli.exit_codes import code_of
from fmnist_core.cli.interrupts import ends_at_once
from fmnist_core.cli.output import versions
from fmnist_core.data import dataset
from fmnist_core.embedding.map_methods import METHODS
from fmnist_core.engine.host import check_shared_memory
from fmnist_core.errors import LabError, reason_of
from fmnist_core.settings import check_runs_folder, settings

TRIAL = b"x" * 2**20


def examine(arguments: argparse.Namespace) -> int:
    """Print versions, what draws each kind of map, and what each check finds.

    Returns the exit code of the first check that failed, 0 where none did.
    """
    print(
        f"Fashion-MNIST Lab {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    )
    print(", ".join(f"{name} {version}" for name, version in versions().items()))
    for method in METHODS.values():
        print(f"{method.title} maps: drawn by {method.program}.")
    code = 0
    told: set[str] = set()
    for title, check in CHECKS.items():
        try:
            print(f"{title}: {check()}", flush=True)
        except LabError as error:
            code = code or code_of(error)
            if str(error) not in told:
                print(f"{title}: {error}", file=sys.stderr, flush=True)
            told.add(str(error))
    return code


def _data() -> str:
    """Raises: DataError, SettingError."""
    data = dataset.load()
    counts = f"{len(data.train_images):,} training and {len(data.test_images):,} test images."
    return " ".join(filter(None, (f"{data.source}: {counts}", data.notice)))


def _runs() -> str:
    """Raises: SettingError."""
    check_runs_folder()
    return str(settings().runs)


def _temporary_files() -> str:
    """TensorFlow writes there while it compiles. Raises: LabError."""
    try:
        with tempfile.TemporaryFile() as file:
            file.write(TRIAL)
            file.flush()
        return tempfile.gettempdir()
    except OSError as error:
        remedy = "free some space there, or set TMPDIR to a folder that can be written"
        raise LabError(f"No temporary file can be written ({reason_of(error)}); {remedy}.") from None


def _shared_memory() -> str:
    """Raises: LabError, SettingError."""
    check_shared_memory(settings().workers)
    return "there is room for the workers' semaphores."


def _engine() -> str:
    """Raises: EngineError, LabError."""
    with ends_at_once():
        from fmnist_core.engine.service import check

    start = time.perf_counter()
    device = check()
    if settings().gpu and device != "GPU":
        raise LabError(
            "FMNIST_GPU asks for a GPU, but TensorFlow finds none; install its drivers"
            " (pip install tensorflow[and-cuda]) or unset FMNIST_GPU."
        )
    place = settings().engine or "this machine"
    return f"a worker of {place} trained on its {device} and wrote to the store ({time.perf_counter() - start:.1f} s)."


CHECKS: dict[str, Callable[[], str]] = {
    "Data": _data,
    "Runs": _runs,
    "Temporary files": _temporary_files,
    "Shared memory": _shared_memory,
    "Engine": _engine,
}
