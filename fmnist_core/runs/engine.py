"""The job engine: one queue per app server, in front of Dask workers on this machine or elsewhere.

The engine keeps the queue itself and hands a job to Dask only when a worker is free. So the place in the queue is
exact, a job that waits can leave at once, and a worker is replaced between two jobs, never during one.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from fmnist_core import dataset
from fmnist_core.cost import check_budget
from fmnist_core.experiment import Experiment, run_id
from fmnist_core.runs.cluster import Cluster, EngineError
from fmnist_core.runs.jobs import Job, died_again, died_once
from fmnist_core.runs.snapshot import Snapshot
from fmnist_core.runs.store import RunStore
from fmnist_core.settings import GIB, LabError, settings

log = logging.getLogger(__name__)
TRAIN, CHECK = "fmnist_core.runs.worker:train_job", "fmnist_core.runs.worker:check_job"
KEPT_FINISHED = 50
TICK = 1.0  # seconds between two looks at what sends no event: a lost connection


@dataclass(frozen=True)
class EngineStatus:
    """ready: a warm worker is there. workers: how many there are. message: one sentence for people."""

    ready: bool
    workers: int
    queue_length: int
    message: str


class Engine:
    """Takes jobs from several threads; all methods return at once, but for a look at the scheduler's answer.

    warm_up: whether workers import and compile before the first job. alive: whether a session still has a browser;
    the engine asks when somebody stops a job that others asked for, too.
    """

    def __init__(self, warm_up: bool = True, alive: Callable[[str], bool] = lambda session: True) -> None:
        self._warm_up = warm_up
        self._alive = alive
        self._lock = threading.RLock()
        self._wake = threading.Event()  # something changed that may let a job start
        self._closed = False
        self._cluster: Cluster | None = None
        self._problem = ""
        self._jobs: dict[str, Job] = {}  # the latest job of each name
        self._waiting: deque[Job] = deque()
        self._running: dict[str, Job] = {}  # by key, in Dask's hands
        self._finished: deque[Job] = deque()
        self._workers: OrderedDict[str, bool] = OrderedDict()  # address: warm
        self._replacing: set[str] = set()
        self._starved: set[str] = set()  # addresses of workers that were ended because of their memory
        self._thread = threading.Thread(target=self._supervise, name="engine", daemon=True)

    # What screens call

    def start(self) -> None:
        """Start workers in the background; jobs may be submitted before they are there."""
        self._thread.start()

    def submit(self, experiment: Experiment, session: str) -> str:
        """Ask for a training; returns the run's name at once.

        Nothing happens when the store has the complete run. Equal experiments share one training.

        Raises:
            LabError: too expensive for this server, or the session's other training is still active.
        """
        data = dataset.load().name
        identity = run_id(experiment, data)
        check_budget(experiment, _train_examples(data, experiment), settings().compute_budget)
        stored = RunStore(settings().runs, settings().runs_budget).find(identity)
        if not (stored and stored.complete):
            params = {"experiment": experiment.to_json(), "data": data, "run_id": identity}
            self.submit_job(TRAIN, identity, experiment, params, session)
        return identity

    def submit_job(self, kind: str, name: str, experiment: Experiment, params: Mapping[str, Any], session: str) -> None:
        """Queue a job of any kind ("module:function", see worker.Job), or join the active one of the same name."""
        with self._lock:
            busy = self._of(session)
            if busy and busy.name != name:
                raise LabError(f"Your training of {busy.title} is still active; stop it first or wait for its end.")
            job = self._jobs.get(name)
            if job is None or not job.active or job.stopping:
                job = Job(f"{name}-{uuid.uuid4().hex[:8]}", kind, name, experiment, dict(params))
                self._jobs[name] = job
                self._waiting.append(job)
            job.watchers.add(session)
        self._wake.set()

    def snapshot(self, run_id: str) -> Snapshot | None:
        """The latest job of this name as it is now; None when there was none, or long ago."""
        with self._lock:
            job = self._jobs.get(run_id)
            if job is None:
                return None
            state, place = self._where(job)
            return job.snapshot(state, place, time.monotonic())

    def stop(self, run_id: str, session: str) -> None:
        """Leave a job; it ends, with what it has, unless another living session asked for it."""
        with self._lock:
            job = self._jobs.get(run_id)
            if job is None or not job.active:
                return
            job.watchers.discard(session)
            if any(self._alive(other) for other in job.watchers):
                return
            job.stopping = True
            if job in self._waiting:
                self._waiting.remove(job)
                self._end(job, "stopped")
            elif self._cluster:
                self._cluster.stop(job.key, job.address)

    def active(self, session: str) -> str | None:
        """The name of the job that this session asked for and that has not ended."""
        with self._lock:
            job = self._of(session)
            return job.name if job else None

    def status(self) -> EngineStatus:
        """How the engine is."""
        with self._lock:
            warm = sum(self._workers.values())
            waiting = len(self._waiting)
            return EngineStatus(warm > 0, len(self._workers), waiting, self._message(warm))

    def close(self) -> None:
        """End everything, running jobs included."""
        with self._lock:
            self._closed = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(15)

    def _message(self, warm: int) -> str:
        if self._problem:
            return self._problem
        count = len(self._workers)
        if not count:
            return "The engine is starting."
        workers = "One worker" if count == 1 else f"{count} workers"
        return f"{workers}, {'ready' if warm == count else 'warming up'}."

    def _of(self, session: str) -> Job | None:
        active = [*self._running.values(), *self._waiting]
        return next((job for job in active if session in job.watchers and not job.stopping), None)

    def _where(self, job: Job) -> tuple[str, int]:
        """State and place: a job that waits only until a worker has started is starting."""
        if job not in self._waiting:
            return job.fold.state, 0
        slots = max(len(self._workers), 1 if settings().engine else settings().workers)
        ahead = self._waiting.index(job) - (slots - len(self._running))
        return ("starting", 0) if ahead < 0 else ("queued", ahead + 1)

    # The engine's own thread

    def _supervise(self) -> None:
        """Hold a connection to workers; when it is lost, or cannot be had, say so and build it anew when needed."""
        while not self._closed:
            try:
                cluster = Cluster(settings(), self._warm_up, self._on_event, self._on_worker, self._on_memory)
            except LabError as error:
                self._fail_waiting(str(error))
                continue
            with self._lock:
                self._cluster, self._problem = cluster, ""
            self._serve(cluster)
            with self._lock:
                self._cluster = None
                self._workers.clear()
                lost = list(self._running.values())
            cluster.close()
            for job in lost:
                self._lost(job)

    def _serve(self, cluster: Cluster) -> None:
        while not self._closed and cluster.alive():
            try:
                while self._hand_over(cluster):
                    pass
            except Exception as error:  # the scheduler does not answer; `alive` decides what that means
                log.warning("The engine's scheduler did not answer: %s", error)
            self._wake.wait(TICK)
            self._wake.clear()

    def _hand_over(self, cluster: Cluster) -> bool:
        """Give the first waiting job to a free worker; whether there were both."""
        if not self._waiting:
            return False
        present = cluster.workers()
        with self._lock:
            for gone in set(self._workers) - set(present):
                del self._workers[gone]
            address = self._free(present)
            if address is None or not self._waiting:
                return False
            job = self._waiting.popleft()
            job.address, job.fold.state = address, "starting"
            self._running[job.key] = job
        future = cluster.submit(job.kind, job.params, job.key, address)
        job.future = future
        future.add_done_callback(lambda done: self._on_done(job, done))
        return True

    def _free(self, present: list[str]) -> str | None:
        """A worker without a job, a warm one if there is one."""
        if len(self._running) >= len(present) - len(self._replacing.intersection(present)):
            return None  # a job whose worker died waits for the next one, and has its place already
        taken = {job.address for job in self._running.values()} | self._replacing
        free = [address for address in present if address not in taken]
        return max(free, key=lambda address: self._workers.get(address, False), default=None)

    # What Dask tells, in its client's thread

    def _on_event(self, event: Mapping[str, Any]) -> None:
        with self._lock:
            job = self._running.get(event["job"])
            if job is None:
                return
            if event["what"] != "start":
                job.fold.add(event, time.monotonic())
                return
            job.attempts += 1
            if job.attempts > 1:
                job.restart(died_once(job.fold.epoch, job.address in self._starved))
            job.address = event["address"]
            if job.stopping and self._cluster:
                self._cluster.stop(job.key, job.address)  # the first process that was asked to stop is gone

    def _on_worker(self, event: Mapping[str, Any]) -> None:
        with self._lock:
            self._workers[event["address"]] = event["warm"]
        self._wake.set()

    def _on_memory(self, event: Mapping[str, Any]) -> None:
        with self._lock:
            self._starved.add(event["worker"])

    def _on_done(self, job: Job, future: Any) -> None:
        if job.future is not future:
            return  # of an earlier try
        if future.status == "finished":
            facts = future.result()
            state = "failed" if facts["error"] else "stopped" if facts["stopped"] else "done"
            self._finish(job, state, facts["error"], stale=facts["stale"])
        elif future.status == "error":
            self._finish(job, "failed", self._why(job, future.exception()))
        else:
            self._lost(job)

    def _why(self, job: Job, error: BaseException) -> str:
        if type(error).__name__ == "KilledWorker":
            return died_again(job.address in self._starved, settings().worker_memory / GIB)
        return f"The engine could not run this job: {str(error).splitlines()[0][:300]}."

    def _finish(self, job: Job, state: str, error: str = "", stale: bool = False) -> None:
        with self._lock:
            if self._running.pop(job.key, None) is None:
                return
            job.future = None  # lets Dask forget the result
            self._end(job, state, error)
            if stale and self._cluster:
                self._replace(self._cluster, job.address)
        self._wake.set()

    def _replace(self, cluster: Cluster, address: str) -> None:
        self._replacing.add(address)
        self._workers.pop(address, None)

        def done() -> None:
            with self._lock:
                self._replacing.discard(address)
            self._wake.set()

        cluster.restart(address, done)

    def _lost(self, job: Job) -> None:
        """Dask lost the job together with its scheduler: it goes first in the queue, once."""
        with self._lock:
            if self._closed or self._running.pop(job.key, None) is None:
                return
            job.future = None
            if job.stopping:
                self._end(job, "stopped")
            elif job.losses:
                self._end(
                    job,
                    "failed",
                    "The engine's processes died twice during this training; the reason is in the server's log.",
                )
            else:
                job.losses += 1
                job.attempts = 0
                job.restart("The engine's processes died and the training was started again.")
                self._waiting.appendleft(job)
        self._wake.set()

    def _fail_waiting(self, sentence: str) -> None:
        """No engine: whoever waits is told; the next job tries again."""
        with self._lock:
            self._problem = sentence
            self._wake.clear()
            while self._waiting:
                self._end(self._waiting.popleft(), "failed", sentence)
        self._wake.wait()

    def _end(self, job: Job, state: str, error: str = "") -> None:
        job.fold.state, job.error = state, error
        self._finished.append(job)
        if len(self._finished) > KEPT_FINISHED:
            old = self._finished.popleft()
            if self._jobs.get(old.name) is old:
                del self._jobs[old.name]


@cache
def _label_count(data_name: str, validation_fraction: float, training_fraction: float) -> int:
    labels = dataset.load(data_name).train_labels
    return len(dataset.split(labels, validation_fraction, training_fraction).train)


def _train_examples(data_name: str, experiment: Experiment) -> int:
    return _label_count(data_name, experiment.validation_fraction, experiment.training_fraction)


def check(seconds: float = 60) -> str:
    """Start an engine, let a worker answer, end it; one sentence for people. Raises: EngineError."""
    engine = Engine(warm_up=False)
    engine.start()
    try:
        engine.submit_job(CHECK, "check", Experiment(), {}, "check")
        end = time.monotonic() + seconds
        while (shot := engine.snapshot("check")) and shot.state not in ("done", "failed") and time.monotonic() < end:
            time.sleep(0.05)
        if shot is None or shot.state != "done":
            raise EngineError((shot and shot.error) or f"No worker answered within {seconds:.0f} s.")
        where = settings().engine or "this machine"
        return f"a worker on {where} answered"
    finally:
        engine.close()
