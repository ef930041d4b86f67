"""What Dask carries to the workers: the greeting, the execution of a job, the wish to stop it.

The scheduler imports this module, too. So it imports little itself, and the jobs where they run.
"""

from __future__ import annotations

import ctypes
import importlib
import logging
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import psutil
from distributed import WorkerPlugin, get_worker

from fmnist_core.errors import LabError
from fmnist_core.experiment.recording import Event, JobContext, Started, to_message

log = logging.getLogger(__name__)
TOPIC = "fmnist-lab-workers"
STALE_SHARE = 0.75  # of the memory limit: a worker that holds more after a job is replaced before the next
STOPPED: set[str] = set()  # keys of jobs that are to end; filled from outside by `stop`
RUNNING: set[str] = set()  # keys of jobs that this process has
ENDING = threading.Event()  # the process is to end
PERIOD = 0.02  # seconds between two looks whether jobs have ended


class WorkerEnds(BaseException):
    """The process that a job runs in is to end: the job leaves nothing behind."""


class Greeter(WorkerPlugin):
    """Tells on TOPIC that a worker process is there, also one that replaces another, and later that it is warm.

    warm_up: "module:function" that warms a worker up, see `jobs.warm_up`; "" for none.
    """

    name = "fmnist-lab-greeter"

    def __init__(self, warm_up: str) -> None:
        self.warm_up = warm_up

    def setup(self, worker: Any) -> None:
        """Called by Dask in the worker's event loop, so the slow part goes to a thread."""

        def tell(warm: bool) -> None:
            worker.log_event(TOPIC, {"address": worker.address, "warm": warm})

        tell(not self.warm_up)
        if self.warm_up:
            function_of(self.warm_up)(lambda: tell(True))


def execute(function: str, params: Mapping[str, Any], topic: str, key: str) -> dict[str, Any]:
    """Run one job inside a Dask worker. function: "module:function" of a job, see `recording.JobContext`.

    Returns "complete" (what the job returned), "error" (a sentence or "") and "stale" (whether this process is to be
    replaced). A failure is a result, not an exception, so that Dask retries a job for one reason only: its worker died.
    """
    worker = get_worker()

    def send(event: Event, lane: int = 0) -> None:
        worker.log_event(topic, {"job": key, "lane": lane, **to_message(event)})

    def should_stop() -> bool:
        if ENDING.is_set():
            raise WorkerEnds  # not a stop, which would keep what is done as the run
        return key in STOPPED

    send(Started(worker.address))
    RUNNING.add(key)
    try:
        complete, error = function_of(function)(params, JobContext(send, should_stop)), ""
    except Exception as exception:
        complete, error = False, _sentence(exception)
    except WorkerEnds:
        RUNNING.discard(key)
        threading.Event().wait()  # for the end of this process, which answers nobody
    finally:
        STOPPED.discard(key)
        RUNNING.discard(key)
    return {"complete": complete, "error": error, "stale": _stale(worker)}


def stop(key: str) -> None:
    """Ask a job in this process to end; runs beside it."""
    STOPPED.add(key)


def end_jobs() -> None:
    """Let the jobs of this process leave, with nothing kept; returns when they have."""
    ENDING.set()
    while RUNNING:
        time.sleep(PERIOD)


def function_of(path: str) -> Any:
    """The function of a "module:function"."""
    module, name = path.split(":")
    return getattr(importlib.import_module(module), name)


def _sentence(error: Exception) -> str:
    if isinstance(error, LabError):
        return str(error)
    log.error("A job failed", exc_info=error)
    reason = str(error).strip().split("\n")[0][:300]
    return f"The job failed with {type(error).__name__}{': ' + reason if reason else ''}."


def _stale(worker: Any) -> bool:
    """TensorFlow keeps about 16 MB for each architecture it has seen, so a worker grows from job to job.

    Without a nanny nobody would start the next process. What the job has freed is first returned to the machine: glibc
    keeps it, and 20 layers before training leave 280 MB.
    """
    with suppress(OSError, AttributeError):  # another system's library
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    limit = worker.memory_manager.memory_limit
    return bool(limit and worker.nanny) and psutil.Process().memory_info().rss > STALE_SHARE * limit
