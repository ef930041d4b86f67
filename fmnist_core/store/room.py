"""What takes space in a run store, and what goes first when there is too little."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fmnist_core.experiment.cost import cost, kept_epochs
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.optimisers import OPTIMISERS

MOST_OF_BUDGET = 0.5  # that one run may take, so that nobody's large network removes everybody's runs
TEST_IMAGES = {"sample": 1_000}
FULL_TEST_IMAGES = 10_000


@dataclass(frozen=True)
class Room:
    """What it takes to store trainings. needed: bytes. removed: names of the runs that will make room."""

    needed: int
    removed: tuple[str, ...]

    def sentence(self) -> str:
        """What will be removed, or ""."""
        if not self.removed:
            return ""
        many = len(self.removed) > 1
        runs = f"the {len(self.removed)} runs that were" if many else "the run that was"
        return (
            f"Storing this needs about {self.needed / 1e6:,.0f} MB; {runs} not opened for longest will be removed to"
            " make room."
        )


@dataclass(frozen=True)
class Item:
    """What takes space: a folder, or a file with a result. used: when it was last opened. bytes: without its results.

    of: the run that a result belongs to, or "". stays: whether it is never removed to make room.
    """

    path: Path
    kind: Literal["trash", "run", "damaged", "result"]
    used: float
    bytes: int
    of: str = ""
    stays: bool = False

    def remove(self) -> None:
        """Delete it, as far as that can be done."""
        if self.kind == "result":
            self.path.unlink(missing_ok=True)
        else:
            shutil.rmtree(self.path, ignore_errors=True)


def removed_first(items: Sequence[Item], excess: int, protected: Collection[str]) -> list[Item]:
    """What goes so that `excess` bytes become free: the trash, then what was not opened for longest.

    protected: runs that stay, with their results.
    """
    removed: list[Item] = []
    freed: set[Path] = set()
    for item in sorted(items, key=lambda item: (item.kind != "trash", item.used)):
        if excess <= 0:
            break
        if item.stays or item.path in freed or item.of in protected or item.path.name in protected:
            continue
        removed.append(item)
        results = [each for each in items if item.kind == "run" and each.of == item.path.name]
        for each in (item, *results):
            excess -= each.bytes * (each.path not in freed)
            freed.add(each.path)
    return removed


def results_in(folder: Path, of: str) -> list[Item]:
    """The results of analyses in a folder, unfinished ones included."""
    items = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                stat = entry.stat()
                items.append(Item(Path(entry.path), "result", stat.st_mtime, stat.st_size, of))
    except OSError:
        return items
    return items


def size(path: Path) -> int:
    """The bytes of a folder's files; those that go meanwhile count nothing."""
    total = 0
    for folder, _, files in os.walk(path):
        for name in files:
            try:
                total += Path(folder, name).stat().st_size
            except OSError:
                continue
    return total


def stored_bytes(experiment: Experiment, data_name: str = "full") -> int:
    """About how many bytes a run takes: the kept weights, the model with its optimiser's state, probabilities."""
    kept, slots = len(kept_epochs(experiment.epochs)), OPTIMISERS[experiment.optimiser].slots
    probabilities = 4 * 10 * TEST_IMAGES.get(data_name, FULL_TEST_IMAGES)
    return 4 * cost(experiment, 1).parameters * (kept + 1 + slots) + kept * probabilities + 500_000
