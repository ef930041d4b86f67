"""The backward pass and the measures of layers: against Keras, finite differences, NumPy's SVD, the paper's numbers."""

from __future__ import annotations

import json
import math
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from fmnist_core.data import dataset
from fmnist_core.errors import LabError
from fmnist_core.experiment.activations import ACTIVATIONS
from fmnist_core.experiment.analysis_facts import InitialFacts
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.recording import Weights, to_json_types
from fmnist_core.learning import initial_measures, initial_weights, keras_network
from fmnist_core.network import backward, diagnostics, forward

COUNT = 48


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    sample = dataset.load("sample")
    return np.asarray(sample.train_images[:300]), np.asarray(sample.train_labels[:300])


def random_weights(e: Experiment, seed: int = 0) -> Weights:
    """All weights away from their start; variances and scales stay positive."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, values in keras_network.weights(keras_network.build(e)).items():
        drawn = rng.normal(0, 1.2 / np.sqrt(values.shape[0]) if name.endswith("kernel") else 0.3, values.shape)
        if name.endswith(("gamma", "moving_variance")):
            drawn = rng.uniform(0.5, 2, values.shape)
        found[name] = drawn.astype(np.float32)
    return found


def keras_gradients(
    e: Experiment, weights: Weights, images: np.ndarray, labels: np.ndarray, training: bool
) -> dict[str, np.ndarray]:
    """dCost/dW and dCost/db of the mean cost, by Keras."""
    model = keras_network.build(e)
    keras_network.assign(model, weights)
    pixels = tf.constant(images.reshape(len(images), -1), tf.float32)
    with tf.GradientTape() as tape:
        probabilities, smoothing = model(pixels, training=training), e.label_smoothing
        if smoothing:
            cost = keras.losses.categorical_crossentropy(np.eye(10)[labels], probabilities, label_smoothing=smoothing)
        else:
            cost = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
        mean = tf.reduce_mean(cost)
    variables = model.trainable_variables
    return {v.path: np.array(g) for v, g in zip(variables, tape.gradient(mean, variables), strict=True)}


def costs(e: Experiment, weights: Weights, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    probabilities = forward.probabilities(e, weights, images)
    return np.asarray(-np.log(probabilities[np.arange(len(labels)), labels]))


# --- Backward ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("activation", "smoothing"), [*((name, 0.0) for name in ACTIVATIONS), ("relu", 0.1), ("tanh", 0.9)]
)
@pytest.mark.parametrize("norm", ["none", "stored", "batch"])
def test_gradients_are_keras_own(
    activation: Any, smoothing: float, norm: str, data: tuple[np.ndarray, np.ndarray]
) -> None:
    images, labels = data[0][:COUNT], data[1][:COUNT]
    e = Experiment(widths=(24, 16), activation=activation, batch_norm=norm != "none", label_smoothing=smoothing)
    weights = random_weights(e)
    theirs = keras_gradients(e, weights, images, labels, training=norm == "batch")
    layers = backward.signals(e, weights, images, labels, training=norm == "batch")
    assert [layer.name for layer in layers] == ["hidden_1", "hidden_2", "output"]
    for layer in layers:
        assert all(values.dtype == np.float32 for values in layer[1:])
        np.testing.assert_allclose(
            layer.weight_gradient, theirs[f"{layer.name}/kernel"], rtol=2e-3, atol=2e-5, err_msg=layer.name
        )
        np.testing.assert_allclose(layer.gradient.mean(axis=0), theirs[f"{layer.name}/bias"], rtol=2e-3, atol=2e-5)
        np.testing.assert_allclose(layer.gradient.mean(axis=0), theirs[f"{layer.name}/bias"], rtol=2e-3, atol=2e-5)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_slopes_are_keras_own_far_from_zero(activation: Any) -> None:
    sums = np.array([-1e3, -60, -12, -1.5, -0.3, -1e-3, 1e-3, 0.3, 1.5, 12, 60, 1e3], np.float32)
    variable = tf.constant(sums)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        values = keras.activations.get(activation)(variable)
    row = ACTIVATIONS[activation]
    ours = row.derivative(sums, row.function(sums))
    np.testing.assert_allclose(ours, np.array(tape.gradient(values, variable)), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_each_images_gradient_is_the_difference_quotient_of_its_own_cost(
    batch_norm: bool, data: tuple[np.ndarray, np.ndarray]
) -> None:
    """dCost/ds of a unit: a change of its bias changes s of every image by as much, and each image's own cost."""
    images, labels = data[0][:COUNT], data[1][:COUNT]
    e = Experiment(widths=(20, 16), activation="tanh", batch_norm=batch_norm)
    weights = random_weights(e)
    layers = {layer.name: layer for layer in backward.signals(e, weights, images, labels)}
    step = 1e-2
    for name, unit in (("hidden_1", 0), ("hidden_1", 13), ("hidden_2", 5), ("output", 3)):
        found = []
        for sign in (1, -1):
            bias = weights[f"{name}/bias"].copy()
            bias[unit] += sign * step
            found.append(costs(e, weights | {f"{name}/bias": bias}, images, labels))
        quotient = (found[0] - found[1]) / (2 * step)
        np.testing.assert_allclose(layers[name].gradient[:, unit], quotient, rtol=0.01, atol=3e-4)


def test_sums_and_activations_are_those_of_the_forward_pass(data: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = data[0][:COUNT], data[1][:COUNT]
    e = Experiment(widths=(20, 16), activation="elu", batch_norm=True, dropout=0.5)
    weights = random_weights(e)
    whole = dict(forward.layers(e, weights, images))
    layers = backward.signals(e, weights, images, labels)
    assert np.array_equal(layers[1].sums, whole["hidden_2"])
    assert np.array_equal(layers[1].activations, whole["activation_2"])
    assert np.array_equal(layers[2].sums, whole["logits"]) and np.array_equal(layers[2].activations, whole["output"])
    assert len(backward.signals(e, weights, images, labels, training=True)) == 3  # nothing is dropped
    flat = backward.signals(e, weights, images.reshape(COUNT, -1), labels)
    assert np.array_equal(flat[0].gradient, layers[0].gradient)


# --- Measures ---------------------------------------------------------------------------------------------------------


def looked_at(
    e: Experiment, images: np.ndarray, labels: np.ndarray, weights: Weights | None = None
) -> diagnostics.Network:
    weights = initial_weights.initial_weights(e, images.reshape(len(images), -1)) if weights is None else weights
    return diagnostics.Network(e.activation, weights, backward.signals(e, weights, images, labels))


@pytest.mark.parametrize("shape", [(40, 40), (60, 40), (30, 50)])
def test_singular_values_are_those_of_svd(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    for size in (1.0, 1e-25, 1e12):
        kernel = (rng.normal(size=shape) * size).astype(np.float32)
        slopes = rng.uniform(0.2, 1, shape[1]).astype(np.float32)
        jacobian = np.diag(slopes.astype(float)) @ kernel.T.astype(float)
        ours = diagnostics.singular_values(kernel, slopes)
        theirs = np.linalg.svd(jacobian, compute_uv=False)[::-1]
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3 * theirs.max())
    assert not diagnostics.singular_values(kernel * 0, slopes).any()
    assert diagnostics.singular_values(kernel * np.float32(np.nan), slopes).size == 0


def test_the_jacobian_is_that_of_keras_layers(data: tuple[np.ndarray, np.ndarray]) -> None:
    """dz'/dz by TensorFlow, of the image that stands for all."""
    e = Experiment(widths=(30, 24), activation="tanh")
    images, labels = data[0][:1], data[1][:1]
    found = looked_at(e, images, labels)
    (layers,) = diagnostics.diagnose([found])
    z = tf.constant(found.signals[0].activations)
    with tf.GradientTape() as tape:
        tape.watch(z)
        after = tf.tanh(z @ found.weights["hidden_2/kernel"])
    jacobian = np.array(tape.jacobian(after, z)).reshape(24, 30)
    assert layers[1].singular_value is not None
    assert layers[1].singular_value.mean == pytest.approx(np.linalg.svd(jacobian, compute_uv=False).mean(), rel=1e-4)
    assert layers[2].singular_value is None


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_one_typical_image_stands_for_all(activation: Any, data: tuple[np.ndarray, np.ndarray]) -> None:
    e = Experiment(layers=2, units=100, activation=activation)
    found = looked_at(e, *data)
    ((one, *_), (few, *_)) = (diagnostics.diagnose([found], count)[0] for count in (1, 60))
    assert one.singular_value is not None and few.singular_value is not None
    assert one.singular_value.mean == pytest.approx(few.singular_value.mean, rel=0.015)


def test_spreads_are_numpys(data: tuple[np.ndarray, np.ndarray]) -> None:
    e = Experiment(widths=(64, 32), activation="tanh")
    found = looked_at(e, *data)
    (layers,) = diagnostics.diagnose([found])
    for layer, signals in zip(layers, found.signals, strict=True):
        for spread, values in (
            (layer.activation, signals.activations),
            (layer.gradient, signals.gradient),
            (layer.weight_gradient, signals.weight_gradient),
        ):
            assert spread.mean == pytest.approx(values.mean(), rel=1e-3, abs=1e-7)
            assert spread.std == pytest.approx(values.std(), rel=1e-3)
            assert len(spread.shares) == diagnostics.BINS
            inside = ((values >= spread.low) & (values <= spread.high)).mean()
            assert sum(spread.shares) == pytest.approx(inside, abs=1e-3) and inside > 0.99
    first, second = layers[0].gradient, layers[1].gradient
    assert (first.low, first.high) == (second.low, second.high) == (-first.high, first.high)
    assert layers[2].gradient.high != first.high
    (apart,) = diagnostics.diagnose([found], across_layers=False)
    assert apart[0].gradient.high != apart[1].gradient.high


def test_large_layers_are_thinned_without_favouring_units() -> None:
    values = np.tile(np.arange(1000, dtype=np.float32), (1000, 1))  # each column is one number
    few = diagnostics._thinned(values)
    assert len(np.unique(few)) == 1000 and 30_000 < few.size <= 2 * diagnostics.PLENTY


def test_dead_units_are_counted_exactly(data: tuple[np.ndarray, np.ndarray]) -> None:
    e = Experiment(widths=(32, 16), activation="relu")
    weights = initial_weights.initial_weights(e, data[0])
    weights["hidden_2/bias"][:5] = -100
    (layers,) = diagnostics.diagnose([looked_at(e, *data, weights)])
    zero = (dict(forward.layers(e, weights, data[0]))["activation_2"] == 0).all(axis=0).sum()
    assert layers[1].dead_units == zero >= 5
    assert layers[0].saturated == 0


@pytest.mark.parametrize(("activation", "limit"), [("tanh", 1.8318), ("sigmoid", 2.9444), ("softsign", 19.0)])
def test_saturation_begins_where_it_is_said_to(activation: str, limit: float) -> None:
    """artanh 0.95, the logit of 0.95, and s / (1 + s) = 0.95."""
    sums = np.array([-limit * 1.01, -limit * 0.99, 0, limit * 0.99, limit * 1.01], np.float32)
    near = diagnostics.saturated(activation, ACTIVATIONS[activation].function(sums))
    assert near.tolist() == [True, False, False, False, True]


def test_saturated_units_are_so_for_all_images(data: tuple[np.ndarray, np.ndarray]) -> None:
    e = Experiment(widths=(16,), activation="tanh")
    weights = initial_weights.initial_weights(e, data[0])
    weights["hidden_1/bias"][:3] = 50
    network = looked_at(e, *data, weights)
    (layers,) = diagnostics.diagnose([network])
    saturated = diagnostics.saturated("tanh", network.signals[0].activations)
    assert saturated.all(axis=0).sum() == 3 and layers[0].saturated >= 3 / 16 and layers[0].dead_units == 0


def test_zeros_leave_all_units_equal(data: tuple[np.ndarray, np.ndarray]) -> None:
    e = Experiment(widths=(16, 16), activation="tanh", initialiser="zeros")
    (layers,) = diagnostics.diagnose([looked_at(e, *data)])
    assert [layer.distinct_units for layer in layers] == [1, 1, 1]
    assert layers[0].gradient.std == layers[0].weight_gradient.std == 0
    assert layers[0].singular_value is not None and layers[0].singular_value.mean == 0
    (drawn,) = diagnostics.diagnose([looked_at(Experiment(widths=(16, 16)), *data)])
    assert [layer.distinct_units for layer in drawn] == [16, 16, 10]


def test_where_a_network_breaks_is_named_and_nothing_is_raised(data: tuple[np.ndarray, np.ndarray]) -> None:
    e = Experiment(layers=6, units=32, activation="linear")
    weights = initial_weights.initial_weights(e, data[0])
    assert diagnostics.breakdown(looked_at(e, *data, weights).signals) is None
    exploding = {name: values * np.float32(1e10) for name, values in weights.items()}
    broken = looked_at(e, *data, exploding)
    sizes = dict(forward.layers(e, weights, data[0]))
    first = next(n for n in range(1, 7) if np.abs(sizes[f"hidden_{n}"]).max().item() * 10.0 ** (10 * n) > 3.4e38)
    assert diagnostics.breakdown(broken.signals) == (f"hidden_{first}", "forward")
    text = json.dumps(to_json_types(diagnostics.diagnose([broken, looked_at(e, *data)])), allow_nan=False)
    assert json.loads(text)[0][-1]["activation"]["std"] is None
    backwards = [layer._replace(gradient=layer.gradient * np.float32(np.inf)) for layer in broken.signals[:1]]
    fine = list(looked_at(e, *data, weights).signals[1:])
    start = backwards[0]._replace(sums=fine[0].sums, activations=fine[0].activations)
    assert diagnostics.breakdown([start, *fine]) == ("hidden_1", "backward")


# --- The paper's figures on Fashion-MNIST -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def paper() -> dict[str, list[dict[str, Any]]]:
    """The hidden layers of 5 tanh layers of 1,000 units, on 300 images of the best data set there is."""
    best = dataset.load()
    names = ["standard_uniform", "glorot_uniform"]
    found = initial_measures.measure(5, 1000, "tanh", names, best.train_images[:300], best.train_labels[:300])
    return {network["initialiser"]: network["layers"][:-1] for network in found["networks"]}


@pytest.mark.parametrize(
    ("name", "jacobian", "figure_7"),
    [("standard_uniform", (0.46, 0.50), (0.07, 0.14)), ("glorot_uniform", (0.70, 0.80), (0.6, 0.8))],
)
def test_the_paper_happens_on_fashion_mnist(
    name: str, jacobian: tuple[float, float], figure_7: tuple[float, float], paper: dict[str, Any]
) -> None:
    layers = paper[name]
    means = [layer["singular_value"]["mean"] for layer in layers]
    assert jacobian[0] < np.mean(means[1:]) < jacobian[1]  # between hidden layers, without that of the pixels
    assert jacobian[0] < np.mean(means) < jacobian[1]
    assert figure_7[0] < layers[0]["gradient"]["std"] / layers[-1]["gradient"]["std"] < figure_7[1]
    assert 0.85 < layers[0]["weight_gradient"]["std"] / layers[-1]["weight_gradient"]["std"] < 1.25


def test_the_peak_at_zero_grows_with_the_layer_for_standard_weights_only(paper: dict[str, Any]) -> None:
    """Figure 6, and the same of the gradients the other way round in figure 7."""
    middle = diagnostics.BINS // 2
    standard, normalised = ([layer["activation"]["shares"][middle] for layer in paper[name]] for name in paper)
    assert np.all(np.diff(standard) > 0) and standard[-1] > 4 * standard[0]
    assert normalised[-1] < 2 * normalised[0]
    gradients = [layer["gradient"]["shares"][middle] for layer in paper["standard_uniform"]]
    assert np.all(np.diff(gradients) < 0)


# --- Live, before training --------------------------------------------------------------------------------------------


def live(data: tuple[np.ndarray, np.ndarray], **changes: Any) -> InitialFacts:
    request: dict[str, Any] = {
        "layers": 3,
        "units": 64,
        "activation": "tanh",
        "initialisers": ["standard_uniform", "glorot_uniform"],
    }
    return initial_measures.measure(**(request | changes), images=data[0], labels=data[1])


def test_a_live_look_is_what_diagnosing_the_trainings_weights_gives(data: tuple[np.ndarray, np.ndarray]) -> None:
    found = live(data, seed=3)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    e = Experiment(layers=3, units=64, activation="tanh", initialiser="glorot_uniform", seed=3)
    drawn = looked_at(e, *data)
    (expected,) = diagnostics.diagnose([drawn])
    network = found["networks"][1]
    assert (network["initialiser"], network["gain"], network["breakdown"]) == ("glorot_uniform", 1, None)
    for layer, row, wanted in zip(network["layers"], network["summary"], expected, strict=True):
        assert row["layer"] == layer["name"] == wanted.name
        assert row["activation_std"] == pytest.approx(wanted.activation.std, rel=1e-5)
        assert row["gradient_std"] == pytest.approx(wanted.gradient.std, rel=1e-5)
        assert row["weight_gradient_std"] == pytest.approx(wanted.weight_gradient.std, rel=1e-5)
        assert row["saturated"] == wanted.saturated
        if wanted.singular_value is not None:
            assert row["mean_singular_value"] == pytest.approx(wanted.singular_value.mean, rel=1e-4)
        kernel = drawn.weights[f"{wanted.name}/kernel"]
        assert kernel.std() ** 2 == pytest.approx(layer["theory"]["weight_variance"], rel=0.1)
    assert network["summary"][-1]["mean_singular_value"] is None


def test_the_gain_multiplies_the_weights_of_its_initialiser_only(data: tuple[np.ndarray, np.ndarray]) -> None:
    before, after = live(data)["networks"], live(data, gains=[4, 1])["networks"]
    assert after[1]["summary"] == before[1]["summary"]
    more, less = (networks[0]["summary"][0]["saturated"] for networks in (after, before))
    assert more is not None and less is not None and more > less
    e = Experiment(layers=3, units=64, activation="tanh", initialiser="standard_uniform")
    drawn = initial_weights.draw(e)
    louder = initial_weights.finished(e, drawn, data[0].reshape(len(data[0]), -1), gain=4)["hidden_2/kernel"]
    assert louder.std() == pytest.approx(4 * drawn["hidden_2/kernel"].std(), rel=1e-5)


def test_lsuv_can_be_watched(data: tuple[np.ndarray, np.ndarray]) -> None:
    (network,) = live(data, initialisers=["lsuv"], activation="relu")["networks"]
    names = ["hidden_1", "hidden_2", "hidden_3", "output"]
    assert list(dict.fromkeys(one["layer"] for one in network["lsuv"])) == names
    for name, layer in zip(names, network["layers"], strict=True):
        rounds = [one for one in network["lsuv"] if one["layer"] == name]
        assert [one["round"] for one in rounds] == list(range(len(rounds)))
        assert abs(rounds[0]["variance"] - 1) > initial_weights.LSUV_MARGIN > abs(rounds[-1]["variance"] - 1)
        assert layer["theory"]["sum_variance"] == pytest.approx(1)
    assert live(data)["networks"][0]["lsuv"] == []
    e = Experiment(layers=3, units=64, activation="relu", initialiser="lsuv")
    drawn = initial_weights.draw(e)
    start = {name: values.copy() for name, values in drawn.items()}
    initial_weights.finished(e, drawn, data[0].reshape(len(data[0]), -1), gain=2)
    assert all(np.array_equal(drawn[name], start[name]) for name in start)


def test_exploding_and_zeros_are_results(data: tuple[np.ndarray, np.ndarray]) -> None:
    exploding, zeros = live(
        data, layers=20, activation="relu", initialisers=["he_normal", "zeros"], gains=[100, 1]
    )["networks"]  # fmt: skip
    assert exploding["breakdown"] is not None and exploding["breakdown"]["direction"] == "forward"
    assert 15 < int(exploding["breakdown"]["layer"].removeprefix("hidden_")) <= 20
    first, *_, last = (layer["activation_std"] for layer in exploding["summary"])
    assert last is None and first is not None and first > 0
    assert zeros["breakdown"] is None
    assert all(layer["distinct_units"] == 1 for layer in zeros["layers"])
    assert zeros["layers"][0]["dead_units"] == 64 and zeros["summary"][-1]["gradient_std"] == pytest.approx(
        0.3, abs=1e-3
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"layers": 0}, r"Hidden layers .* from 1 to 20"),
        ({"layers": 21}, r"Hidden layers .* 21"),
        ({"activation": "step"}, r"Activation .*'step'"),
        ({"initialisers": ["magic"]}, r"Initialiser .*'magic'"),
        ({"initialisers": []}, r"Initialisers \(0\)"),
        ({"initialisers": ["zeros", "zeros"]}, r"Initialisers \(zeros, zeros\) .* twice"),
        ({"gains": [1]}, r"Gains \(1\)"),
        ({"gains": [1, 0]}, r"Gain is 0"),
        ({"gains": [1, math.inf]}, r"Gain is inf"),
        ({"layers": 20, "units": 2048}, r"20 hidden layers of 2,048 units for 2 initialisers have 163 million weights"),
    ],
)
def test_what_cannot_be_looked_at_is_one_sentence(
    changes: dict[str, Any], words: str, data: tuple[np.ndarray, np.ndarray]
) -> None:
    with pytest.raises(LabError, match=words):
        live(data, **changes)
