"""Dropout whose random bits cost little: a hash of each unit's index under a key that changes with every step.

Keras' layer draws from Philox, which takes half as long again as the whole training step of the base network.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

# Odd constants of C. Wellons' hash "lowbias32" (2018): an input bit flips an output bit with probability 0.5 ± 0.2 %.
SHIFT_1, FACTOR_1, SHIFT_2, FACTOR_2, SHIFT_3 = 16, 0x7FEB352D, 15, 0x846CA68B, 16
GOLDEN = 0x9E3779B9  # 2**32 / golden ratio: neighbouring indices start far apart


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


class FastDropout(keras.layers.Layer):
    """Inverted dropout, as Keras' `Dropout`: units are zeroed with probability `rate`, the others divided by 1 - rate.

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
