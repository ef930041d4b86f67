"""Writes one run: a Recorder whose folder appears in the store only when it is complete."""

from __future__ import annotations

import csv
import json
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmnist_core import __version__
from fmnist_core.experiment.cost import cost, kept_epochs
from fmnist_core.experiment.hyperparameters import Experiment, run_id
from fmnist_core.experiment.optimisers import OPTIMISERS
from fmnist_core.experiment.recording import EpochRecord, Progress, Weights, to_json_types
from fmnist_core.store.run_store import RunStore, StoreError

PACKAGES = ("tensorflow", "keras", "numpy")


class RunWriter:
    """Records a training into a staging folder of the store.

    Raises (from each method that writes): StoreError, one sentence, when the disk is full or read-only.
    """

    def __init__(self, store: RunStore, experiment: Experiment, data_name: str, data_source: str) -> None:
        self.store = store
        self.experiment = experiment
        self.run_id = run_id(experiment, data_name)
        self.data = {"name": data_name, "source": data_source}
        self.history: list[EpochRecord] = []
        self._losses: list[NDArray[np.float32]] = []
        self.folder = store.stage(self.run_id)
        self._check_space()
        with self._errors():
            (self.folder / "snapshots").mkdir()
            (self.folder / "probabilities").mkdir()

    def phase(self, name: str) -> None:
        """Nothing to store."""

    def progress(self, progress: Progress) -> None:
        """Nothing to store."""

    def epoch(self, record: EpochRecord) -> None:
        """Keep an epoch's measures."""
        self.history.append(record)

    def steps(self, epoch: int, losses: NDArray[np.float32]) -> None:
        """Keep each step's loss, float32 (steps,)."""
        self._losses.append(np.asarray(losses, np.float32))

    def snapshot(self, epoch: int, weights: Weights, probabilities: NDArray[np.float32]) -> None:
        """Write weights and test probabilities of an epoch. Raises: StoreError."""
        with self._errors():
            np.savez(self.folder / "snapshots" / f"epoch-{epoch:03d}.npz", allow_pickle=False, **weights)
            np.save(self.folder / "probabilities" / f"epoch-{epoch:03d}.npy", probabilities, allow_pickle=False)

    def snapshots(self) -> Iterator[tuple[int, Weights]]:
        """The written weights, epoch by epoch, read back one at a time: a run's snapshots may not fit in memory."""
        for path in sorted((self.folder / "snapshots").glob("epoch-*.npz")):
            with np.load(path, allow_pickle=False) as archive:
                yield int(path.stem.removeprefix("epoch-")), {name: archive[name] for name in archive.files}

    def commit(self, metrics: dict[str, Any]) -> None:
        """Write the rest, then rename the folder into place. metrics: as Run.metrics. Raises: StoreError."""
        with self._errors():
            self._write_history()
            losses = np.concatenate(self._losses) if self._losses else np.zeros(0, np.float32)
            np.save(self.folder / "step_losses.npy", losses, allow_pickle=False)
            self._write("experiment.json", json.loads(self.experiment.to_json()))
            self._write("metrics.json", {name: to_json_types(value) for name, value in metrics.items()})
            self._write("provenance.json", self._provenance())
            self.store.commit(self.folder, self.run_id, complete=not metrics["stopped"])

    def abandon(self) -> None:
        """Remove what was written so far."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn a failed write by others into this folder into the store's sentence."""
        with self._errors():
            yield

    @contextmanager
    def _errors(self) -> Iterator[None]:
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

    def _write_history(self) -> None:
        with (self.folder / "history.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(EpochRecord)], lineterminator="\n")
            writer.writeheader()
            writer.writerows(asdict(record) for record in self.history)

    def _write(self, name: str, value: Any) -> None:
        (self.folder / name).write_text(json.dumps(value, indent=1, allow_nan=False))

    def _provenance(self) -> dict[str, Any]:
        return {
            "lab": __version__,
            "created": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "data": self.data,
            "machine": f"{platform.system()} {platform.machine()}, {_processor()}",
            "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in PACKAGES},
            "files": _files(self.folder),
        }


def stored_bytes(experiment: Experiment) -> int:
    """About how many bytes a run takes: the kept weights, the model with its optimiser's state, probabilities."""
    kept, slots = len(kept_epochs(experiment.epochs)), OPTIMISERS[experiment.optimiser].slots
    return 4 * cost(experiment, 1).parameters * (kept + 1 + slots) + kept * 400_000 + 1_000_000


def _files(folder: Path) -> dict[str, int]:
    """Sizes of all files, so that a truncated one is noticed without reading it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"
