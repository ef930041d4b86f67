"""Table 1 of Glorot & Bengio (2010), made in a worker process: try the learning rates, then train the best one with
more seeds, activation by activation. `train_many` does the trainings, a ledger keeps their results.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmnist_core.data import dataset
from fmnist_core.data.dataset import Dataset
from fmnist_core.experiment import table1_plan
from fmnist_core.experiment.analysis_facts import Table1Facts
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.recording import EpochRecord, JobContext, Progress, Weights
from fmnist_core.experiment.table1_plan import ACTIVATIONS, ROWS, Measured, Plan, Training
from fmnist_core.findings.table1_ledger import Ledger, TableSoFar, ledger_path
from fmnist_core.jobs.train_runs import train_many
from fmnist_core.settings import settings
from fmnist_core.store.result_store import Results
from fmnist_core.store.run_store import configured_store

OnProgress = Callable[[float, str], None]  # fraction done of what was missing, 0 to 1, and what is trained now
AT_A_TIME = 2  # Programs of batches of 10 leave a second core idle; more than two would need too much memory.


def table_job(params: Mapping[str, Any], context: JobContext) -> bool:
    """The job of `analyses.table1_analysis`."""
    request = params["request"]
    plan, data = table1_plan.plan(request["plan"], request["seeds"]), dataset.load(request["data"])
    facts = make_table1(plan, data, context.fraction, context.should_stop, Ledger(ledger_path()))
    if not facts["stopped"]:
        Results(configured_store()).write(params["run"], params["name"], facts, {})
    return not facts["stopped"]


def make_table1(
    plan: Plan,
    data: Dataset,
    on_progress: OnProgress = lambda fraction, text: None,
    should_stop: Callable[[], bool] = lambda: False,
    ledger: Ledger | None = None,
) -> Table1Facts:
    """Make the table, or go on with it.

    A stop is heard several times a second; the rows that are complete by then are in the result, which says "stopped".
    """
    start = time.perf_counter()
    table = TableSoFar(plan, data, ledger or Ledger())
    stages = _Stages(table, on_progress, should_stop)
    for activation in ACTIVATIONS:  # one compiled program for each at a time serves all rates, seeds and initialisers
        rows = [row for row in ROWS if row.activation == activation]
        searched = [training for row in rows for training in plan.searched(row)]
        if not stages.train(searched) or not stages.train([t for row in rows for t in table.confirmed(row)]):
            break
    return table.facts(time.perf_counter() - start)


class _Stages:
    """Trains the table stage by stage, and tells how far the whole is.

    The pace is that of this call, so what the ledger had before it counts for nothing in the fraction.
    """

    def __init__(self, table: TableSoFar, on_progress: OnProgress, should_stop: Callable[[], bool]) -> None:
        self._table, self._on_progress, self._should_stop = table, on_progress, should_stop
        self._before = len(table.finished)
        self._fractions: dict[Experiment, float] = {}
        self._trainings: dict[Experiment, Training] = {}

    def train(self, trainings: Sequence[Training]) -> bool:
        """Train what is missing of a stage; False after a stop."""
        experiments = [self._table.plan.experiment(*training, self._table.images) for training in trainings]
        self._trainings |= dict(zip(experiments, trainings, strict=True))
        at_a_time = min(AT_A_TIME, settings().cores)
        outcomes = train_many(experiments, self._table.find, self._train, self._report, self._should_stop, at_a_time)
        for row in dict.fromkeys(row for row, _, _ in trainings):
            self._table.update(row)
        return outcomes is not None

    def _train(
        self, experiment: Experiment, on_fraction: Callable[[float], None], should_stop: Callable[[], bool]
    ) -> Measured | None:
        """The errors at the best epoch; None where it was stopped.

        A training that diverged has no errors, however good it was before.
        """
        from fmnist_core.learning import training

        recorder = HistoryRecorder(on_fraction, experiment.epochs)
        outcome = training.train(experiment, self._table.data, recorder, should_stop)
        if outcome.stopped:
            return None
        best = recorder.history[outcome.best_epoch]
        errors = 100 * (1 - best.val_accuracy), best.val_loss, 100 * (1 - outcome.test_accuracy)
        if not math.isfinite(recorder.history[-1].val_loss):
            errors = math.nan, math.nan, math.nan
        measured = Measured(*errors, outcome.seconds)
        self._table.add(experiment, measured)
        return measured

    def _report(self, experiment: Experiment, fraction: float) -> None:
        self._fractions[experiment] = fraction
        total = self._table.plan.trainings
        done = self._before + sum(each == 1 for each in self._fractions.values())
        row, rate, seed = self._trainings[experiment]
        text = f"{done} of {total} trainings; {row.name}: learning rate {rate:g}, seed {seed}"
        self._on_progress(min(sum(self._fractions.values()) / max(total - self._before, 1), 1.0), text)


class HistoryRecorder:
    """A recorder that keeps the history alone, and tells the fraction that is done."""

    def __init__(self, on_fraction: Callable[[float], None], epochs: int) -> None:
        self.history: list[EpochRecord] = []
        self._on_fraction, self._epochs = on_fraction, epochs

    def phase(self, name: str) -> None:
        """Too short to tell."""

    def progress(self, progress: Progress) -> None:
        """Tell how far the training is."""
        self._on_fraction(progress.step / (progress.steps_per_epoch * self._epochs))

    def epoch(self, record: EpochRecord) -> None:
        """Keep the record."""
        self.history.append(record)

    def steps(self, epoch: int, losses: NDArray[np.float32]) -> None:
        """Not kept."""

    def snapshot(self, epoch: int, weights: Weights, probabilities: NDArray[np.float32]) -> None:
        """Not kept."""
