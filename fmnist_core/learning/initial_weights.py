"""How weights are drawn before training starts. Every layer has its own generator, made from the seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from fmnist_core.experiment.cost import INPUTS, OUTPUTS
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.initialisers import INITIALISERS
from fmnist_core.experiment.layer_names import dense_layers
from fmnist_core.experiment.recording import Weights

# Mishkin & Matas (2016), the values of the authors' script.
LSUV_MARGIN, LSUV_ROUNDS = 0.02, 20
LSUV_IMAGES = 1000


class LsuvRound(NamedTuple):
    """The variance of a layer's pre-activations in LSUV; round 0 is the orthogonal start, others follow a division."""

    layer: str
    round: int
    variance: float


def initial_weights(experiment: Experiment, images: NDArray[np.uint8]) -> Weights:
    """Kernels drawn by the experiment's initialiser, biases 0, of all Dense layers, float32 by name.

    images: training images (n, 784), pixels 0-255; only LSUV looks at them, at the first LSUV_IMAGES.
    """
    return finished(experiment, draw(experiment), images)


def draw(experiment: Experiment) -> Weights:
    """The random part of `initial_weights`, without a look at the data: for LSUV, its orthogonal start."""
    widths = (INPUTS, *experiment.hidden_widths, OUTPUTS)
    weights: Weights = {}
    for index, (name, (fan_in, fan_out)) in enumerate(zip(dense_layers(experiment), pairwise(widths), strict=True)):
        seed = int(np.random.SeedSequence([experiment.seed, index]).generate_state(1)[0])
        weights[f"{name}/kernel"] = np.array(initialiser(experiment, fan_in, seed)((fan_in, fan_out)), np.float32)
        weights[f"{name}/bias"] = np.zeros(fan_out, np.float32)
    return weights


def finished(
    experiment: Experiment,
    drawn: Weights,
    images: NDArray[np.uint8],
    gain: float = 1.0,
    watch: Callable[[LsuvRound], None] = lambda _: None,
) -> Weights:
    """What `draw` gave, made ready: LSUV's divisions, then all kernels times the gain. drawn stays as it is.

    watch: is told each round of LSUV, layer by layer. images: as for `initial_weights`.
    """
    weights = dict(drawn)
    if experiment.initialiser == "lsuv":
        _unit_variance(experiment, weights, images[:LSUV_IMAGES], watch)
    return weights if gain == 1 else {name: values * np.float32(gain) for name, values in weights.items()}


def initialiser(experiment: Experiment, fan_in: int, seed: int) -> Any:
    """The Keras initialiser of one layer."""
    row = INITIALISERS[experiment.initialiser]
    make = getattr(keras.initializers, row.keras)
    return make(seed=seed, **row.arguments(fan_in, experiment.initialiser_sigma)) if row.arguments else make()


def _unit_variance(
    experiment: Experiment, weights: Weights, images: NDArray[np.uint8], watch: Callable[[LsuvRound], None]
) -> None:
    """Layer by layer, divide the kernel by the deviation of its output until the variance is 1 (LSUV, algorithm 1)."""
    activation = keras.activations.get(experiment.activation)
    signal = images.astype(np.float32) / np.float32(255)
    for name in dense_layers(experiment):
        kernel = weights[f"{name}/kernel"]
        for number in range(LSUV_ROUNDS + 1):
            sums = (signal @ kernel).astype(np.float32, copy=False)
            variance = float(sums.var())
            watch(LsuvRound(name, number, variance))
            if abs(variance - 1) < LSUV_MARGIN or not variance > 0 or number == LSUV_ROUNDS:
                break
            kernel = kernel / np.float32(math.sqrt(variance))
        weights[f"{name}/kernel"] = kernel
        if experiment.batch_norm:
            sums = (sums - sums.mean(0)) / np.sqrt(sums.var(0) + 1e-3)
        signal = np.array(activation(sums))
