"""The finished trainings of table 1, which stay out of the run store: a file of JSON lines, and what it has of a table.

So a table that was stopped goes on where it was, and the same one comes at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from fmnist_core.data.dataset import Dataset
from fmnist_core.errors import LabError
from fmnist_core.experiment.analysis_facts import Table1Facts
from fmnist_core.experiment.hyperparameters import Experiment, run_id
from fmnist_core.experiment.table1_plan import ROWS, Measured, Plan, Row, Training, choose
from fmnist_core.findings.table1_result import available, result
from fmnist_core.settings import settings

PACKAGES = ("tensorflow", "keras", "numpy", "scipy")


def ledger_path() -> Path:
    """The ledger of this server."""
    return settings().runs / "table1.jsonl"


def versions() -> dict[str, str]:
    """Of the packages that results depend on."""
    return {name: metadata.version(name) for name in PACKAGES}


class Ledger:
    """Results of trainings by run and package versions: in memory, and in a file where there is a path."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._versions = versions()
        self._results = dict(_lines(path, self._versions)) if path else {}

    def find(self, run: str) -> Measured | None:
        """The result of a run, or None."""
        return self._results.get(run)

    def add(self, run: str, measured: Measured) -> None:
        """Keep a result. Raises: LabError: the file cannot be written."""
        self._results[run] = measured
        if self.path is None:
            return
        line = json.dumps({"run": run, "versions": self._versions} | asdict(measured))  # nan as NaN: read by us alone
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")
        except OSError as error:
            raise LabError(
                f"The results of table 1 cannot be written to {self.path} ({error.strerror});"
                " free some space or set FMNIST_RUNS to a folder that can be written."
            ) from error


def _lines(path: Path, current: dict[str, str]) -> Iterable[tuple[str, Measured]]:
    """What a file has of these versions; a line that was cut off by a crash counts for nothing."""
    try:
        texts = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for text in texts:
        try:
            entry = json.loads(text)
            if entry.pop("versions") == current:
                yield str(entry.pop("run")), Measured(**{name: float(value) for name, value in entry.items()})
        except (ValueError, TypeError, KeyError, AttributeError):
            continue


class TableSoFar:
    """What a ledger has of a table. finished: its trainings; those that confirm a rate are known once it is chosen.
    rates: of the rows whose rates have all been tried; None where each diverged. images: for training.
    """

    def __init__(self, plan: Plan, data: Dataset, ledger: Ledger) -> None:
        self.plan, self.data, self.ledger = plan, data, ledger
        self.images = available(data)
        self.finished: dict[Training, Measured] = {}
        self.rates: dict[Row, float | None] = {}
        for row in ROWS:
            self.update(row)

    def find(self, experiment: Experiment) -> Measured | None:
        """The ledger's result of an experiment."""
        return self.ledger.find(run_id(experiment, self.data.name))

    def add(self, experiment: Experiment, measured: Measured) -> None:
        """Keep a result in the ledger. Raises: LabError: the file cannot be written."""
        self.ledger.add(run_id(experiment, self.data.name), measured)

    def confirmed(self, row: Row) -> Sequence[Training]:
        """The trainings that are left once the rate is known; none where it is not, or each rate diverged."""
        rate = self.rates.get(row)
        return () if rate is None else self.plan.confirmed(row, rate)

    def update(self, row: Row) -> None:
        """Look up a row's trainings, and choose its learning rate when all of its rates have been tried."""
        searched = self.plan.searched(row)
        self._look_up(searched)
        if all(training in self.finished for training in searched):
            by_rate: dict[float, list[Measured]] = {}
            for training in searched:
                by_rate.setdefault(training[1], []).append(self.finished[training])
            self.rates[row] = choose(by_rate)
            self._look_up(self.confirmed(row))

    def _look_up(self, trainings: Sequence[Training]) -> None:
        for training in trainings:
            if (measured := self.find(self.plan.experiment(*training, self.images))) is not None:
                self.finished[training] = measured

    def facts(self, seconds: float = 0.0) -> Table1Facts:
        """The rows that are complete. seconds: that the last call has taken."""
        diverged = sum(rate is None for rate in self.rates.values())  # rows that need no more than the tried rates
        trainings = self.plan.trainings - diverged * (self.plan.seeds - self.plan.search_seeds)
        table = result(self.plan, self.data, self.finished, self.rates)
        return Table1Facts(
            protocol=table["protocol"],
            rows=table["rows"],
            tests=table["tests"],
            data=table["data"],
            seconds=seconds,
            training_seconds=sum(measured.seconds for measured in self.finished.values()),
            stopped=len(self.finished) < trainings,
            versions=versions(),
        )
