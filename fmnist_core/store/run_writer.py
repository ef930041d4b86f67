"""Writes a run, file by file, into a folder that appears in the store when it is complete."""

from __future__ import annotations

import csv
import io
import json
import platform
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmnist_core import __version__
from fmnist_core.experiment.hyperparameters import FORMAT, Experiment, run_id
from fmnist_core.experiment.recording import EpochRecord, Listener, Progress, Weights, to_json_types
from fmnist_core.store import stored_files
from fmnist_core.store.room import stored_bytes
from fmnist_core.store.run_store import RunStore, StoreError

PACKAGES = ("tensorflow", "keras", "numpy")


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
        store.check_place(self.run_id)
        self.folder, self._lock = store.staging(self.run_id)
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
            self._save(f"probabilities/epoch-{epoch:03d}.npy", probabilities)

    def snapshots(self) -> Iterator[tuple[int, Weights]]:
        """The written weights, epoch by epoch, read back one at a time: a run's snapshots may not fit in memory."""
        for path in sorted((self.folder / "snapshots").glob("epoch-*.npz")):
            yield int(path.stem.removeprefix("epoch-")), stored_files.archive(path)

    def commit(self, metrics: dict[str, Any]) -> None:
        """Write the rest, then rename the folder into place. metrics: as Run.metrics. Raises: StoreError."""
        with self.errors():
            with (self.folder / "history.csv").open("w", newline="") as file:
                writer = csv.DictWriter(file, [field.name for field in fields(EpochRecord)], lineterminator="\n")
                writer.writeheader()
                writer.writerows(asdict(record) for record in self.history)
            losses = np.concatenate(self._losses) if self._losses else np.zeros(0, np.float32)
            self._save("step_losses.npy", losses)
            changed = self.experiment.model_dump(mode="json", exclude_defaults=True)  # as other versions read it, too
            self._write("experiment.json", {"format": FORMAT, **changed})
            self._write("metrics.json", to_json_types(metrics))
            self._write("provenance.json", self._provenance())
            self.store.commit(self.folder, self.run_id, complete=not metrics["stopped"])
        self.abandon()

    def abandon(self) -> None:
        """Remove what was written so far, and is not in the store."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):
            self._lock.release(force=True)
            Path(self._lock.lock_file).unlink(missing_ok=True)

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
        needed = stored_bytes(self.experiment, self.data["name"])
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

    def _save(self, name: str, values: NDArray[np.float32]) -> None:
        """Like `np.save`, which does not tell why not all could be written."""
        buffer = io.BytesIO()
        np.save(buffer, values, allow_pickle=False)
        (self.folder / name).write_bytes(buffer.getvalue())

    def _write(self, name: str, value: Any) -> None:
        (self.folder / name).write_text(json.dumps(value, indent=1, allow_nan=False))

    def _provenance(self) -> dict[str, Any]:
        files = {path.relative_to(self.folder).as_posix(): path for path in sorted(self.folder.rglob("*"))}
        files = {name: path for name, path in files.items() if path.is_file()}
        return {
            "lab": __version__,
            "created": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "data": self.data,
            "machine": f"{platform.system()} {platform.machine()}, {_processor()}",
            "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in PACKAGES},
            "files": {name: path.stat().st_size for name, path in files.items()},
            "checksums": {  # an .npz file has one for each array
                name: zlib.crc32(path.read_bytes()) for name, path in files.items() if path.suffix != ".npz"
            },
        }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"
