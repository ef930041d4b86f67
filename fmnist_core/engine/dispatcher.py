"""Hands waiting jobs to workers, and keeps the queue up to date with what the workers tell."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any, get_args

from fmnist_core.engine.cluster import Cluster
from fmnist_core.engine.job import WARM_UP, AnalysisKind, Job, died_again, died_once
from fmnist_core.engine.job_queue import TRAININGS, JobQueue, Workers
from fmnist_core.errors import LabError, reason_of
from fmnist_core.experiment.recording import Started, from_message
from fmnist_core.settings import GIB, Settings
from fmnist_core.store.result_store import Results
from fmnist_core.store.run_store import configured_store

log = logging.getLogger(__name__)
TICK = 1.0  # seconds between two looks at what sends no event: a worker or a connection that is gone
NO_WORKER_SECONDS = 120  # a new process takes a few seconds, many on a busy machine
MOST_FAILURES = 2  # to submit a job, after which it is tried again
THREADS = TRAININGS + len(get_args(AnalysisKind))  # of a worker: one for each job that it can have at a time


class Dispatcher:
    """The engine's own thread, and the ends of its lines to Dask.

    lock: guards `queue` and `workers`; never held while waiting for Dask, whose own thread needs it. problem: why there
    are no workers, one sentence or "".
    """

    def __init__(self, lock: threading.RLock, queue: JobQueue, settings: Settings, warm_up: bool) -> None:
        self.queue = queue
        self.problem = ""
        self._lock = lock
        self._settings = settings
        self._warm_up = WARM_UP if warm_up else ""
        self.workers = self._no_workers()
        self._changed = threading.Event()  # something that may let a job start
        self._closed = False
        self._worker_seen = 0.0  # when there was a worker for the jobs that run
        self._cluster: Cluster | None = None
        self._thread = threading.Thread(target=self._supervise, name="engine", daemon=True)

    def _no_workers(self) -> Workers:
        return Workers(1 if self._settings.engine else self._settings.workers)

    def start(self) -> None:
        """Start the thread, which starts the workers."""
        self._thread.start()

    def wake(self) -> None:
        """Look at the queue again."""
        self._changed.set()

    def stop(self, job: Job) -> None:
        """Ask a running job to end; one that no worker has begun yet is asked when it begins."""
        if self._cluster and job.attempts:
            self._cluster.stop(job.key, job.address)

    def close(self) -> None:
        """End the workers and the thread."""
        self._closed = True
        self.wake()
        if self._thread.is_alive():
            self._thread.join(15)

    # The thread

    def _supervise(self) -> None:
        """Hold a connection to workers; when it is lost or cannot be had, say so and build another one when needed."""
        while not self._closed:
            try:
                self._connect_and_serve()
            except LabError as error:
                self._fail_waiting(str(error))
            except Exception as error:  # nobody else would notice that this thread ended
                log.exception("The engine's thread failed; the next job starts the engine again")
                self._fail_waiting(f"The engine failed unexpectedly ({reason_of(error)}); see the server's log.")

    def _connect_and_serve(self) -> None:
        handlers = (self._on_event, self._on_worker, self._on_memory)
        cluster = Cluster(self._settings, self._warm_up, THREADS, *handlers)
        try:
            with self._lock:
                self._cluster, self.problem = cluster, ""
            self._serve(cluster)
        finally:
            with self._lock:
                self._cluster, self.workers = None, self._no_workers()
                for job in list(self.queue.running.values()):
                    self._lost(job)
            cluster.close()

    def _serve(self, cluster: Cluster) -> None:
        """Hand over jobs until the connection is lost, or no worker has come in the place of dead ones."""
        self._worker_seen = time.monotonic()
        while not self._closed and cluster.alive() and time.monotonic() - self._worker_seen <= NO_WORKER_SECONDS:
            try:
                while self._hand_over(cluster):
                    pass
            except Exception:  # the scheduler does not answer; `alive` decides what that means
                log.warning("The engine's queue could not be served; it is tried again", exc_info=True)
            self._changed.wait(TICK)
            self._changed.clear()

    def _hand_over(self, cluster: Cluster) -> bool:
        """See who is there, and give a waiting job to a worker that has room for it; whether there were both."""
        threads, keys = cluster.workers()
        with self._lock:
            self.workers.update(threads)
            if threads or not self.queue.running:
                self._worker_seen = time.monotonic()
            for address in self.workers.restarts_due(job.address for job in self.queue.running.values()):
                cluster.restart(address, self._on_restart_failed)
            self._put_back_stranded(threads, {key for each in keys.values() for key in each})
            job = self.queue.take(self.workers, {address: len(each) for address, each in keys.items()})
        if job is None:
            return False
        try:
            future = cluster.submit(job.function, job.params, job.key, job.address if len(threads) > 1 else None)
        except Exception as error:
            with self._lock:
                problem = f"The engine could not hand this {job.noun} to a worker: {reason_of(error)}."
                self._try_again(job, job.notice, problem, MOST_FAILURES)
            raise
        with self._lock:
            job.future = future
        cluster.when_done(future, lambda done: self._on_done(job, done))
        return True

    def _put_back_stranded(self, threads: Mapping[str, int], keys: set[str]) -> None:
        """Begin again what Dask left behind: of a job that was meant for one worker it thinks again when that one dies,
        but not when there is none for a while, and then another one comes.
        """
        for job in list(self.queue.running.values()):
            if job.future is None or not threads or job.address in threads or job.key in keys or job.future.done():
                continue
            self._try_again(job, self._died_once(job), self._died_again(job))

    def _try_again(self, job: Job, notice: str, error: str, most_failures: int = 1) -> None:
        """A job that failed through no fault of its own begins again, unless it is to stop or has failed too often."""
        job.failures += 1
        if job.stopping:
            self.queue.end(job, "stopped")
        elif job.failures > most_failures:
            self.queue.end(job, "failed", error)
        else:
            self.queue.put_back(job, notice)

    def _died_once(self, job: Job) -> str:
        return died_once(job, job.address in self.workers.out_of_memory)

    def _died_again(self, job: Job) -> str:
        return died_again(job, job.address in self.workers.out_of_memory, self._settings.worker_memory / GIB)

    def _fail_waiting(self, sentence: str) -> None:
        """No engine: whoever waits is told; the next job tries again."""
        with self._lock:
            self.problem = sentence
            for job in (*self.queue.trainings, *self.queue.analyses):
                self.queue.end(job, "failed", sentence)
            self._changed.clear()
        if not self._closed:  # else what was cleared may be the wake-up of `close`
            self._changed.wait()

    # What Dask tells, in its client's threads

    def _on_event(self, event: tuple[float, Mapping[str, Any]]) -> None:
        _, message = event
        with self._lock:
            job = self.queue.running.get(message["job"])
            if job is None:
                return
            content = from_message(message)
            if not isinstance(content, Started):
                job.add(content, message["lane"], time.monotonic())
                return
            job.attempts += 1
            if job.attempts > 1:
                job.restart(self._died_once(job))
            job.address = content.address
            if job.stopping:
                self.stop(job)  # the process that was asked first is gone

    def _on_worker(self, event: tuple[float, Mapping[str, Any]]) -> None:
        with self._lock:
            self.workers.present[event[1]["address"]] = event[1]["warm"]
        self.wake()

    def _on_memory(self, event: tuple[float, Mapping[str, Any]]) -> None:
        with self._lock:
            self.workers.out_of_memory.add(event[1]["worker"])

    def _on_restart_failed(self, address: str) -> None:
        with self._lock:
            self.workers.restart_failed(address)

    def _on_done(self, job: Job, future: Any) -> None:
        """A future came to its end. What it holds is fetched before the lock is taken: fetching needs Dask's thread."""
        outcome = future.result() if future.status == "finished" else None
        if outcome and outcome["complete"]:
            outcome["error"] = _missing_result(job)
        error = future.exception() if future.status == "error" else None
        with self._lock:
            if job.future is not future:
                return  # of an earlier try
            if outcome is not None:
                self._finished(job, outcome)
            elif error is not None:
                killed = type(error).__name__ == "KilledWorker"
                reason = f"The engine could not run this job: {reason_of(error)}."
                self.queue.end(job, "failed", self._died_again(job) if killed else reason)
            else:
                self._lost(job)
        self.wake()

    def _finished(self, job: Job, outcome: Mapping[str, Any]) -> None:
        state = "failed" if outcome["error"] else "done" if outcome["complete"] else "stopped"
        if outcome["stale"] and not job.kind:  # an analysis leaves nothing behind
            self.workers.retire(job.address)
        self.queue.end(job, state, outcome["error"])

    def _lost(self, job: Job) -> None:
        """Dask lost a job together with its scheduler: it starts again, once."""
        if self._closed:
            return
        if job.attempts or job.stopping:
            notice = f"The engine failed and the {job.noun} was started again."
            self._try_again(job, notice, f"The engine failed twice during this {job.noun}; see the server's log.")
        else:  # no worker had begun it
            self.queue.put_back(job, job.notice)


def _missing_result(job: Job) -> str:
    """Why the result of an analysis that is complete is of no use, or "". Else pages would ask for it for ever."""
    if "name" not in job.params:
        return ""
    store = configured_store()
    if Results(store).find(job.params["run"], job.params["name"]) is not None:
        return ""
    return (
        f"A worker finished it, but the run store {store.root} has no result that this server can read: the worker uses"
        " another store or another version of this app, or the result was removed at once."
    )
