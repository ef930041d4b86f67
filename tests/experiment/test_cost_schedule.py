"""Cost and schedules against closed formulas; the learning tests hold both against Keras."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from fmnist_core.errors import LabError
from fmnist_core.experiment.cost import USABLE, check_budget, check_memory, cost, kept_epochs, training_memory
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.presets import PRESETS
from fmnist_core.experiment.schedule import learning_rates
from fmnist_core.experiment.study import STUDIES
from fmnist_core.experiment.table1_plan import ACTIVATIONS, RATES, Row, plan
from fmnist_core.jobs.table1_trainings import AT_A_TIME
from fmnist_core.settings import LEAST_MEMORY, settings


def test_base_network_has_the_notebooks_parameters() -> None:
    found = cost(PRESETS["base"].experiment, 54_000)
    assert found.parameters == 669_706
    assert found.steps_per_epoch == 422
    # 173 GFLOP an epoch: 6 a weight and example, less the first layer's input gradient.
    assert found.flops == pytest.approx(20 * 54_000 * (6 * 668_672 - 2 * 784 * 512))


def test_no_hidden_layer_is_softmax_regression() -> None:
    assert cost(Experiment(layers=0), 100).parameters == 7_850


def test_kept_epochs_have_first_and_last() -> None:
    assert kept_epochs(30) == tuple(range(31))
    for epochs in (1, 31, 47, 200):
        kept = kept_epochs(epochs)
        assert (kept[0], kept[-1]) == (0, epochs)
        assert len(kept) <= 31


def test_budget_is_enforced_with_one_sentence() -> None:
    check_budget(Experiment(), 54_000, settings().compute_budget)
    with pytest.raises(LabError, match="FMNIST_COMPUTE_BUDGET"):
        check_budget(Experiment(layers=20, units=2048, epochs=200), 54_000, settings().compute_budget)


def test_what_the_app_offers_fits_into_a_worker_of_the_default_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FMNIST_WORKER_MEMORY", raising=False)
    limit = settings().worker_memory
    for preset in PRESETS.values():
        check_memory(preset.experiment, limit, together=2)  # in a race
    for study in STUDIES.values():
        for variant in study.variants():
            check_memory(variant.experiment, limit)
    for name, activation in product(("quick", "full"), ACTIVATIONS):
        row = Row(activation, "glorot_uniform")
        check_memory(plan(name).experiment(row, RATES[0], 0, 54_000), limit, AT_A_TIME)


def test_the_least_memory_of_a_worker_is_what_the_smallest_training_needs() -> None:
    """A setting that is accepted and then refuses everything would be a trap."""
    smallest = Experiment(layers=0, optimiser="sgd", batch_size=1)
    check_memory(smallest, LEAST_MEMORY)
    check_memory(PRESETS["base"].experiment, LEAST_MEMORY)
    assert training_memory(smallest) > 0.9 * USABLE * LEAST_MEMORY
    with pytest.raises(LabError, match=r"need about 0\.96 GB of memory, but a worker can use 0\.95 of its 1\.00 GB;"):
        check_memory(Experiment(layers=4, units=512), LEAST_MEMORY)
    with pytest.raises(LabError, match=r"about 0\.96 GB of memory, but this machine has 0\.90 GB; choose [^()]*\.$"):
        check_memory(Experiment(layers=4, units=512), 900_000_000, in_worker=False)


def test_schedules_follow_their_formulas() -> None:
    rates = learning_rates(PRESETS["lr-schedule"].experiment, 422)
    assert rates.shape == (20 * 422,)
    assert rates[99] == np.float32(0.01)
    assert rates[100] == pytest.approx(0.0096)
    cosine = learning_rates(Experiment(schedule="cosine", epochs=2, warmup_steps=10), 100)
    assert cosine[:10] == pytest.approx(0.001 * np.arange(1, 11) / 10)
    assert cosine[10] == np.float32(0.001)
    assert 0 < cosine[-1] < 1e-7
    inverse = learning_rates(Experiment(schedule="inverse_time", decay_rate=0.5, decay_steps=10, epochs=1), 21)
    assert inverse[[0, 10, 20]] == pytest.approx(0.001 / np.array([1, 1.5, 2]))
