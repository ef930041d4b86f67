"""A network's backward pass in NumPy: how the cost of each image reaches back through the layers.

Names follow Glorot & Bengio (2010): a layer's weighted sums s = z W + b, its activations z' = f(s), and dCost/ds, the
back-propagated gradient that their figure 7 shows (dCost/dW is figure 8). Arithmetic is float32, as in `forward`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fmnist_core.experiment.activations import ACTIVATIONS, Array
from fmnist_core.experiment.cost import OUTPUTS
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.layer_names import OUTPUT, activation_name, hidden_name
from fmnist_core.network import forward


class Signals(NamedTuple):
    """What passes through one Dense layer, forward and backward; all float32.

    sums: (n, units), s = z W + b, before batch normalisation. activations: (n, units), z', after batch normalisation
    and activation; of the output layer the probabilities. slopes: (n, units), dz'/ds unit by unit, of a hidden layer
    (with batch normalisation its scale is a factor of it, its statistics count as constants); of the output layer 1,
    since the softmax mixes its units. gradient: (n, units), dCost/ds, each image's own cost, not divided by n.
    weight_gradient: (fan_in, units), of the mean cost; that of the biases is the mean of `gradient` over the images.
    """

    name: str
    sums: Array
    activations: Array
    slopes: Array
    gradient: Array
    weight_gradient: Array


def signals(
    experiment: Experiment,
    weights: Mapping[str, Array],
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    training: bool = False,
) -> tuple[Signals, ...]:
    """The signals of each Dense layer in order: hidden_1 ... hidden_k, output.

    The cost is the categorical cross-entropy, with the experiment's label smoothing: no L2 penalty, and nothing is
    dropped out. images: uint8 (n, 784) or (n, 28, 28). labels: uint8 (n,). weights: as for `forward.layers`.
    training: with batch normalisation, the batch's own statistics, through which the gradient then flows, too: an
    image's dCost/ds is n times that of the batch's mean cost. Otherwise the stored statistics, which are constants.

    A network that explodes has infinite or undefined values here; nothing is raised for it. Raises: WeightsError.
    """
    whole = experiment.model_copy(update={"dropout": 0.0})
    with np.errstate(all="ignore"):  # exploding is a result, not an error
        values = dict(forward.layers(whole, weights, images, training=training))
        gradient = _output_gradient(values["output"], labels, experiment.label_smoothing)
        result = []
        for number in range(len(experiment.hidden_widths) + 1, 0, -1):
            is_output = number > len(experiment.hidden_widths)
            name = OUTPUT if is_output else hidden_name(number)
            sums = values["logits" if is_output else name]
            slopes = np.ones_like(sums)
            if not is_output:
                slopes, gradient = _through(experiment, weights, values, number, training, gradient)
            inputs = values[f"activation_{number - 1}" if number > 1 else "rescale"]
            weight_gradient = inputs.T @ gradient / np.float32(len(inputs))
            result.append(Signals(name, sums, values[activation_name(name)], slopes, gradient, weight_gradient))
            if number > 1:
                gradient = gradient @ weights[f"{name}/kernel"].T
    return tuple(reversed(result))


def _output_gradient(probabilities: Array, labels: NDArray[np.uint8], smoothing: float) -> Array:
    """d cross-entropy / d logits of a softmax: probabilities minus targets, the one-hot labels or smoothed ones."""
    gradient = probabilities - np.float32(smoothing / OUTPUTS)
    gradient[np.arange(len(labels)), labels] -= np.float32(1 - smoothing)
    return gradient


def _through(
    experiment: Experiment,
    weights: Mapping[str, Array],
    values: Mapping[str, Array],
    number: int,
    training: bool,
    above: Array,
) -> tuple[Array, Array]:
    """Slopes dz'/ds of a hidden layer, and dCost/ds from dCost/dz' (above)."""
    sums, activations = values[hidden_name(number)], values[f"activation_{number}"]
    derivative = ACTIVATIONS[experiment.activation].derivative
    if not experiment.batch_norm:
        slopes = derivative(sums, activations)
        return slopes, above * slopes
    name = f"batch_norm_{number}"
    mean, deviation = forward.batch_norm_statistics(weights, name, sums, training)
    inner, gamma = derivative(values[name], activations), weights[f"{name}/gamma"]
    scale = gamma / deviation
    if not training:
        return inner * scale, above * inner * scale
    # Ioffe & Szegedy (2015), section 3: the batch's mean and variance depend on every image's sum.
    standardised = (sums - mean) / deviation
    scaled = above * inner * gamma
    centred = scaled - scaled.mean(axis=0) - standardised * (scaled * standardised).mean(axis=0)
    return inner * scale, centred / deviation
