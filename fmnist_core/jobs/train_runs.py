"""The jobs of a worker process, from the first event to the stored run. Without a cluster: the training alone.

TensorFlow is imported when it is needed, not before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmnist_core.data import dataset
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.job_context import JobContext
from fmnist_core.experiment.recording import EpochRecord, Listener, Progress, Recorder, Weights
from fmnist_core.jobs import warm_up
from fmnist_core.store.run import Run
from fmnist_core.store.run_store import StoreError, configured_store
from fmnist_core.store.run_writer import RunWriter


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
    from fmnist_core.learning import tensorboard_files, training

    data, store = dataset.load(data_name), configured_store()
    writers: list[RunWriter] = []
    try:
        for experiment in experiments:
            writers.append(RunWriter(store, experiment, data.name, data.source))
        recorders = [TeeRecorder(w, other) if other else w for w, other in zip(writers, listeners, strict=True)]
        outcomes = training.train_together(experiments, data, recorders, should_stop)
        for writer, recorder, outcome in zip(writers, recorders, outcomes, strict=True):
            recorder.phase("saving")
            with writer.errors():
                training.save(outcome.model, writer.folder / "model.keras")
                tensorboard_files.write(writer.folder / "tensorboard", writer.history, writer.snapshots())
            writer.commit(outcome.metrics())
    except BaseException:
        for writer in writers:
            writer.abandon()
        raise
    runs = [store.find(writer.run_id) for writer in writers]
    for writer, run in zip(writers, runs, strict=True):
        if run is None:
            raise StoreError(f"The run {writer.run_id} is no longer in the run store {store.root}; train it again.")
    return [run for run in runs if run]


class TeeRecorder:
    """Hands what a training records to the store first and to a listener then."""

    def __init__(self, recorder: Recorder, listener: Listener) -> None:
        self.recorder = recorder
        self.listener = listener

    def phase(self, name: str) -> None:
        self.recorder.phase(name)
        self.listener.phase(name)

    def progress(self, progress: Progress) -> None:
        self.recorder.progress(progress)
        self.listener.progress(progress)

    def epoch(self, record: EpochRecord) -> None:
        self.recorder.epoch(record)
        self.listener.epoch(record)

    def steps(self, epoch: int, losses: NDArray[np.float32]) -> None:
        self.recorder.steps(epoch, losses)

    def snapshot(self, epoch: int, weights: Weights, probabilities: NDArray[np.float32]) -> None:
        self.recorder.snapshot(epoch, weights, probabilities)


def train_job(params: Mapping[str, Any], context: JobContext) -> bool:
    """Train one experiment; params: experiment (JSON text), data (name), run_id."""
    context.phase("preparing")
    experiment = Experiment.from_json(params["experiment"])
    stored = configured_store().find(params["run_id"])
    if stored and stored.complete:  # by another app on the same store, while this one waited
        return True
    return warm_up.wait(context.should_stop) and (
        train_and_store(experiment, params["data"], context, context.should_stop).complete
    )


def race_job(params: Mapping[str, Any], context: JobContext) -> bool:
    """Train several experiments side by side; params: experiments (JSON texts) and data (name)."""
    context.phase("preparing")
    experiments = [Experiment.from_json(text) for text in params["experiments"]]
    if not warm_up.wait(context.should_stop):
        return False
    lanes = [context.lane(number) for number in range(len(experiments))]
    runs = train_and_store_together(experiments, params["data"], lanes, context.should_stop)
    return all(run.complete for run in runs)


def check_job(params: Mapping[str, Any], context: JobContext) -> bool:
    """Nothing but an answer."""
    return True
