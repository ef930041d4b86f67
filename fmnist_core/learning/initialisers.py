"""How weights are drawn before training starts. Every layer has its own generator, made from the seed."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from fmnist_core.cost import INPUTS, OUTPUTS
from fmnist_core.experiment import Experiment
from fmnist_core.recording import Weights

# Mishkin & Matas (2016), the values of the authors' script.
LSUV_MARGIN, LSUV_ROUNDS = 0.02, 20
LSUV_IMAGES = 1000


def initial_weights(experiment: Experiment, images: NDArray[np.uint8]) -> Weights:
    """Kernels drawn by the experiment's initialiser, biases 0, of all Dense layers, float32 by name.

    images: training images (n, 784), pixels 0-255; only LSUV looks at them, at the first LSUV_IMAGES.
    """
    widths = (INPUTS, *experiment.hidden_widths, OUTPUTS)
    names = [*(f"hidden_{number}" for number in range(1, len(widths) - 1)), "output"]
    found: Weights = {}
    for place, (name, fan_in, fan_out) in enumerate(zip(names, widths[:-1], widths[1:], strict=True)):
        seed = int(np.random.SeedSequence([experiment.seed, place]).generate_state(1)[0])
        found[f"{name}/kernel"] = np.array(initialiser(experiment, fan_in, seed)((fan_in, fan_out)), np.float32)
        found[f"{name}/bias"] = np.zeros(fan_out, np.float32)
    if experiment.initialiser == "lsuv":
        _unit_variance(experiment, names, found, images[:LSUV_IMAGES])
    return found


def initialiser(experiment: Experiment, fan_in: int, seed: int) -> Any:
    """The Keras initialiser of one layer.

    standard_uniform is U(-1/sqrt(n_in), 1/sqrt(n_in)), the "commonly used heuristic" of Glorot & Bengio (2010), eq. 1.
    """
    match experiment.initialiser:
        case "standard_uniform":
            limit = 1 / math.sqrt(fan_in)
            return keras.initializers.RandomUniform(-limit, limit, seed=seed)
        case "random_normal":
            return keras.initializers.RandomNormal(0.0, experiment.initialiser_sigma, seed=seed)
        case "lsuv":
            return keras.initializers.Orthogonal(seed=seed)
        case "zeros":
            return keras.initializers.Zeros()
        case name:
            return keras.initializers.get({"class_name": name, "config": {"seed": seed}})


def _unit_variance(experiment: Experiment, names: list[str], found: Weights, images: NDArray[np.uint8]) -> None:
    """Layer by layer, divide the kernel by the deviation of its output until the variance is 1 (LSUV, algorithm 1)."""
    activation = keras.activations.get(experiment.activation)
    signal = images.astype(np.float32) / np.float32(255)
    for name in names:
        kernel = found[f"{name}/kernel"]
        for _ in range(LSUV_ROUNDS):
            variance = float((signal @ kernel).var())
            if abs(variance - 1) < LSUV_MARGIN or not variance > 0:
                break
            kernel /= np.float32(math.sqrt(variance))
        sums = (signal @ kernel).astype(np.float32, copy=False)
        signal = np.array(activation(_standardised(sums) if experiment.batch_norm else sums))


def _standardised(sums: NDArray[np.float32]) -> NDArray[np.float32]:
    """What batch normalisation hands on at the start of training."""
    standard: NDArray[np.float32] = (sums - sums.mean(0)) / np.sqrt(sums.var(0) + 1e-3)
    return standard
