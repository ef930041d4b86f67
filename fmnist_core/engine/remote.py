"""What Dask carries to the workers: the greeting, the execution of a job, the wish to stop it.

The scheduler imports this module, too. So it imports little itself, and the jobs where they run.
"""

from __future__ import annotations

import ctypes
import importlib
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import psutil
from distributed import WorkerPlugin, get_worker

from fmnist_core.errors import LabError

log = logging.getLogger(__name__)
TOPIC = "fmnist-lab-workers"
STALE_SHARE = 0.75  # of the memory limit: a worker that holds more after a job is replaced before the next
STOPPED: set[str] = set()  # keys of jobs that shall end; filled from outside by `stop`


class Greeter(WorkerPlugin):
    """Tells on TOPIC that a worker process is there, also one that replaces another, and later that it is warm."""

    name = "fmnist-lab-greeter"

    def __init__(self, warm_up: bool) -> None:
        self.warm_up = warm_up

    def setup(self, worker: Any) -> None:
        """Called by Dask in the worker's event loop, so the slow part goes to a thread."""
        from fmnist_core.jobs import train_runs as jobs

        def tell(warm: bool) -> None:
            worker.log_event(TOPIC, {"address": worker.address, "warm": warm})

        tell(jobs.WARM.is_set() or not self.warm_up)
        if self.warm_up:
            jobs.start_warming(lambda: tell(True))


def execute(kind: str, params: Mapping[str, Any], topic: str, key: str) -> dict[str, Any]:
    """Run one job inside a Dask worker. kind: "module:function" of a worker.Job.

    Returns the job's facts with "error" (a sentence or "") and "stale" (whether this process shall be replaced).
    A failure is a result, not an exception, so that Dask retries a job for one reason only: its worker died.
    """
    from fmnist_core.jobs.train_runs import Events

    worker = get_worker()

    def send(event: dict[str, Any]) -> None:
        worker.log_event(topic, {"job": key, **event})

    send({"what": "start", "address": worker.address, "pid": os.getpid()})
    try:
        facts = dict(_function(kind)(params, Events(send), lambda: key in STOPPED))
        return {"error": "", "stopped": False} | facts | {"stale": _stale(worker)}
    except Exception as error:
        return {"error": _sentence(error), "stopped": False, "stale": _stale(worker)}
    finally:
        STOPPED.discard(key)


def stop(key: str) -> None:
    """Ask a job in this process to end; runs beside it."""
    STOPPED.add(key)


def _function(kind: str) -> Any:
    module, name = kind.split(":")
    return getattr(importlib.import_module(module), name)


def _sentence(error: Exception) -> str:
    if isinstance(error, LabError):
        return str(error)
    log.error("A job failed", exc_info=error)
    reason = str(error).strip().split("\n")[0][:300]
    return f"The job failed with {type(error).__name__}{': ' + reason if reason else ''}."


def _give_back() -> None:
    """Return what the job has freed to the machine: glibc keeps it, and 20 layers before training leave 280 MB."""
    with suppress(OSError, AttributeError):  # another system's library
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _stale(worker: Any) -> bool:
    """TensorFlow keeps about 16 MB for each architecture it has seen, so a worker grows from job to job.

    Without a nanny nobody would start the next process.
    """
    _give_back()
    limit = worker.memory_manager.memory_limit
    return bool(limit and worker.nanny) and psutil.Process().memory_info().rss > STALE_SHARE * limit
