"""The memory of a process and of all that it started."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import NamedTuple, Self

import psutil

PERIOD = 0.2  # seconds between two looks
MB, GB = 1e6, 1e9


class Memory(NamedTuple):
    """Resident bytes. app: of the root; worker: of its largest descendant; total: of all. Pages that processes share,
    the memory-mapped images and libraries, are counted for each of them: the total is an upper bound.
    """

    app: int
    worker: int
    total: int


def descendants(root: psutil.Process) -> list[psutil.Process]:
    """All that a process started, directly or not."""
    try:
        found: list[psutil.Process] = root.children(recursive=True)
        return found
    except psutil.NoSuchProcess:
        return []


def memory(root: psutil.Process) -> Memory:
    """The memory in use now."""
    app, others = _resident(root), [_resident(process) for process in descendants(root)]
    return Memory(app, max(others, default=0), app + sum(others))


def largest(root: psutil.Process) -> int:
    """The process number of the largest descendant, which is the worker; 0 where there is none."""
    found = max(descendants(root), key=_resident, default=None)
    return found.pid if found else 0


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0


def busy() -> float:
    """Seconds of processor time that all processes together have taken so far."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)


def taken(process: int) -> float:
    """Seconds of processor time that one process has taken so far; 0 when it is gone."""
    try:
        times = psutil.Process(process).cpu_times()
        return float(times.user + times.system)
    except psutil.NoSuchProcess:
        return 0.0


class Watch:
    """Looks at the memory from a thread of its own while the block runs; `peak` has the largest of each figure."""

    def __init__(self, root: psutil.Process) -> None:
        self.root = root
        self.peak = Memory(0, 0, 0)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)

    def _run(self) -> None:
        while not self._over.wait(PERIOD):
            self.peak = Memory(*map(max, self.peak, memory(self.root)))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
