"""How long a training will take on this machine, from what was measured on it."""

from __future__ import annotations

from itertools import islice

import streamlit as st

from fmnist_core.experiment.cost import EFFICIENCY, cost, training_seconds
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.ui.shared import server

PRODUCT = (128, 784, 512)  # like a step of the base network
RUN_SECONDS = 0.6  # What a run costs whatever its size: evaluation before training, saving.
RECENT = 5
LONG_ENOUGH = 2.0  # seconds; what a shorter run took is mostly fixed costs, and tells nothing of a longer one


def seconds(experiment: Experiment, train_examples: int) -> float:
    """Estimated training time in seconds; compiling comes on top."""
    return _raw(experiment, train_examples) * _correction() + RUN_SECONDS


def words(value: float) -> str:
    """A duration to the precision an estimate has, never "0 s"; ready to stand after "about"."""
    if value < 90:
        return f"{max(value, 1):.0f} s"
    return f"{value / 60:.0f} min" if value < 5400 else f"{value / 3600:.1f} h"


def _raw(experiment: Experiment, train_examples: int) -> float:
    plan = cost(experiment, train_examples)
    steps = plan.steps_per_epoch * experiment.epochs
    return training_seconds(plan.flops, steps, EFFICIENCY, PRODUCT)


@st.cache_data(show_spinner=False, ttl=20)
def _correction() -> float:
    """Measured time of the latest long runs over their estimate: what the rule of thumb misses on this machine."""
    times = (
        (m["seconds"], _raw(run.experiment, m["train_examples"]) * m["epochs_done"] / run.experiment.epochs)
        for run in server.store().runs()
        if (m := run.metrics)["epochs_done"] and m["train_examples"]
    )
    # On a busy machine the fixed costs alone can be long: the estimate tells, too, whether a run was.
    long = list(islice((pair for pair in times if min(pair) >= LONG_ENOUGH), RECENT))
    measured, estimated = (sum(seconds) for seconds in zip(*long, strict=True)) if long else (1.0, 1.0)
    return measured / estimated
