"""The jobs of a worker process, from the first event to the stored run. Without a cluster: the training alone.

TensorFlow is imported when it is needed, not before.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmnist_core.data import dataset
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.recording import EpochRecord, Listener, Progress, Recorder, Weights
from fmnist_core.settings import settings
from fmnist_core.store.run import Run
from fmnist_core.store.run_store import RunStore, StoreError
from fmnist_core.store.run_writer import RunWriter

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
    [run] = train_and_store_together([experiment], data_name, [watch], should_stop)
    return run


def train_and_store_together(
    experiments: Sequence[Experiment],
    data_name: str,
    watches: Sequence[Listener | None],
    should_stop: Callable[[], bool] = lambda: False,
) -> list[Run]:
    """Train experiments side by side in this process and store their runs; as `train_and_store` otherwise."""
    data = dataset.load(data_name)
    store = RunStore(settings().runs, settings().runs_budget)
    writers: list[RunWriter] = []
    try:
        for experiment in experiments:
            writers.append(RunWriter(store, experiment, data.name, data.source))
        _fill(writers, data, watches, should_stop)
    except BaseException:
        for writer in writers:
            writer.abandon()
        raise
    return [_found(store, writer.run_id) for writer in writers]


def _found(store: RunStore, identity: str) -> Run:
    run = store.find(identity)
    if run is None:
        raise StoreError(f"The run {identity} is no longer in the run store {store.root}; train it again.")
    return run


def _fill(
    writers: Sequence[RunWriter],
    data: dataset.Dataset,
    watches: Sequence[Listener | None],
    should_stop: Callable[[], bool],
) -> None:
    from fmnist_core.learning import tensorboard_files, training

    recorders = [_Both(writer, watch) if watch else writer for writer, watch in zip(writers, watches, strict=True)]
    outcomes = training.train_together([writer.experiment for writer in writers], data, recorders, should_stop)
    for writer, watch, outcome in zip(writers, watches, outcomes, strict=True):
        if watch:
            watch.phase("saving")
        with writer.errors():
            training.save(outcome.model, writer.folder / "model.keras")
            tensorboard_files.write(writer.folder / "tensorboard", writer.history, writer.snapshots())
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
        self._share: float | None = None

    def lane(self, number: int) -> Events:
        """A listener of its own for one of several trainings side by side."""
        return Events(lambda event: self.send({"lane": number, **event}))

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

    def share(self, share: float, doing: str) -> None:
        """How much of an analysis is done (0 to 1), and what it does now; sent when the last one is PERIOD ago."""
        if self._share is None or share >= 1 or time.monotonic() - self._sent >= PERIOD:
            self._share, self._sent = share, time.monotonic()
            self.send({"what": "share", "share": float(share), "doing": doing})

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
    if not _warmed_up(should_stop):
        return {"stopped": True}
    run = train_and_store(experiment, params["data"], watch, should_stop)
    return {"stopped": not run.complete}


def race_job(params: Mapping[str, Any], watch: Events, should_stop: Callable[[], bool]) -> Mapping[str, Any]:
    """The job "race": several trainings side by side; params: experiments (JSON texts) and data (name)."""
    watch.phase("preparing")
    experiments = [Experiment.from_json(text) for text in params["experiments"]]
    if not _warmed_up(should_stop):
        return {"stopped": True}
    lanes = [watch.lane(number) for number in range(len(experiments))]
    runs = train_and_store_together(experiments, params["data"], lanes, should_stop)
    return {"stopped": not all(run.complete for run in runs)}


def _warmed_up(should_stop: Callable[[], bool]) -> bool:
    """Wait for the warm-up, if there is one; whether it ended before a stop was asked for."""
    WANTED.set()
    while WARMING.is_set() and not WARM.wait(PERIOD):
        if should_stop():
            return False
    return True


def check_job(params: Mapping[str, Any], watch: Events, should_stop: Callable[[], bool]) -> Mapping[str, Any]:
    """The job of an engine check: who answers."""
    return {"stopped": False, "pid": os.getpid()}


def _warm_maps() -> None:
    """Load, on a new machine compile, what maps need. A training may run by now: it goes first."""
    with suppress(OSError, AttributeError):  # Linux gives each thread its own priority
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
    try:
        from fmnist_core.embedding import maps

        maps.warm()
    except Exception as error:  # the first map will say it
        log.warning("Warming up for maps failed: %s", error)


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
        _warm_maps()

    if not WARMING.is_set():
        WARMING.set()
        threading.Thread(target=run, name="warm-up", daemon=True).start()
