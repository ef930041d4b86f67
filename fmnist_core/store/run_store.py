"""The run store, and what writes a run into it: one folder per run in standard formats, shared, bounded in size.

A run is written in `.staging/` and renamed into place, so a folder that is there is whole. A folder that is damaged
later is moved to `damaged/` and named in a sentence. What is deleted goes to `.trash/` until its space is needed.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from filelock import FileLock
from numpy.typing import NDArray

from fmnist_core import __version__
from fmnist_core.errors import LabError, reason_of
from fmnist_core.experiment.cost import cost, kept_epochs
from fmnist_core.experiment.hyperparameters import Experiment, run_id
from fmnist_core.experiment.optimisers import OPTIMISERS
from fmnist_core.experiment.recording import EpochRecord, Listener, Progress, Weights, to_json_types
from fmnist_core.settings import settings
from fmnist_core.store.run import UNREADABLE, Run, RunDamaged, check_sizes, open_run, trained_again, user_facts

RUN_ID = re.compile(r"[0-9a-f]{16}(-[a-z0-9]{1,16})?")
STAGING, TRASH, DAMAGED = ".staging", ".trash", "damaged"
TRASH_DAYS = 7
PACKAGES = ("tensorflow", "keras", "numpy")


class StoreError(LabError):
    """The run store cannot be written."""


class RunStore:
    """All stored runs below one folder; several processes may use it at once.

    root: the folder, made when it is first written. budget: bytes it may take; runs least recently opened go first.
    """

    def __init__(self, root: Path, budget: int) -> None:
        self.root = Path(root)
        self.budget = budget

    def runs(self) -> list[Run]:
        """All runs, newest first; reads small files only. Damaged ones are set aside."""
        opened = [self._open(path) for path in self._folders(self.root)]
        return sorted((run for run in opened if run), key=lambda run: run.created, reverse=True)

    def find(self, run_id: str) -> Run | None:
        """The run of this name, or None where there is none or it was damaged (see `damaged`)."""
        path = self.root / run_id
        if not RUN_ID.fullmatch(run_id) or not path.is_dir():
            return None
        run = self._open(path, thorough=True)
        if run:
            self._touch(path)
        return run

    def delete(self, run_id: str) -> None:
        """Move a run to the trash; `undelete` brings it back. Raises: StoreError."""
        with self._writing():
            target = self._path(TRASH, run_id)
            shutil.rmtree(target, ignore_errors=True)
            self._path(run_id).rename(target)
            self._touch(target)

    def undelete(self, run_id: str) -> None:
        """Bring a deleted run back; a run trained again since then stays. Raises: StoreError."""
        with self._writing():
            source = self._path(TRASH, run_id)
            if not source.is_dir():
                raise StoreError(f"The run {run_id} is no longer in the trash; train it again.")
            if not self._path(run_id).exists():
                source.rename(self._path(run_id))
                self._touch(self._path(run_id))

    def keep(self, run_id: str, kept: bool) -> None:
        """Keep a run whatever the size budget says, or no longer. Raises: StoreError."""
        self.annotate(run_id, kept=kept)

    def annotate(self, run_id: str, **facts: str | bool) -> None:
        """Give a run a name, a note, or another of `user_facts`. Raises: StoreError."""
        with self._writing():
            path = self._path(run_id)
            unfinished = path / f".user.{os.getpid()}"
            unfinished.write_text(json.dumps(user_facts(path) | facts))
            unfinished.replace(path / "user.json")

    def damaged(self) -> list[str]:
        """One sentence for each run that was set aside because it could not be read."""
        return [
            f"The stored run {path.name.split('.')[0]} is damaged ({_why(path)}) and was moved to {path};"
            " train it again, or delete that folder."
            for path in self._folders(self.root / DAMAGED)
        ]

    def set_aside(self, run: Run, reason: str) -> RunDamaged:
        """Move a run that cannot be read to `damaged/`; returns the error to raise.

        Where somebody has deleted the run, or trained it again, since it was opened, nothing moves.
        """
        path = self.root / run.run_id
        if not path.exists():
            return RunDamaged(f"The stored run {run.run_id} is no longer there; train it again.")
        with suppress(StoreError), self._writing():  # a read-only store: the sentence is still true
            with suppress(*UNREADABLE):
                if open_run(path, self.set_aside).created != run.created:
                    return trained_again(run.run_id)
            self._move_to_damaged(path, reason)
        return RunDamaged(
            f"The stored run {run.run_id} is damaged: {reason}; it was moved out of the way, train it again."
        )

    def commit(self, staged: Path, run_id: str, complete: bool) -> None:
        """Rename a finished folder into place; a stopped run never replaces a complete one. Raises: StoreError."""
        with self._writing():
            target = self._path(run_id)
            old = self._open(target, thorough=True) if target.exists() else None
            if old and old.complete and not complete:
                shutil.rmtree(staged, ignore_errors=True)
                return
            if old:
                with suppress(FileNotFoundError):
                    shutil.copy(target / "user.json", staged / "user.json")
                replaced = self.stage(run_id)
                target.rename(replaced / run_id)  # at once: readers never meet half of a run
            staged.rename(target)
            self._touch(target)
            if old:
                shutil.rmtree(replaced, ignore_errors=True)
        self.evict(protect=run_id)

    def evict(self, protect: str = "") -> list[str]:
        """Make room: stale staging, old trash, then damaged runs, then runs not opened for longest.

        Returns the names of evicted runs. Kept runs and `protect` stay.
        """
        self._sweep()
        with self._writing():
            trash = self._folders(self.root / TRASH)
            candidates = [*trash, *self._folders(self.root / DAMAGED), *self._folders(self.root)]
            candidates = [path for path in candidates if path.is_dir()]
            sizes = {path: _size(path) for path in candidates}
            total = sum(sizes.values())
            gone = []
            for path in candidates:
                if total <= self.budget:
                    break
                if path.parent == self.root and (path.name == protect or user_facts(path).get("kept")):
                    continue
                shutil.rmtree(path, ignore_errors=True)
                total -= sizes[path]
                gone += [path.name] if path.parent == self.root else []
            return gone

    def stage(self, run_id: str) -> Path:
        """A new empty folder to write a run into. Raises: StoreError."""
        if not RUN_ID.fullmatch(run_id):
            raise StoreError(f"{run_id[:40]!r} is not a run's id.")
        with self._writing():
            prefix = f"{run_id}+{socket.gethostname()}+{os.getpid()}+"
            return Path(tempfile.mkdtemp(prefix=prefix, dir=self._path(STAGING, "x").parent))

    def error(self, error: OSError) -> StoreError:
        """The sentence for a failed write."""
        return StoreError(
            f"The run store {self.root} cannot be written ({reason_of(error)});"
            " free some space or set FMNIST_RUNS to a folder that can be written."
        )

    def _open(self, path: Path, thorough: bool = False) -> Run | None:
        """The run in a folder; None where it is gone or damaged, and then moved."""
        with suppress(*UNREADABLE):
            return self._read(path, thorough)
        with suppress(StoreError), self._writing():  # look again when no writer can just be replacing it
            try:
                return self._read(path, thorough)
            except UNREADABLE as error:
                if path.exists():
                    self._move_to_damaged(path, reason_of(error))
        return None

    def _read(self, path: Path, thorough: bool) -> Run:
        run = open_run(path, self.set_aside)
        if thorough:
            check_sizes(run)
        return run

    def _move_to_damaged(self, path: Path, reason: str) -> None:
        target = self._path(DAMAGED, f"{path.name}.{time.time_ns()}")
        path.rename(target)
        (target / "reason.txt").write_text(reason)

    def _path(self, *parts: str) -> Path:
        path = self.root.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _folders(self, parent: Path) -> list[Path]:
        """Run folders, least recently used first."""
        try:
            entries = [(entry.stat().st_mtime, Path(entry.path)) for entry in os.scandir(parent)]
        except OSError:
            return []
        return [path for _, path in sorted(entries) if RUN_ID.fullmatch(path.name.split(".")[0])]

    def _sweep(self) -> None:
        """Remove what crashed writers left behind, and trash past its days."""
        for path in (self.root / STAGING).glob("*+*"):
            _, host, pid, _ = (*path.name.split("+", 3), "", "", "")[:4]
            mine = host == socket.gethostname()
            if (mine and pid.isdigit() and not psutil.pid_exists(int(pid))) or _age_days(path) > 2:
                shutil.rmtree(path, ignore_errors=True)
        for path in self._folders(self.root / TRASH):
            if _age_days(path) > TRASH_DAYS:
                shutil.rmtree(path, ignore_errors=True)

    def _touch(self, path: Path) -> None:
        with suppress(OSError):  # a read-only store can still be read
            os.utime(path)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One writer at a time over all processes, re-entrant; failures become one sentence."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with FileLock(self.root / ".lock", timeout=60, is_singleton=True):
                yield
        except FileNotFoundError as error:
            if self.root.is_dir() and error.filename:
                raise StoreError(
                    f"The run {Path(error.filename).name} is not in the run store; train it again."
                ) from error
            raise self.error(error) from error
        except OSError as error:
            raise self.error(error) from error


def _why(path: Path) -> str:
    try:
        return (path / "reason.txt").read_text()
    except OSError:
        return "unknown reason"


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _age_days(path: Path) -> float:
    try:
        return (time.time() - path.stat().st_mtime) / 86_400
    except OSError:
        return 0.0


def configured_store() -> RunStore:
    """The run store that the settings name."""
    return RunStore(settings().runs, settings().runs_budget)


class RunWriter:
    """Records a training into a folder that appears in the store when it is complete; tells a listener of its progress.

    Raises (from each method that writes): StoreError, one sentence, when the disk is full or read-only.
    """

    def __init__(
        self,
        store: RunStore,
        experiment: Experiment,
        data_name: str,
        data_source: str,
        listener: Listener | None = None,
    ) -> None:
        self.store = store
        self.experiment = experiment
        self.run_id = run_id(experiment, data_name)
        self.data = {"name": data_name, "source": data_source}
        self.history: list[EpochRecord] = []
        self._listener = listener
        self._losses: list[NDArray[np.float32]] = []
        self.folder = store.stage(self.run_id)
        self._check_space()
        with self.errors():
            (self.folder / "snapshots").mkdir()
            (self.folder / "probabilities").mkdir()

    def phase(self, name: str) -> None:
        """Pass it on."""
        if self._listener:
            self._listener.phase(name)

    def progress(self, progress: Progress) -> None:
        """Pass it on."""
        if self._listener:
            self._listener.progress(progress)

    def epoch(self, record: EpochRecord) -> None:
        """Keep an epoch's measures, and pass them on."""
        self.history.append(record)
        if self._listener:
            self._listener.epoch(record)

    def steps(self, epoch: int, losses: NDArray[np.float32]) -> None:
        """Keep each step's loss, float32 (steps,)."""
        self._losses.append(np.asarray(losses, np.float32))

    def snapshot(self, epoch: int, weights: Weights, probabilities: NDArray[np.float32]) -> None:
        """Write weights and test probabilities of an epoch. Raises: StoreError."""
        with self.errors():
            np.savez(self.folder / "snapshots" / f"epoch-{epoch:03d}.npz", allow_pickle=False, **weights)
            np.save(self.folder / "probabilities" / f"epoch-{epoch:03d}.npy", probabilities, allow_pickle=False)

    def snapshots(self) -> Iterator[tuple[int, Weights]]:
        """The written weights, epoch by epoch, read back one at a time: a run's snapshots may not fit in memory."""
        for path in sorted((self.folder / "snapshots").glob("epoch-*.npz")):
            with np.load(path, allow_pickle=False) as archive:
                yield int(path.stem.removeprefix("epoch-")), {name: archive[name] for name in archive.files}

    def commit(self, metrics: dict[str, Any]) -> None:
        """Write the rest, then rename the folder into place. metrics: as Run.metrics. Raises: StoreError."""
        with self.errors():
            with (self.folder / "history.csv").open("w", newline="") as file:
                writer = csv.DictWriter(file, [field.name for field in fields(EpochRecord)], lineterminator="\n")
                writer.writeheader()
                writer.writerows(asdict(record) for record in self.history)
            losses = np.concatenate(self._losses) if self._losses else np.zeros(0, np.float32)
            np.save(self.folder / "step_losses.npy", losses, allow_pickle=False)
            self._write("experiment.json", json.loads(self.experiment.to_json()))
            self._write("metrics.json", to_json_types(metrics))
            self._write("provenance.json", self._provenance())
            self.store.commit(self.folder, self.run_id, complete=not metrics["stopped"])

    def abandon(self) -> None:
        """Remove what was written so far."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn a failed write into this folder into the store's sentence."""
        try:
            yield
        except OSError as error:
            self.abandon()
            raise self.store.error(error) from error

    def _check_space(self) -> None:
        """Refuse at the start what cannot be stored at the end."""
        needed = stored_bytes(self.experiment)
        try:
            free = shutil.disk_usage(self.folder).free
        except OSError:
            return
        if needed > free:
            self.abandon()
            raise StoreError(
                f"The run store {self.store.root} has {free / 1e6:,.0f} MB left, but this run needs about"
                f" {needed / 1e6:,.0f} MB; free some space or set FMNIST_RUNS to another folder."
            )

    def _write(self, name: str, value: Any) -> None:
        (self.folder / name).write_text(json.dumps(value, indent=1, allow_nan=False))

    def _provenance(self) -> dict[str, Any]:
        return {
            "lab": __version__,
            "created": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "data": self.data,
            "machine": f"{platform.system()} {platform.machine()}, {_processor()}",
            "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in PACKAGES},
            "files": {  # their sizes, so that a truncated one is noticed without reading it
                path.relative_to(self.folder).as_posix(): path.stat().st_size
                for path in sorted(self.folder.rglob("*"))
                if path.is_file()
            },
        }


def stored_bytes(experiment: Experiment) -> int:
    """About how many bytes a run takes: the kept weights, the model with its optimiser's state, probabilities."""
    kept, slots = len(kept_epochs(experiment.epochs)), OPTIMISERS[experiment.optimiser].slots
    return 4 * cost(experiment, 1).parameters * (kept + 1 + slots) + kept * 400_000 + 1_000_000


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"
