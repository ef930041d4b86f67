"""A network's forward pass in NumPy, layer by layer: for the screens, whose process has no TensorFlow.

The layers, their names and their arithmetic are those of `learning.keras_network.build`, in float32 throughout.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fmnist_core.errors import LabError
from fmnist_core.experiment.activations import ACTIVATIONS, Array
from fmnist_core.experiment.cost import INPUTS
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.layer_names import hidden_name

EPSILON = np.float32(1e-3)  # Keras' BatchNormalization adds it to the variance.
AT_ONCE = 1000


class WeightsError(LabError):
    """Weights that a layer needs are not there."""


class Layer(NamedTuple):
    """What one layer hands on. values: float32 (n, units)."""

    name: str
    values: Array


def layers(
    experiment: Experiment,
    weights: Mapping[str, Array],
    images: NDArray[np.uint8],
    dropout_rng: np.random.Generator | None = None,
    training: bool = False,
) -> tuple[Layer, ...]:
    """What each layer hands on, input to output.

    images: uint8 (n, 784) or (n, 28, 28). weights: by name, as `Run.weights` has them. Names in order: `rescale`
    (pixels / 255); for each hidden layer `hidden_i` (its weighted sums), `batch_norm_i` and `activation_i`,
    `dropout_i`; `logits` and `output` (probabilities). `batch_norm_i` is there where the experiment has it,
    `dropout_i` with training=True and a rate only. training: batch normalisation by the batch's own statistics, not
    the moving ones, and dropout, for which dropout_rng is needed.

    Memory: 4 bytes for each value of each layer; 10,000 images of the base network take 115 MB. Where one layer of
    many images is wanted, `layer` and `probabilities` need little more than what they return.

    Raises: WeightsError.
    """
    return tuple(_forward(experiment, weights, images, dropout_rng, training))


def layer(
    experiment: Experiment, weights: Mapping[str, Array], images: NDArray[np.uint8], name: str = "output"
) -> Array:
    """One layer of `layers` for any number of images, outside training: float32 (n, units).

    The images pass in blocks of AT_ONCE, and no other layer is kept: beside the result it takes two layers of
    AT_ONCE images, 16 MB at the widest. Raises: WeightsError; KeyError where the network has no such layer.
    """
    blocks = (images[start : start + AT_ONCE] for start in range(0, max(len(images), 1), AT_ONCE))
    return np.concatenate([_values(name, _forward(experiment, weights, block, None, False)) for block in blocks])


def probabilities(experiment: Experiment, weights: Mapping[str, Array], images: NDArray[np.uint8]) -> Array:
    """Class probabilities outside training, float32 (n, 10); memory as for `layer`. Raises: WeightsError."""
    return layer(experiment, weights, images)


def kept(rng: np.random.Generator, rate: float, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which units dropout leaves on: each with probability 1 - rate, independently."""
    return rng.random(shape, np.float32) >= np.float32(rate)


def _forward(
    experiment: Experiment,
    weights: Mapping[str, Array],
    images: NDArray[np.uint8],
    rng: np.random.Generator | None,
    training: bool,
) -> Iterator[Layer]:
    """Each layer as soon as it is computed."""
    if training and experiment.dropout and experiment.hidden_widths and rng is None:
        raise ValueError("dropout in training needs a random generator")
    x = images.reshape(len(images), INPUTS) * np.float32(1 / 255)
    yield Layer("rescale", x)
    for number in range(1, len(experiment.hidden_widths) + 1):
        yield Layer(hidden_name(number), x := _dense(weights, hidden_name(number), x))
        if experiment.batch_norm:
            yield Layer(f"batch_norm_{number}", x := _batch_norm(weights, f"batch_norm_{number}", x, training))
        yield Layer(f"activation_{number}", x := ACTIVATIONS[experiment.activation].function(x))
        if training and experiment.dropout and rng is not None:
            yield Layer(f"dropout_{number}", x := _dropout(x, experiment.dropout, rng))
    yield Layer("logits", x := _dense(weights, "output", x))
    yield Layer("output", _softmax(x))


def _values(name: str, layers: Iterator[Layer]) -> Array:
    for layer in layers:
        if layer.name == name:
            return layer.values
    raise KeyError(name)


def _get(weights: Mapping[str, Array], name: str) -> Array:
    if name not in weights:
        raise WeightsError(f"The stored weights lack {name}; train this network again.")
    return weights[name]


def _dense(weights: Mapping[str, Array], name: str, x: Array) -> Array:
    return x @ _get(weights, f"{name}/kernel") + _get(weights, f"{name}/bias")


def _batch_norm(weights: Mapping[str, Array], name: str, x: Array, training: bool) -> Array:
    """Ioffe & Szegedy (2015): gamma * (x - mean) / sqrt(variance + epsilon) + beta, unit by unit."""
    mean, deviation = batch_norm_statistics(weights, name, x, training)
    return (x - mean) * (_get(weights, f"{name}/gamma") / deviation) + _get(weights, f"{name}/beta")


def batch_norm_statistics(weights: Mapping[str, Array], name: str, x: Array, training: bool) -> tuple[Array, Array]:
    """By which mean and deviation a batch normalisation standardises x, each (units,): the batch's in training."""
    if training:
        mean, variance = x.mean(axis=0), x.var(axis=0)
    else:
        mean, variance = _get(weights, f"{name}/moving_mean"), _get(weights, f"{name}/moving_variance")
    return mean, np.sqrt(variance + EPSILON)


def _dropout(x: Array, rate: float, rng: np.random.Generator) -> Array:
    """Inverted dropout: what stays on is divided by 1 - rate, so that each unit's mean stays what it was."""
    return np.where(kept(rng, rate, x.shape), x * np.float32(1 / (1 - rate)), np.float32(0))


def _softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Array = powers / powers.sum(axis=1, keepdims=True)
    return shares
