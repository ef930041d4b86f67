"""Learning-rate schedules as plain numbers: one rate for each training step.

The plot beside the sliders and the optimiser use these same values, so what is drawn is what trains.
Formulas as in Keras' `ExponentialDecay`, `InverseTimeDecay` and `CosineDecay`; the linear warm-up comes before them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fmnist_core.experiment.hyperparameters import Experiment


def learning_rates(experiment: Experiment, steps_per_epoch: int) -> NDArray[np.float32]:
    """The learning rate of every step, shape (epochs * steps_per_epoch,), float32.

    With t = step - warmup_steps, r = decay_rate, d = decay_steps, T = steps after the warm-up:
    exponential lr * r**(t/d); inverse time lr / (1 + r*t/d); cosine lr * (1 + cos(pi*t/T)) / 2;
    staircase takes the whole part of t/d. During the warm-up step k has lr * (k+1) / warmup_steps.
    """
    total = experiment.epochs * steps_per_epoch
    step = np.arange(total, dtype=np.float64)
    warmup = experiment.warmup_steps
    rates = experiment.learning_rate * _decay(experiment, np.maximum(step - warmup, 0), max(total - warmup, 1))
    if warmup:
        rates = np.where(step < warmup, experiment.learning_rate * (step + 1) / warmup, rates)
    return rates.astype(np.float32)


def _decay(experiment: Experiment, step: NDArray[np.float64], total: int) -> NDArray[np.float64]:
    """The factor on the learning rate for each step after the warm-up."""
    times = step / experiment.decay_steps
    if experiment.staircase:
        times = np.floor(times)
    match experiment.schedule:
        case "exponential":
            return np.power(experiment.decay_rate, times)
        case "inverse_time":
            return 1 / (1 + experiment.decay_rate * times)
        case "cosine":
            return 0.5 * (1 + np.cos(np.pi * step / total))
        case _:
            return np.ones_like(step)
