"""Trainings, from the data to the stored run, one or many, in any process; and as jobs of a worker, warmed up before.

TensorFlow is imported when it is needed, not before.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from fmnist_core.data import dataset
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.recording import JobContext, Listener
from fmnist_core.store.run import Run
from fmnist_core.store.run_store import StoreError, configured_store
from fmnist_core.store.run_writer import RunWriter

log = logging.getLogger(__name__)
PERIOD = 0.1  # seconds between two looks whether a job that waits is to end
ALMOST = 0.99  # of a training whose last step is done, but whose result is not kept yet
Outcome = TypeVar("Outcome")
# Trains an experiment and keeps its result. Is given a function that takes the fraction that is done, and one that says
# whether it is to stop; returns None where it was stopped.
Train = Callable[[Experiment, Callable[[float], None], Callable[[], bool]], Outcome | None]
SMALLEST = Experiment(layers=1, units=8, epochs=1, training_fraction=0.01)  # what a check trains
STARTED, WARM, TRAINING_WAITS = threading.Event(), threading.Event(), threading.Event()  # of this process


def train_and_store(
    experiment: Experiment,
    data_name: str,
    listener: Listener | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Run:
    """Train in this process and store the run; the phase "saving" follows training's own phases.

    Raises:
        LabError: data or store cannot be used. Whatever happens, no half-written run stays.
    """
    [run] = train_and_store_together([experiment], data_name, [listener], should_stop)
    return run


def train_and_store_together(
    experiments: Sequence[Experiment],
    data_name: str,
    listeners: Sequence[Listener | None],
    should_stop: Callable[[], bool] = lambda: False,
) -> list[Run]:
    """Train experiments side by side in this process and store their runs; as `train_and_store` otherwise."""
    from fmnist_core.learning import training

    data, store = dataset.load(data_name), configured_store()
    writers: list[RunWriter] = []
    try:
        for experiment, listener in zip(experiments, listeners, strict=True):
            writers.append(RunWriter(store, experiment, data.name, data.source, listener))
        outcomes = training.train_together(experiments, data, writers, should_stop)
        for writer, outcome in zip(writers, outcomes, strict=True):
            _save(writer, outcome.model)
            writer.commit(outcome.metrics())
    except BaseException:
        for writer in writers:
            writer.abandon()
        raise
    runs = []
    for writer in writers:
        run = store.find(writer.run_id)
        if run is None:
            raise StoreError(f"The run {writer.run_id} is no longer in the run store {store.root}; train it again.")
        runs.append(run)
    return runs


def _save(writer: RunWriter, model: Any) -> None:
    """Write what is left of a run when its training is over: the Keras model and TensorBoard's files."""
    from fmnist_core.learning import tensorboard_files, training

    writer.phase("saving")
    with writer.errors():
        training.save(model, writer.folder / "model.keras")
        tensorboard_files.write(writer.folder / "tensorboard", writer.history, writer.snapshots())


# --- Many trainings ---------------------------------------------------------------------------------------------------


def train_many(
    experiments: Sequence[Experiment],
    find: Callable[[Experiment], Outcome | None],
    train: Train[Outcome],
    on_progress: Callable[[Experiment, float], None] = lambda experiment, fraction: None,
    should_stop: Callable[[], bool] = lambda: False,
    at_a_time: int = 1,
) -> list[Outcome] | None:
    """The outcome of each experiment, in their order; None after a stop, which ends all, as an error does.

    find: the outcome of an earlier training. on_progress: called with an experiment that trains and the fraction of it
    that is done, 1 once its result is kept; from several threads, one at a time. Raises: whatever `train` raises, when
    those that train beside it have ended.
    """
    ended = threading.Event()
    lock = threading.Lock()

    def stopped() -> bool:
        if should_stop():
            ended.set()
        return ended.is_set()

    def report(experiment: Experiment, fraction: float) -> None:
        with lock:
            on_progress(experiment, fraction)

    def outcome_of(experiment: Experiment) -> Outcome | None:
        if (known := find(experiment)) is not None or stopped():
            return known
        try:
            outcome = train(experiment, lambda fraction: report(experiment, min(fraction, ALMOST)), stopped)
        except BaseException:
            ended.set()
            raise
        if outcome is not None:
            report(experiment, 1.0)
        return outcome

    with ThreadPoolExecutor(at_a_time) as pool:
        try:
            mapped = pool.map(outcome_of, experiments) if at_a_time > 1 else map(outcome_of, experiments)
            outcomes = [outcome for outcome in mapped if outcome is not None]
        except BaseException:  # Ctrl-C reaches the main thread alone, and the pool waits for the others
            ended.set()
            raise
    return outcomes if len(outcomes) == len(experiments) else None


# --- Jobs -------------------------------------------------------------------------------------------------------------


def train_job(params: Mapping[str, Any], context: JobContext) -> bool:
    """Train one experiment; params: experiment (JSON text), data (name), run_id."""
    context.phase("preparing")
    experiment = Experiment.from_json(params["experiment"])
    stored = configured_store().verified(params["run_id"])
    if stored and stored.complete:  # by another app on the same store, while this one waited
        return True
    return (
        _warmed_up(context.should_stop)
        and train_and_store(experiment, params["data"], context, context.should_stop).complete
    )


def race_job(params: Mapping[str, Any], context: JobContext) -> bool:
    """Train several experiments side by side; params: experiments (JSON texts) and data (name)."""
    context.phase("preparing")
    experiments = [Experiment.from_json(text) for text in params["experiments"]]
    if not _warmed_up(context.should_stop):
        return False
    lanes = [context.lane(number) for number in range(len(experiments))]
    runs = train_and_store_together(experiments, params["data"], lanes, context.should_stop)
    return all(run.complete for run in runs)


def check_job(params: Mapping[str, Any], context: JobContext) -> bool:
    """A small training as any other, written to the store up to its last file and then removed; tells of the device."""
    from fmnist_core.learning import devices, training

    data = dataset.load()
    writer = RunWriter(configured_store(), SMALLEST, data.name, data.source)
    try:
        [outcome] = training.train_together([SMALLEST], data, [writer], context.should_stop)
        _save(writer, outcome.model)
    finally:
        writer.abandon()
    context.fraction(1.0, devices()[-1])
    return True


# --- The warm-up of a worker: what the first training and map need is imported and compiled in advance ----------------


def warm_up(on_warm: Callable[[], None]) -> None:
    """Warm up in the background, once in a process; on_warm is called when a training could begin."""
    if WARM.is_set():
        on_warm()
    elif not STARTED.is_set():
        STARTED.set()
        threading.Thread(target=_import_and_compile, args=(on_warm,), name="warm-up", daemon=True).start()


def _warmed_up(should_stop: Callable[[], bool]) -> bool:
    """Wait for the warm-up, if there is one; whether it ended before a stop was asked for."""
    TRAINING_WAITS.set()
    while STARTED.is_set() and not WARM.wait(PERIOD):
        if should_stop():
            return False
    return True


def _import_and_compile(on_warm: Callable[[], None]) -> None:
    try:
        from fmnist_core.learning import training

        if not TRAINING_WAITS.is_set():  # else its own network is to be compiled, not the base network
            training.warm_up(dataset.load())
    except Exception as error:  # the first training will say it, to somebody who listens
        log.warning("Warming up failed: %s", error)
    WARM.set()
    on_warm()
    with suppress(OSError, AttributeError):  # Linux gives each thread its own priority: a training may run by now
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
    try:
        from fmnist_core.embedding import maps

        maps.warm()
    except Exception as error:  # the first map will say it
        log.warning("Warming up for maps failed: %s", error)
