"""A worker's analyses of a stored run that changes meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fmnist_core.engine import analyses
from fmnist_core.engine.analyses import Analysis
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.recording import Event, JobContext
from fmnist_core.findings.map_request import MapRequest
from fmnist_core.jobs import layer_maps
from fmnist_core.store.result_store import Results
from fmnist_core.store.run import RunError
from fmnist_core.store.run_store import configured_store
from tests.support.stored_runs import store_run

EXPERIMENT = Experiment(units=8, layers=1, epochs=3)


REQUEST = MapRequest(f"{EXPERIMENT.digest}-sample", epochs=(0, 1), points=100, perplexity=5.0)


@pytest.mark.parametrize("again", ["trained again", "deleted"])
@pytest.mark.parametrize("sort", ["map", "grid", "separation"])
def test_what_was_made_from_a_run_that_changes_meanwhile_is_not_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sort: str, again: str
) -> None:
    monkeypatch.setenv("FMNIST_RUNS", str(tmp_path))
    store = configured_store()
    stopped = store_run(store, EXPERIMENT, [0.5, 0.4], data_name="sample", stopped=True)
    asked: dict[str, Analysis[Any]] = {
        "map": analyses.map_analysis(REQUEST),
        "grid": analyses.grid_analysis(REQUEST, ["hidden_1", "output"]),
        "separation": analyses.separation_analysis(stopped, "test"),
    }
    analysis = asked[sort]
    job = {"map": layer_maps.map_job, "grid": layer_maps.grid_job, "separation": layer_maps.separation_job}[sort]
    changed: list[str] = []

    def change(event: Event, lane: int) -> None:
        """While the worker is at it."""
        if not changed:
            changed.append(again)
            store.delete(stopped.run_id)
            if again == "trained again":
                store_run(store, EXPERIMENT, data_name="sample")

    with pytest.raises(RunError):
        job(analysis.params, JobContext(change))
    results = Results(store)
    assert changed and results.find(stopped.run_id, analysis.name) is None
    if again == "trained again":
        assert job(analysis.params, JobContext(lambda event, lane: None))
        assert results.find(stopped.run_id, analysis.name)
