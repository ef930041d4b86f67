"""Learning-rate schedules explained: rate and loss of each step."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from fmnist_core.charts import schedule_steps, value_spread
from fmnist_core.data.dataset import Dataset
from fmnist_core.errors import LabError
from fmnist_core.experiment import wording
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.schedule import learning_rates
from fmnist_core.store.run import Run
from fmnist_core.ui.compare import explained_parts as parts
from fmnist_core.ui.shared.markdown import escaped

FORMULAS = {
    "exponential": r"\eta_t = \eta_0\, r^{%s}",
    "inverse_time": r"\eta_t = \frac{\eta_0}{1 + r\,%s}",
    "cosine": r"\eta_t = \eta_0\, \frac{1 + \cos(\pi\, t / T)}{2}",
}


def show(run: Run, runs: Sequence[Run], data: Dataset) -> None:
    """Rate and loss of each step, and the rate if the schedule counted epochs."""
    per_epoch, losses, experiment = run.metrics["steps_per_epoch"], run.step_losses, run.experiment
    if not len(losses):
        raise LabError(f"“{parts.name(run)}” was stopped before its first step: there is nothing to show.")
    rows = schedule_steps.step_rows(losses, learning_rates(experiment, per_epoch)[: len(losses)], per_epoch)
    text, picture = parts.columns()
    with text:
        st.markdown(
            f"**{wording.choice(experiment.schedule).capitalize()} schedule.** The optimiser takes one step for"
            " each batch, and the schedule gives it the learning rate $\\eta_t$ of step $t$. So a schedule"
            " belongs to the optimiser, and it counts steps, not epochs."
        )
        times = r"\lfloor t / d \rfloor" if experiment.staircase else "t / d"
        st.latex(FORMULAS[experiment.schedule].replace("%s", times))
        st.caption(_symbols(experiment, per_epoch))
        st.markdown(_counted(rows, per_epoch, len(losses)))
    picture.html(value_spread.key(schedule_steps.RATES))
    picture.altair_chart(schedule_steps.rate_by_step(rows, per_epoch), key="regulariser rates")
    picture.altair_chart(schedule_steps.loss_by_step(rows, per_epoch), key="regulariser losses")
    st.caption(f"Measured on “{escaped(parts.name(run))}”; rate and loss are drawn at {len(rows):,} of its steps.")


def _symbols(experiment: Experiment, per_epoch: int) -> str:
    """The formula's letters in this run's numbers."""
    rest = experiment.epochs * per_epoch - experiment.warmup_steps
    decay = f"$d$ = {experiment.decay_steps:,} steps, $r$ = {experiment.decay_rate:g}"
    own = f"$T$ = {rest:,} steps" if experiment.schedule == "cosine" else decay
    warmup = experiment.warmup_steps
    late = f"; $t$ counts from the end of {warmup:,} warm-up steps" if warmup else ""
    return f"$\\eta_0$ = {experiment.learning_rate:g}, {own}{late}."


def _counted(rows: pd.DataFrame, per_epoch: int, made: int) -> str:
    """The run's steps and rates, and what counting epochs would have made of them."""
    first, last, epochs, most = rows.iloc[0], rows.iloc[-1], int(rows["epoch"].max()), rows["rate"].max()
    climb = f" up to {most:.2g} and then" if most > 1.01 * first["rate"] else ""
    level = ", almost constant" if rows["misread"].min() > 0.99 * rows["misread"].max() else ""
    return (
        f"Here an epoch has {per_epoch:,} steps. Over {made:,} steps ({epochs} epoch{'s' * (epochs > 1)}) the"
        f" rate went from {first['rate']:.2g}{climb} to {last['rate']:.2g}. With the number of the epoch (from 0)"
        f" as $t$, the formula would have ended at {last['misread']:.2g}{level}."
    )
