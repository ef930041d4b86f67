"""The theory of signals at initialisation: against the paper's formulas, exact integrals, and drawn networks."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

from fmnist_core.data import dataset
from fmnist_core.experiment.activations import ACTIVATIONS
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.initialisers import INITIALISERS
from fmnist_core.network import backward, theory

WIDE = 1000
SEEDS = 6


@pytest.fixture(scope="module")
def sample() -> dataset.Dataset:
    return dataset.load("sample")


def drawn(widths: tuple[int, ...], initialiser: str, seed: int) -> dict[str, np.ndarray]:
    """Weights of the right variance, uniform."""
    rng = np.random.default_rng(seed)
    fans = (784, *widths, 10)
    found = {}
    for place, (fan_in, units) in enumerate(itertools.pairwise(fans), start=1):
        name = f"hidden_{place}" if place <= len(widths) else "output"
        limit = math.sqrt(3 * theory.weight_variance(initialiser, fan_in, units))
        found[f"{name}/kernel"] = rng.uniform(-limit, limit, (fan_in, units)).astype(np.float32)
        found[f"{name}/bias"] = np.zeros(units, np.float32)
    return found


# --- Formulas ---------------------------------------------------------------------------------------------------------


def test_the_paper_and_its_successors_give_the_weights_these_variances() -> None:
    assert theory.weight_variance("standard_uniform", 1000, 1000) * 1000 == pytest.approx(1 / 3)  # eq. 15
    for kind in ("uniform", "normal"):
        assert theory.weight_variance(f"glorot_{kind}", 784, 512) == pytest.approx(2 / (784 + 512))  # eq. 12
        assert theory.weight_variance(f"he_{kind}", 784, 512) == pytest.approx(2 / 784)
        assert theory.weight_variance(f"lecun_{kind}", 784, 512) == pytest.approx(1 / 784)
    limit = math.sqrt(6 / (784 + 512))
    assert theory.weight_variance("glorot_uniform", 784, 512) == pytest.approx(limit**2 / 3)  # eq. 16
    assert theory.weight_variance("zeros", 5, 5) == 0


def test_every_initialiser_of_the_app_has_a_prediction() -> None:
    for name in INITIALISERS:
        layers = theory.predict((50, 40), "tanh", name, np.array([0.2, 0.3]))
        assert [layer.name for layer in layers] == ["hidden_1", "hidden_2", "output"]
        assert all(math.isfinite(value) for layer in layers for value in vars(layer).values() if value != layer.name)
    with pytest.raises(theory.TheoryError, match="'magic'"):
        theory.weight_variance("magic", 10, 10)
    with pytest.raises(theory.TheoryError, match="'lsuv'"):
        theory.weight_variance("lsuv", 10, 10)


def test_the_mean_singular_value_is_the_closed_form_where_there_is_one() -> None:
    for n_var in (1.0, 1 / 3):
        closed = 8 / (3 * math.pi) * math.sqrt(n_var)
        assert theory.mean_singular_value(1000, 1000, n_var / 1000) == pytest.approx(closed, rel=1e-4)
    assert 8 / (3 * math.pi) == pytest.approx(0.849, abs=5e-4)
    flat = theory.mean_singular_value(10, 100_000, 1 / 100_000)  # hardly any spread is left
    assert flat == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("shape", [(1000, 1000), (784, 1000), (500, 100)])
def test_the_mean_singular_value_is_that_of_a_drawn_matrix(shape: tuple[int, int]) -> None:
    for initialiser in ("glorot_uniform", "standard_uniform"):
        variance = theory.weight_variance(initialiser, *shape)
        limit = math.sqrt(3 * variance)
        matrix = np.random.default_rng(1).uniform(-limit, limit, shape)
        found = np.sqrt(np.linalg.eigvalsh(matrix.T @ matrix)[-min(shape) :].clip(0)).mean()
        assert found == pytest.approx(theory.mean_singular_value(*shape, variance), rel=0.01)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("variance", [1e-6, 0.3, 4.0, 400.0])
def test_means_over_the_normal_distribution_are_those_of_quadrature(activation: str, variance: float) -> None:
    def mean(function: Any) -> float:
        halves = [
            integrate.quad(
                lambda t: function(np.array([math.sqrt(variance) * t]))[0] * stats.norm.pdf(t), *part, limit=200
            )
            for part in ((-12, 0), (0, 12))
        ]
        return float(halves[0][0] + halves[1][0])

    def value(s: np.ndarray) -> np.ndarray:
        return ACTIVATIONS[activation].function(s)

    first, second = theory._moments(activation, np.array([variance]))
    slope = theory._slope(activation, np.array([variance]))
    scale = math.sqrt(mean(lambda s: value(s) ** 2))
    assert first[0] == pytest.approx(mean(value), rel=1e-4, abs=1e-5 * scale)
    assert second[0] == pytest.approx(scale**2, rel=1e-4)
    assert slope[0] == pytest.approx(mean(lambda s: ACTIVATIONS[activation].derivative(s, value(s)) ** 2), rel=1e-3)


def test_linear_layers_follow_the_papers_products() -> None:
    """Equations 5, 6, 13 and 14, from their printed form."""
    widths, moments = (300, 200, 200, 100), np.array([0.2, 0.3, 0.25])
    fans = (784, *widths, 10)
    layers = theory.predict(widths, "linear", "glorot_uniform", moments)
    factors = [fans[i] * layers[i].weight_variance for i in range(5)]  # n_i' Var[W^i']
    backs = [fans[i + 1] * layers[i].weight_variance for i in range(5)]  # n_{i'+1} Var[W^i']
    for place in range(4):
        assert layers[place].activation_variance == pytest.approx(
            moments.mean() * math.prod(factors[: place + 1]), rel=1e-4
        )
        expected = layers[-1].gradient_variance * math.prod(backs[place + 1 :])
        assert layers[place].gradient_variance == pytest.approx(expected, rel=1e-2)
    square = theory.predict((784,) * 6, "linear", "standard_uniform", np.array([0.25]))
    gradients = [layer.gradient_variance for layer in square[:-1]]
    assert np.allclose(np.divide(gradients[:-1], gradients[1:]), 1 / 3)  # eq. 13


def test_relu_halves_both_ways_and_he_makes_up_for_it() -> None:
    layers = theory.predict((500,) * 8, "relu", "he_normal", np.array([0.25]))
    sums = [layer.sum_variance for layer in layers[:-1]]
    assert np.allclose(sums, sums[0], rtol=1e-4)
    back = [layer.gradient_variance for layer in layers[:-1]]
    assert np.allclose(back, back[0], rtol=1e-4)
    for layer in layers[:-1]:  # E[relu(s)] = sqrt(q / 2 pi)
        assert layer.activation_mean == pytest.approx(math.sqrt(layer.sum_variance / (2 * math.pi)), rel=1e-4)


def test_gain_and_lsuv_scale_the_sums() -> None:
    plain, louder = (theory.predict((50,), "tanh", "lecun_normal", np.array([0.25]), gain) for gain in (1, 3))
    assert louder[0].sum_variance == pytest.approx(9 * plain[0].sum_variance)
    lsuv = theory.predict((100, 50, 20), "relu", "lsuv", np.array([0.1, 0.4]))
    assert [layer.sum_variance for layer in lsuv] == pytest.approx([1, 1, 1, 1])


def test_exploding_is_a_result_and_zeros_stay_zero() -> None:
    layers = theory.predict((100,) * 20, "linear", "he_uniform", np.array([0.25]), gain=1e20)
    assert not math.isfinite(layers[-2].activation_variance)
    zeros = theory.predict((100, 100), "tanh", "zeros", np.array([0.25]))
    assert zeros[1].activation_variance == 0 and zeros[0].gradient_variance == 0
    assert zeros[-1].gradient_variance == pytest.approx(0.09)  # p = 1/10 for all


# --- Drawn networks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("initialiser", ["standard_uniform", "glorot_uniform"])
@pytest.mark.parametrize("activation", ["linear", "tanh", "relu"])
def test_drawn_networks_vary_about_the_theory(activation: Any, initialiser: str, sample: dataset.Dataset) -> None:
    """Mean over seeds within 4 standard errors, the errors estimated from the seeds' own spread, and 2 % of theory."""
    widths = (400,) * 4
    images, labels = sample.train_images[:200], sample.train_labels[:200]
    expected = theory.predict(widths, activation, initialiser, theory.second_moments(images))
    e = Experiment(widths=widths, activation=activation)
    found = [backward.signals(e, drawn(widths, initialiser, seed), images, labels) for seed in range(SEEDS)]
    for place in range(4):
        for measured, predicted in (
            ([f[place].activations.var() for f in found], expected[place].activation_variance),
            ([f[place].sums.var() for f in found], expected[place].sum_variance),
            ([f[place].gradient.var() for f in found], expected[place].gradient_variance),
        ):
            error = float(np.std(measured, ddof=1)) / math.sqrt(SEEDS)
            assert np.mean(measured) == pytest.approx(predicted, abs=4 * error + 0.02 * predicted), (place, predicted)
            assert error < 0.1 * predicted  # else the line above would let anything pass


def test_it_loads_neither_tensorflow_nor_scipy() -> None:
    script = (
        "import sys, fmnist_core.network.theory, fmnist_core.network.diagnostics;"
        "assert not {'tensorflow', 'keras', 'scipy', 'streamlit'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
