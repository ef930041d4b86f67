"""How large signals and gradients should be before training: theory, in NumPy, to lay over measurements.

Two levels. Glorot & Bengio (2010) take f'(s) = 1 (eq. 4): variances are multiplied by n Var[W] at each layer, eqs.
5 and 6; that is `predict` with the activation "linear". For any other activation, `predict` takes the exact mean over a
normally distributed sum s, which it is in wide layers (Poole et al. 2016, arXiv 1606.05340; Schoenholz et al. 2017,
arXiv 1611.01232). For ReLU both factors are 1/2 (He et al. 2015, arXiv 1502.01852, eqs. 10 and 14).

The paper's symbols: n_i inputs and n_{i+1} units of a layer, z activations, s = z W + b. It takes inputs of mean 0;
pixels from 0 to 1 are not, so that their second moment E[x^2] stands where the paper has Var[x].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmnist_core.errors import LabError
from fmnist_core.experiment.activations import ACTIVATIONS
from fmnist_core.experiment.cost import INPUTS, OUTPUTS
from fmnist_core.experiment.hyperparameters import FIELDS
from fmnist_core.experiment.initialisers import INITIALISERS
from fmnist_core.experiment.layer_names import OUTPUT, hidden_name

Numbers = NDArray[np.float64]

SIGMA: float = FIELDS["initialiser_sigma"].default
GROUPS = 16  # images of about equal length are taken together
LOGIT_DRAWS = 1000
# Means over the normal distribution, by the midpoint rule: Gauss-Hermite nodes would lie too far apart where a steep
# activation is nearly a step, and no node may lie on ReLU's corner.
_STEP = 0.002
NODES: Numbers = np.arange(-8 + _STEP / 2, 8, _STEP)
DENSITY: Numbers = np.exp(-(NODES**2) / 2)
DENSITY /= DENSITY.sum()


class TheoryError(LabError):
    """Something that the theory says nothing about."""


@dataclass(frozen=True)
class LayerTheory:
    """What theory expects of one layer, over all its units and all images.

    weight_variance: Var[W]. sum_variance: of s. activation_mean, activation_variance: of z' (of the output layer, the
    probabilities). gradient_variance: of dCost/ds of single images. mean_singular_value: of W^T, thus of dz'/dz with
    f' = 1.
    """

    name: str
    weight_variance: float
    sum_variance: float
    activation_mean: float
    activation_variance: float
    gradient_variance: float
    mean_singular_value: float


def weight_variance(initialiser: str, fan_in: int, units: int, sigma: float = SIGMA) -> float:
    """Var[W] of an initialiser, before any gain.

    Signals keep their variance forward where n_i Var[W] = 1 (Glorot & Bengio 2010, eqs. 8 and 10), backward where
    n_{i+1} Var[W] = 1 (eqs. 9 and 11). lsuv depends on the data: see `predict`.

    Raises: TheoryError: the initialiser has no variance of its own.
    """
    row = INITIALISERS.get(initialiser)
    if row is None or row.variance is None:
        raise TheoryError(
            f"There is no formula for the variance of the initialiser {initialiser!r}; choose another one."
        )
    return row.variance(fan_in, units, sigma)


def mean_singular_value(fan_in: int, units: int, variance: float) -> float:
    """Mean of the min(fan_in, units) singular values of a large matrix of independent entries of that variance.

    Square: 8 / (3 pi) sqrt(n Var[W]), 0.849 for n Var[W] = 1 and 0.490 for 1/3. Otherwise the mean of the square root
    over the law of Marchenko & Pastur (1967), by the midpoint rule in the angle that maps its interval to a half
    circle.
    """
    short, long = min(fan_in, units), max(fan_in, units)
    ratio = short / long
    angle = (np.arange(4096) + 0.5) * math.pi / 4096
    eigenvalue = 1 + ratio + 2 * math.sqrt(ratio) * np.cos(angle)
    mean = float((4 * ratio * np.sin(angle) ** 2 / (2 * math.pi * ratio * np.sqrt(eigenvalue))).mean() * math.pi)
    return mean * math.sqrt(long * variance)


def second_moments(images: NDArray[np.uint8]) -> Numbers:
    """Mean squared pixel of each image, pixels scaled to 0-1: float64 (n,). images: uint8 (n, 784) or (n, 28, 28)."""
    pixels = images.reshape(len(images), INPUTS) * np.float32(1 / 255)
    moments: Numbers = np.square(pixels).mean(axis=1, dtype=np.float64)
    return moments


def predict(
    widths: Sequence[int],
    activation: str,
    initialiser: str,
    moments: Numbers,
    gain: float = 1.0,
    sigma: float = SIGMA,
) -> tuple[LayerTheory, ...]:
    """What to expect of each layer, hidden_1 ... output, with biases 0 and no batch normalisation.

    widths: units of the hidden layers. moments: as from `second_moments`; each image's signal is followed by itself,
    since bright images saturate more. gain: multiplies the weights. lsuv: each layer's sums are scaled to variance 1
    first. Linear layers of equal width n keep to the powers of n Var[W] of eq. 13. Raises: TheoryError.
    """
    fans = (INPUTS, *widths, OUTPUTS)
    names = [*map(hidden_name, range(1, len(widths) + 1)), OUTPUT]
    second = np.array([part.mean() for part in np.array_split(np.sort(moments), min(GROUPS, len(moments)))])
    variances, sums, firsts, seconds = [], [], [], []
    with np.errstate(all="ignore"):  # exploding is a result
        for index, (fan_in, units) in enumerate(pairwise(fans)):
            if INITIALISERS[initialiser].variance is None:
                variance = 1 / (fan_in * float(second.mean()))
            else:
                variance = weight_variance(initialiser, fan_in, units, sigma)
            variances.append(variance * gain**2)
            sums.append(fan_in * variances[-1] * second)  # eq. 5, one layer of it
            is_output = index == len(widths)
            first, second = _probability_moments(sums[-1]) if is_output else _moments(activation, sums[-1])
            firsts.append(first)
            seconds.append(second)
        gradients = _gradients(widths, activation, variances, sums, seconds[-1])
    return tuple(
        LayerTheory(
            name=name,
            weight_variance=variances[index],
            sum_variance=float(sums[index].mean()),
            activation_mean=float(firsts[index].mean()),
            activation_variance=float(seconds[index].mean() - firsts[index].mean() ** 2),
            gradient_variance=float(gradients[index].mean()),
            mean_singular_value=_mean_singular_value(initialiser, fans[index], fans[index + 1], variances[index]),
        )
        for index, name in enumerate(names)
    )


def _gradients(
    widths: Sequence[int], activation: str, variances: Sequence[float], sums: Sequence[Numbers], squares: Numbers
) -> list[Numbers]:
    """Second moment of dCost/ds of each layer and group of images: eq. 2, squared and averaged, from the output back.

    squares: mean squared probability. At the output dCost/ds = p - y; y is 1 for one of the classes (no label
    smoothing), which has a mean probability of 1 / OUTPUTS before the network has learnt anything:
    E[(p - y)^2] = E[p^2] - 2 / OUTPUTS^2 + 1 / OUTPUTS.
    """
    gradients = [squares - 2 / OUTPUTS**2 + 1 / OUTPUTS]
    for index in range(len(widths) - 1, -1, -1):
        above = ((*widths, OUTPUTS)[index + 1]) * variances[index + 1] * gradients[0]
        gradients.insert(0, above * _slope(activation, sums[index]))
    return gradients


def _moments(activation: str, variance: Numbers) -> tuple[Numbers, Numbers]:
    """E[f(s)] and E[f(s)^2] for s ~ N(0, variance), each (groups,)."""
    sums: Any = np.sqrt(variance)[:, None] * NODES
    values = ACTIVATIONS[activation].function(sums)
    return values @ DENSITY, np.square(values) @ DENSITY


def _slope(activation: str, variance: Numbers) -> Numbers:
    """E[f'(s)^2] for s ~ N(0, variance), (groups,)."""
    sums: Any = np.sqrt(variance)[:, None] * NODES
    row = ACTIVATIONS[activation]
    result: Numbers = np.square(row.derivative(sums, row.function(sums))) @ DENSITY
    return result


def _probability_moments(variance: Numbers) -> tuple[Numbers, Numbers]:
    """E[p] and E[p^2] of a softmax over logits ~ N(0, variance), each (groups,); the same draws for each group."""
    draws = np.random.default_rng(0).standard_normal((LOGIT_DRAWS, OUTPUTS))
    logits = np.sqrt(variance)[:, None, None] * draws
    powers = np.exp(logits - logits.max(axis=2, keepdims=True))
    chances = powers / powers.sum(axis=2, keepdims=True)
    return np.full(len(variance), 1 / OUTPUTS), np.square(chances).mean(axis=(1, 2))


def _mean_singular_value(initialiser: str, fan_in: int, units: int, variance: float) -> float:
    """Orthogonal weights stretch all directions alike."""
    if INITIALISERS[initialiser].orthogonal:
        return math.sqrt(max(fan_in, units) * variance)
    return mean_singular_value(fan_in, units, variance)
