"""The facts in the tables of activations, optimisers and initialisers: against Keras, limits, difference quotients."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest

from fmnist_core.experiment.activations import ACTIVATIONS
from fmnist_core.experiment.hyperparameters import FIELDS, Experiment, ExperimentError
from fmnist_core.experiment.initialisers import INITIALISERS
from fmnist_core.experiment.optimisers import OPTIMISERS
from fmnist_core.network.diagnostics import NEAR, saturated

SUMS = np.linspace(-12, 12, 2401)  # 0 among them


def test_the_choices_are_the_tables() -> None:
    for field, table in (("activation", ACTIVATIONS), ("optimiser", OPTIMISERS), ("initialiser", INITIALISERS)):
        assert FIELDS[field].choices == tuple(table) and all(name == row.name for name, row in table.items())
        assert FIELDS[field].default in table and len({row.label for row in table.values()}) == len(table)
        for name in table:
            assert getattr(Experiment.of({field: name}), field) == name
        with pytest.raises(ExperimentError, match=rf"\({field}\) is 'magic', but it must be one of .*{name}"):
            Experiment.of({field: "magic"})


# --- Activations ------------------------------------------------------------------------------------------------------


def values(name: str, sums: np.ndarray) -> np.ndarray:
    """In double precision, where only the constants are single."""
    return np.asarray(ACTIVATIONS[name].function(sums))


def slopes(name: str, sums: np.ndarray) -> np.ndarray:
    return np.asarray(ACTIVATIONS[name].derivative(sums, values(name, sums)))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_keras_own_and_its_derivative_the_difference_quotient(name: str) -> None:
    sums = SUMS.astype(np.float32)
    ours = ACTIVATIONS[name].function(sums)
    assert ours.dtype == ACTIVATIONS[name].derivative(sums, ours).dtype == np.float32
    np.testing.assert_allclose(ours, np.array(keras.activations.get(name)(sums)), rtol=1e-5, atol=1e-6)
    smooth, step = SUMS[SUMS != 0], 1e-5
    quotient = (values(name, smooth + step) - values(name, smooth - step)) / (2 * step)
    np.testing.assert_allclose(slopes(name, smooth), quotient, atol=2e-6)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activations_limits_and_symmetry_are_what_its_row_says(name: str) -> None:
    row, far = ACTIVATIONS[name], np.array([-1e7, 1e7])
    for limit, value in zip(row.limits, values(name, far), strict=True):
        assert (
            value == pytest.approx(limit, abs=1e-6) if math.isfinite(limit) else value / limit > 0 or abs(value) > 1e6
        )
    assert row.odd == np.allclose(values(name, -SUMS), -values(name, SUMS))
    assert row.monotonic == (np.diff(values(name, SUMS)) >= 0).all()
    left, right = slopes(name, np.array([-1e-9, 1e-9]))
    if row.slope_at_zero is None:
        assert abs(right - left) > 0.1
    else:
        assert [left, right] == pytest.approx([row.slope_at_zero] * 2, abs=1e-6)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_who_can_die_saturate_or_fade_shows_in_the_slopes(name: str) -> None:
    row, negative = ACTIVATIONS[name], SUMS[SUMS < -0.5]
    assert row.can_die == (slopes(name, negative) == 0).all()
    flat = np.abs(slopes(name, np.array([-100.0, 100.0]))) < 1e-3
    assert bool(flat.any()) == (row.can_die or row.can_saturate or row.fades)
    wide = 3 * SUMS  # softsign comes near its limits from 19 on
    near = saturated(name, values(name, wide))
    assert bool(near.any()) == row.can_saturate
    if row.can_saturate:
        assert slopes(name, wide[near]).max() <= slopes(name, wide[~near]).max() / 5
        assert all(min(abs(limit - value) for limit in row.asymptotes) < NEAR for value in values(name, wide[near]))


def test_which_activations_do_what() -> None:
    """As the literature says: only ReLU dies; ELU and SELU saturate below, GELU, SiLU and mish fade there."""
    assert [name for name, row in ACTIVATIONS.items() if row.can_die] == ["relu"]
    assert {name for name, row in ACTIVATIONS.items() if row.can_saturate} == {
        "tanh", "sigmoid", "softsign", "elu", "selu",
    }  # fmt: skip
    assert {name for name, row in ACTIVATIONS.items() if row.fades} == {"gelu", "silu", "mish"}
    assert {name for name, row in ACTIVATIONS.items() if row.bounded} == {"tanh", "sigmoid", "softsign"}
    assert not any(ACTIVATIONS[name].rectifies for name in ("tanh", "sigmoid", "softsign", "linear"))
    assert ACTIVATIONS["selu"].asymptotes == pytest.approx((-1.7581,), abs=1e-4)  # Klambauer et al. (2017)
    assert all(row.initialiser in INITIALISERS for row in ACTIVATIONS.values())


# --- Optimisers and initialisers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMISERS)
def test_an_optimiser_keeps_as_many_numbers_for_each_weight_as_its_row_says(name: str) -> None:
    row = OPTIMISERS[name]
    optimiser = getattr(keras.optimizers, row.keras)(0.1, **({"momentum": 0.9} if "momentum" in row.settings else {}))
    optimiser.build([keras.Variable(np.zeros((3, 5)))])
    assert sum(variable.shape == (3, 5) for variable in optimiser.variables) == row.slots


@pytest.mark.parametrize("name", INITIALISERS)
def test_an_initialiser_draws_the_variance_that_its_row_says(name: str) -> None:
    row = INITIALISERS[name]
    make = getattr(keras.initializers, row.keras)
    kernel = np.array((make(seed=1, **row.arguments(300, 0.07)) if row.arguments else make())((300, 500)))
    if row.variance is not None:
        assert kernel.var() == pytest.approx(row.variance(300, 500, 0.07), rel=0.03)
    singular = np.linalg.svd(kernel, compute_uv=False)
    assert row.orthogonal == np.allclose(singular, singular[0]) or name == "zeros"
