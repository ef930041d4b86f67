"""The network of an experiment as a plain Keras model, and its weights as plain arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from fmnist_core.experiment.cost import INPUTS, OUTPUTS
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.layer_names import hidden_name
from fmnist_core.experiment.recording import Weights


def build(
    experiment: Experiment,
    dropout: Callable[[str], Any] | None = None,
    penalty: Any = None,
) -> keras.Model:
    """Input (n, 784), uint8 or float pixels 0-255; output (n, 10) probabilities. Weights are still to be assigned.

    Layers: `rescale`; for each hidden layer `hidden_i`, then `batch_norm_i`, `activation_i` and `dropout_i` where the
    experiment has them; `output`. dropout: makes the dropout layer of a name (default: Keras' own). penalty: the
    regulariser of the hidden kernels (default: Keras' L2 with the experiment's factor).
    """
    if penalty is None and experiment.l2:
        penalty = keras.regularizers.L2(experiment.l2)
    make_dropout = dropout or (lambda name: keras.layers.Dropout(experiment.dropout, name=name))
    x = inputs = keras.Input((INPUTS,), name="pixels")
    x = keras.layers.Rescaling(1 / 255, name="rescale")(x)
    for number, width in enumerate(experiment.hidden_widths, start=1):
        # Zeros are quick; what the initialiser draws is assigned afterwards.
        dense = keras.layers.Dense(
            width, kernel_initializer="zeros", kernel_regularizer=penalty, name=hidden_name(number)
        )
        x = dense(x)
        if experiment.batch_norm:
            x = keras.layers.BatchNormalization(name=f"batch_norm_{number}")(x)
        x = keras.layers.Activation(experiment.activation, name=f"activation_{number}")(x)
        if experiment.dropout:
            x = make_dropout(f"dropout_{number}")(x)
    outputs = keras.layers.Dense(OUTPUTS, activation="softmax", kernel_initializer="zeros", name="output")(x)
    return keras.Model(inputs, outputs, name="network")


def weights(model: keras.Model) -> Weights:
    """Copies of all weights, trained and moving ones, by name ("hidden_1/kernel"), float32."""
    return {name: np.array(variable) for name, variable in _variables(model).items()}


def assign(model: keras.Model, values: Weights) -> None:
    """Set all weights; those not named go to their start: ones for batch-norm scales and variances, zeros else."""
    for name, variable in _variables(model).items():
        ones = name.endswith(("/gamma", "/moving_variance"))
        variable.assign(values.get(name, np.full(variable.shape, float(ones), np.float32)))


def _variables(model: keras.Model) -> dict[str, Any]:
    kinds = (keras.layers.Dense, keras.layers.BatchNormalization)
    layers = [layer for layer in model.layers if isinstance(layer, kinds)]
    return {f"{layer.name}/{variable.name}": variable for layer in layers for variable in layer.weights}
