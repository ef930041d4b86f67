"""The forward pass in NumPy against Keras: every layer, every activation, in and outside training."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from typing import Any

import keras
import numpy as np
import pytest

from fmnist_core.data import dataset
from fmnist_core.experiment.activations import ACTIVATIONS
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.recording import Weights
from fmnist_core.learning import keras_network
from fmnist_core.network import forward

TOLERANCE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}  # float32 sums of 784 products, in another order


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.asarray(dataset.load("sample").train_images[:64])


def random_weights(model: keras.Model, seed: int = 0) -> Weights:
    """All weights, the moving statistics too, away from their start; variances stay positive."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, values in keras_network.weights(model).items():
        spread = 1.5 / np.sqrt(values.shape[0]) if name.endswith("kernel") else 0.5
        drawn = rng.normal(0, spread, values.shape)
        if name.endswith(("gamma", "moving_variance")):
            drawn = rng.uniform(0.3, 2, values.shape)
        found[name] = drawn.astype(np.float32)
    return found


def keras_layers(model: keras.Model, images: np.ndarray, training: bool) -> dict[str, np.ndarray]:
    """What Keras' own layers hand on, by name."""
    pixels = images.reshape(len(images), -1).astype(np.float32)
    whole = keras.Model(model.input, [layer.output for layer in model.layers])
    values = whole(pixels, training=training)
    return {layer.name: np.array(value) for layer, value in zip(model.layers, values, strict=True)}


def both(
    values: dict[str, Any], images: np.ndarray, training: bool = False
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Ours and Keras' layers for the same random weights."""
    experiment = Experiment.of({"widths": (24, 16)} | values)
    model = keras_network.build(experiment)
    weights = random_weights(model)
    keras_network.assign(model, weights)
    theirs = keras_layers(model, images, training)
    return dict(forward.layers(experiment, weights, images, training=training)), theirs


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_layer_is_keras_own(activation: str, batch_norm: bool, images: np.ndarray) -> None:
    ours, theirs = both({"activation": activation, "batch_norm": batch_norm}, images)
    assert set(ours) - set(theirs) == {"logits"}
    assert set(theirs) - set(ours) == {"pixels"}
    for name in set(ours) & set(theirs):
        assert ours[name].dtype == np.float32
        np.testing.assert_allclose(ours[name], theirs[name], **TOLERANCE, err_msg=name)


@pytest.mark.parametrize("activation", ["relu", "selu"])
def test_in_training_batch_normalisation_takes_the_batch_as_keras_does(activation: str, images: np.ndarray) -> None:
    ours, theirs = both({"activation": activation, "batch_norm": True}, images, training=True)
    for name in ("batch_norm_1", "batch_norm_2", "activation_2", "output"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-3, atol=1e-4, err_msg=name)
    outside, _ = both({"activation": activation, "batch_norm": True}, images)
    assert not np.allclose(ours["batch_norm_1"], outside["batch_norm_1"], atol=0.1)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_hold_far_from_zero(activation: str) -> None:
    sums = np.array([-1e4, -100, -20, -1, -1e-4, 0, 1e-4, 1, 20, 100, 1e4], np.float32)
    with np.errstate(all="raise", under="ignore"):
        ours = ACTIVATIONS[activation].function(sums)
    theirs = np.array(keras.activations.get(activation)(sums))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_logits_give_the_probabilities_and_big_ones_do_not_overflow(images: np.ndarray) -> None:
    experiment = Experiment(layers=0)
    weights = {"output/kernel": np.full((784, 10), 1e3, np.float32), "output/bias": np.zeros(10, np.float32)}
    weights["output/kernel"][:, 3] += 1
    found = dict(forward.layers(experiment, weights, images))
    assert np.allclose(found["output"].sum(axis=1), 1) and (found["output"].argmax(1) == 3).all()


# --- Dropout ----------------------------------------------------------------------------------------------------------


def dropped(rate: float, images: np.ndarray, seed: int = 0) -> dict[str, np.ndarray]:
    experiment = Experiment.of({"units": 512, "dropout": rate, "activation": "sigmoid"})
    weights = random_weights(keras_network.build(experiment))
    return dict(forward.layers(experiment, weights, images, np.random.default_rng(seed), training=True))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_zeroes_its_share_and_keeps_the_mean(rate: float, images: np.ndarray) -> None:
    found = dropped(rate, images)
    before, after = found["activation_1"], found["dropout_1"]
    off = after == 0  # a sigmoid is never 0 by itself
    assert off.mean() == pytest.approx(rate, abs=4 * np.sqrt(rate * (1 - rate) / off.size))
    np.testing.assert_allclose(after[~off], before[~off] / (1 - rate), rtol=1e-5)
    deviation = np.sqrt((before.astype(float) ** 2).sum() * rate / (1 - rate)) / before.size
    assert after.mean() == pytest.approx(before.mean(), abs=4 * deviation)


def test_each_layer_and_image_has_its_own_mask_and_the_generator_decides(images: np.ndarray) -> None:
    one, again, other = dropped(0.5, images), dropped(0.5, images), dropped(0.5, images, seed=1)
    off = one["dropout_1"] == 0
    assert np.array_equal(one["output"], again["output"]) and not np.array_equal(one["output"], other["output"])
    assert 0.4 < (off != (one["dropout_2"] == 0)).mean() < 0.6
    assert 0.4 < (off[0] != off[1]).mean() < 0.6


def test_the_mask_of_the_first_layer_can_be_drawn_alone(images: np.ndarray) -> None:
    found = dropped(0.3, images)
    assert np.array_equal(found["dropout_1"] != 0, forward.kept(np.random.default_rng(0), 0.3, (len(images), 512)))


def test_outside_training_nothing_is_dropped_and_in_training_a_generator_is_needed(images: np.ndarray) -> None:
    experiment = Experiment(units=16, dropout=0.5)
    weights = random_weights(keras_network.build(experiment))
    names = [layer.name for layer in forward.layers(experiment, weights, images, np.random.default_rng(0))]
    assert not any(name.startswith("dropout") for name in names)
    with pytest.raises(ValueError, match="generator"):
        forward.layers(experiment, weights, images, training=True)


# --- Many images, and what must not happen ----------------------------------------------------------------------------


def test_blocks_give_the_same_as_all_at_once(images: np.ndarray) -> None:
    experiment = Experiment(widths=(24, 16), batch_norm=True)
    weights = random_weights(keras_network.build(experiment))
    many = np.concatenate([images] * 20)[:1111]
    found = dict(forward.layers(experiment, weights, many))
    np.testing.assert_allclose(forward.probabilities(experiment, weights, many), found["output"], **TOLERANCE)
    np.testing.assert_allclose(forward.layer(experiment, weights, many, "hidden_2"), found["hidden_2"], **TOLERANCE)
    assert forward.probabilities(experiment, weights, many[:0]).shape == (0, 10)
    with pytest.raises(KeyError):
        forward.layer(experiment, weights, many, "hidden_3")


def test_ten_thousand_images_need_little_memory() -> None:
    experiment = Experiment(layers=6, units=512)
    weights = random_weights(keras_network.build(experiment))
    many = np.zeros((10_000, 28, 28), np.uint8)
    tracemalloc.start()
    forward.probabilities(experiment, weights, many)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6  # all layers at once would take 280 MB


def test_flat_and_square_images_are_the_same(images: np.ndarray) -> None:
    experiment = Experiment(units=8)
    weights = random_weights(keras_network.build(experiment))
    flat = forward.probabilities(experiment, weights, images.reshape(len(images), -1))
    assert np.array_equal(flat, forward.probabilities(experiment, weights, images))


def test_missing_weights_are_named(images: np.ndarray) -> None:
    experiment = Experiment(units=8)
    weights = random_weights(keras_network.build(experiment))
    del weights["hidden_2/bias"]
    with pytest.raises(forward.WeightsError, match="hidden_2/bias"):
        forward.probabilities(experiment, weights, images)


def test_it_loads_neither_tensorflow_nor_scipy() -> None:
    script = (
        "import sys, fmnist_core.network.forward; "
        "assert not {'tensorflow', 'keras', 'scipy', 'streamlit'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
