"""The base network in JAX, by hand: an epoch is one compiled `lax.scan` over batches, Adam included."""

from __future__ import annotations

import importlib
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from benchmarks.contenders import Turn, Work

WIDTHS, BATCH = (784, 512, 512, 10), 128
RATE, DECAY_1, DECAY_2, EPSILON = 0.001, 0.9, 0.999, 1e-7  # Keras' Adam


def run(w: Work, turn: Turn) -> None:
    """Train and validate, epoch by epoch, until the turn ends the process. The remainder of an epoch is left out."""
    jax: Any = importlib.import_module("jax")
    epoch, validate = jax.jit(_epoch, donate_argnums=0), jax.jit(_loss_and_accuracy)
    x, x_val = jax.device_put(w.x), jax.device_put(w.x_val)
    y, y_val = jax.device_put(w.y.astype(np.int32)), jax.device_put(w.y_val.astype(np.int32))
    rng = np.random.default_rng(0)
    state = _start(rng)
    whole = len(w.x) // BATCH * BATCH
    while True:
        order = rng.permutation(len(w.x))[:whole].reshape(-1, BATCH)
        state, _ = epoch(state, x, y, order)
        _ = [float(part) for part in validate(state[0], x_val, y_val)]
        turn.over()


def _start(rng: np.random.Generator) -> tuple[Any, ...]:
    """Glorot-uniform kernels, zero biases, Adam's two moments, and the step."""
    numpy: Any = importlib.import_module("jax.numpy")
    weights = []
    for fan_in, fan_out in pairwise(WIDTHS):
        limit = (6 / (fan_in + fan_out)) ** 0.5
        kernel = rng.uniform(-limit, limit, (fan_in, fan_out)).astype(np.float32)
        weights += [numpy.asarray(kernel), numpy.zeros(fan_out)]
    first, second = ([numpy.zeros_like(weight) for weight in weights] for _ in range(2))
    return weights, first, second, numpy.zeros(())


def _logits(weights: Any, x: Any) -> Any:
    numpy: Any = importlib.import_module("jax.numpy")
    *hidden, kernel, bias = weights
    for place in range(0, len(hidden), 2):
        x = numpy.maximum(x @ hidden[place] + hidden[place + 1], 0)
    return x @ kernel + bias


def _loss_and_accuracy(weights: Any, x: Any, y: Any) -> tuple[Any, Any]:
    jax: Any = importlib.import_module("jax")
    logits = _logits(weights, x)
    losses = -jax.numpy.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1)
    return losses.mean(), (logits.argmax(1) == y).mean()


def _epoch(state: Any, x: Any, y: Any, order: Any) -> tuple[Any, Any]:
    """One pass; order: row numbers (steps, batch). Returns the new state, and loss and accuracy of each step."""
    jax: Any = importlib.import_module("jax")

    def step(state: Any, rows: Any) -> tuple[Any, Any]:
        weights, first, second, number = state
        found, gradients = jax.value_and_grad(_loss_and_accuracy, has_aux=True)(weights, x[rows], y[rows])
        number = number + 1
        first = [DECAY_1 * m + (1 - DECAY_1) * g for m, g in zip(first, gradients, strict=True)]
        second = [DECAY_2 * v + (1 - DECAY_2) * g * g for v, g in zip(second, gradients, strict=True)]
        rate = RATE * jax.numpy.sqrt(1 - DECAY_2**number) / (1 - DECAY_1**number)
        moved = zip(weights, first, second, strict=True)
        weights = [weight - rate * m / (jax.numpy.sqrt(v) + EPSILON) for weight, m, v in moved]
        return (weights, first, second, number), found

    end, measures = jax.lax.scan(step, state, order)
    return end, measures
