"""What a training costs: parameters and arithmetic, by its description alone, and time, by this machine's speed."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np

from fmnist_core.data.dataset import split_of
from fmnist_core.errors import LabError
from fmnist_core.experiment.hyperparameters import Experiment, ExperimentError
from fmnist_core.experiment.layer_names import hidden_name
from fmnist_core.experiment.optimisers import OPTIMISERS

INPUTS, OUTPUTS = 28 * 28, 10
# Measured with the compiled training loop: the share of a plain matrix product's speed that one training reaches, and
# two at a time; and what each step costs on top, whatever its size: launching it and gathering its batch.
EFFICIENCY, SHARED_EFFICIENCY = 0.55, 0.33
STEP_SECONDS = 6e-5
# Memory, fitted to measured peaks, see `training_memory`.
TENSORFLOW_BYTES = 900_000_000
COPIES = 4  # of the weights, beside those that the loop has
EVALUATED_AT_ONCE = 5000  # images
USABLE = 0.95  # of a worker's memory: then Dask ends it


@dataclass(frozen=True)
class LayerCost:
    """One layer: its Keras name, its kind, the units it hands on, and its trainable and other parameters."""

    name: str
    kind: str
    outputs: int
    parameters: int


@dataclass(frozen=True)
class Cost:
    """The cost of one training.

    parameters: all weights of the network, as Keras' `count_params`. flops: floating-point operations of the matrix
    products of the whole training (2 each for forward, kernel gradient and input gradient; the first layer needs
    no input gradient).
    """

    parameters: int
    flops: float
    steps_per_epoch: int
    layers: tuple[LayerCost, ...]


def layers(experiment: Experiment) -> tuple[LayerCost, ...]:
    """The network's layers in order, the input scaling first, the softmax last."""
    layers = [LayerCost("rescale", "Rescaling", INPUTS, 0)]
    fan_in = INPUTS
    for number, width in enumerate(experiment.hidden_widths, start=1):
        layers.append(LayerCost(hidden_name(number), "Dense", width, (fan_in + 1) * width))
        if experiment.batch_norm:
            layers.append(LayerCost(f"batch_norm_{number}", "BatchNormalization", width, 4 * width))
        layers.append(LayerCost(f"activation_{number}", "Activation", width, 0))
        if experiment.dropout:
            layers.append(LayerCost(f"dropout_{number}", "Dropout", width, 0))
        fan_in = width
    return (*layers, LayerCost("output", "Dense", OUTPUTS, (fan_in + 1) * OUTPUTS))


def kept_epochs(epochs: int) -> tuple[int, ...]:
    """Epochs whose weights are kept: 0 (before training), all up to 30, then about 30 evenly thinned, the last."""
    if epochs <= 30:
        return tuple(range(epochs + 1))
    return tuple(sorted({round(epochs * n / 30) for n in range(31)}))


def cost(experiment: Experiment, train_examples: int) -> Cost:
    """The cost of training on `train_examples` images (after the validation split)."""
    plan, kernels = layers(experiment), kernel_sizes(experiment)
    products = 2 * (3 * sum(kernels) - kernels[0])
    return Cost(
        parameters=sum(layer.parameters for layer in plan),
        flops=float(products) * train_examples * experiment.epochs,
        steps_per_epoch=math.ceil(train_examples / experiment.batch_size),
        layers=plan,
    )


def kernel_sizes(experiment: Experiment) -> list[int]:
    """How many weights each Dense layer has, its biases left out."""
    return [a * b for a, b in pairwise((INPUTS, *experiment.hidden_widths, OUTPUTS))]


def training_images(experiment: Experiment, data_name: str) -> int:
    """How many images of a data set an experiment trains on, those for validation left out."""
    return len(split_of(data_name, experiment.validation_fraction, experiment.training_fraction).train)


def check_budget(experiment: Experiment, train_examples: int, budget: float) -> None:
    """Refuse a training that is too expensive for this server. budget: FLOPs. Raises: ExperimentError."""
    needed = cost(experiment, train_examples).flops
    check_flops(needed, budget, "This training", "fewer layers, units or epochs", ExperimentError)


def training_memory(experiment: Experiment, together: int = 1) -> int:
    """About how many bytes a process needs at its peak to train an experiment, or `together` such ones at a time.

    TensorFlow with the data and a small network; for each weight, its value and the optimiser's slots, twice, since the
    compiled loop hands them on, and COPIES more: the gradient, and what is stored; for each image of a batch, what the
    hidden layers keep for the way back; for each image that is evaluated, the widest layer.

    Peaks of a process, measured and (estimated without the 40 MB that a worker has for maps), in MB: 1 x 8 units 874
    (860); 4 x 1,024 986 (1,043); 4 x 2,048 1,440 (1,478), by SGD 1,318 (1,364), with batches of 1,024, batch
    normalisation and dropout 1,462 (1,539); 20 x 512 with batches of 1,024 1,042 (1,169).
    """
    slots = OPTIMISERS[experiment.optimiser].slots
    weights = cost(experiment, 1).parameters * (2 * (1 + slots) + COPIES)
    kept = 2 * sum(experiment.hidden_widths) * experiment.batch_size
    evaluated = EVALUATED_AT_ONCE * max(experiment.hidden_widths, default=OUTPUTS)
    return TENSORFLOW_BYTES + 4 * together * (weights + kept + evaluated)


def check_memory(experiment: Experiment, limit: int, together: int = 1, in_worker: bool = True) -> None:
    """Refuse a training that there is too little memory for.

    limit: bytes, of a worker or of this machine. Raises: ExperimentError.
    """
    needed, usable = training_memory(experiment, together), int(USABLE * limit)
    if needed <= usable:
        return
    what = "This training" if together == 1 else "This race"
    place = f"a worker can use {usable / 1e9:.2f} of its {limit / 1e9:.2f} GB"
    remedy = ", or raise the limit (the setting FMNIST_WORKER_MEMORY)"
    if not in_worker:
        place, remedy = f"this machine has {limit / 1e9:.2f} GB", ""
    raise ExperimentError(
        f"{what} would need about {needed / 1e9:.2f} GB of memory, but {place};"
        f" choose fewer layers or units, or smaller batches{remedy}."
    )


def check_flops(needed: float, budget: float, what: str, remedy: str, error: type[LabError]) -> None:
    """Refuse what needs more floating-point operations than a server's budget, in one sentence.

    Raises:
        error: it does; the sentence gives both numbers, and the remedy: what to choose instead.
    """
    if needed > budget:
        raise error(
            f"{what} needs {needed:.1e} floating-point operations, {needed / budget:.1f} times what this server"
            f" allows ({budget:.1e}); choose {remedy} (the setting FMNIST_COMPUTE_BUDGET is the limit)."
        )


def training_seconds(flops: float, steps: float, efficiency: float, product: tuple[int, int, int]) -> float:
    """Seconds for these floating-point operations and steps.

    efficiency: of the speed of `product`, (rows, inner, columns), which should be like the training's own: with small
    batches the weights' way through memory takes the time.
    """
    return flops / (efficiency * product_speed(*product)) + steps * STEP_SECONDS


@cache
def product_speed(rows: int, inner: int, columns: int) -> float:
    """FLOP/s of a (rows, inner) float32 matrix times an (inner, columns) one here, measured once: 5 to 20 ms."""
    a, b = np.ones((rows, inner), np.float32), np.ones((inner, columns), np.float32)
    best = math.inf
    for _ in range(20):  # The best of many: the first ones wait for BLAS' threads, and others for the machine's.
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return 2 * rows * inner * columns / best
