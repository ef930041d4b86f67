"""The network of an experiment as a plain Keras model, its weights as plain arrays, and dropout that trains fast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from fmnist_core.experiment.cost import INPUTS, OUTPUTS
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.layer_names import hidden_name
from fmnist_core.experiment.recording import Weights

# Odd constants of C. Wellons' hash "lowbias32" (2018): an input bit flips an output bit with probability 0.5 ± 0.2 %.
SHIFT_1, FACTOR_1, SHIFT_2, FACTOR_2, SHIFT_3 = 16, 0x7FEB352D, 15, 0x846CA68B, 16
GOLDEN = 0x9E3779B9  # 2**32 / golden ratio: neighbouring indices start far apart


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


# --- Dropout in training ----------------------------------------------------------------------------------------------


class FastDropout(keras.layers.Layer):
    """Inverted dropout, as Keras' `Dropout`: units are zeroed with probability `rate`, the others divided by 1 - rate.

    Its random bits are a hash of each unit's index under a key that changes with every step. Keras' layer draws them
    from Philox, which takes half as long again as the whole training step of the base network.

    rate: a scalar float32 tf.Variable, so that one compiled program serves all rates. key: uint32 (2,) tf.Variable
    that the training step changes; `number` makes the layers' masks differ.
    """

    def __init__(self, rate: Any, key: Any, number: int, name: str) -> None:
        super().__init__(name=name)
        self.rate, self.key, self.number = rate, key, number

    def call(self, inputs: Any, training: bool = False) -> Any:
        """inputs: (batch, units)."""
        if not training:
            return inputs
        key = self.key + tf.constant([self.number * 0x85EBCA6B % 2**32, self.number], tf.uint32)
        bits = random_bits(key, tf.size(inputs))
        # 24 bits are exactly representable in float32, so the comparison is exact.
        uniform = tf.cast(tf.cast(_right(bits, 8), tf.int32), tf.float32) * tf.constant(2.0**-24)
        kept = tf.reshape(uniform >= self.rate, tf.shape(inputs))
        return tf.where(kept, inputs * (1 / (1 - self.rate)), tf.zeros_like(inputs))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's shape."""
        return input_shape


def random_bits(key: Any, count: Any) -> Any:
    """uint32 (count,): hash of 0, 1, ... under a key uint32 (2,). Equal keys give equal bits."""
    indices = tf.range(count, dtype=tf.int32)
    state = tf.cast(indices, tf.uint32) * tf.constant(GOLDEN, tf.uint32) + key[0]
    return _mixed(_mixed(state) ^ key[1])


def _mixed(x: Any) -> Any:
    x = (x ^ _right(x, SHIFT_1)) * tf.constant(FACTOR_1, tf.uint32)
    x = (x ^ _right(x, SHIFT_2)) * tf.constant(FACTOR_2, tf.uint32)
    return x ^ _right(x, SHIFT_3)


def _right(x: Any, by: int) -> Any:
    return tf.bitwise.right_shift(x, tf.constant(by, tf.uint32))
