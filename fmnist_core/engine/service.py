"""The job engine: one queue per app server, in front of Dask workers on this machine or elsewhere.

The engine keeps the queue itself, see `job_queue`. So the place in the queue is exact, a job that waits can leave at
once, and a worker is replaced between two jobs, never during one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from fmnist_core.data import dataset
from fmnist_core.engine.analyses import Analysis
from fmnist_core.engine.cluster import EngineError
from fmnist_core.engine.dispatcher import Dispatcher
from fmnist_core.engine.job import (
    JOBS,
    STUDY,
    AnalysisKind,
    AnalysisSnapshot,
    Job,
    Snapshot,
    ended_again,
    restarted,
)
from fmnist_core.engine.job_queue import JobQueue
from fmnist_core.engine.kept_requests import KeptRequests, Request, Requests
from fmnist_core.engine.running_studies import Studies, StudySnapshot
from fmnist_core.errors import LabError
from fmnist_core.experiment.cost import check_budget, check_memory, training_images
from fmnist_core.experiment.hyperparameters import Experiment, run_id
from fmnist_core.experiment.study import Study
from fmnist_core.experiment.study import check_budget as study_budget
from fmnist_core.settings import settings
from fmnist_core.store.run_store import configured_store

__all__ = ["AnalysisSnapshot", "Engine", "EngineError", "EngineStatus", "Snapshot", "StudySnapshot", "check"]
log = logging.getLogger(__name__)
MOST_ENDS = 2  # of servers that ended without notice during one training, after which it is not started again
NOT_AGAIN = "After the restart, a %s was not taken up again: %s"


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
    who has none is not counted, and keeps no job from being stopped. keep: whether trainings, races and studies that
    have not ended go on in the next engine that keeps them, on the same run store.
    """

    def __init__(
        self, warm_up: bool = True, alive: Callable[[str], bool] = lambda session: True, keep: bool = False
    ) -> None:
        self._alive = alive
        self._keep = keep
        self._kept: KeptRequests | None = None
        self._ended: dict[str, int] = {}  # how often a server ended without notice while it had a run, by name
        self._lock = threading.RLock()
        self._queue = JobQueue()
        self._studies = Studies(self._queue)
        self._dispatcher = Dispatcher(self._lock, self._queue, settings(), warm_up)

    def start(self) -> None:
        """Start workers in the background; jobs may be submitted before they are there."""
        if self._keep:
            self._kept = KeptRequests(settings().runs)
            self._kept.take_over(self._adopt)
            self._queue.on_change = self._save
        self._dispatcher.start()

    def _adopt(self, last: Requests) -> bool:
        """Go on with what another server had; False where its file is to stay for the next one."""
        try:
            installed = dataset.load().name
        except LabError as error:
            log.warning("What the last server had goes on after a restart with the data: %s", error)
            return False
        with self._lock:
            self._ended |= last.ends()
            for request in last.requests:
                try:
                    self._ask_again(request, request.data or installed, last.running)
                except LabError as error:  # such as a second study of a session
                    log.warning(NOT_AGAIN, request.what, error)
        self._save()
        return True

    def _ask_again(self, request: Request, data: str, running: Sequence[str]) -> None:
        """Queue a request of the last server; what is refused today has failed. Raises: LabError."""
        if request.what == "race":
            jobs = [_race(request.experiments, data)]
        else:
            jobs = [_training(experiment, data) for experiment in request.experiments]
        jobs = [job for job in jobs if request.what == "race" or not _is_stored(job.name)]
        refused = _refusal(request, data) if jobs else ""
        for session in request.sessions:
            if request.what == "study":
                self._begin(request.study, data, session)
            else:
                for job in jobs:
                    self._queue.join(job, session)
        own = {STUDY + request.study.digest} if request.what == "study" else set(request.sessions)
        for job in [found for job in jobs if (found := self._queue.find(job.name)) and found.active]:
            if refused and job.requesters <= own:
                self._queue.end(job, "failed", refused)
            elif (times := self._ended.get(job.name, 0)) >= MOST_ENDS:
                self._queue.end(job, "failed", ended_again(times))
            else:
                job.restart(restarted(job.name in running), "queued")

    def _requests(self) -> Requests:
        active = [job for job in self._queue.active() if job.request and not job.stopping]
        requests = []
        for job in active:
            sessions = sorted(name for name in job.requesters if not name.startswith(STUDY))
            if sessions:
                requests.append(Request(job.request, job.texts, sessions, job.params["data"]))
        for study, data, asking in self._studies.asked_for():
            requests.append(Request("study", [study.to_json()], sorted(asking), data))
        running = [job.name for job in active if job.key in self._queue.running]
        return Requests(requests, running, self._ended)

    def _save(self) -> None:
        if self._kept:
            with self._lock:
                names = {job.name for job in self._queue.active()}  # who asks for another one asks for a fresh start
                self._ended = {name: times for name, times in self._ended.items() if name in names}
                self._kept.write(self._requests())

    def submit(self, experiment: Experiment, session: str) -> str:
        """Ask for a training; returns the run's name.

        Nothing happens when the store has the complete run. Equal experiments share one training. Raises: LabError: too
        expensive for this server, or another training of the session is still active.
        """
        data = dataset.load().name
        job = _training(experiment, data)
        if not _is_stored(job.name):
            check_trainings([experiment], data)
            _keep_newest([job.name])
            self._add(job, session)
        return job.name

    def submit_race(self, experiments: Sequence[Experiment], session: str) -> str:
        """Ask for trainings side by side in one worker, whether or not their runs are stored; returns the race's name.

        Raises: LabError: too expensive for this server, or another training of the session is still active.
        """
        data = dataset.load().name
        job = _race(experiments, data)
        check_trainings(experiments, data, together=len(experiments))
        _keep_newest(run_id(experiment, data) for experiment in experiments)
        self._add(job, session)
        return job.name

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
        check_study(study, data)
        self._begin(study, data, session)
        self._save()
        self._dispatcher.wake()

    def _begin(self, study: Study, data: str, session: str) -> None:
        jobs = [_training(experiment, data) for _, experiment in study.experiments()]
        stored = {job.name for job in jobs if _is_stored(job.name)}
        with self._lock:
            self._studies.begin(study, data, jobs, stored, session)
            _keep_newest(job.name for job in jobs)

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
            self._save()

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
        """End everything, running jobs included; those that are kept go on in the next engine."""
        if kept := self._kept:
            with self._lock:
                self._kept = None
                kept.write(replace(self._requests(), orderly=True))
        self._dispatcher.close()
        if kept:
            kept.close()


def check_trainings(
    experiments: Sequence[Experiment], data: str, together: int = 1, stored: Collection[str] = ()
) -> None:
    """Refuse trainings that this server cannot do.

    together: how many of them are trained at a time in one worker. stored: names of the runs that need no training.

    Raises:
        LabError: they need too much arithmetic, too much of a worker's memory, or too much of the run store.
    """
    limits = settings()
    for experiment in (each for each in experiments if run_id(each, data) not in stored):
        check_budget(experiment, training_images(experiment, data), limits.compute_budget)
        check_memory(experiment, limits.worker_memory, together)
    configured_store().room_for(experiments, data)


def check_study(study: Study, data: str) -> None:
    """Refuse a study of which this server cannot do what is not stored. Raises: LabError, see `check_trainings`."""
    experiments = [experiment for _, experiment in study.experiments()]
    stored = {name for experiment in experiments if _is_stored(name := run_id(experiment, data))}

    def images(experiment: Experiment) -> int:
        return 0 if run_id(experiment, data) in stored else training_images(experiment, data)

    study_budget(study, images, settings().compute_budget)
    check_trainings(experiments, data, stored=stored)


def _refusal(request: Request, data: str) -> str:
    """Why a request that another server took is refused today; "" where it is not."""
    try:
        dataset.load(data)
        if request.what == "study":
            check_study(request.study, data)
        else:
            check_trainings(request.experiments, data, together=len(request.experiments))
    except LabError as error:
        log.warning(NOT_AGAIN, request.what, error)
        return str(error)
    return ""


def _training(experiment: Experiment, data: str) -> Job:
    """The job that trains an experiment."""
    name = run_id(experiment, data)
    params = {"experiment": experiment.to_json(), "data": data, "run_id": name}
    return Job(JOBS["train"], name, params, (experiment,), request="train")


def _race(experiments: Sequence[Experiment], data: str) -> Job:
    """The job that trains experiments side by side. Raises: LabError (they are the same)."""
    if len({experiment.digest for experiment in experiments}) < len(experiments):
        raise LabError("Both networks of the race have the same settings; change one of them.")
    params = {"experiments": [experiment.to_json() for experiment in experiments], "data": data}
    return Job(JOBS["race"], race_name(experiments), params, tuple(experiments), request="race")


def race_name(experiments: Sequence[Experiment]) -> str:
    """The name of a race, the same for the same experiments in the same lanes."""
    return "race-" + "-".join(experiment.digest for experiment in experiments)


def _is_stored(name: str) -> bool:
    run = configured_store().find(name)
    return run is not None and run.complete


def _keep_newest(names: Iterable[str]) -> None:
    """Let runs that somebody asks for be the last to make room, so that their own trainings do not remove them."""
    store = configured_store()
    for name in names:
        store.touch(name)


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
