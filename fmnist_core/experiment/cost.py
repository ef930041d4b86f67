"""What a training costs, computed from its description alone: parameters and arithmetic. No TensorFlow."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fmnist_core.data.dataset import split_of
from fmnist_core.errors import LabError
from fmnist_core.experiment.hyperparameters import Experiment, ExperimentError
from fmnist_core.experiment.layer_names import hidden_name

INPUTS, OUTPUTS = 28 * 28, 10


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
    found = [LayerCost("rescale", "Rescaling", INPUTS, 0)]
    fan_in = INPUTS
    for number, width in enumerate(experiment.hidden_widths, start=1):
        found.append(LayerCost(hidden_name(number), "Dense", width, (fan_in + 1) * width))
        if experiment.batch_norm:
            found.append(LayerCost(f"batch_norm_{number}", "BatchNormalization", width, 4 * width))
        found.append(LayerCost(f"activation_{number}", "Activation", width, 0))
        if experiment.dropout:
            found.append(LayerCost(f"dropout_{number}", "Dropout", width, 0))
        fan_in = width
    return (*found, LayerCost("output", "Dense", OUTPUTS, (fan_in + 1) * OUTPUTS))


def kept_epochs(epochs: int) -> tuple[int, ...]:
    """Epochs whose weights are kept: 0 (before training), all up to 30, then about 30 evenly thinned, the last."""
    if epochs <= 30:
        return tuple(range(epochs + 1))
    return tuple(sorted({round(epochs * n / 30) for n in range(31)}))


def cost(experiment: Experiment, train_examples: int) -> Cost:
    """The cost of training on `train_examples` images (after the validation split)."""
    plan = layers(experiment)
    kernels = [
        a * b for a, b in zip((INPUTS, *experiment.hidden_widths), (*experiment.hidden_widths, OUTPUTS), strict=True)
    ]
    products = 2 * (3 * sum(kernels) - kernels[0])
    parameters = sum(layer.parameters for layer in plan)
    return Cost(
        parameters=parameters,
        flops=float(products) * train_examples * experiment.epochs,
        steps_per_epoch=math.ceil(train_examples / experiment.batch_size),
        layers=plan,
    )


def training_images(experiment: Experiment, data_name: str) -> int:
    """How many images of a data set an experiment trains on, those for validation left out."""
    return len(split_of(data_name, experiment.validation_fraction, experiment.training_fraction).train)


def check_budget(experiment: Experiment, train_examples: int, budget: float) -> None:
    """Refuse a training that is too expensive for this server. budget: FLOPs. Raises: ExperimentError."""
    needed = cost(experiment, train_examples).flops
    check_flops(needed, budget, "This training", "fewer layers, units or epochs", ExperimentError)


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
