"""Health flags: each sign is found where it was put, alone, with its layer, its number and a change that is one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.recording import EpochRecord
from fmnist_core.findings import health
from fmnist_core.findings.health import LayerState

WELL = tuple(LayerState(f"hidden_{i}", dead=0.02, saturated=0.05, gradient_std=0.01, images=500) for i in (1, 2, 3))
LEARNT = ((2.35, 2.34, 0.10), (0.55, 0.45, 0.84), (0.40, 0.40, 0.86), (0.35, 0.38, 0.87))


def records(*measures: tuple[float, float, float]) -> list[EpochRecord]:
    """measures: (loss, val_loss, val_accuracy) of epochs 0, 1, ..."""
    return [
        EpochRecord(epoch, loss, accuracy, val_loss, accuracy, 0.001, 1.0, 10.0, 1.0)
        for epoch, (loss, val_loss, accuracy) in enumerate(measures)
    ]


def found(
    changes: dict[str, Any] | None = None,
    measures: tuple[tuple[float, float, float], ...] = LEARNT,
    layers: tuple[LayerState, ...] = WELL,
) -> list[health.Flag]:
    return health.flags(Experiment.of({"layers": 3} | (changes or {})), records(*measures), layers, 600)


def only(flags: list[health.Flag]) -> health.Flag:
    assert len(flags) == 1, [flag.title for flag in flags]
    return flags[0]


def state(number: int, **values: Any) -> tuple[LayerState, ...]:
    """All well but for one layer."""
    return tuple(layer._replace(**values) if layer.layer == f"hidden_{number}" else layer for layer in WELL)


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_a_network_that_learns_raises_no_flag(activation: str) -> None:
    assert found({"activation": activation}) == []
    quiet = health.all_well(Experiment.of({"activation": activation}), records(*LEARNT), WELL)
    assert quiet.startswith("No sign of trouble: ") and "0.350" in quiet and "0.380" in quiet
    assert ("2.0 %" in quiet) is (activation == "relu") and ("5.0 %" in quiet) is (activation == "tanh")


def test_the_untrained_network_is_judged_by_its_layers_alone() -> None:
    assert found(measures=LEARNT[:1]) == []
    assert "before training" in health.all_well(Experiment(), records(LEARNT[0]), WELL)


def test_dead_units_are_named_with_layer_and_share() -> None:
    flag = only(found(layers=state(2, dead=0.4)))
    assert (flag.title, flag.layer) == ("Dead units", "hidden_2")
    assert "hidden layer 2, 40.0 % of the units output 0 for all 500 images measured" in flag.text
    assert flag.experiment is not None and flag.experiment.activation == "leaky_relu"
    assert found({"activation": "tanh"}, layers=state(2, dead=0.4)) == []  # tanh cannot die


def test_the_quiet_sentence_gives_the_digit_that_the_table_gives() -> None:
    assert "at most 12.5 % of a layer's units" in health.all_well(Experiment(), records(*LEARNT), state(2, dead=0.125))


def test_saturated_units_are_named_with_layer_and_share() -> None:
    flag = only(found({"activation": "tanh"}, layers=state(3, saturated=0.7)))
    assert flag.layer == "hidden_3" and "70.0 %" in flag.text
    assert flag.experiment is not None and flag.experiment.batch_norm
    assert found(layers=state(3, saturated=0.7)) == []


@pytest.mark.parametrize(("factor", "title"), [(0.01, "Vanishing gradients"), (100, "Exploding gradients")])
def test_gradients_are_compared_between_first_and_last_layer(factor: float, title: str) -> None:
    changes = {"activation": "tanh", "initialiser": "standard_uniform"}
    flag = only(found(changes, layers=state(1, gradient_std=0.01 * factor)))
    assert (flag.title, flag.layer) == (title, "hidden_1")
    assert f"{factor:g} times" in flag.text
    assert flag.experiment is not None and flag.experiment.initialiser == "glorot_uniform"


def test_relu_gets_he() -> None:
    flag = only(found(layers=state(1, gradient_std=0.0001)))
    assert flag.experiment is not None and flag.experiment.initialiser == "he_normal"


def test_a_loss_that_stays_at_a_blind_guess_is_not_moving() -> None:
    stuck = ((2.31, 2.31, 0.10), *[(2.303, 2.304, 0.11)] * 4)
    flag = only(found({"activation": "sigmoid", "optimiser": "sgd"}, stuck))
    assert flag.title == "The loss is not falling"
    assert "2.310 to 2.304" in flag.text and "2.303)" in flag.text and "11.0 %" in flag.text
    assert flag.experiment is not None and flag.experiment.activation == "tanh"


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_smoothed_labels_leave_less_room_to_fall(smoothing: float) -> None:
    """The least loss is that of the targets themselves."""
    targets = np.full(10, smoothing / 10)
    targets[0] += 1 - smoothing
    least, start = float(entropy(targets)), math.log(10)
    moved, stuck = (start - fraction * (start - least) for fraction in (0.5, 0.01))
    for end, titles in ((moved, []), (stuck, ["The loss is not falling"])):
        flags = found({"label_smoothing": smoothing}, ((start, start, 0.1), (end, end, 0.87)))
        assert [flag.title for flag in flags if flag.title == "The loss is not falling"] == titles


def test_a_loss_that_hardly_fell_is_not_moving_though_it_is_better_than_guessing() -> None:
    slow = ((2.31, 2.31, 0.10), *[(2.29, 2.29, 0.25)] * 4)
    flag = only(found({"learning_rate": 1e-6, "optimiser": "sgd"}, slow))
    assert flag.title == "The loss is not falling" and "guessing" not in flag.text
    assert flag.experiment is not None and flag.experiment.learning_rate == 1e-5


def test_an_accuracy_of_guessing_is_found_under_a_large_penalty_that_falls() -> None:
    assert only(found({"l2": 0.1}, ((20, 20, 0.1), (2.4, 2.4, 0.1)))).title == "The loss is not falling"


def test_a_loss_that_is_no_number_is_the_only_flag() -> None:
    flag = only(found({"learning_rate": 0.5}, (LEARNT[0], (math.nan, math.nan, 0.1)), state(2, dead=1.0)))
    assert flag.title == "Diverged" and "epoch 1" in flag.text
    assert flag.experiment is not None and flag.experiment.learning_rate == 0.05


def test_the_first_layer_without_numbers_is_named() -> None:
    assert "hidden layer 2" in only(found(layers=state(2, finite=False, gradient_std=math.nan))).text


def test_overfitting_gives_both_losses_and_a_next_step() -> None:
    rising = (*LEARNT, (0.2, 0.385, 0.87), (0.1, 0.5, 0.87))
    flag = only(found(measures=rising))
    assert flag.title == "Overfitting" and "0.380 after epoch 3 to 0.500 after epoch 5" in flag.text
    assert flag.experiment is not None and flag.experiment.dropout == 0.3
    patient = only(found({"dropout": 0.2}, rising)).experiment
    assert patient is not None and patient.patience == 3
    assert found(measures=rising[:5]) == []  # the epoch before, still level


def test_underfitting_is_told_from_too_early_to_say() -> None:
    weak = (LEARNT[0], *[(1.2, 1.2, 0.6)] * 6)
    flag = only(found({"l2": 0.05}, weak))
    assert flag.title == "Underfitting" and "60.0 %" in flag.text
    assert flag.experiment is not None and flag.experiment.l2 == 0
    assert found({"l2": 0.05}, weak[:3]) == []


numbers = st.floats(0, 1) | st.just(math.nan)
losses = st.floats(0, 1e6) | st.just(math.nan) | st.just(math.inf)


@given(
    st.lists(
        st.builds(LayerState, st.sampled_from(["hidden_1", "hidden_2"]), numbers, numbers, losses, st.integers(1, 500)),
        max_size=4,
    ),
    st.lists(st.tuples(losses, losses, st.floats(0, 1)), min_size=1, max_size=6),
    st.sampled_from(["relu", "tanh", "sigmoid", "softsign", "linear"]),
    st.sampled_from(["glorot_uniform", "he_normal", "zeros"]),
    st.floats(1e-6, 10),
)
def test_any_measures_give_sentences_and_experiments_that_differ(
    layers: list[LayerState], measures: list[tuple[float, float, float]], activation: str, start: str, rate: float
) -> None:
    experiment = Experiment.of({"activation": activation, "initialiser": start, "learning_rate": rate})
    for flag in health.flags(experiment, records(*measures), layers, 600):
        assert flag.text.endswith(".")
        assert flag.experiment is None or flag.experiment.digest != experiment.digest
        assert bool(flag.suggestion) is (flag.experiment is not None)
    assert health.all_well(experiment, records(*measures), layers).endswith(".")


@pytest.mark.parametrize(("activation", "flagged"), [("elu", True), ("selu", True), ("gelu", False), ("mish", False)])
def test_saturation_is_flagged_where_values_show_it(activation: str, flagged: bool) -> None:
    flags = found({"activation": activation}, layers=state(3, saturated=0.7))
    assert [flag.title for flag in flags] == ["Saturated units"] * flagged


@pytest.mark.parametrize(
    ("batch_size", "images", "words", "remedy"),
    [
        (1, 2700, "in batches of one image: there", 32),
        (53, 54, "With 54 training images, the last batch of 53 has one image only", 32),
        (128, 128 * 421 + 1, "the last batch of 128", 33),
        (64, 65, "the last batch of 64", 33),
        (7, 7 * 32 + 1, "the last batch of 7", 33),  # 225 images: the last batch of 32 would have one, too
    ],
)
def test_batch_normalisation_has_nothing_to_standardise_in_batches_of_one(
    batch_size: int, images: int, words: str, remedy: int
) -> None:
    experiment = Experiment(layers=3, batch_norm=True, batch_size=batch_size)
    flags = health.flags(experiment, records(*LEARNT), WELL, 600, images)
    assert words in only(flags).text and flags[0].experiment is not None
    assert flags[0].experiment.batch_size == remedy
    for other in ({"batch_norm": False}, {"layers": 0}):
        assert not health.batches_of_one(experiment.changed(**other), images)
    assert not health.batches_of_one(experiment.changed(batch_size=100), 5400)


def test_batches_of_one_are_the_sign_and_overfitting_is_not() -> None:
    worse = (*LEARNT, (0.2, 0.9, 0.87), (0.1, 1.5, 0.86))
    assert [flag.title for flag in found({"batch_norm": True}, worse)] == ["Overfitting"]
    for batch_size, images in ((1, 2700), (53, 54)):
        experiment = Experiment(layers=3, batch_norm=True, batch_size=batch_size)
        flag = only(health.flags(experiment, records(*worse), WELL, 600, images))
        assert flag.title == "Batches of one image" and flag.experiment and flag.experiment.batch_size == 32
    rare = health.flags(Experiment(layers=3, batch_norm=True, batch_size=53), records(*worse), WELL, 600, 53_001)
    assert [flag.title for flag in rare] == ["Batches of one image", "Overfitting"]
