"""Hands waiting jobs to workers, and keeps the board up to date with what the workers tell."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from fmnist_core.engine.cluster import Cluster
from fmnist_core.engine.job import Job, died_again, died_once
from fmnist_core.engine.job_queue import Board, Crew
from fmnist_core.errors import LabError
from fmnist_core.settings import GIB, Settings
from fmnist_core.store.run import reason_of

log = logging.getLogger(__name__)
TICK = 1.0  # seconds between two looks at what sends no event: a worker or a connection that is gone
DESERTED_SECONDS = 120  # a new process takes a few seconds, many on a busy machine


class Dispatcher:
    """The engine's own thread, and the ends of its lines to Dask.

    lock: guards `board` and `crew`; never held while waiting for Dask, whose own thread needs it. problem: why there
    are no workers, one sentence or "".
    """

    def __init__(self, lock: threading.RLock, board: Board, wanted: Settings, warm_up: bool) -> None:
        self.board = board
        self.crew = Crew()
        self.problem = ""
        self._lock = lock
        self._wanted = wanted
        self._warm_up = warm_up
        self._changed = threading.Event()  # something that may let a job start
        self._closed = False
        self._manned = 0.0  # when there was a worker for the jobs that run
        self._cluster: Cluster | None = None
        self._thread = threading.Thread(target=self._supervise, name="engine", daemon=True)

    def start(self) -> None:
        """Start the thread, which starts the workers."""
        self._thread.start()

    def wake(self) -> None:
        """Look at the queue again."""
        self._changed.set()

    def stop(self, job: Job) -> None:
        """Ask a running job to end; one that no worker has begun yet is asked when it begins."""
        if self._cluster and job.address:
            self._cluster.stop(job.key, job.address)

    def free(self) -> int:
        """How many more jobs could begin now; before the workers are there, as if they were.

        Dask chooses the worker: a job bound to one would never run again if that one died. So while a worker that
        is to be replaced is still there, nobody gets a job.
        """
        count = self._count()
        return self.board.room(count, max(sum(self.crew.places.values()), count))

    def _count(self) -> int:
        return self.crew.count() or (1 if self._wanted.engine else self._wanted.workers)

    def close(self) -> None:
        """End the workers and the thread."""
        self._closed = True
        self.wake()
        if self._thread.is_alive():
            self._thread.join(15)

    # The thread

    def _supervise(self) -> None:
        """Hold a connection to workers; when it is lost or cannot be had, say so and build it anew when needed."""
        while not self._closed:
            try:
                cluster = Cluster(self._wanted, self._warm_up, self._on_event, self._on_worker, self._on_memory)
            except LabError as error:
                self._fail_waiting(str(error))
                continue
            with self._lock:
                self._cluster, self.problem = cluster, ""
            self._serve(cluster)
            with self._lock:
                self._cluster, self.crew = None, Crew()
                for job in list(self.board.running.values()):
                    self._lost(job)
            cluster.close()

    def _serve(self, cluster: Cluster) -> None:
        self._manned = time.monotonic()
        while not self._closed and cluster.alive() and not self._deserted():
            try:
                while self._hand_over(cluster):
                    pass
            except Exception as error:  # the scheduler does not answer; `alive` decides what that means
                log.warning("The engine's scheduler did not answer: %s", error)
            self._changed.wait(TICK)
            self._changed.clear()

    def _hand_over(self, cluster: Cluster) -> bool:
        """See who is there, and give the first waiting job to a free worker; whether there were both."""
        present = cluster.workers()
        with self._lock:
            self.crew.keep(present)
            if present or not self.board.running:
                self._manned = time.monotonic()
            for address in self.crew.to_ask(job.address for job in self.board.running.values()):
                cluster.replace(address)
            if not self.crew.warm or self.crew.leaving:
                return False
            trains = self.board.waiting and self.free() > 0
            job = self.board.take() if trains else self.board.take_aside(self._count())
            if job is None:
                return False
        future = cluster.submit(job.kind, job.params, job.key)
        with self._lock:
            job.future = future
        future.add_done_callback(lambda done: self._on_done(job, done))
        return True

    def _deserted(self) -> bool:
        """Whether a job has waited in vain for a worker in the place of its dead one."""
        return time.monotonic() - self._manned > DESERTED_SECONDS

    def _fail_waiting(self, sentence: str) -> None:
        """No engine: whoever waits is told; the next job tries again."""
        with self._lock:
            self.problem = sentence
            for job in (*self.board.waiting, *self.board.aside):
                self.board.end(job, "failed", sentence)
            self._changed.clear()
        self._changed.wait()

    # What Dask tells, in its client's threads

    def _on_event(self, event: Mapping[str, Any]) -> None:
        with self._lock:
            job = self.board.running.get(event["job"])
            if job is None:
                return
            if event["what"] == "start":
                self._started(job, event["address"])
            else:
                job.add(event, time.monotonic())

    def _started(self, job: Job, address: str) -> None:
        job.attempts += 1
        if job.attempts > 1:
            job.restart(died_once(job, job.address in self.crew.starved))
        job.address = address
        if job.stopping:
            self.stop(job)  # the process that was asked first is gone

    def _on_worker(self, event: Mapping[str, Any]) -> None:
        with self._lock:
            self.crew.warm[event["address"]] = event["warm"]
        self.wake()

    def _on_memory(self, event: Mapping[str, Any]) -> None:
        with self._lock:
            self.crew.starved.add(event["worker"])

    def _on_done(self, job: Job, future: Any) -> None:
        """A future came to its end. What it holds is fetched before the lock is taken: fetching needs Dask's thread."""
        facts = future.result() if future.status == "finished" else None
        error = future.exception() if future.status == "error" else None
        with self._lock:
            if job.future is not future:
                return  # of an earlier try
            if facts is not None:
                self._finished(job, facts)
            elif error is not None:
                self.board.end(job, "failed", self._why(job, error))
            else:
                self._lost(job)
        self.wake()

    def _finished(self, job: Job, facts: Mapping[str, Any]) -> None:
        state = "failed" if facts["error"] else "stopped" if facts["stopped"] else "done"
        if facts["stale"] and not job.group:  # an analysis leaves nothing behind
            self.crew.replace(job.address)
        self.board.end(job, state, facts["error"])

    def _why(self, job: Job, error: BaseException) -> str:
        if type(error).__name__ == "KilledWorker":
            return died_again(job, job.address in self.crew.starved, self._wanted.worker_memory / GIB)
        return f"The engine could not run this job: {reason_of(error)}."

    def _lost(self, job: Job) -> None:
        """Dask lost a job together with its scheduler: it starts again, once."""
        if self._closed:
            return
        started = job.attempts > 0
        if job.stopping:
            self.board.end(job, "stopped")
        elif started and job.losses:
            self.board.end(job, "failed", f"The engine failed twice during this {job.sort}; see the server's log.")
        else:
            job.losses += started
            again = f"The engine failed and the {job.sort} was started again."
            self.board.put_back(job, again if started else job.notice)
