"""The run store: one folder per run in standard formats, shared by processes, bounded in size.

A run is written in `.staging/` and renamed into place, so a folder that is there is whole. Reading changes nothing: a
run that cannot be read is left where it is, and named in a sentence. A damaged one moves to `damaged/` when a person
asks for it, or when it is trained again, and can be put back. What is deleted goes to `.trash/` until its space is
needed.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from filelock import BaseFileLock, FileLock, Timeout

from fmnist_core.errors import BadValueError, LabError, reason_of
from fmnist_core.experiment.hyperparameters import Experiment, run_id
from fmnist_core.settings import settings
from fmnist_core.store import room
from fmnist_core.store.room import Item, Room
from fmnist_core.store.run import (
    TRASH,
    USER_FILE,
    Run,
    RunDamaged,
    RunError,
    RunForeign,
    RunGone,
    RunUnreadable,
    open_run,
    signature,
    user_facts,
)

log = logging.getLogger(__name__)
RUN_ID = re.compile(r"[0-9a-f]{16}(-[a-z0-9]{1,16})?")
STAGING, REPLACED, DAMAGED = ".staging", ".replaced", "damaged"
DERIVED, LOOSE = "derived", ".results"  # results of analyses: of a run, and of none
REASON = "reason.txt"
UNREAD = f"{USER_FILE}.unread"  # what a new file of what people said has replaced, where not all of it could be read
TRASH_DAYS = 7
STAGING_DAYS = 2  # after which a folder that no lock tells about belongs to nobody
LOCK_SECONDS = 60
QUIET_SECONDS = 5
LOOK_SECONDS = 1  # that a look at all runs waits at most for a writer: every page looks
# What damaged runs' folders were when a second look had found them so, by folder.
_known_damaged: dict[str, tuple[tuple[int, ...], ...] | None] = {}


class StoreError(LabError):
    """The run store cannot be written."""


class NoRoomError(StoreError, BadValueError):
    """A run is too large for this store's budget; the text says by how much, and what to do."""


class SetAside(NamedTuple):
    """A damaged run that was set aside. name: of its folder in `damaged/`."""

    name: str
    run_id: str
    reason: str


class RunStore:
    """All stored runs below one folder; several processes may use it at once.

    root: the folder, made when it is first written. budget: bytes it may take; runs least recently opened go first.
    """

    def __init__(self, root: Path, budget: int) -> None:
        self.root = Path(root)
        self.budget = budget

    @property
    def changed(self) -> float:
        """A number that is another one when a run has come or gone."""
        return _modified(self.root)

    # --- Reading

    def runs(self) -> list[Run]:
        """All runs that can be read, newest first; reads small files only, and those only when they have changed."""
        return self.listing()[0]

    def problems(self) -> list[RunError]:
        """The runs that cannot be read, each as an error whose text is one sentence."""
        return self.listing()[1]

    def listing(self) -> tuple[list[Run], list[RunError]]:
        """`runs` and `problems` together."""
        found = self._looks(self._names()).values()
        runs = sorted((run for run in found if isinstance(run, Run)), key=lambda run: run.created, reverse=True)
        problems = (problem for problem in found if isinstance(problem, RunError))
        return runs, sorted(problems, key=lambda problem: problem.run_id)

    def find(self, run_id: str) -> Run | None:
        """The run of this name, or None where there is none that can be read; `problem` says why."""
        found = self._look(run_id)
        return found if isinstance(found, Run) else None

    def problem(self, run_id: str) -> RunError | None:
        """Why the run of this name cannot be read; None where it can, or where there is none."""
        found = self._look(run_id)
        return found if isinstance(found, RunError) else None

    def deleted(self, run_id: str) -> Run | None:
        """The run of this name that a person deleted, while `undelete` can bring it back."""
        path = self.root / TRASH / run_id
        if not RUN_ID.fullmatch(run_id) or (self.root / run_id).exists() or not path.is_dir():
            return None
        with suppress(RunError):
            return open_run(path, self.quiet)
        return None

    def verified(self, run_id: str) -> Run | None:
        """As `find`, after a look into every file."""
        found = self._look(run_id, verify=True)
        return found if isinstance(found, Run) else None

    def touch(self, run_id: str) -> None:
        """A person opened this run: it will be the last to make room."""
        if RUN_ID.fullmatch(run_id):
            _touch(self.root / run_id)

    def set_aside_runs(self) -> list[SetAside]:
        """The damaged runs that were set aside, the last one first."""
        folders = reversed(_folders(self.root / DAMAGED))
        return [SetAside(path.name, path.name.split(".")[0], _reason(path)) for path in folders]

    # --- Writing

    def delete(self, run_id: str) -> None:
        """Move a run to the trash, whatever state it is in; `undelete` brings it back. Raises: StoreError."""
        with self._writing():
            target = self._path(TRASH, run_id)
            shutil.rmtree(target, ignore_errors=True)
            self._path(run_id).rename(target)
            _touch(target)

    def undelete(self, run_id: str) -> None:
        """Bring a deleted run back; a run trained again since then stays. Raises: StoreError."""
        with self._writing():
            source = self._path(TRASH, run_id)
            if not source.is_dir():
                raise StoreError(f"The run {run_id} is no longer in the trash; train it again.")
            if not self._path(run_id).exists():
                source.rename(self._path(run_id))
                _touch(self._path(run_id))

    def keep(self, run_id: str, kept: bool) -> None:
        """Keep a run whatever the size budget says, or no longer. Raises: StoreError."""
        self.annotate(run_id, kept=kept)

    def annotate(self, run_id: str, **facts: str | bool) -> None:
        """Give a run a name, a note, or another of `user_facts`; a file of which not all can be read stays beside.

        Raises: StoreError.
        """
        with self._writing():
            path = self._path(run_id)
            unfinished = path / f".user.{os.getpid()}"
            try:
                known, whole = user_facts(path)
                unfinished.write_text(json.dumps(known | facts))
                if not whole:
                    (path / USER_FILE).replace(path / UNREAD)
                unfinished.replace(path / USER_FILE)
            finally:
                with suppress(OSError):
                    unfinished.unlink(missing_ok=True)

    def set_aside(self, run_id: str) -> None:
        """Move a damaged run to `damaged/`; `put_back` brings it back. Raises: StoreError."""
        with self._writing():
            found = self._state(run_id, verify=True)
            if isinstance(found, RunDamaged):
                self._set_aside(run_id, found)
            elif isinstance(found, RunError):
                raise StoreError(str(found))

    def put_back(self, name: str) -> None:
        """Bring a run back that was set aside; name: as in `set_aside_runs`. Raises: StoreError."""
        with self._writing():
            run_id = name.split(".")[0]
            if not RUN_ID.fullmatch(run_id) or not (self.root / DAMAGED / name).is_dir():
                raise StoreError(f"The run {run_id[:40]} is no longer among the damaged ones; train it again.")
            if self._path(run_id).exists():
                raise StoreError(f"The run {run_id} was trained again meanwhile; delete that one first.")
            self._path(DAMAGED, name).rename(self._path(run_id))
            log.warning("The damaged run %s was put back", run_id)

    def commit(self, staged: Path, run_id: str, complete: bool) -> None:
        """Rename a finished folder into place; a stopped run never replaces a complete one, and none replaces what
        cannot be read. Raises: StoreError.
        """
        with self._writing():
            old = self._state(run_id, verify=True)
            if isinstance(old, Run) and old.complete and not complete:
                shutil.rmtree(staged, ignore_errors=True)
                return
            self._refuse_unread(old)
            target = self._path(run_id)
            for name in (USER_FILE, UNREAD):  # what people said about the old one is true of this one
                with suppress(FileNotFoundError):
                    shutil.copy(target / name, staged / name)
            if isinstance(old, RunDamaged):
                self._set_aside(run_id, old)
            self._replace(target, staged)
        with suppress(StoreError):  # the run is safe; the next one makes room
            self.evict(protect=run_id)

    def check_place(self, run_id: str) -> None:
        """Raises: StoreError, where a run of this name is there that cannot be read, so none can replace it."""
        self._refuse_unread(self._look(run_id))

    def _refuse_unread(self, found: Run | RunError | None) -> None:
        if isinstance(found, RunForeign | RunUnreadable):
            raise StoreError(f"{found} To train this network here, delete that run first or set FMNIST_RUNS.")

    def _replace(self, target: Path, staged: Path) -> None:
        """Move the old one to `.replaced/` (where readers know that it will be back at once) and the new one in."""
        old = self._path(REPLACED, target.name)
        shutil.rmtree(old, ignore_errors=True)
        there = target.exists()
        if there:
            target.rename(old)
        try:
            staged.rename(target)
        except OSError:
            if there:
                old.rename(target)
            raise
        _touch(target)
        shutil.rmtree(old, ignore_errors=True)

    def _set_aside(self, run_id: str, problem: RunDamaged) -> None:
        target = self._path(DAMAGED, f"{run_id}.{time.time_ns()}")
        self._path(run_id).rename(target)
        log.warning("%s It was moved to %s and can be put back.", problem, target)
        with suppress(OSError):
            (target / REASON).write_text(f"The stored run {run_id} is damaged ({problem.why or problem}).")

    # --- The budget

    def room_for(self, experiments: Sequence[Experiment], data_name: str) -> Room:
        """What it takes to store these trainings together, those left out that are stored.

        Raises: NoRoomError, where one of them is too large, or all do not fit beside what stays; StoreError, where a
        run cannot be replaced.
        """
        missing, stored = self._sizes(experiments, data_name)
        if not missing:
            return Room(0, ())
        self._check_largest(max(missing.values()))
        sizes, items = stored | missing, self._items()
        stay = sum(item.bytes for item in items if item.stays and item.path.name not in sizes)
        self._check_together(len(sizes), sum(sizes.values()), self.budget - stay)
        needed = sum(missing.values())
        removed = self._removed_first(items, needed, sizes)
        return Room(needed, tuple(item.path.name for item in removed if item.kind == "run"))

    def _sizes(self, experiments: Sequence[Experiment], data_name: str) -> tuple[dict[str, int], dict[str, int]]:
        """The bytes of runs by name: about those that are still to train, and those that are stored and complete."""
        missing: dict[str, int] = {}
        stored: dict[str, int] = {}
        for experiment in experiments:
            name = run_id(experiment, data_name)
            found = self._look(name)
            if isinstance(found, Run) and found.complete:
                stored[name] = sum(found.provenance["files"].values())
            else:
                self._refuse_unread(found)
                missing[name] = room.stored_bytes(experiment, data_name)
        return missing, stored

    def _check_largest(self, needed: int) -> None:
        allowed = int(self.budget * room.MOST_OF_BUDGET)
        if needed > allowed:
            raise NoRoomError(
                f"This run would need about {needed / 1e6:,.0f} of the {self.budget / 1e6:,.0f} MB that stored runs may"
                f" take together, and one run may take at most half, {allowed / 1e6:,.0f} MB; choose fewer layers,"
                " units or epochs (the setting FMNIST_RUNS_BUDGET is the limit)."
            )

    def _check_together(self, runs: int, needed: int, left: int) -> None:
        if needed > left:
            what = "This run" if runs == 1 else f"These {runs} runs"
            taken = f", of which runs that stay take {(self.budget - left) / 1e6:,.0f}" if left < self.budget else ""
            raise NoRoomError(
                f"{what} would need about {needed / 1e6:,.0f} of the {self.budget / 1e6:,.0f} MB that stored runs may"
                f" take together{taken}; choose fewer or smaller networks{', or keep fewer runs' if taken else ''}"
                " (the setting FMNIST_RUNS_BUDGET is the limit)."
            )

    def evict(self, protect: str = "") -> list[str]:
        """Make room: what crashed writers left, the trash, then results and runs that were not opened for longest.

        Returns the names of evicted runs. Kept runs, those that cannot be read, and `protect` stay.
        """
        with self._writing():
            self._sweep()
            removed = self._removed_first(self._items(), 0, {protect} if protect else ())
            for item in removed:
                log.info("Removed to make room: %s, %.1f MB", item.path, item.bytes / 1e6)
                item.remove()
        names = [item.path.name for item in removed if item.kind == "run"]
        if names:
            log.warning("Runs removed to make room, least recently opened first: %s", ", ".join(names))
        return names

    def _removed_first(self, items: Sequence[Item], needed: int, protected: Collection[str]) -> list[Item]:
        return room.removed_first(items, sum(item.bytes for item in items) + needed - self.budget, protected)

    def _items(self) -> list[Item]:
        items = [Item(path, "trash", _modified(path), room.size(path)) for path in _folders(self.root / TRASH)]
        for path in _unsorted(self.root):
            items += [self._item(path), *room.results_in(path / DERIVED, path.name)]
        for path in _folders(self.root / DAMAGED):
            items.append(Item(path, "damaged", _modified(path), room.size(path), stays=_kept(path)))
        return items + room.results_in(self.root / LOOSE, "")

    def _item(self, path: Path) -> Item:
        found = self._state(path.name)
        if isinstance(found, Run):
            return Item(path, "run", _modified(path), sum(found.provenance["files"].values()), stays=found.kept)
        bytes_ = room.size(path) - sum(result.bytes for result in room.results_in(path / DERIVED, ""))
        return Item(path, "run", _modified(path), bytes_, stays=not isinstance(found, RunDamaged) or _kept(path))

    # --- Folders and locks

    def staging(self, run_id: str) -> tuple[Path, BaseFileLock]:
        """A new empty folder to write a run into, and the lock that its writer holds meanwhile. Raises: StoreError."""
        if not RUN_ID.fullmatch(run_id):
            raise StoreError(f"{run_id[:40]!r} is not a run's id.")
        with self._writing():
            folder = self._path(STAGING, f"{run_id}+{os.urandom(6).hex()}")
            lock = FileLock(f"{folder}.lock", thread_local=False)
            lock.acquire(timeout=0)
            folder.mkdir()
            return folder, lock

    def error(self, error: OSError) -> StoreError:
        """The sentence for a failed write."""
        return StoreError(
            f"The run store {self.root} cannot be written ({reason_of(error)});"
            " free some space or set FMNIST_RUNS to a folder that can be written."
        )

    def _look(self, run_id: str, verify: bool = False) -> Run | RunError | None:
        return self._looks([run_id], verify).get(run_id)

    def _looks(self, run_ids: Iterable[str], verify: bool = False) -> dict[str, Run | RunError | None]:
        """Runs, or why they cannot be read; a second look, where no writer can be replacing them, decides."""
        found = {name: self._state(name, verify) for name in run_ids if RUN_ID.fullmatch(name)}
        doubtful = [name for name, state in found.items() if self._doubtful(name, state)]
        if doubtful:
            with self.quiet(LOOK_SECONDS):
                for name in doubtful:
                    found[name] = self._state(name, verify)
                    if isinstance(found[name], RunDamaged):
                        _known_damaged[str(self.root / name)] = _signature(self.root / name)
        return found

    def _doubtful(self, name: str, found: Run | RunError | None) -> bool:
        """Whether a writer may have been replacing a run during the look."""
        path = self.root / name
        if isinstance(found, RunDamaged):
            return _known_damaged.get(str(path)) != _signature(path)
        return found is None and (path.is_dir() or (self.root / REPLACED / name).is_dir())

    def _names(self) -> set[str]:
        """The names of all runs. One that is replaced while they are read may be in either place, or have been."""
        return {path.name for parent in ("", REPLACED, "") for path in _unsorted(self.root / parent)}

    def _state(self, run_id: str, verify: bool = False) -> Run | RunError | None:
        path = self.root / run_id
        try:
            run = open_run(path, self.quiet)
            if verify:
                run.verify()
            return run
        except RunGone:
            return None
        except RunError as problem:
            return problem

    @contextmanager
    def quiet(self, seconds: float = QUIET_SECONDS) -> Iterator[None]:
        """No writer replaces anything meanwhile; where the lock cannot be had, as on a read-only disk, go on."""
        with ExitStack() as stack:
            with suppress(OSError):
                stack.enter_context(self._lock().acquire(timeout=seconds))
            yield

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One writer at a time over all processes, re-entrant; failures become one sentence."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with self._lock():
                self._recover()
                yield
        except FileNotFoundError as error:
            if self.root.is_dir() and error.filename:
                name = Path(error.filename).name
                raise StoreError(
                    f"The run {name} is no longer in the run store: somebody on this server deleted it, or it was"
                    " removed to make room; train it again."
                ) from error
            raise self.error(error) from error
        except OSError as error:
            raise self.error(error) from error

    def _lock(self) -> BaseFileLock:
        return FileLock(self.root / ".lock", timeout=LOCK_SECONDS, is_singleton=True)

    def _recover(self) -> None:
        """Bring back what a writer had moved out of the way when it died before the new run was there."""
        for path in _folders(self.root / REPLACED):
            if (self.root / path.name).exists():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.rename(self.root / path.name)

    def _path(self, *parts: str) -> Path:
        path = self.root.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _sweep(self) -> None:
        """Remove what crashed writers left behind, and trash past its days."""
        for path in (self.root / STAGING).glob("*+*"):
            if path.suffix != ".lock" and _abandoned(path):
                shutil.rmtree(path, ignore_errors=True)
        for path in (self.root / STAGING).glob("*.lock"):
            if not path.with_suffix("").exists():
                path.unlink(missing_ok=True)
        for path in _folders(self.root / TRASH):
            if _age_days(path) > TRASH_DAYS:
                shutil.rmtree(path, ignore_errors=True)


def configured_store() -> RunStore:
    """The run store that the settings name."""
    return RunStore(settings().runs, settings().runs_budget)


def _folders(parent: Path) -> list[Path]:
    """Run folders, least recently used first."""
    return sorted(_unsorted(parent), key=_modified)


def _unsorted(parent: Path) -> list[Path]:
    try:
        return [path for path in parent.iterdir() if RUN_ID.fullmatch(path.name.split(".")[0])]
    except OSError:
        return []


def _modified(path: Path) -> float:
    """When a folder was last opened by a person, or written; seconds since 1970."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _signature(path: Path) -> tuple[tuple[int, ...], ...] | None:
    """As `signature`; None where it cannot be read."""
    try:
        return signature(path)
    except OSError:
        return None


def _age_days(path: Path) -> float:
    return (time.time() - (_modified(path) or time.time())) / 86_400


def _touch(path: Path) -> None:
    with suppress(OSError):  # a read-only store can still be read
        os.utime(path)


def _kept(path: Path) -> bool:
    """Whether a run is kept, or may be: what people said cannot be read."""
    return bool(user_facts(path)[0].get("kept"))


def _reason(path: Path) -> str:
    try:
        return (path / REASON).read_text(errors="replace")[:500]
    except OSError:
        return "its reason is not known"


def _abandoned(folder: Path) -> bool:
    """Whether nobody writes into a staging folder any more. A lock tells it even of processes in other containers."""
    lock = Path(f"{folder}.lock")
    if not lock.exists():
        return _age_days(folder) > STAGING_DAYS
    try:
        with FileLock(lock, timeout=0):
            return True
    except (Timeout, OSError):
        return False
