"""The initialisers: one row each, with the variance of the weights that it draws.

To add one, add a row that names Keras' class; `learning` makes it from that name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Initialiser:
    """One initialiser of a layer's kernel, shape (fan_in, fan_out).

    variance: Var[W] from (fan_in, fan_out, sigma), sigma the hyperparameter `initialiser_sigma`; None where it depends
    on the data. keras: its class in keras.initializers. arguments: what that class takes beside the seed, from (fan_in,
    sigma); None where it takes no seed either. orthogonal: its draws stretch all directions alike.
    """

    name: str
    label: str
    keras: str
    variance: Callable[[int, int, float], float] | None
    arguments: Callable[[int, float], dict[str, float]] | None = lambda fan_in, sigma: {}
    orthogonal: bool = False


def _glorot(fan_in: int, fan_out: int, sigma: float) -> float:
    """Glorot & Bengio (2010), eqs. 12 and 16: the compromise between forward and backward."""
    return 2 / (fan_in + fan_out)


def _he(fan_in: int, fan_out: int, sigma: float) -> float:
    """He et al. (2015), eq. 10."""
    return 2 / fan_in


def _lecun(fan_in: int, fan_out: int, sigma: float) -> float:
    """LeCun et al. (1998), eq. 16."""
    return 1 / fan_in


def _standard(fan_in: int, fan_out: int, sigma: float) -> float:
    """U(-1/sqrt(n), 1/sqrt(n)), the "commonly used heuristic": n Var[W] = 1/3 (Glorot & Bengio 2010, eqs. 1 and 15)."""
    return 1 / (3 * fan_in)


def _standard_range(fan_in: int, sigma: float) -> dict[str, float]:
    limit = 1 / math.sqrt(fan_in)
    return {"minval": -limit, "maxval": limit}


# Keras' normal ones are truncated, and widened so that the variance is right. orthogonal: each row, or each column
# where these are longer, has length 1 (Saxe et al. 2014). lsuv starts orthogonal and scales each layer by the data.
_ROWS = (
    Initialiser("glorot_uniform", "Glorot uniform", "GlorotUniform", _glorot),
    Initialiser("glorot_normal", "Glorot normal", "GlorotNormal", _glorot),
    Initialiser("he_uniform", "He uniform", "HeUniform", _he),
    Initialiser("he_normal", "He normal", "HeNormal", _he),
    Initialiser("lecun_uniform", "LeCun uniform", "LecunUniform", _lecun),
    Initialiser("lecun_normal", "LeCun normal", "LecunNormal", _lecun),
    Initialiser("orthogonal", "orthogonal", "Orthogonal", lambda a, b, _: 1 / max(a, b), orthogonal=True),
    Initialiser("standard_uniform", "standard uniform", "RandomUniform", _standard, _standard_range),
    Initialiser("lsuv", "LSUV", "Orthogonal", None, orthogonal=True),
    Initialiser("random_normal", "random normal", "RandomNormal", lambda a, b, s: s**2, lambda a, s: {"stddev": s}),
    Initialiser("zeros", "zeros", "Zeros", lambda a, b, _: 0.0, arguments=None),
)
INITIALISERS = {row.name: row for row in _ROWS}
