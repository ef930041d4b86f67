"""The jobs of a worker process, from the first event to the stored run. Without a cluster: the training alone.

TensorFlow is imported when it is needed, not before.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmnist_core import dataset
from fmnist_core.experiment import Experiment
from fmnist_core.recording import EpochRecord, Listener, Progress, Recorder, Weights
from fmnist_core.runs.run import Run
from fmnist_core.runs.store import RunStore, StoreError
from fmnist_core.runs.writer import RunWriter
from fmnist_core.settings import settings

log = logging.getLogger(__name__)
Event = dict[str, Any]
Job = Callable[[Mapping[str, Any], "Events", Callable[[], bool]], Mapping[str, Any]]

PERIOD = 0.1  # seconds between two signs of life within an epoch, at least
MOST_LOSSES = 50  # in one sign
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
