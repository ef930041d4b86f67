"""The job engine: one queue per app server, in front of Dask workers on this machine or elsewhere.

The engine keeps the queue itself, see `job_queue`. So the place in the queue is exact, a job that waits can leave at
once, and a worker is replaced between two jobs, never during one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from fmnist_core.data import dataset
from fmnist_core.engine.analyses import Analysis
from fmnist_core.engine.cluster import EngineError
from fmnist_core.engine.dispatcher import Dispatcher
from fmnist_core.engine.job import JOBS, STUDY, AnalysisKind, AnalysisSnapshot, Job, Snapshot
from fmnist_core.engine.job_queue import JobQueue
from fmnist_core.engine.running_studies import Studies, StudySnapshot
from fmnist_core.errors import LabError
from fmnist_core.experiment.cost import check_budget, training_images
from fmnist_core.experiment.hyperparameters import Experiment, run_id
from fmnist_core.experiment.study import Study
from fmnist_core.experiment.study import check_budget as study_budget
from fmnist_core.settings import settings
from fmnist_core.store.run_store import configured_store

__all__ = ["AnalysisSnapshot", "Engine", "EngineError", "EngineStatus", "Snapshot", "StudySnapshot", "check"]


@dataclass(frozen=True)
class EngineStatus:
    """ready: a warm worker is there. workers: how many there are. message: for people."""

    ready: bool
    workers: int
    queue_length: int
    message: str


class Engine:
    """Takes jobs from several threads; no method waits for a worker.

    warm_up: whether workers import and compile before the first job. alive: whether a session still has a browser:
    who has none is not counted, and keeps no job from being stopped.
    """

    def __init__(self, warm_up: bool = True, alive: Callable[[str], bool] = lambda session: True) -> None:
        self._alive = alive
        self._lock = threading.RLock()
        self._queue = JobQueue()
        self._studies = Studies(self._queue)
        self._dispatcher = Dispatcher(self._lock, self._queue, settings(), warm_up)

    def start(self) -> None:
        """Start workers in the background; jobs may be submitted before they are there."""
        self._dispatcher.start()

    def submit(self, experiment: Experiment, session: str) -> str:
        """Ask for a training; returns the run's name.

        Nothing happens when the store has the complete run. Equal experiments share one training. Raises: LabError: too
        expensive for this server, or another training of the session is still active.
        """
        job = _training(experiment, dataset.load().name)
        if not _is_stored(job.name):
            configured_store().room_for([experiment], dataset.load().name)
            self._add(job, session)
        return job.name

    def submit_race(self, experiments: Sequence[Experiment], session: str) -> str:
        """Ask for trainings side by side in one worker, whether or not their runs are stored; returns the race's name.

        Raises: LabError: too expensive for this server, or another training of the session is still active.
        """
        data = dataset.load().name
        if len({experiment.digest for experiment in experiments}) < len(experiments):
            raise LabError("Both networks of the race have the same settings; change one of them.")
        for experiment in experiments:
            check_budget(experiment, training_images(experiment, data), settings().compute_budget)
        configured_store().room_for(experiments, data)
        params = {"experiments": [experiment.to_json() for experiment in experiments], "data": data}
        name = race_name(experiments)
        self.submit_job(JOBS["race"], name, params, experiments, session)
        return name

    def race(self, name: str) -> tuple[Snapshot, ...]:
        """The latest race of this name as it is now, lane by lane; empty when there was none, or long ago."""
        with self._lock:
            job = self._queue.find(name)
            return tuple(self._snapshot(job, lane) for lane in range(len(job.experiments))) if job else ()

    def submit_study(self, study: Study, session: str) -> None:
        """Ask for all runs of a study that the store does not have; its name is the study's digest.

        They are trained one by one, whenever no single training waits, whether or not anybody looks on. Raises:
        LabError: too expensive for this server, or another study of the session is still active.
        """
        data = dataset.load().name
        study_budget(study, lambda experiment: training_images(experiment, data), settings().compute_budget)
        configured_store().room_for([experiment for _, experiment in study.experiments()], data)
        jobs = [_training(experiment, data) for _, experiment in study.experiments()]
        stored = {job.name for job in jobs if _is_stored(job.name)}
        with self._lock:
            self._studies.begin(study, jobs, stored, session)
        self._dispatcher.wake()

    def study(self, digest: str) -> StudySnapshot | None:
        """A study of this server as it is now; None when it was not asked for, or long ago."""
        with self._lock:
            return self._studies.snapshot(digest, self._snapshot)

    def stop_study(self, digest: str) -> None:
        """End a study; what it has finished stays, and asking again goes on from there."""
        with self._lock:
            for job in self._studies.stop(digest):
                if self._queue.leave(job, STUDY + digest, self._present):
                    self._end(job)

    def active_study(self, session: str) -> Study | None:
        """The study that this session asked for and that has not ended."""
        with self._lock:
            return self._studies.of(session)

    def submit_job(
        self, function: str, name: str, params: Mapping[str, Any], experiments: Sequence[Experiment], session: str
    ) -> None:
        """Queue a training by any function ("module:function"), or join the active one of this name.

        Raises: LabError: another training of the session is still active.
        """
        self._add(Job(function, name, dict(params), tuple(experiments)), session)

    def _add(self, job: Job, session: str) -> None:
        with self._lock:
            self._queue.add(job, session)
        self._dispatcher.wake()

    def submit_analysis(self, analysis: Analysis[Any], session: str) -> None:
        """Queue an analysis, or join the active one of this name; the session's earlier one of this kind is left, and
        those that nobody waits for any more make room.
        """
        job = Job(analysis.function, analysis.name, dict(analysis.params), kind=analysis.kind)

        def present(requester: str) -> bool:
            return requester == session or self._present(requester)

        with self._lock:
            earlier = self._queue.active_of(session, job.kind)
            if earlier and earlier.name != job.name and self._queue.leave(earlier, session, self._present):
                self._end(earlier)
            self._queue.join(job, session)
            for other in (other for kind in get_args(AnalysisKind) for other in self._queue.active(kind)):
                if not other.stopping and not any(map(present, other.requesters)):
                    other.stopping = True
                    self._end(other)
        self._dispatcher.wake()

    def snapshot(self, run_id: str) -> Snapshot | None:
        """The latest training of this run as it is now; None when there was none, or long ago."""
        with self._lock:
            job = self._queue.find(run_id)
            return self._snapshot(job) if job and not job.kind else None

    def analysis(self, name: str) -> AnalysisSnapshot | None:
        """The latest analysis of this name as it is now; None when there was none, or long ago."""
        with self._lock:
            job = self._queue.find(name)
            return job.analysis_snapshot(self._place(job), time.monotonic()) if job and job.kind else None

    def _snapshot(self, job: Job, lane: int = 0) -> Snapshot:
        return job.snapshot(self._place(job), sum(map(self._present, job.requesters)), time.monotonic(), lane)

    def _place(self, job: Job) -> int:
        return self._queue.place(job, self._dispatcher.workers.capacity)

    def _present(self, name: str) -> bool:
        """Whether somebody who asked for a job still wants it."""
        return self._studies.active(name) if name.startswith(STUDY) else self._alive(name)

    def stop(self, run_id: str, session: str) -> bool:
        """Leave a job; it ends, with what it has, unless another living session wants it. Returns whether it ends."""
        with self._lock:
            job = self._queue.find(run_id)
            if job is None or not job.active:
                return True
            if not self._queue.leave(job, session, self._present):
                return False
            self._end(job)
            return True

    def _end(self, job: Job) -> None:
        if job.key in self._queue.running:
            self._dispatcher.stop(job)
        else:
            self._queue.end(job, "stopped")

    def active(self, session: str) -> str | None:
        """The name of the job that this session asked for and that has not ended."""
        with self._lock:
            job = self._queue.active_of(session)
            return job.name if job else None

    def status(self) -> EngineStatus:
        """How the engine is."""
        with self._lock:
            present = self._dispatcher.workers.present
            count, warm = len(present), sum(present.values())
            workers = "One worker" if count == 1 else f"{count} workers"
            message = f"{workers}, {'ready' if warm == count else 'warming up'}."
            problem = self._dispatcher.problem or ("" if count else "The engine is starting.")
            return EngineStatus(warm > 0, count, len(self._queue.trainings), problem or message)

    def close(self) -> None:
        """End everything, running jobs included."""
        self._dispatcher.close()


def _training(experiment: Experiment, data: str) -> Job:
    """The job that trains an experiment. Raises: LabError (too expensive for this server)."""
    check_budget(experiment, training_images(experiment, data), settings().compute_budget)
    name = run_id(experiment, data)
    params = {"experiment": experiment.to_json(), "data": data, "run_id": name}
    return Job(JOBS["train"], name, params, (experiment,))


def race_name(experiments: Sequence[Experiment]) -> str:
    """The name of a race, the same for the same experiments in the same lanes."""
    return "race-" + "-".join(experiment.digest for experiment in experiments)


def _is_stored(name: str) -> bool:
    run = configured_store().find(name)
    return run is not None and run.complete


def check(seconds: float = 240) -> str:
    """Start an engine, let a worker train a small network and write it to the store, end it.

    Returns the device that networks train on, "CPU" or "GPU". Raises: EngineError.
    """
    engine = Engine(warm_up=False)
    engine.start()
    try:
        engine.submit_analysis(Analysis(JOBS["check"], "measure", "", "check", {}, "An engine check"), "check")
        end = time.monotonic() + seconds
        while (snapshot := engine.analysis("check")) and snapshot.active and time.monotonic() < end:
            time.sleep(0.05)
        if snapshot is None or snapshot.state != "done":
            raise EngineError((snapshot and snapshot.error) or f"No worker answered within {seconds:.0f} s.")
        return snapshot.doing
    finally:
        engine.close()
