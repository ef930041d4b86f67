"""How long a training will take on this machine, from what was measured on it."""

from __future__ import annotations

import math
import time
from itertools import islice

import numpy as np
import streamlit as st

from fmnist_core.experiment.cost import cost
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.store.run import Run
from fmnist_core.ui.shared import server

# Measured with the compiled training loop: the share of a plain matrix product's speed it reaches, and what each
# step costs on top (weight update aside): launching the step and gathering its batch.
EFFICIENCY, STEP_SECONDS = 0.55, 6e-5
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
    return plan.flops / (_speed() * EFFICIENCY) + plan.steps_per_epoch * experiment.epochs * STEP_SECONDS


@st.cache_resource(show_spinner=False)
def _speed() -> float:
    """FLOP/s of a matrix product of the base network's size, on this machine; about 20 ms once per server."""
    a, b = np.ones((128, 784), np.float32), np.ones((784, 512), np.float32)
    best = math.inf
    for _ in range(20):  # The best of many: the first ones wait for BLAS' threads, and others for the machine's.
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return 2 * 128 * 784 * 512 / best


@st.cache_data(show_spinner=False, ttl=20)
def _correction() -> float:
    """Measured time of the latest long runs over their estimate: what the rule of thumb misses on this machine."""
    runs = list(islice(filter(_tells, server.store().runs()), RECENT))
    return sum(float(run.metrics["seconds"]) for run in runs) / sum(map(_raw_of, runs)) if runs else 1.0


def _tells(run: Run) -> bool:
    metrics = run.metrics
    return bool(metrics["epochs_done"] and metrics["train_examples"] and metrics["seconds"] >= LONG_ENOUGH)


def _raw_of(run: Run) -> float:
    """The estimate for the epochs that were trained."""
    whole = _raw(run.experiment, run.metrics["train_examples"])
    return whole * int(run.metrics["epochs_done"]) / run.experiment.epochs
