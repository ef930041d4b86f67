"""What is cached of a run: once for the same run, again after another training, one sentence after it was deleted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fmnist_core.data import dataset
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.findings.map_request import MapRequest
from fmnist_core.findings.run_tables import Trained
from fmnist_core.store.run import Run, RunGone
from fmnist_core.store.run_store import RunStore
from fmnist_core.ui.compare import batch_norm_explained, comparison_results, dropout_explained, l2_explained
from fmnist_core.ui.embeddings import mapped_images
from fmnist_core.ui.initialisation import compared_in_training
from fmnist_core.ui.inspect import inside_layers, one_image, run_at_epoch
from fmnist_core.ui.shared import histogram_view
from fmnist_core.ui.shared.per_run import per_run
from tests.support.stored_runs import store_run

EXPERIMENT = Experiment.of({"units": 16, "layers": 1, "epochs": 2, "dropout": 0.5, "l2": 0.001})
MAP = MapRequest("", points=200)
IMAGE = np.zeros((28, 28), np.uint8)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return store_run(tmp_path / "runs", EXPERIMENT, test_accuracy=0.8, test_loss=0.6)


def test_a_run_is_computed_once_and_again_after_another_training(run: Run, tmp_path: Path) -> None:
    calls = []

    @per_run(max_entries=5)
    def epochs_of(run: Run, more: int, _aside: object) -> int:
        calls.append(run.created)
        return len(run.epochs) + more

    assert epochs_of(run, 1, object()) == epochs_of(run, 1, object()) == 4 and len(calls) == 1
    assert epochs_of(run, 2, object()) == 5 and len(calls) == 2
    again = store_run(tmp_path / "runs", EXPERIMENT, test_accuracy=0.9, test_loss=0.5)
    assert again.run_id == run.run_id and again.created != run.created
    assert epochs_of(again, 1, object()) == 4 and len(calls) == 3
    with pytest.raises(RunGone, match="was trained again meanwhile"):
        epochs_of(run, 7, object())


def test_runs_in_a_list_are_checked_too(run: Run, tmp_path: Path) -> None:
    @per_run(max_entries=5)
    def epochs_of(*runs: tuple[str, Run]) -> list[int]:
        return [len(run.epochs) for _, run in runs]

    assert epochs_of(("a model", run)) == [3]
    store_run(tmp_path / "runs", EXPERIMENT, test_accuracy=0.9, test_loss=0.5)
    with pytest.raises(RunGone, match="was trained again meanwhile"):
        epochs_of(("another model", run))


USES: dict[str, Callable[[Run], Any]] = {
    "train, inspect: weights": lambda run: histogram_view.of_weights(run, "hidden_1/kernel"),
    "inspect: layers": lambda run: run_at_epoch.layer_states(run, 1),
    "inspect: layers over the epochs": run_at_epoch.over_epochs,
    "inspect: order of units": lambda run: inside_layers._order(run, "hidden_1/kernel"),
    "inspect: kernels over the epochs": lambda run: inside_layers._followed(run, "hidden_1/kernel"),
    "inspect: one image": lambda run: one_image._course(run, 3),
    "inspect: nearest images": lambda run: one_image._nearest(run, 1, "test 3", IMAGE),
    "compare: curves": lambda run: comparison_results._history([Trained("network", run)]),
    "compare: correct images": lambda run: comparison_results._correct(run, dataset.load()),
    "compare: dropout": lambda run: dropout_explained._least_sure(run, dataset.load()),
    "compare: masks": lambda run: dropout_explained._masks(run, dataset.load(), 5, 10),
    "compare: batch normalisation": lambda run: batch_norm_explained._sums(run, dataset.load()),
    "compare: l2": lambda run: l2_explained._kernels(run, None, 1),
    "embeddings: images": lambda run: mapped_images.shown(run, MAP, 1),
    "embeddings: components": lambda run: mapped_images.components(run, MAP, 1),
    "embeddings: neighbours": lambda run: mapped_images.neighbours_of(run, MAP, 1, 0, 3),
    "initialisation: layers": lambda run: compared_in_training._over(run, dataset.load()),
}


@pytest.mark.parametrize("use", USES.values(), ids=list(USES))
def test_a_run_that_was_just_deleted_is_one_sentence(use: Callable[[Run], Any], run: Run, tmp_path: Path) -> None:
    RunStore(tmp_path / "runs", 10**9).delete(run.run_id)
    with pytest.raises(
        RunGone,
        match=rf"^The stored run {run.run_id} was deleted by somebody on this server meanwhile; train it again\.$",
    ):
        use(run)


@pytest.mark.parametrize("name", [name for name in USES if name != "compare: batch normalisation"])
def test_the_same_uses_work_while_the_run_is_there(name: str, run: Run) -> None:
    assert USES[name](run) is not None
