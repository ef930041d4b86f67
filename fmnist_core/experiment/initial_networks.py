"""A look at networks before any training: what is asked for, checked before a worker spends time on it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fmnist_core.errors import BadValueError
from fmnist_core.experiment.cost import kernel_sizes
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.wording import counted

MOST_NETWORKS, LOWEST_GAIN, HIGHEST_GAIN = 4, 0.01, 100.0
# All networks' weights together: three of 7 layers of 1,024 units, or one of 20. It takes about 0.4 GB and two seconds.
MOST_WEIGHTS = 24_000_000


class InitialisationError(BadValueError):
    """What is to be looked at cannot be; the text names the entry, the value and the remedy."""


def requested(
    layers: int, units: int, activation: str, initialisers: Sequence[str], seed: int = 0, gains: Sequence[float] = ()
) -> list[tuple[Experiment, float]]:
    """The network and the gain of each initialiser, in their order. gains: one for each, or none (all 1).

    Raises: ExperimentError (a value out of range), InitialisationError (too many networks or weights, a bad gain).
    """
    gains = gains or [1.0] * len(initialisers)
    if not 1 <= len(initialisers) <= MOST_NETWORKS:
        raise InitialisationError(
            f"Initialisers ({len(initialisers)}) must be 1 to {MOST_NETWORKS}; leave some out, or name one."
        )
    if len(gains) != len(initialisers):
        raise InitialisationError(
            f"Gains ({len(gains)}) must be as many as initialisers ({len(initialisers)}); give one for each, or none."
        )
    for gain in gains:
        if not (math.isfinite(gain) and LOWEST_GAIN <= gain <= HIGHEST_GAIN):
            raise InitialisationError(f"Gain is {gain:g}, but it must be between {LOWEST_GAIN:g} and {HIGHEST_GAIN:g}.")
    pairs = list(zip(initialisers, gains, strict=True))
    if len(set(pairs)) < len(pairs):
        raise InitialisationError(
            f"Initialisers ({', '.join(initialisers)}) name the same network twice; change one, or its gain."
        )
    shape = {"layers": layers, "units": units, "activation": activation, "seed": seed}
    experiments = [Experiment.of(shape | {"initialiser": name}) for name in initialisers]
    if layers < 1:
        raise InitialisationError(f"Hidden layers (layers) is {layers}, but here it must be from 1 to 20.")
    weights = len(experiments) * sum(kernel_sizes(experiments[0]))
    if weights > MOST_WEIGHTS:
        raise InitialisationError(
            f"{counted(layers, 'hidden layer')} of {units:,} units for {counted(len(experiments), 'initialiser')} have"
            f" {weights / 1e6:.0f} million weights, but at most {MOST_WEIGHTS / 1e6:.0f} million can be shown live;"
            " choose fewer layers, units or initialisers."
        )
    return list(zip(experiments, gains, strict=True))


def fits(layers: int, units: int, initialisers: int) -> bool:
    """Whether so many networks of this shape have few enough weights."""
    return initialisers * sum(kernel_sizes(Experiment(layers=layers, units=units))) <= MOST_WEIGHTS
