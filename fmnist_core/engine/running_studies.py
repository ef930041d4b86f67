"""The studies of this server: which of their runs are done, failed, or still to come. Guarded by the engine's lock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from fmnist_core.engine.job import STUDY, Job, Snapshot
from fmnist_core.engine.job_queue import JobQueue
from fmnist_core.errors import LabError
from fmnist_core.experiment.study import Study

MOST_KEPT = 50


@dataclass(frozen=True)
class StudySnapshot:
    """A study as it is now.

    state: running, stopped, or done (nothing is left to do). names: of all its runs. done: names of those in the store.
    failed: a sentence for each that broke, by name. current: those that workers have now.
    """

    study: Study
    state: str
    names: tuple[str, ...]
    done: tuple[str, ...]
    failed: dict[str, str]
    current: tuple[Snapshot, ...]


@dataclass
class _RunningStudy:
    """data: name of the data set. left: names of the jobs that have not ended. sessions: who asked for it."""

    study: Study
    data: str
    names: tuple[str, ...]
    left: list[str]
    sessions: set[str]
    stopped: bool = False
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        return bool(self.left) and not self.stopped


class Studies:
    """Studies by digest, the latest MOST_KEPT."""

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue
        self._studies: dict[str, _RunningStudy] = {}
        queue.on_end = self._ended

    def active(self, requester: str) -> bool:
        """Whether the study that asked for jobs under this name still needs them."""
        running = self._studies.get(requester.removeprefix(STUDY))
        return running is not None and running.active

    def of(self, session: str) -> Study | None:
        """The active study that a session asked for."""
        return next((s.study for s in self._studies.values() if s.active and session in s.sessions), None)

    def begin(self, study: Study, data: str, jobs: Iterable[Job], stored: set[str], session: str) -> None:
        """Queue the jobs whose runs are not stored, or join the active study. Raises: LabError (one per session)."""
        busy = self.of(session)
        if busy and busy.digest != study.digest:
            raise LabError(f"Your study {busy.title} is still running; stop it first or wait until it has finished.")
        same = self._studies.pop(study.digest, None)
        if same and same.active:
            self._studies[study.digest] = same
            same.sessions.add(session)
            return
        jobs = list(jobs)
        left = [job for job in jobs if job.name not in stored]
        names = tuple(job.name for job in jobs)
        self._studies[study.digest] = _RunningStudy(study, data, names, [job.name for job in left], {session})
        for job in left:
            self._queue.join(job, STUDY + study.digest)
        for digest in [digest for digest, other in self._studies.items() if not other.active][:-MOST_KEPT]:
            del self._studies[digest]

    def asked_for(self) -> list[tuple[Study, str, set[str]]]:
        """The active studies, each with the name of its data set and the sessions that asked for it."""
        return [(running.study, running.data, running.sessions) for running in self._studies.values() if running.active]

    def stop(self, digest: str) -> list[Job]:
        """The study needs no more; returns the jobs to leave."""
        running = self._studies.get(digest)
        if running is None or not running.active:
            return []
        running.stopped = True
        return [job for job in map(self._queue.find, running.left) if job and job.active]

    def snapshot(self, digest: str, snapshot_of: Callable[[Job], Snapshot]) -> StudySnapshot | None:
        """The frozen picture for screens."""
        study = self._studies.get(digest)
        if study is None:
            return None
        state = "running" if study.active else "stopped" if study.stopped else "done"
        done = tuple(name for name in study.names if name not in study.left and name not in study.failed)
        jobs = map(self._queue.find, study.left)
        current = tuple(snapshot_of(job) for job in jobs if job and job.active and job not in self._queue.trainings)
        return StudySnapshot(study.study, state, study.names, done, dict(study.failed), current)

    def _ended(self, job: Job) -> None:
        """A job ended; one that a person stopped, or that a stopped study left, is still to be done."""
        for study in self._studies.values():
            if job.name not in study.left or job.state == "stopped":
                continue
            study.left.remove(job.name)
            if job.state == "failed":
                study.failed[job.name] = job.error
