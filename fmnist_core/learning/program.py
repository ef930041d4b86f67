"""A network and its training step, compiled once by XLA and used for every run with the same graph.

A chunk of steps is one call: a loop over batches around one training step made of Keras' own parts (layers, loss,
penalties, optimiser). Whatever is only a number (weights, seed, rates, penalty) lives in variables and is reset for
each run, so that the second run of an architecture starts at once. The loop's length is a number, too.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from fmnist_core.experiment.cost import INPUTS, OUTPUTS
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.optimisers import OPTIMISERS
from fmnist_core.experiment.recording import Weights
from fmnist_core.learning import keras_network

CHUNK_IMAGES = 8192  # images handed over at once, at most: 6 MB
EVALUATED_AT_ONCE = 5000
KEPT_PROGRAMS = 8  # the notebook's four graphs, two at a time; each about 25 MB
NORM_EVERY = 8  # steps: the norm of all gradients takes a sixth of a step's time


class Steps(NamedTuple):
    """What a chunk of steps gave, each float32 (steps,): loss with penalty, number of correct predictions, Euclidean
    norm of all gradients before clipping (nan where it was not asked for; with clipping it is always there).
    """

    losses: NDArray[np.float32]
    correct: NDArray[np.float32]
    gradient_norms: NDArray[np.float32]


class Evaluation(NamedTuple):
    """Per image: loss float32 (n,) without the penalty, cross-entropy float32 (n,) without label smoothing either,
    probabilities float32 (n, 10); and the penalty."""

    losses: NDArray[np.float32]
    cross_entropies: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    penalty: float


class _Penalty(keras.regularizers.Regularizer):
    """As Keras' L2, but with a factor that can change without a new program."""

    def __init__(self, factor: Any) -> None:
        self.factor = factor

    def __call__(self, x: Any) -> Any:
        return self.factor * _square_sum(x)


class Program:
    """The compiled training of every experiment with the same `graph_key`."""

    def __init__(self, experiment: Experiment) -> None:
        self.capacity = min(max(CHUNK_IMAGES // experiment.batch_size, 1), 256)
        self.rate = tf.Variable(0.0, trainable=False)
        self.factor = tf.Variable(0.0, trainable=False)
        self.clip_norm = tf.Variable(0.0, trainable=False) if experiment.clip_norm else None
        self.smoothing = tf.Variable(0.0, trainable=False) if experiment.label_smoothing else None
        self.key = tf.Variable(tf.zeros(2, tf.uint32), trainable=False)
        penalty = _Penalty(self.factor) if experiment.l2 else None
        self.model = keras_network.build(experiment, self._dropout, penalty)
        self.optimiser = optimiser(experiment)
        self.loss = keras.losses.get(
            f"{'categorical' if experiment.label_smoothing else 'sparse_categorical'}_crossentropy"
        )
        if self.optimiser.weight_decay is not None:
            self.optimiser.weight_decay = tf.Variable(0.0, trainable=False)
        self.model.compile(self.optimiser, self.loss, jit_compile=False)
        self.optimiser.build(self.model.trainable_variables)
        # All slots start at one constant each; kept as numbers, they cost nothing to keep.
        self._fresh = [float(np.ravel(np.array(variable))[0]) for variable in self.optimiser.variables]
        self._chunk = tf.function(self._loop, jit_compile=True, reduce_retracing=False)
        # Any number of images, or each new number would trace the graph anew.
        batch = (tf.TensorSpec((None, INPUTS), tf.uint8), tf.TensorSpec((None,), tf.int32))
        numbers = (tf.TensorSpec((), tf.float32), tf.TensorSpec((2,), tf.uint32), tf.TensorSpec((), tf.bool))
        self._remainder = tf.function(self._step, input_signature=(*batch, *numbers))
        self._evaluate = tf.function(self._forward, input_signature=batch)

    def _dropout(self, name: str) -> keras_network.FastDropout:
        return keras_network.FastDropout(self.rate, self.key, int(name.rsplit("_", 1)[1]), name)

    def reset(self, experiment: Experiment, weights: Weights) -> None:
        """Ready for a new run: weights, rates and seeds of this experiment, a fresh optimiser."""
        keras_network.assign(self.model, weights)
        for variable, value in zip(self.optimiser.variables, self._fresh, strict=True):
            variable.assign(tf.fill(variable.shape, tf.cast(value, variable.dtype)))
        self.rate.assign(experiment.dropout)
        self.factor.assign(experiment.l2)
        if self.optimiser.weight_decay is not None:
            self.optimiser.weight_decay.assign(experiment.weight_decay)
        if self.smoothing is not None:
            self.smoothing.assign(experiment.label_smoothing)
        if self.clip_norm is not None:
            self.clip_norm.assign(experiment.clip_norm)

    def compile(self, batch: int) -> None:
        """Trace all functions and compile the chunk program: a loop over no steps. batch: images a step."""
        nothing = (np.zeros((1, batch, INPUTS), np.uint8), np.zeros((1, batch), np.int32))
        self.run(*nothing, np.zeros(1), np.zeros((1, 2)), np.zeros(1, bool), 0)
        self._remainder.get_concrete_function()
        self._evaluate.get_concrete_function()

    def run(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[Any],
        rates: NDArray[Any],
        keys: NDArray[Any],
        norms: NDArray[np.bool_],
        steps: int,
    ) -> Steps:
        """Train `steps` steps, at most `capacity`.

        images: uint8 (steps, batch, 784). labels: integers (steps, batch). rates: (steps,), the learning rates.
        keys: (steps, 2) 32-bit integers, a new random key for each step's dropout. norms: (steps,), at which steps to
        measure the gradients.
        """
        padded = (self._padded(images, np.uint8), self._padded(labels, np.int32))
        numbers = (self._padded(rates, np.float32), self._padded(keys, np.uint32), self._padded(norms, np.bool_))
        result = self._chunk(*padded, *numbers, tf.constant(steps))
        return Steps(*(part.numpy()[:steps] for part in result))

    def run_remainder(self, images: NDArray[np.uint8], labels: NDArray[Any], rate: float, key: NDArray[Any]) -> Steps:
        """One step with the epoch's remainder, a smaller batch; not by XLA, which would compile a second program."""
        result = self._remainder(
            tf.constant(images),
            tf.constant(labels, tf.int32),
            tf.constant(rate, tf.float32),
            tf.constant(key, tf.uint32),
            tf.constant(True),
        )
        return Steps(*(np.atleast_1d(part.numpy()) for part in result))

    def evaluate(self, images: NDArray[np.uint8], labels: NDArray[Any]) -> Evaluation:
        """Loss and probabilities with dropout off. images: uint8 (n, 784). labels: (n,)."""
        parts = [
            self._evaluate(
                tf.constant(images[i : i + EVALUATED_AT_ONCE]), tf.constant(labels[i : i + EVALUATED_AT_ONCE], tf.int32)
            )
            for i in range(0, len(images), EVALUATED_AT_ONCE)
        ]
        losses, entropies, probabilities, penalties = zip(*parts, strict=True)
        joined = [np.concatenate(part) for part in (losses, entropies, probabilities)]
        return Evaluation(joined[0], joined[1], joined[2], float(penalties[0]))

    def weight_norm(self) -> float:
        """Euclidean norm of all trainable weights."""
        return float(_norm([variable.value for variable in self.model.trainable_variables]))

    def _padded(self, values: NDArray[Any], dtype: Any) -> Any:
        if len(values) == self.capacity:
            return tf.constant(values, dtype)
        full = np.zeros((self.capacity, *values.shape[1:]), dtype)
        full[: len(values)] = values
        return tf.constant(full)

    def _loop(self, images: Any, labels: Any, rates: Any, keys: Any, norms: Any, steps: Any) -> Any:
        # Not `for i in tf.range(steps)`: XLA would compile another program for every number of steps.
        arrays = tuple(tf.TensorArray(tf.float32, self.capacity) for _ in Steps._fields)
        i = tf.constant(0)
        while i < steps:
            values = self._step(images[i], labels[i], rates[i], keys[i], norms[i])
            arrays = tuple(array.write(i, value) for array, value in zip(arrays, values, strict=True))
            i += 1
        return tuple(array.stack() for array in arrays)

    def _step(self, images: Any, labels: Any, rate: Any, key: Any, measure: Any) -> Any:
        """Keras' `train_step`, opened so that the step's own loss and gradients can be read."""
        self.optimiser.learning_rate.assign(rate)
        self.key.assign(key)
        variables = [variable.value for variable in self.model.trainable_variables]
        with tf.GradientTape() as tape:
            probabilities = self.model(tf.cast(images, tf.float32), training=True)
            loss = self.model.compute_loss(images, self._targets(labels), probabilities, training=True)
        gradients = tape.gradient(loss, variables)
        if self.clip_norm is None:
            norm = tf.cond(measure, lambda: _norm(gradients), lambda: tf.constant(math.nan))
        else:  # Pascanu, Mikolov & Bengio (2013)
            norm = _norm(gradients)
            gradients = [gradient * (self.clip_norm / tf.maximum(norm, self.clip_norm)) for gradient in gradients]
        self.optimiser.apply(gradients, self.model.trainable_variables)
        correct = tf.reduce_sum(tf.cast(tf.argmax(probabilities, 1, tf.int32) == labels, tf.float32))
        return loss, correct, norm

    def _targets(self, labels: Any) -> Any:
        """What the loss is taken against: the labels, or with label smoothing (Szegedy et al. 2016) ten shares."""
        if self.smoothing is None:
            return labels
        return tf.one_hot(labels, OUTPUTS) * (1 - self.smoothing) + self.smoothing / OUTPUTS

    def _forward(self, images: Any, labels: Any) -> Any:
        probabilities = self.model(tf.cast(images, tf.float32), training=False)
        cross_entropies = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
        losses = cross_entropies if self.smoothing is None else self.loss(self._targets(labels), probabilities)
        penalty = tf.add_n(self.model.losses) if self.model.losses else tf.constant(0.0)
        return losses, cross_entropies, probabilities, penalty


def _norm(tensors: list[Any]) -> Any:
    """Euclidean norm of all values."""
    return tf.sqrt(tf.add_n([_square_sum(tensor) for tensor in tensors]))


def _square_sum(tensor: Any) -> Any:
    """Sum of all squares: column by column, which XLA vectorises, and then over the columns.

    The maximum changes nothing, but keeps XLA from making one slow sum of the two.
    """
    return tf.reduce_sum(tf.maximum(tf.reduce_sum(tf.square(tensor), 0), 0.0))


def optimiser(experiment: Experiment) -> Any:
    """The Keras optimiser; its learning rate is set before every step."""
    row = OPTIMISERS[experiment.optimiser]
    settings = {name: getattr(experiment, name) for name in row.settings}
    return getattr(keras.optimizers, row.keras)(experiment.learning_rate, **settings)


def graph_key(experiment: Experiment) -> tuple[Any, ...]:
    """Everything that is part of the compiled program; experiments with equal keys share one."""
    e = experiment
    momentum = e.momentum if "momentum" in OPTIMISERS[e.optimiser].settings else 0.0
    return (
        e.hidden_widths,
        e.activation,
        e.batch_norm,
        bool(e.dropout),
        bool(e.l2),
        bool(e.clip_norm),
        bool(e.label_smoothing),
        e.optimiser,
        momentum,
        e.batch_size,
    )


@dataclass(eq=False)
class _Kept:
    """A program of this process. busy: it has the weights of a training that runs."""

    key: tuple[Any, ...]
    program: Program
    busy: bool = True


# Keras builds and traces networks through state that all threads share. The compiled programs run without the lock.
BUILDING = threading.RLock()
_kept: list[_Kept] = []  # latest used last


@contextmanager
def borrowed(experiment: Experiment) -> Iterator[tuple[Program, bool]]:
    """A program for one training alone, and whether it is new and still to be compiled.

    A process keeps the latest KEPT_PROGRAMS. Trainings at the same time get different ones, also for equal graphs.
    """
    with BUILDING:
        key = graph_key(experiment)
        idle = next((kept for kept in _kept if kept.key == key and not kept.busy), None)
        kept = idle or _Kept(key, Program(experiment))
        kept.busy = True
        if idle:
            _kept.remove(idle)
        _kept.append(kept)
        for old in [old for old in _kept if not old.busy][: max(len(_kept) - KEPT_PROGRAMS, 0)]:
            _kept.remove(old)
    try:
        yield kept.program, idle is None
    finally:
        kept.busy = False
