"""The folder for what the engine's processes write while they live, and its end, also when they were killed.

A lock beside the folder is held as long as the process that made it lives. Whose lock is free is dead: neither a
process's number, which another container may have, too, nor an age tells that.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

PREFIX = "fashion-mnist-lab-"


@contextmanager
def scratch_folder() -> Iterator[str]:
    """A new folder, removed at the end; those of dead processes go first. Raises: OSError."""
    place = Path(tempfile.gettempdir())
    sweep(place)
    folder = place / f"{PREFIX}{uuid.uuid4().hex[:12]}"
    lock = _lock(folder)
    with lock.acquire(timeout=5):  # another process may just try whether it is free
        folder.mkdir(mode=0o700)
        try:
            yield str(folder)
        finally:
            _remove(folder, lock)


def sweep(place: Path | None = None) -> None:
    """Remove the folders of processes that were killed. place: where they are, by default the system's own place."""
    for path in (place or Path(tempfile.gettempdir())).glob(f"{PREFIX}*.lock"):
        folder = path.with_suffix("")
        try:
            with (lock := _lock(folder)):
                _remove(folder, lock)
        except (Timeout, OSError):  # its process lives, or it is another user's
            continue


def _lock(folder: Path) -> FileLock:
    return FileLock(f"{folder}.lock", timeout=0)


def _remove(folder: Path, lock: FileLock) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    Path(lock.lock_file).unlink(missing_ok=True)
