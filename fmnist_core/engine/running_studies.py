"""The studies of this server: which of their runs are done, failed, or still to come. Guarded by the engine's lock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from fmnist_core.engine.job import STUDY, Job
from fmnist_core.engine.job_progress import Snapshot
from fmnist_core.engine.job_queue import Board
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
class _Study:
    """left: jobs that have not ended, by name. sessions: who asked for it."""

    study: Study
    names: tuple[str, ...]
    left: dict[str, Job]
    sessions: set[str]
    stopped: bool = False
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        return bool(self.left) and not self.stopped


class Studies:
    """Studies by digest, the latest MOST_KEPT."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._studies: dict[str, _Study] = {}
        board.on_end = self._ended

    def party(self, digest: str) -> str:
        """The name under which a study asks for jobs."""
        return STUDY + digest

    def active(self, party: str) -> bool:
        """Whether the study of this name still wants its jobs."""
        held = self._studies.get(party.removeprefix(STUDY))
        return held is not None and held.active

    def of(self, session: str) -> Study | None:
        """The active study that a session asked for."""
        return next((held.study for held in self._studies.values() if held.active and session in held.sessions), None)

    def begin(self, study: Study, jobs: Iterable[Job], stored: set[str], session: str) -> None:
        """Queue the jobs whose runs are not stored, or join the active study. Raises: LabError (one per session)."""
        busy = self.of(session)
        if busy and busy.digest != study.digest:
            raise LabError(f"Your study {busy.title} is still running; stop it first or wait until it has finished.")
        held = self._studies.pop(study.digest, None)
        if held and held.active:
            self._studies[study.digest] = held
            held.sessions.add(session)
            return
        jobs = list(jobs)
        left = {job.name: job for job in jobs if job.name not in stored}
        self._studies[study.digest] = _Study(study, tuple(job.name for job in jobs), left, {session})
        for job in left.values():
            self._board.join(job, self.party(study.digest))
        self._forget()

    def stop(self, digest: str) -> list[Job]:
        """The study wants no more; returns the jobs to leave."""
        held = self._studies.get(digest)
        if held is None or not held.active:
            return []
        held.stopped = True
        active = (self._board.find(name) for name in held.left)
        return [job for job in active if job and job.active]

    def snapshot(self, digest: str, shot: Callable[[Job], Snapshot]) -> StudySnapshot | None:
        """The frozen picture for screens."""
        held = self._studies.get(digest)
        if held is None:
            return None
        state = "running" if held.active else "stopped" if held.stopped else "done"
        done = tuple(name for name in held.names if name not in held.left and name not in held.failed)
        jobs = (self._board.find(name) for name in held.left)
        current = tuple(shot(job) for job in jobs if job and job.active and job not in self._board.waiting)
        return StudySnapshot(held.study, state, held.names, done, dict(held.failed), current)

    def _ended(self, job: Job) -> None:
        """A job ended; one that a person stopped, or that a stopped study left, is still to be done."""
        for held in self._studies.values():
            if job.name not in held.left or job.fold.state == "stopped":
                continue
            del held.left[job.name]
            if job.fold.state == "failed":
                held.failed[job.name] = job.error

    def _forget(self) -> None:
        for digest in [digest for digest, held in self._studies.items() if not held.active][:-MOST_KEPT]:
            del self._studies[digest]
