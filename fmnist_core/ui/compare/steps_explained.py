"""What changes a training's steps or its loss, explained: schedules, weight decay, label smoothing, clipping."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from fmnist_core.charts import curves, schedule_steps, value_spread
from fmnist_core.data.dataset import Dataset
from fmnist_core.errors import LabError
from fmnist_core.experiment import wording
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.schedule import learning_rates
from fmnist_core.store.run import Run
from fmnist_core.ui.compare import explained_parts as parts
from fmnist_core.ui.compare.l2_explained import LOSHCHILOV
from fmnist_core.ui.shared import chart_view

SZEGEDY = "https://arxiv.org/abs/1512.00567"
MULLER = "https://arxiv.org/abs/1906.02629"
PASCANU = "https://proceedings.mlr.press/v28/pascanu13.html"
FORMULAS = {
    "exponential": r"\eta_t = \eta_0\, r^{%s}",
    "inverse_time": r"\eta_t = \frac{\eta_0}{1 + r\,%s}",
    "cosine": r"\eta_t = \eta_0\, \frac{1 + \cos(\pi\, t / T)}{2}",
}


def schedule(run: Run, runs: Sequence[Run], data: Dataset) -> None:
    """Rate and loss of each step, and the rate if the schedule counted epochs."""
    per_epoch, losses, experiment = run.metrics["steps_per_epoch"], run.step_losses, run.experiment
    if not len(losses):
        raise LabError(f"“{parts.name(run)}” was stopped before its first step: there is nothing to show.")
    rows = schedule_steps.step_rows(losses, learning_rates(experiment, per_epoch)[: len(losses)], per_epoch)
    times = r"\lfloor t / d \rfloor" if experiment.staircase else "t / d"
    text, picture = parts.explanation(
        f"**{wording.choice(experiment.schedule).capitalize()} schedule.** The optimiser takes one step for"
        " each batch, and the schedule gives it the learning rate $\\eta_t$ of step $t$. So a schedule"
        " belongs to the optimiser, and it counts steps, not epochs.",
        FORMULAS[experiment.schedule].replace("%s", times),
    )
    text.caption(_symbols(experiment, per_epoch))
    text.markdown(_counted(rows, per_epoch, len(losses)))
    picture.html(value_spread.key(schedule_steps.RATES))
    with picture:
        chart_view.show(schedule_steps.rate_by_step(rows, per_epoch), key="regulariser rates")
        chart_view.show(schedule_steps.loss_by_step(rows, per_epoch), key="regulariser losses")
    st.caption(f"{parts.measured_on(run)}; rate and loss are drawn at {len(rows):,} of its steps.")


def _symbols(experiment: Experiment, per_epoch: int) -> str:
    """The formula's letters in this run's numbers."""
    warmup = experiment.warmup_steps
    if experiment.schedule == "cosine":
        decay = f"$T$ = {experiment.epochs * per_epoch - warmup:,} steps"
    else:
        decay = f"$d$ = {experiment.decay_steps:,} steps, $r$ = {experiment.decay_rate:g}"
    after = f"; $t$ counts from the end of {warmup:,} warm-up steps" if warmup else ""
    return f"$\\eta_0$ = {experiment.learning_rate:g}, {decay}{after}."


def _counted(rows: pd.DataFrame, per_epoch: int, steps: int) -> str:
    """The run's steps and rates, and what counting epochs would have made of them."""
    first, last, epochs, most = rows.iloc[0], rows.iloc[-1], int(rows["epoch"].max()), rows["rate"].max()
    climb = f" up to {most:.2g} and then" if most > 1.01 * first["rate"] else ""
    level = ", almost constant" if rows["misread"].min() > 0.99 * rows["misread"].max() else ""
    return (
        f"Here an epoch has {per_epoch:,} steps. Over {steps:,} steps ({wording.counted(epochs, 'epoch')}) the"
        f" rate went from {first['rate']:.2g}{climb} to {last['rate']:.2g}. With the number of the epoch (from 0)"
        f" as $t$, the formula would have ended at {last['misread']:.2g}{level}."
    )


def clipping(run: Run, runs: Sequence[Run], data: Dataset) -> None:
    """Gradient clipping, beside the norm of the gradients over the epochs."""
    limit, history = run.experiment.clip_norm, run.history.reset_index()
    text, picture = parts.explanation(
        f"**Gradient clipping at {limit:g}.** Before each step, the gradients of all weights are taken as one"
        f" long vector $g$. Where its norm is larger than $c = {limit:g}$, the vector is scaled down to that"
        " norm: its direction is unchanged, and one steep batch cannot move the weights far away. ([Pascanu,"
        f" Mikolov & Bengio 2013]({PASCANU})) With plain SGD, clipping limits the length of the step itself;"
        " Adam and similar optimisers divide by the usual size of the gradients, so that clipping affects"
        " only gradients that are larger than usual.",
        r"g \leftarrow g \cdot \min\left(1, \frac{c}{\lVert g \rVert}\right)",
    )
    norms = history["gradient_norm"].dropna()
    if len(norms):
        text.markdown(
            f"In this run, the norm before clipping was {norms.min():.2g} to {norms.max():.2g} (epoch means)."
        )
    with picture:
        title = "Gradient norm before clipping, epoch mean"
        chart_view.show(curves.norms(history, "gradient_norm", title, limit), key="regulariser gradients")


def smoothing(run: Run, runs: Sequence[Run], data: Dataset) -> None:
    """Label smoothing, with how sure the network is of its predictions."""
    share, epoch = run.experiment.label_smoothing, run.epochs[-1]
    surest = run.probabilities(epoch).max(axis=1)
    parts.check(run, epoch, surest)
    st.markdown(
        f"**Label smoothing {share:g}.** The target of the correct class is not 1 but ${1 - 0.9 * share:g}$, and that"
        f" of each other class ${share / 10:g}$. With hard targets the loss falls forever as the weights grow; with"
        " smoothed ones it is lowest at just these probabilities, so that the network learns to be less confident"
        f" ([Szegedy et al. 2016]({SZEGEDY}), [Müller, Kornblith & Hinton 2019]({MULLER})). All losses of this run are"
        " taken against the smoothed targets and cannot fall to 0: compare it with other runs by its accuracy or its"
        " plain cross-entropy."
    )
    st.latex(r"L = -\sum_{k=1}^{10} t_k \ln p_k, \qquad t_k = (1 - \varepsilon)\, y_k + \frac{\varepsilon}{10}")
    st.markdown(
        f"After epoch {epoch}, this network gives its predictions for the test images a mean probability of"
        f" {surest.mean():.3f}; {run.metrics['test_accuracy']:.3f} of them are correct."
    )


def weight_decay(run: Run, runs: Sequence[Run], data: Dataset) -> None:
    """Decoupled weight decay, and why an L2 penalty under Adam is something else."""
    decay, history = run.experiment.weight_decay, run.history
    text, picture = parts.explanation(
        f"**Weight decay {decay:g}.** In each step, AdamW shrinks every weight by the fraction $\\eta\\lambda$,"
        f" with the learning rate $\\eta$ and $\\lambda = {decay:g}$, and then makes Adam's step along"
        " $m / \\sqrt{v}$ (mean of the gradients over the root of their mean square). With plain SGD, an L2 penalty"
        " does the same. With Adam it does not: the gradient of the penalty is part of the gradient, so it is"
        " divided by $\\sqrt{v}$, too, and a weight with large gradients is pulled towards 0 less than others,"
        " however large it is. Decoupled from the gradient, the decay is the same fraction for all weights."
        f" ([Loshchilov & Hutter 2019]({LOSHCHILOV})) It adds nothing to the loss, so that losses stay comparable.",
        r"w \leftarrow (1 - \eta\lambda)\, w - \eta\, \frac{m}{\sqrt{v} + \epsilon}",
    )
    norms = history["weight_norm"].dropna()
    text.markdown(f"In this run, the norm of all weights went from {norms.iloc[0]:.1f} to {norms.iloc[-1]:.1f}.")
    with picture:
        chart = curves.norms(history.reset_index(), "weight_norm", "Norm of all weights")
        chart_view.show(chart, key="regulariser weights")
