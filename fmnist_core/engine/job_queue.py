"""The engine's memory: which jobs wait, run or have ended, and which workers there are. Guarded by the engine's lock.

A session or a study asks for a job. A study's jobs wait until no person does, and studies take turns. Analyses have a
queue of their own, and run beside the trainings.

Why not Dask's own queue: its priorities are fixed when a task is submitted, but a study's training becomes a person's
when one asks for it, and whose turn it is depends on who was served last; worker resources are counted by the worker,
not by the scheduler that chooses it, so that a job may wait at a busy worker while another one is idle; nobody can be
told the place in that queue; and a worker is to be replaced between two jobs. So a job is handed to Dask when a worker
has room for it. Starting it, its events, moving it to another worker after a death, and counting deaths are Dask's.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping

from fmnist_core.engine.job import AnalysisKind, Job
from fmnist_core.errors import LabError

KEPT_FINISHED = 50
TRAININGS = 2  # that a worker can have at a time, at most
DRAIN_SECONDS = 20  # for which a worker that is to be replaced gets no job
RETRY_SECONDS = 10  # from a restart that failed to the next one


class JobQueue:
    """Jobs by name, those that wait, and those that workers have."""

    def __init__(self) -> None:
        self.trainings: deque[Job] = deque()  # that wait
        self.analyses: deque[Job] = deque()  # that wait
        self.running: dict[str, Job] = {}  # by key
        self.on_end: Callable[[Job], None] = lambda job: None
        self.on_change: Callable[[], None] = lambda: None  # of who asks for what, and of what runs
        self._latest: dict[str, Job] = {}  # by name
        self._ended: deque[Job] = deque()
        self._last_served: dict[str, int] = {}  # the count of jobs handed over when it was a study's turn
        self._served = 0

    def find(self, name: str) -> Job | None:
        """The latest job of this name, if it runs or ended not long ago."""
        return self._latest.get(name)

    def active_of(self, session: str, kind: AnalysisKind | None = None) -> Job | None:
        """The active training, or the analysis of this kind, that a session asked for."""
        return next((j for j in self.active(kind) if session in j.requesters and not j.stopping), None)

    def active(self, kind: AnalysisKind | None = None) -> list[Job]:
        """The trainings, or the analyses of a kind, that run or wait."""
        waiting = self.analyses if kind else self.trainings
        return [job for job in (*self.running.values(), *waiting) if job.kind == kind]

    def add(self, job: Job, session: str) -> None:
        """Queue a job, or let the session join the active one of the same name. Raises: LabError (one per session)."""
        busy = self.active_of(session)
        if busy and busy.name != job.name:
            raise LabError(
                f"Your training of {busy.title} is still running; stop it first or wait until it has finished."
            )
        self.join(job, session)

    def join(self, job: Job, requester: str) -> None:
        """Queue a job for a session or a study, or let it join the active one of the same name."""
        same = self._latest.get(job.name)
        if same is None or not same.active or same.stopping:
            self._latest[job.name] = same = job
            self._waiting(job).append(job)
        same.requesters.add(requester)
        self.on_change()

    def leave(self, job: Job, requester: str, present: Callable[[str], bool]) -> bool:
        """Take a requester off a job; whether the job is to stop, because nobody else who is present asked for it."""
        job.requesters.discard(requester)
        job.stopping = job.stopping or not any(map(present, job.requesters))
        self.on_change()
        return job.stopping

    def ordered(self) -> list[Job]:
        """The trainings that wait: those that a person waits for, then those of the study that waited longest."""
        return sorted(self.trainings, key=lambda job: (job.background, job.background and self._turn(job)))

    def place(self, job: Job, capacity: Mapping[str, int]) -> int:
        """How many jobs end before this one starts. capacity: trainings that each worker can have."""
        if job not in self._waiting(job):
            return 0
        if job.kind:
            before = [other for other in self.analyses if other.kind == job.kind].index(job)
            running = sum(other.kind == job.kind for other in self.running.values())
            return max(before + running - max(len(capacity), 1) + 1, 0)
        return max(self.ordered().index(job) - self.startable(capacity) + 1, 0)

    def startable(self, capacity: Mapping[str, int]) -> int:
        """How many of the trainings that wait could begin now."""
        trained = self._trained(capacity)
        for count, job in enumerate(self.ordered()):
            room = _with_room(job, trained, capacity)
            if not room:
                return count
            trained[room[0]].append(job)
        return len(self.trainings)

    def take(self, workers: Workers, load: Mapping[str, int]) -> Job | None:
        """The next job that a worker has room for, trainings before analyses; None where there is none.

        load: how many jobs Dask has for each worker: other apps may use it, too.
        """
        now = time.monotonic()
        usable = [address for address in workers.present if workers.usable(address, self.running.values(), now)]
        trained = self._trained(workers.capacity)
        for job in (*self.ordered()[:1], *self.analyses):
            if job.kind:
                busy = [other.address for other in self.running.values() if other.kind == job.kind]
                room = [address for address in usable if address not in busy]
            else:
                free = {a: trained[a] for a in usable if not (a in workers.retiring and trained[a])}
                room = _with_room(job, free, workers.capacity)
            if room:
                self._waiting(job).remove(job)
                self._served += 1
                if job.background:
                    self._last_served |= dict.fromkeys(job.requesters, self._served)
                job.state, job.begun = "starting", now
                job.address = min(room, key=lambda address: load.get(address, 0))
                self.running[job.key] = job
                self.on_change()
                return job
        return None

    def _trained(self, addresses: Iterable[str]) -> dict[str, list[Job]]:
        """What each worker trains; a job whose worker is gone counts for the one with the fewest, its likely next."""
        trained: dict[str, list[Job]] = {address: [] for address in addresses}
        running = [job for job in self.running.values() if not job.kind]
        for job in sorted(running, key=lambda job: job.address not in trained):
            if job.address in trained:
                trained[job.address].append(job)
            elif trained:
                min(trained.values(), key=len).append(job)
        return trained

    def _waiting(self, job: Job) -> deque[Job]:
        return self.analyses if job.kind else self.trainings

    def put_back(self, job: Job, notice: str) -> None:
        """A running job goes first in the queue, from its beginning."""
        self.running.pop(job.key, None)
        job.key, job.future, job.attempts = job.new_key(), None, 0  # Dask's client returns dead futures of old keys
        job.restart(notice, "queued")
        self._waiting(job).appendleft(job)
        self.on_change()

    def end(self, job: Job, state: str, error: str = "") -> None:
        """A job that waits or runs has ended."""
        self.running.pop(job.key, None)
        if job in self._waiting(job):
            self._waiting(job).remove(job)
        job.future = None  # lets Dask forget the result
        job.state, job.error = state, error
        self._ended.append(job)
        if len(self._ended) > KEPT_FINISHED:
            old = self._ended.popleft()
            if self._latest.get(old.name) is old:
                del self._latest[old.name]
        self.on_end(job)
        self.on_change()

    def _turn(self, job: Job) -> int:
        return min((self._last_served.get(name, 0) for name in job.requesters), default=0)


def _with_room(job: Job, trained: Mapping[str, list[Job]], capacity: Mapping[str, int]) -> list[str]:
    """The workers that can begin a training, those with the fewest first.

    A worker trains one network at a time for people, who watch; but two small ones where the other is a study's:
    while the one updates its weights with one processor, the other multiplies with both, which takes a fifth off
    the time of both.
    """

    def room(address: str) -> bool:
        others = trained[address]
        shareable = job.fits_beside_another and all(o.fits_beside_another and o.background for o in others)
        return not others or (len(others) < capacity[address] and shareable)

    return sorted(filter(room, trained), key=lambda address: len(trained[address]))


class Workers:
    """The workers, by address. expected: how many there will be, before they are there."""

    def __init__(self, expected: int) -> None:
        self.present: dict[str, bool] = {}  # whether each is warm
        self.retiring: dict[str, float] = {}  # since when each is to be replaced
        self.out_of_memory: set[str] = set()  # ended because of their memory
        self._threads: dict[str, int] = {}
        self._expected = expected
        self._restart_at: dict[str, float] = {}  # not before then; for ever: it was asked to restart

    @property
    def capacity(self) -> dict[str, int]:
        """Trainings that each can have at a time; before the workers are there, as if they were."""
        places = {address: min(self._threads.get(address, 1), TRAININGS) for address in self.present}
        return places or dict.fromkeys(map(str, range(self._expected)), 1)

    def update(self, threads: Mapping[str, int]) -> None:
        """Forget those that are gone. threads: of each that is there."""
        self._threads = dict(threads)
        self.present = {address: self.present.get(address, False) for address in threads}
        for times in (self.retiring, self._restart_at):
            for address in times.keys() - threads.keys():
                del times[address]

    def retire(self, address: str) -> None:
        """A worker is to be replaced as soon as it has no job."""
        if address in self.present:
            self.retiring.setdefault(address, time.monotonic())

    def usable(self, address: str, running: Iterable[Job], now: float) -> bool:
        """Whether a worker may get a job.

        One that is to be replaced gets none for DRAIN_SECONDS. If a job that it had before takes longer, the others
        do not wait for its end: table 1 takes hours.
        """
        if address not in self.retiring:
            return True
        retired = self.retiring[address]
        kept = any(job.address == address and job.begun <= retired for job in running)
        return kept and now - retired > DRAIN_SECONDS and address not in self._restart_at

    def restarts_due(self, busy: Iterable[str]) -> list[str]:
        """Those that are to be restarted now, each asked for once. busy: addresses that have a job."""
        now = time.monotonic()
        due = [a for a in sorted(self.retiring.keys() - set(busy)) if self._restart_at.get(a, 0.0) <= now]
        self._restart_at |= dict.fromkeys(due, math.inf)
        return due

    def restart_failed(self, address: str) -> None:
        """It is asked for again in a while."""
        if address in self._restart_at:
            self._restart_at[address] = time.monotonic() + RETRY_SECONDS
