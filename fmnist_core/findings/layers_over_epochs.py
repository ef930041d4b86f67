"""How initialisation affects training: the measures of each checkpoint, and the steps until a loss is reached.

Networks that are compared are trained by a study with the initialiser as its axis: equal seeds see equal batches.
The measures are those of figures 2, 3 and 7 of Glorot & Bengio (2010), on the same 300 test images at each epoch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fmnist_core.data.dataset import Dataset
from fmnist_core.findings.run_tables import Trained
from fmnist_core.network.backward import Signals, signals
from fmnist_core.network.diagnostics import saturated_share
from fmnist_core.store.run import Run

IMAGES = 300  # The paper's number.
HIGH = 0.98  # The quantile of figure 3.
WINDOW = 50  # Steps whose losses are averaged: a single batch's loss is mostly noise.
MOST_POINTS = 300
COLUMNS = ("epoch", "layer", "measure", "value")


def over_epochs(run: Run, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> pd.DataFrame:
    """Measures of each hidden layer after each checkpointed epoch; epoch 0 is before training. Columns: COLUMNS.

    images: uint8 (n, 28, 28) or (n, 784), best those of `batch`. labels: (n,). measure: activation_mean,
    activation_std and activation_high (the HIGH quantile) over all images and units; saturated (share of the
    activations); gradient_std, of dCost/ds; weight_gradient_std, of dCost/dW. value: nan where it is not finite.
    Raises: RunDamaged.
    """
    rows = [
        (epoch, layer.name, measure, value)
        for epoch in run.epochs
        for layer in signals(run.experiment, run.weights(epoch), images, labels)[:-1]
        for measure, value in _measures(run.experiment.activation, layer).items()
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def batch(data: Dataset) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The same IMAGES test images for everybody, and their labels."""
    return data.test_images[:IMAGES], data.test_labels[:IMAGES]


@np.errstate(all="ignore")  # what exploded is shown as a gap
def _measures(activation: str, layer: Signals) -> dict[str, float]:
    measures = {
        "activation_mean": layer.activations.mean(dtype=np.float64),
        "activation_std": layer.activations.std(dtype=np.float64),
        "activation_high": np.quantile(layer.activations, HIGH),
        "saturated": saturated_share(activation, layer),
        "gradient_std": layer.gradient.std(dtype=np.float64),
        "weight_gradient_std": layer.weight_gradient.std(dtype=np.float64),
    }
    return {name: float(value) if math.isfinite(value) else math.nan for name, value in measures.items()}


# --- How soon ---------------------------------------------------------------------------------------------------------


def smoothed(losses: NDArray[Any], window: int = WINDOW) -> NDArray[np.float64]:
    """Mean loss of the last `window` steps, at each step from the `window`-th: float64 (steps - window + 1,).

    With fewer steps than that, of all of them, once. After a loss that is not finite, nan.
    """
    if not len(losses):
        return np.zeros(0)
    # Not by differences of cumulative sums, in which one huge loss swallows all that follow it.
    windows = np.lib.stride_tricks.sliding_window_view(losses.astype(np.float64), min(window, len(losses)))
    with np.errstate(invalid="ignore", over="ignore"):
        means: NDArray[np.float64] = windows.mean(axis=1)
    lost = np.logical_or.accumulate(~np.isfinite(means))  # a network that diverged stays so
    return np.where(lost, math.nan, means)


def steps_to(losses: NDArray[Any], target: float, window: int = WINDOW) -> int | None:
    """The first step at which the smoothed loss is at most `target`; None where it never was."""
    reached = np.flatnonzero(smoothed(losses, window) <= target)
    return int(reached[0]) + min(window, len(losses)) if len(reached) else None


def convergence(trained: Sequence[Trained], targets: Sequence[float]) -> pd.DataFrame:
    """Steps that each run took to each loss. Columns: model, seed, loss, step (nan: never reached)."""
    rows = [
        (member.model, member.seed, target, math.nan if step is None else float(step))
        for member in trained
        for target in targets
        for step in [steps_to(member.run.step_losses, target)]
    ]
    return pd.DataFrame(rows, columns=["model", "seed", "loss", "step"])


def reached_by_all(trained: Sequence[Trained]) -> float:
    """The lowest smoothed loss that every run reached; nan without any run, or where one was never finite."""
    lowest = [float(np.min(losses[np.isfinite(losses)], initial=math.inf)) for losses in map(_smoothed, trained)]
    return max(lowest) if lowest and math.isfinite(max(lowest)) else math.nan


def loss_curves(trained: Sequence[Trained]) -> pd.DataFrame:
    """Smoothed training loss, at most MOST_POINTS a run. Columns: model, seed, run_id, step, loss."""
    tables = []
    for member in trained:
        means = _smoothed(member)
        indices = np.unique(np.linspace(0, len(means) - 1, min(len(means), MOST_POINTS)).astype(int))
        steps = indices + len(member.run.step_losses) - len(means) + 1
        named: dict[str, Any] = {"model": member.model, "seed": member.seed, "run_id": member.run.run_id}
        tables.append(pd.DataFrame({"step": steps, "loss": means[indices]}).assign(**named))
    columns = ["model", "seed", "run_id", "step", "loss"]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def _smoothed(trained: Trained) -> NDArray[np.float64]:
    return smoothed(trained.run.step_losses)
