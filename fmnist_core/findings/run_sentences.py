"""Sentences about a finished run: length, overfitting, confusions, next steps. Every figure is measured on that run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from fmnist_core.experiment import wording
from fmnist_core.experiment.hyperparameters import FIELDS, Experiment
from fmnist_core.findings.evaluation import Z95
from fmnist_core.findings.health import LEVEL


def mean_interval(mean: float, deviation: float, n: int) -> tuple[float, float]:
    """95 % interval of a mean of n values with this standard deviation."""
    half = Z95 * deviation / math.sqrt(n)
    return mean - half, mean + half


def tested(metrics: Mapping[str, Any], name: str) -> str:
    """A measure on the test images to 3 digits, or "diverged". name: test_loss or test_accuracy."""
    return f"{metrics[name]:.3f}" if math.isfinite(metrics["test_loss"]) else "diverged"


def length(experiment: Experiment, metrics: Mapping[str, Any], history: pd.DataFrame) -> str:
    """How many epochs were trained, and that the training ended early if the loss diverged."""
    done = int(metrics["epochs_done"])
    if done < experiment.epochs and not metrics["stopped"] and diverged(history):
        return f"ended after epoch {done}: the loss diverged"
    return wording.counted(done, "epoch")


def diverged(history: pd.DataFrame) -> bool:
    """Whether a training or validation loss is not finite in an epoch after epoch 0."""
    losses = history.loc[history["epoch"] > 0, ["loss", "val_loss"]]
    return not losses.map(math.isfinite).all(axis=None)


def overfitting(history: pd.DataFrame) -> str:
    """Where validation loss was lowest, and what followed. history: columns of EpochRecord."""
    rows = history[history["epoch"] > 0]
    if not len(rows):
        return "No epoch was completed."
    if diverged(history):
        return "Training diverged: the learning rate is too high for this network."
    last, best = rows.iloc[-1], rows.iloc[int(rows["val_loss"].argmin())]
    low, where = f"{best.val_loss:.3f}", f"epoch {best.epoch:.0f}"
    if len(rows) == 1:
        return f"Validation loss is {low} after one epoch: too early to see overfitting."
    if best.epoch == last.epoch:
        end = f"Validation loss was lowest at the very end ({low} after {where})"
        return f"{end}: no overfitting visible; more epochs may help."
    start = f"Validation loss was lowest after {where} ({low})"
    if last.val_loss <= best.val_loss * (1 + LEVEL):
        level = f"{start} and has stayed level since ({last.val_loss:.3f} at the end)"
        return f"{level}: training longer did not improve the validation loss."
    rise = f"{start} and rose by {100 * (last.val_loss / best.val_loss - 1):.0f} % to {last.val_loss:.3f}"
    if last.loss >= best.loss:
        still = f"{rise}, and training loss did not fall either ({best.loss:.3f} to {last.loss:.3f})"
        return f"{still}: this is unstable training rather than overfitting; try a lower learning rate."
    meanwhile = (
        "it makes no more mistakes, but is more confident in them"
        if last.val_accuracy >= best.val_accuracy
        else "it also makes more mistakes"
    )
    return (
        f"{rise}, while training loss went on falling from {best.loss:.3f} to {last.loss:.3f}: this is overfitting."
        f" Meanwhile, validation accuracy went from {best.val_accuracy:.3f} to {last.val_accuracy:.3f}: {meanwhile}."
    )


def overfits(history: pd.DataFrame) -> bool:
    """True where validation loss rose by more than LEVEL after its lowest point."""
    losses = history.loc[history["epoch"] > 0, "val_loss"]
    return len(losses) > 1 and bool(losses.iloc[-1] > losses.min() * (1 + LEVEL))


def confusion(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> str:
    """The largest confusion in one sentence. counts: rows true, columns predicted."""
    pairs = [(counts[a][b], a, b) for a in range(len(counts)) for b in range(len(counts)) if a != b]
    most, true, taken = max(pairs)
    if not most:
        return "Every test image was classified correctly."
    total, back, back_total = sum(counts[true]), counts[taken][true], sum(counts[taken])
    return (
        f"Most confused: {classes[true]} predicted as {classes[taken]}, {most:,} of {total:,}"
        f" ({100 * most / total:.0f} %); the reverse {back:,} of {back_total:,}."
    )


def next_steps(experiment: Experiment, history: pd.DataFrame, stopped: bool) -> list[tuple[str, Experiment]]:
    """A few changes worth trying now, each with a reason from this run."""
    steps: list[tuple[str, dict[str, object]]] = []
    if diverged(history):
        lower = max(float(f"{experiment.learning_rate / 10:.6g}"), FIELDS["learning_rate"].low or 0.0)
        steps.append(("It diverged: a tenth of the learning rate", {"learning_rate": lower}))
    elif overfits(history) and not stopped:
        if not experiment.dropout and experiment.hidden_widths:
            steps.append(("It overfits: drop 30 % of the units at random in each step (dropout)", {"dropout": 0.3}))
        if not experiment.patience:
            steps.append(("It overfits: stop early when validation loss rises (patience 3)", {"patience": 3}))
    elif experiment.epochs < 200 and not stopped:
        seen = "Validation loss has not risen" if history["epoch"].max() > 1 else "One epoch says little"
        steps.append((f"{seen}: train twice as long", {"epochs": min(200, 2 * experiment.epochs)}))
    steps.append(("How much is chance? The same network with another seed", {"seed": experiment.seed + 1}))
    return [(text, experiment.model_copy(update=change)) for text, change in steps]
