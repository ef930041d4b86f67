"""One stored run: small facts at once, the large arrays when they are asked for."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fmnist_core.errors import LabError, reason_of
from fmnist_core.experiment.hyperparameters import Experiment, run_id
from fmnist_core.experiment.recording import EpochRecord, Weights

T = TypeVar("T")
# What reading a truncated, overwritten or missing file of a standard format raises.
UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, LabError)
REQUIRED = ("experiment.json", "metrics.json", "provenance.json", "history.csv", "step_losses.npy")
METRICS = (
    *("test_loss", "test_accuracy", "test_loss_std", "seconds", "stopped", "best_epoch", "epochs_done"),
    *("steps_per_epoch", "train_examples", "confusion"),
)


class RunDamaged(LabError):
    """A stored run cannot be read; it is set aside, and its experiment can be trained again."""


@dataclass(frozen=True, eq=False)
class Run:
    """A stored run.

    metrics: test_loss (with label smoothing and the L2 penalty, together test_penalty), test_accuracy, test_loss_std,
    seconds, compile_seconds, stopped, best_epoch, epochs_done and confusion (10 lists of 10; rows true, columns
    predicted). provenance: versions, data (name, source), machine.
    kept: never evicted. created: when training ended, UTC.
    """

    run_id: str
    path: Path
    experiment: Experiment
    data_name: str
    metrics: dict[str, Any]
    provenance: dict[str, Any]
    kept: bool
    name: str
    note: str
    created: datetime
    damage: Callable[[Run, str], RunDamaged] = field(repr=False)

    @property
    def complete(self) -> bool:
        """Whether training went to its end, not stopped by a person."""
        return not self.metrics["stopped"]

    @cached_property
    def history(self) -> pd.DataFrame:
        """The measures of each epoch: columns of EpochRecord, index "epoch" from 0 (before training)."""
        return self._read(
            "history.csv", lambda path: pd.read_csv(path, index_col="epoch", float_precision="round_trip")
        )

    @property
    def records(self) -> tuple[EpochRecord, ...]:
        """The history as records."""
        rows = self.history.reset_index().to_dict("records")
        return tuple(EpochRecord(**{str(name): value for name, value in row.items()}) for row in rows)

    @cached_property
    def step_losses(self) -> NDArray[np.float32]:
        """The loss of each training step, float32 (steps,)."""
        return self._read("step_losses.npy", lambda path: np.load(path, allow_pickle=False))

    @cached_property
    def epochs(self) -> tuple[int, ...]:
        """The epochs whose weights and probabilities are kept, 0 (before training) first. Raises: RunDamaged."""
        if not self.path.is_dir():
            raise self.damage(self, "its folder is gone")
        return tuple(sorted(int(path.stem.removeprefix("epoch-")) for path in self.path.glob("snapshots/epoch-*.npz")))

    def check_current(self) -> None:
        """Raises: RunDamaged, where somebody has deleted this run, or trained it again, since it was opened."""
        created = self._read("provenance.json", lambda path: json.loads(path.read_text())["created"])
        if created != self.provenance["created"]:
            raise trained_again(self.run_id)

    def weights(self, epoch: int) -> Weights:
        """Weights after an epoch, by name ("hidden_1/kernel"). Raises: RunDamaged."""
        return self._read(_snapshot(epoch), _arrays)

    def tensor(self, epoch: int, name: str) -> NDArray[np.float32]:
        """One of the weights after an epoch, float32; reads no other from disk. Raises: RunDamaged."""
        return self._read(_snapshot(epoch), lambda path: _arrays(path, (name,))[name])

    @cached_property
    def tensor_names(self) -> tuple[str, ...]:
        """Names of the weights ("hidden_1/kernel", "hidden_1/bias" ...) in the network's order. Raises: RunDamaged."""
        return self._read(_snapshot(self.epochs[0]), _names) if self.epochs else ()

    def probabilities(self, epoch: int) -> NDArray[np.float32]:
        """Class probabilities of the test images after an epoch, float32 (n_test, 10). Raises: RunDamaged."""
        return self._read(f"probabilities/epoch-{epoch:03d}.npy", lambda path: np.load(path, allow_pickle=False))

    def _read(self, name: str, read: Callable[[Path], T]) -> T:
        try:
            return read(self.path / name)
        except UNREADABLE as error:
            raise self.damage(self, f"{name} cannot be read ({reason_of(error)})") from error


def trained_again(run_id: str) -> RunDamaged:
    """The error where the folder of an opened run has another training's files by now."""
    return RunDamaged(f"The stored run {run_id} was trained again meanwhile; open this page again.")


def open_run(path: Path, damage: Callable[[Run, str], RunDamaged]) -> Run:
    """The run in a folder. Raises: one of UNREADABLE when it is damaged."""
    missing = [name for name in REQUIRED if not (path / name).is_file()]
    if missing:
        raise ValueError(f"{', '.join(missing)} is missing")
    experiment = Experiment.from_json((path / "experiment.json").read_text())
    metrics = _metrics(json.loads((path / "metrics.json").read_text()))
    provenance = json.loads((path / "provenance.json").read_text())
    data_name = str(provenance["data"]["name"])
    if run_id(experiment, data_name) != path.name:
        raise ValueError("experiment.json does not belong to this folder")
    user = user_facts(path)
    return Run(
        run_id=path.name,
        path=path,
        experiment=experiment,
        data_name=data_name,
        metrics=metrics,
        provenance=provenance,
        kept=bool(user.get("kept", False)),
        name=str(user.get("name", "")),
        note=str(user.get("note", "")),
        created=datetime.fromisoformat(provenance["created"]).astimezone(UTC),
        damage=damage,
    )


def check_sizes(run: Run) -> None:
    """Compare each file's size with the size when it was written. Raises: OSError, ValueError."""
    for name, size in run.provenance["files"].items():
        try:
            actual = (run.path / name).stat().st_size
        except FileNotFoundError:
            raise ValueError(f"{name} is missing") from None
        if actual != size:
            raise ValueError(f"{name} has {actual:,} bytes instead of {size:,}")


def user_facts(path: Path) -> dict[str, Any]:
    """What people said about a run: kept, name, note; empty where the file is missing or damaged."""
    try:
        facts = json.loads((path / "user.json").read_text())
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _metrics(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has no nan: a diverged run's loss is stored as null."""
    missing = [name for name in METRICS if name not in values]
    if missing:
        raise ValueError(f"metrics.json lacks {', '.join(missing)}")
    return {name: math.nan if value is None else value for name, value in values.items()}


def _snapshot(epoch: int) -> str:
    return f"snapshots/epoch-{epoch:03d}.npz"


def _names(path: Path) -> tuple[str, ...]:
    with np.load(path, allow_pickle=False) as archive:
        return tuple(archive.files)


def _arrays(path: Path, names: Iterable[str] | None = None) -> Weights:
    """The arrays of these names, or all; np.load reads each from disk when it is asked for."""
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in names or archive.files}
