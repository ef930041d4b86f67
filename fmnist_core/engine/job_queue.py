"""The engine's memory: which jobs wait, run or have ended, and which workers there are. Guarded by the engine's lock.

Who asks for a job is a session or a study. A study's jobs wait until no person does, and studies take turns. Analyses
have a queue of their own, and run beside the trainings.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping

from fmnist_core.engine.job import Job
from fmnist_core.errors import LabError

KEPT_FINISHED = 50
PLACES = 2  # trainings that a worker can have at a time, at most
# Of analyses: those that take seconds, those that a moved slider waits for, and those that take minutes.
SORTS = ("map", "measure", "table")


class Board:
    """Jobs by name, the queue, and the jobs that workers have."""

    def __init__(self) -> None:
        self.waiting: deque[Job] = deque()
        self.aside: deque[Job] = deque()  # analyses that wait
        self.running: dict[str, Job] = {}  # by key
        self.on_end: Callable[[Job], None] = lambda job: None
        self._latest: dict[str, Job] = {}  # by name
        self._ended: deque[Job] = deque()
        self._turns: dict[str, int] = {}  # when each study was served last
        self._served = 0

    def find(self, name: str) -> Job | None:
        """The latest job of this name, if it runs or ended not long ago."""
        return self._latest.get(name)

    def of(self, session: str) -> Job | None:
        """The active training that a session asked for."""
        return self._of(session, "", (*self.running.values(), *self.waiting))

    def analysis_of(self, session: str, group: str) -> Job | None:
        """The active analysis of this sort that a session asked for."""
        return self._of(session, group, (*self.running.values(), *self.aside))

    def analyses(self) -> list[Job]:
        """All analyses that wait or run."""
        return [job for job in (*self.running.values(), *self.aside) if job.group]

    def _of(self, session: str, group: str, active: Iterable[Job]) -> Job | None:
        own = (job for job in active if job.group == group and session in job.watchers and not job.stopping)
        return next(own, None)

    def add(self, job: Job, session: str) -> None:
        """Queue a job, or let the session join the active one of the same name. Raises: LabError (one per session)."""
        busy = self.of(session)
        if busy and busy.name != job.name:
            raise LabError(
                f"Your training of {busy.title} is still running; stop it first or wait until it has finished."
            )
        self.join(job, session)

    def join(self, job: Job, name: str) -> None:
        """Queue a job for a session or a study, or let it join the active one of the same name."""
        same = self._latest.get(job.name)
        if same is None or not same.active or same.stopping:
            self._latest[job.name] = same = job
            self._queue(job).append(job)
        same.watchers.add(name)

    def leave(self, job: Job, session: str, alive: Callable[[str], bool]) -> bool:
        """Take a session off a job; whether the job shall stop, because nobody else wants it."""
        job.watchers.discard(session)
        job.stopping = job.stopping or not any(alive(other) for other in job.watchers)
        return job.stopping

    def place(self, job: Job, free: int) -> int:
        """How many jobs end before this one starts, when there is room for `free` more now."""
        if job not in self._queue(job):
            return 0
        if job.group:
            before = [other for other in self.aside if other.group == job.group]
            return before.index(job) + self._busy(job.group)
        before = [other for other in self.waiting if job.patient or not other.patient]
        return max(before.index(job) - free + 1, 0)

    def room(self, workers: int, places: int) -> int:
        """How many more jobs `workers` can begin, that have `places` in all.

        A worker trains one network at a time for people, who watch; but two light ones where the other is a study's:
        while the one updates its weights with one processor, the other multiplies with both, which takes a fifth off
        the time of both.
        """
        following = self.next()
        trained = [job for job in self.running.values() if not job.group]
        jobs = [*trained, *([following] if following else [])]
        people = sum(not job.patient for job in trained)
        room = (places if all(job.light for job in jobs) else workers) - len(trained)
        alone = people or (following and not following.patient)
        return min(room, workers - people) if alone else room

    def next(self) -> Job | None:
        """The first job that a person waits for, else one of the study that waited longest."""
        person = next((job for job in self.waiting if not job.patient), None)
        return person or min(self.waiting, key=self._turn, default=None)

    def take(self) -> Job:
        """The next job, for a worker; there must be one."""
        job = self.next()
        assert job
        self.waiting.remove(job)
        self._served += 1
        self._turns |= dict.fromkeys(job.watchers, self._served) if job.patient else {}
        return self._started(job)

    def take_aside(self, workers: int) -> Job | None:
        """The first analysis of a sort that not every worker is busy with, for a worker."""
        job = next((job for job in self.aside if self._busy(job.group) < workers), None)
        if job is None:
            return None
        self.aside.remove(job)
        return self._started(job)

    def _started(self, job: Job) -> Job:
        job.fold.state = "starting"
        self.running[job.key] = job
        return job

    def _busy(self, group: str) -> int:
        return sum(job.group == group for job in self.running.values())

    def _queue(self, job: Job) -> deque[Job]:
        return self.aside if job.group else self.waiting

    def put_back(self, job: Job, notice: str) -> None:
        """A running job goes first in the queue, from its beginning."""
        self.running.pop(job.key, None)
        job.future, job.attempts = None, 0
        job.restart(notice, "queued")
        self._queue(job).appendleft(job)

    def end(self, job: Job, state: str, error: str = "") -> None:
        """A job that waits or runs has ended."""
        self.running.pop(job.key, None)
        if job in self._queue(job):
            self._queue(job).remove(job)
        job.future = None  # lets Dask forget the result
        job.fold.state, job.error = state, error
        self._ended.append(job)
        if len(self._ended) > KEPT_FINISHED:
            old = self._ended.popleft()
            if self._latest.get(old.name) is old:
                del self._latest[old.name]
        self.on_end(job)

    def _turn(self, job: Job) -> int:
        return min((self._turns.get(name, 0) for name in job.watchers), default=0)


class Crew:
    """The workers, by address."""

    def __init__(self) -> None:
        self.warm: dict[str, bool] = {}  # of those that may get a job
        self.places: dict[str, int] = {}  # trainings that each can have at a time
        self.leaving: set[str] = set()  # those that are to be replaced, while they are still there
        self.asked: set[str] = set()  # those of them that were asked to leave
        self.starved: set[str] = set()  # ended because of their memory

    def count(self) -> int:
        """How many there are, those that are to be replaced included."""
        return len(self.warm) + len(self.leaving)

    def replace(self, address: str) -> None:
        """A worker is to be replaced."""
        self.leaving.add(address)
        self.warm.pop(address, None)

    def keep(self, present: Mapping[str, int]) -> None:
        """Forget those that are gone. present: the threads of each."""
        self.leaving.intersection_update(present)
        self.asked.intersection_update(present)
        self.places = {address: min(threads, PLACES) for address, threads in present.items()}
        self.warm = {address: self.warm.get(address, False) for address in present if address not in self.leaving}

    def to_ask(self, busy: Iterable[str]) -> list[str]:
        """Those that shall be replaced now: they have no job any more. busy: addresses that have one."""
        found = sorted(self.leaving - self.asked - set(busy))
        self.asked.update(found)
        return found
