"""Table 1 of Glorot & Bengio (2010), made in a worker process: train, choose the rates, test the differences.

The many small trainings stay out of the run store: their results go to a ledger, a file of JSON lines, so that a table
that was stopped goes on where it was, and the same one comes at once.
"""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmnist_core.data.dataset import Dataset
from fmnist_core.errors import LabError
from fmnist_core.experiment.hyperparameters import Experiment, run_id
from fmnist_core.experiment.recording import EpochRecord, Progress, Weights
from fmnist_core.experiment.table1_plan import ACTIVATIONS, ROWS, Measured, Plan, Row, Training, choose
from fmnist_core.findings.table1_result import Found, available, result

Watch = Callable[[float, str], None]  # share done of what was missing, 0 to 1, and what is trained now
MOST_LANES = 2  # Programs of batches of 10 leave a second core idle; more than two would need too much memory.
LEDGER = "table1.jsonl"  # its name in the run store's folder
PACKAGES = ("tensorflow", "keras", "numpy", "scipy")


class Ledger:
    """Results of trainings by run and package versions: in memory, and in a file where there is a path."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._versions = versions()
        self._held = dict(_lines(path, self._versions)) if path else {}

    def find(self, run: str) -> Measured | None:
        """The result of a run, or None."""
        return self._held.get(run)

    def add(self, run: str, result: Measured) -> None:
        """Keep a result. Raises: LabError: the file cannot be written."""
        self._held[run] = result
        if self.path is None:
            return
        line = json.dumps({"run": run, "versions": self._versions} | asdict(result))  # nan as NaN: read by us alone
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")
        except OSError as error:
            raise LabError(
                f"The results of table 1 cannot be written to {self.path} ({error.strerror});"
                " free some space or set FMNIST_RUNS to a folder that can be written."
            ) from error


def _lines(path: Path, wanted: dict[str, str]) -> Iterable[tuple[str, Measured]]:
    """What a file holds of these versions; a line that was cut off by a crash counts for nothing."""
    try:
        texts = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for text in texts:
        try:
            entry = json.loads(text)
            if entry.pop("versions") == wanted:
                yield str(entry.pop("run")), Measured(**{name: float(value) for name, value in entry.items()})
        except (ValueError, TypeError, KeyError, AttributeError):
            continue


def versions() -> dict[str, str]:
    """Of the packages that results depend on."""
    return {name: metadata.version(name) for name in PACKAGES}


def run(
    plan: Plan,
    data: Dataset,
    watch: Watch = lambda done, text: None,
    should_stop: Callable[[], bool] = lambda: False,
    ledger: Ledger | None = None,
) -> dict[str, Any]:
    """Make the table; returns it in JSON types (nan where a number is not known), as `result` describes it.

    A stop is heard several times a second; the rows that are complete by then are in the result, which says "stopped".
    seconds: of this call; training_seconds: of all trainings one after the other, those from the ledger included.
    """
    start = time.perf_counter()
    maker = _Maker(plan, data, watch, should_stop, ledger or Ledger())
    rates: dict[Row, float | None] = {}
    for activation in ACTIVATIONS:  # one compiled program per lane serves all of its rates, seeds and initialisers
        rows = [row for row in ROWS if row.activation == activation]
        maker.train([training for row in rows for training in plan.searched(row)])
        if maker.stopped:
            break
        rates |= {row: choose(_by_rate(plan, row, maker.found)) for row in rows}
        chosen = [(row, rate) for row in rows if (rate := rates[row]) is not None]
        maker.train([training for row, rate in chosen for training in plan.confirmed(row, rate)])
    return result(plan, data, maker.found, rates) | {
        "seconds": time.perf_counter() - start,
        "training_seconds": sum(measured.seconds for measured in maker.found.values()),
        "stopped": maker.stopped,
        "versions": versions(),
    }


def stored(plan: Plan, data: Dataset, ledger: Ledger) -> dict[str, Any]:
    """What the ledger has of the table, without training; "stopped" tells whether something is missing."""
    return run(plan, data, should_stop=lambda: True, ledger=ledger)


def done(plan: Plan, data: Dataset, ledger: Ledger) -> int:
    """How many of the plan's trainings the ledger has; those of a row whose rate is not chosen yet are not known."""
    images = available(data)

    def held(training: Training) -> Measured | None:
        return ledger.find(run_id(plan.experiment(*training, images), data.name))

    count = 0
    for row in ROWS:
        searched = {training: found for training in plan.searched(row) if (found := held(training)) is not None}
        count += len(searched)
        if len(searched) < len(plan.searched(row)):
            continue
        rate = choose(_by_rate(plan, row, searched))
        count += sum(held(training) is not None for training in plan.confirmed(row, rate)) if rate is not None else 0
    return count


def _by_rate(plan: Plan, row: Row, found: Found) -> dict[float, list[Measured]]:
    return {rate: [found[row, rate, seed] for seed in range(plan.search_seeds)] for rate in plan.rates}


# --- The trainings --------------------------------------------------------------------------------------------------


class _Maker:
    """Trains what the ledger does not have, up to MOST_LANES at a time. found: everything so far."""

    def __init__(
        self, plan: Plan, data: Dataset, watch: Watch, should_stop: Callable[[], bool], ledger: Ledger
    ) -> None:
        self.plan, self.data, self.ledger = plan, data, ledger
        self.available = available(data)
        self.found: dict[Training, Measured] = {}
        self.stopped = False
        self._watch, self._should_stop = watch, should_stop
        self._broken = False
        self._lock = threading.Lock()
        self._parts: dict[Training, float] = {}  # share done of what is in training
        # The pace is that of this call, so what the ledger had before it counts for nothing in the share.
        self._before = done(plan, data, self.ledger)
        self._made = 0

    def train(self, trainings: Sequence[Training]) -> None:
        """Train all of these; fewer after a stop."""
        with ThreadPoolExecutor(min(MOST_LANES, os.cpu_count() or 1)) as pool:
            try:
                list(pool.map(self._one, trainings))
            except BaseException:
                self._broken = True
                raise

    def _one(self, training: Training) -> None:
        row, rate, seed = training
        experiment = self.plan.experiment(row, rate, seed, self.available)
        name = run_id(experiment, self.data.name)
        if (known := self.ledger.find(name)) is not None:
            self.found[training] = known
            return
        measured = self._trained(training, experiment)
        if measured is None:
            return
        with self._lock:
            self.ledger.add(name, measured)
            self.found[training] = measured
            self._parts.pop(training, None)
            self._made += 1
        self._tell(training, None)

    def _trained(self, training: Training, experiment: Experiment) -> Measured | None:
        """None where it was stopped."""
        if self._halted():
            return None
        from fmnist_core.learning import training as engine

        hears = _Hears(lambda share: self._tell(training, share), experiment.epochs)
        outcome = engine.train(experiment, self.data, hears, self._halted)
        if outcome.stopped:
            return None
        return _measured(hears.history, outcome.best_epoch, outcome.test_accuracy, outcome.seconds)

    def _halted(self) -> bool:
        self.stopped = self.stopped or self._should_stop()
        return self.stopped or self._broken

    def _tell(self, training: Training, share: float | None) -> None:
        row, rate, seed = training
        with self._lock:
            if share is not None:
                self._parts[training] = share
            share = (self._made + sum(self._parts.values())) / max(self.plan.trainings - self._before, 1)
            count = f"{self._before + self._made} of {self.plan.trainings} trainings"
        self._watch(min(share, 1.0), f"{count}; {row.name}: learning rate {rate:g}, seed {seed}")


class _Hears:
    """A recorder that keeps the history alone, and tells the share that is done."""

    def __init__(self, tell: Callable[[float], None], epochs: int) -> None:
        self.tell, self.epochs = tell, epochs
        self.history: list[EpochRecord] = []

    def phase(self, name: str) -> None:
        """Too short to tell."""

    def progress(self, progress: Progress) -> None:
        self.tell(progress.step / (progress.steps_per_epoch * self.epochs))

    def epoch(self, record: EpochRecord) -> None:
        self.history.append(record)

    def steps(self, epoch: int, losses: NDArray[np.float32]) -> None:
        """Not kept."""

    def snapshot(self, epoch: int, weights: Weights, probabilities: NDArray[np.float32]) -> None:
        """Not kept."""


def _measured(history: Sequence[EpochRecord], best: int, test_accuracy: float, seconds: float) -> Measured:
    """The errors at the best epoch. A training that diverged has none, however good it was before."""
    if not math.isfinite(history[-1].val_loss):
        return Measured(math.nan, math.nan, math.nan, seconds)
    record = history[best]
    return Measured(100 * (1 - record.val_accuracy), record.val_loss, 100 * (1 - test_accuracy), seconds)
