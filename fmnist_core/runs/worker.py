"""What a worker process does: a job from its first event to its stored run. Without a cluster: the training alone.

Nothing heavy is imported before it is needed: the app process imports this module, and must stay free of TensorFlow.
"""

from __future__ import annotations

import importlib
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from fmnist_core import dataset
from fmnist_core.experiment import Experiment
from fmnist_core.recording import EpochRecord, Listener, Progress, Recorder, Weights
from fmnist_core.runs.run import Run
from fmnist_core.runs.store import RunStore, StoreError
from fmnist_core.runs.writer import RunWriter
from fmnist_core.settings import LabError, settings

log = logging.getLogger(__name__)
Event = dict[str, Any]
Job = Callable[[Mapping[str, Any], "Events", Callable[[], bool]], Mapping[str, Any]]

PERIOD = 0.1  # seconds between two signs of life within an epoch, at least
MOST_LOSSES = 50  # in one sign
STALE_SHARE = 0.75  # of the memory limit: a worker that holds more after a job is replaced before the next
STOPPED: set[str] = set()  # keys of jobs that shall end; filled from outside by `stop`
WARMING, WARM, WANTED = threading.Event(), threading.Event(), threading.Event()  # WANTED: a training waits for WARM


def train_and_store(
    experiment: Experiment,
    data_name: str,
    watch: Listener | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Run:
    """Train in this process and store the run; the phase "saving" follows training's own phases.

    Raises:
        LabError: data or store cannot be used. Whatever happens, no half-written run stays.
    """
    data = dataset.load(data_name)
    store = RunStore(settings().runs, settings().runs_budget)
    writer = RunWriter(store, experiment, data.name, data.source)
    try:
        _fill(writer, data, watch, should_stop)
    except BaseException:
        writer.abandon()
        raise
    run = store.find(writer.run_id)
    if run is None:
        raise StoreError(f"The run {writer.run_id} is not in the run store {store.root} any more; train it again.")
    return run


def _fill(writer: RunWriter, data: dataset.Dataset, watch: Listener | None, should_stop: Callable[[], bool]) -> None:
    from fmnist_core.learning import tensorboard, training

    outcome = training.train(writer.experiment, data, _Both(writer, watch) if watch else writer, should_stop)
    if watch:
        watch.phase("saving")
    with writer.errors():
        training.save(outcome.model, writer.folder / "model.keras")
        tensorboard.write(writer.folder / "tensorboard", writer.history, writer.snapshots())
    writer.commit(outcome.metrics())


class _Both:
    """Hands a training's tellings to the store first and to a listener then."""

    def __init__(self, keep: Recorder, watch: Listener) -> None:
        self.keep = keep
        self.watch = watch

    def phase(self, name: str) -> None:
        self.keep.phase(name)
        self.watch.phase(name)

    def progress(self, progress: Progress) -> None:
        self.keep.progress(progress)
        self.watch.progress(progress)

    def epoch(self, record: EpochRecord) -> None:
        self.keep.epoch(record)
        self.watch.epoch(record)

    def steps(self, epoch: int, losses: NDArray[np.float32]) -> None:
        self.keep.steps(epoch, losses)

    def snapshot(self, epoch: int, weights: Weights, probabilities: NDArray[np.float32]) -> None:
        self.keep.snapshot(epoch, weights, probabilities)


class Events:
    """A listener that turns what it hears into small plain events; at most one sign of life in PERIOD seconds."""

    def __init__(self, send: Callable[[Event], None]) -> None:
        self.send = send
        self._held: Progress | None = None
        self._losses: list[tuple[int, float]] = []
        self._sent = -PERIOD

    def phase(self, name: str) -> None:
        """A phase begins."""
        self._flush()
        self.send({"what": "phase", "name": name})

    def progress(self, progress: Progress) -> None:
        """A sign of life: sent now or with the next one."""
        self._held = progress
        self._losses += progress.losses
        if time.monotonic() - self._sent >= PERIOD:
            self._flush()

    def epoch(self, record: EpochRecord) -> None:
        """An epoch is complete: sent at once, always."""
        self._flush()
        numbers = {name: value if name == "epoch" else float(value) for name, value in asdict(record).items()}
        self.send({"what": "epoch", **numbers})

    def _flush(self) -> None:
        if self._held is None:
            return
        thin = -(-len(self._losses) // MOST_LOSSES)
        losses = [[int(step), float(loss)] for step, loss in self._losses[::thin]] if thin else []
        held = asdict(self._held) | {"losses": losses}
        self.send({"what": "progress", **held})
        self._held, self._losses, self._sent = None, [], time.monotonic()


def train_job(params: Mapping[str, Any], watch: Events, should_stop: Callable[[], bool]) -> Mapping[str, Any]:
    """The job "train"; params: experiment (JSON text) and data (name)."""
    watch.phase("preparing")
    experiment, store = Experiment.from_json(params["experiment"]), RunStore(settings().runs, settings().runs_budget)
    stored = store.find(params["run_id"])
    if stored and stored.complete:  # by another app on the same store, while this one waited
        return {"stopped": False}
    WANTED.set()
    while WARMING.is_set() and not WARM.wait(PERIOD):
        if should_stop():
            return {"stopped": True}
    run = train_and_store(experiment, params["data"], watch, should_stop)
    return {"stopped": not run.complete}


def check_job(params: Mapping[str, Any], watch: Events, should_stop: Callable[[], bool]) -> Mapping[str, Any]:
    """The job of an engine check: who answers."""
    return {"stopped": False, "pid": os.getpid()}


def execute(kind: str, params: Mapping[str, Any], topic: str, key: str) -> dict[str, Any]:
    """Run one job inside a Dask worker. kind: "module:function" of a Job.

    Returns the job's facts with "error" (a sentence or "") and "stale" (whether this process shall be replaced).
    A failure is a result, not an exception, so that Dask retries a job for one reason only: its worker died.
    """
    from distributed import get_worker

    worker = get_worker()

    def send(event: Event) -> None:
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


def start_warming(then: Callable[[], None]) -> None:
    """Import and compile in the background what the first training needs, once in a process; `then` tells the end."""

    def run() -> None:
        try:
            from fmnist_core.learning import training

            if not WANTED.is_set():  # else its own network is to be compiled, not the base network
                training.warm_up(dataset.load())
        except Exception as error:  # the first training will say it, to somebody who listens
            log.warning("Warming up failed: %s", error)
        WARM.set()
        then()

    if not WARMING.is_set():
        WARMING.set()
        threading.Thread(target=run, name="warm-up", daemon=True).start()


def _function(kind: str) -> Job:
    module, name = kind.split(":")
    job: Job = getattr(importlib.import_module(module), name)
    return job


def _sentence(error: Exception) -> str:
    if isinstance(error, LabError):
        return str(error)
    log.error("A job failed", exc_info=error)
    reason = str(error).strip().split("\n")[0][:300]
    return f"The job failed with {type(error).__name__}{': ' + reason if reason else ''}."


def _stale(worker: Any) -> bool:
    """TensorFlow keeps about 16 MB for each architecture it has seen, so a worker grows from job to job.

    Without a nanny nobody would start the next process.
    """
    limit = worker.memory_manager.memory_limit
    return bool(limit and worker.nanny) and psutil.Process().memory_info().rss > STALE_SHARE * limit
