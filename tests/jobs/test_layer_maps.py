"""A worker's analyses of a stored run that changes meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from fmnist_core.engine import analyses
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.recording import Event, JobContext
from fmnist_core.jobs import layer_maps
from fmnist_core.store.result_store import Results
from fmnist_core.store.run import Run
from fmnist_core.store.run_store import configured_store
from tests.support.stored_runs import store_run

EXPERIMENT = Experiment(units=8, layers=1, epochs=3)


def test_the_separation_of_a_run_that_is_trained_again_meanwhile_is_not_that_of_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FMNIST_RUNS", str(tmp_path))
    stopped = store_run(tmp_path, EXPERIMENT, [0.5, 0.4], data_name="sample", stopped=True)
    assert stopped.epochs == (0, 1)
    analysis = analyses.separation_analysis(stopped, "test")
    again: list[Run] = []

    def train_in_full(event: Event, lane: int) -> None:
        """While the worker is at the stopped run's first epoch."""
        if not again:
            again.append(store_run(tmp_path, EXPERIMENT, data_name="sample"))

    assert layer_maps.separation_job(analysis.params, JobContext(train_in_full))
    [complete] = again
    assert complete.run_id == stopped.run_id and complete.epochs == (0, 1, 2, 3)
    results, current = Results(configured_store()), analyses.separation_analysis(complete, "test")
    assert results.find(complete.run_id, current.name) is None
    assert layer_maps.separation_job(current.params, JobContext(lambda event, lane: None))
    result = results.find(complete.run_id, current.name)
    assert result and {row["epoch"] for row in result.facts["rows"]} == {0, 1, 2, 3}
