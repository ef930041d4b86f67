"""The activations: one row each, with every fact about it that the rest of the app needs. NumPy only.

To add an activation, add a row. Everything that depends on an activation (choices, labels, the NumPy network, theory,
health, charts) reads the row; the tests check its facts against Keras and against the function itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

ONE = np.float32(1)
LEAK = np.float32(0.2)  # Keras' leaky_relu by name; many others take 0.01.
SELU_SCALE, SELU_ALPHA = np.float32(1.0507009873554805), np.float32(1.6732632423543772)  # Klambauer et al. (2017)


@dataclass(frozen=True)
class Activation:
    """One activation f.

    name: Keras' name. function: f(s), for any shape; float32 in, float32 out. derivative: f'(s) from (s, f(s)), since
    most derivatives follow from f(s) with less arithmetic; as Keras differentiates it. limits: of f at minus and plus
    infinity. slope_at_zero: f'(0), None where f has a corner there. initialiser: whose variance suits it. odd: f(-s) is
    -f(s). monotonic: f never falls. can_die: f is constant for all s < 0, where no gradient passes at all.
    """

    name: str
    label: str
    function: Callable[[Array], Array]
    derivative: Callable[[Array, Array], Array]
    limits: tuple[float, float]
    slope_at_zero: float | None
    initialiser: str
    odd: bool = False
    monotonic: bool = True
    can_die: bool = False

    @property
    def asymptotes(self) -> tuple[float, ...]:
        """The values that f approaches, reaches nowhere, and has near it only where it is flat.

        GELU, SiLU and mish are flat for very negative sums, too, but take the same values near s = 0, where they are
        not.
        """
        return () if self.can_die or not self.monotonic else tuple(x for x in self.limits if math.isfinite(x))

    @property
    def can_saturate(self) -> bool:
        """Whether a value of f tells that f is flat there."""
        return bool(self.asymptotes)

    @property
    def fades(self) -> bool:
        """Whether f goes flat somewhere although no value of f tells where."""
        return not (self.monotonic or self.can_saturate)

    @property
    def bounded(self) -> bool:
        """Whether all values of f lie between two limits."""
        return all(map(math.isfinite, self.limits))

    @property
    def rectifies(self) -> bool:
        """Whether f passes positive sums on and damps negative ones."""
        return not (self.odd or self.bounded)


def _relu_slope(s: Array, z: Array) -> Array:
    return (s > 0).astype(np.float32)


def _leaky_relu(s: Array) -> Array:
    return np.where(s > 0, s, LEAK * s)


def _leaky_relu_slope(s: Array, z: Array) -> Array:
    return np.where(s > 0, ONE, LEAK)


def _sigmoid(s: Array) -> Array:
    with np.errstate(over="ignore"):  # exp gives inf far below 0, and 1 / inf is the right 0.
        result: Array = np.reciprocal(1 + np.exp(-s))
        return result


def _softsign(s: Array) -> Array:
    result: Array = s / (1 + np.abs(s))
    return result


def _softsign_slope(s: Array, z: Array) -> Array:
    result: Array = np.square(1 - np.abs(z))
    return result


def _elu(s: Array) -> Array:
    return np.where(s > 0, s, np.expm1(np.minimum(s, 0)))


def _selu(s: Array) -> Array:
    return SELU_SCALE * np.where(s > 0, s, SELU_ALPHA * np.expm1(np.minimum(s, 0)))


def _selu_slope(s: Array, z: Array) -> Array:
    return np.where(s > 0, SELU_SCALE, z + SELU_SCALE * SELU_ALPHA)


def _normal_cdf(s: Array) -> Array:
    """Phi(s), the standard normal distribution function."""
    from scipy.special import erf  # Here, since the screens start without SciPy.

    result: Array = np.float32(0.5) * (1 + erf(s * np.float32(1 / np.sqrt(2))))
    return result


def _gelu(s: Array) -> Array:
    """Hendrycks & Gimpel (2016), exact: s * Phi(s)."""
    return s * _normal_cdf(s)


def _gelu_slope(s: Array, z: Array) -> Array:
    """Phi(s) + s phi(s), phi the standard normal density."""
    density = np.float32(1 / np.sqrt(2 * np.pi)) * np.exp(np.float32(-0.5) * s * s)
    result: Array = _normal_cdf(s) + s * density
    return result


def _silu_slope(s: Array, z: Array) -> Array:
    sigmoid = _sigmoid(s)
    return sigmoid + z * (1 - sigmoid)


def _tanh_of_softplus(s: Array) -> Array:
    result: Array = np.tanh(np.maximum(s, 0) + np.log1p(np.exp(-np.abs(s))))
    return result


def _mish(s: Array) -> Array:
    """Misra (2020): s tanh(ln(1 + e^s))."""
    return s * _tanh_of_softplus(s)


def _mish_slope(s: Array, z: Array) -> Array:
    factor = _tanh_of_softplus(s)
    result: Array = factor + s * (1 - np.square(factor)) * _sigmoid(s)
    return result


_INF = math.inf
_ROWS = (
    Activation("relu", "ReLU", lambda s: np.maximum(s, 0), _relu_slope, (0, _INF), None, "he_normal", can_die=True),
    Activation("tanh", "tanh", np.tanh, lambda s, z: 1 - z * z, (-1, 1), 1, "glorot_uniform", odd=True),
    Activation("sigmoid", "sigmoid", _sigmoid, lambda s, z: z * (1 - z), (0, 1), 0.25, "glorot_uniform"),
    Activation("softsign", "softsign", _softsign, _softsign_slope, (-1, 1), 1, "glorot_uniform", odd=True),
    Activation("elu", "ELU", _elu, lambda s, z: np.where(s > 0, ONE, z + 1), (-1, _INF), 1, "he_normal"),
    Activation("selu", "SELU", _selu, _selu_slope, (-float(SELU_SCALE * SELU_ALPHA), _INF), None, "lecun_normal"),
    Activation("gelu", "GELU", _gelu, _gelu_slope, (0, _INF), 0.5, "he_normal", monotonic=False),
    Activation("silu", "SiLU", lambda s: s * _sigmoid(s), _silu_slope, (0, _INF), 0.5, "he_normal", monotonic=False),
    Activation("mish", "mish", _mish, _mish_slope, (0, _INF), 0.6, "he_normal", monotonic=False),
    Activation("leaky_relu", "leaky ReLU", _leaky_relu, _leaky_relu_slope, (-_INF, _INF), None, "he_normal"),
    Activation(
        "linear", "linear", lambda s: s, lambda s, z: np.ones_like(s), (-_INF, _INF), 1, "glorot_uniform", odd=True
    ),
)
ACTIVATIONS = {row.name: row for row in _ROWS}
