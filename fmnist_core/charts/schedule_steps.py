"""What a learning-rate schedule does: rate and loss, step by step."""

from __future__ import annotations

import math
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from fmnist_core.charts import theme
from fmnist_core.charts.specification import specified
from fmnist_core.charts.theme import tip
from fmnist_core.charts.value_spread import Array

MOST_POINTS, MOST_MARKS = 600, 40
MOST_NUMBERS = 10
RATES = {"counted in steps, as in this training": theme.TRAIN, "if counted in epochs": theme.MUTED}
# Both y axes have one width in pixels, so that charts below each other share their x axis.
ALIGNED = alt.Axis(format=".3~g", tickCount=4, minExtent=62, maxExtent=62)


def step_rows(losses: Array, rates: Array, steps_per_epoch: int) -> pd.DataFrame:
    """Rate and loss of up to MOST_POINTS steps.

    losses, rates: of each step, (steps,). Returns columns step (from 0), epoch (from 1), loss, rate,
    and misread: what the schedule would have given at the number of the epoch (from 0) in place of the step's.
    """
    chosen = np.unique(np.linspace(0, len(losses) - 1, min(len(losses), MOST_POINTS)).astype(int))
    epoch = chosen // steps_per_epoch
    columns = {"loss": losses[chosen], "rate": rates[chosen], "misread": rates[epoch]}
    return pd.DataFrame({"step": chosen, "epoch": epoch + 1} | {n: v.astype(float) for n, v in columns.items()})


@specified
def rate_by_step(rows: pd.DataFrame, steps_per_epoch: int) -> alt.LayerChart:
    """The schedule counted in steps, as trained, and counted in epochs (names: RATES). rows: as from `step_rows`."""
    names = dict(zip(("rate", "misread"), RATES, strict=True))
    long = rows.rename(columns=names).melt(["step", "epoch"], list(RATES), "kind", "value")
    colours = alt.Scale(domain=list(RATES), range=list(RATES.values()))
    dashes = alt.Scale(domain=list(RATES), range=[[1, 0], [5, 4]])
    marks = alt.Chart(long).mark_line(interpolate="step-after", clip=True)
    lines = marks.encode(
        x=_steps(rows, title=None),
        y=alt.Y("value:Q", title="learning rate", axis=ALIGNED, scale=alt.Scale(zero=True)),
        color=alt.Color("kind:N", scale=colours, legend=None),
        strokeDash=alt.StrokeDash("kind:N", scale=dashes, legend=None),
        tooltip=["step:Q", "epoch:Q", "kind:N", tip("value:Q", "learning rate", ".3~g")],
    )
    return theme.picture([_ends(rows, steps_per_epoch), lines], 240, "Learning rate, step by step")


@specified
def loss_by_step(rows: pd.DataFrame, steps_per_epoch: int) -> alt.LayerChart:
    """The loss of each step; the highest 1 % may be cut off. rows: as from `step_rows`."""
    losses = rows[np.isfinite(rows["loss"])]
    highest = 1.1 * float(losses["loss"].quantile(0.99)) if len(losses) else 1.0
    marks = alt.Chart(losses).mark_line(color=theme.TRAIN, strokeWidth=1.2, clip=True)
    line = marks.encode(
        x=_steps(rows, title="step (one batch each)"),
        y=alt.Y("loss:Q", title="training loss", axis=ALIGNED, scale=alt.Scale(domain=[0, highest])),
        tooltip=["step:Q", "epoch:Q", tip("loss:Q", format=".3f")],
    )
    layers = [_ends(rows, steps_per_epoch), line, _numbers(rows, steps_per_epoch)]
    return theme.picture(layers, 300, "Training loss of the same steps", "numbers at the top: epochs")


def _steps(rows: pd.DataFrame, title: str | None) -> alt.X:
    axis = alt.Axis(format=",d", grid=False)
    return alt.X("step:Q", title=title, axis=axis, scale=alt.Scale(domain=[0, int(rows["step"].max())], nice=False))


def _ends(rows: pd.DataFrame, steps_per_epoch: int) -> Any:
    """A thin line where an epoch ends; with many epochs only where some do."""
    number = int(rows["step"].max() + 1) // steps_per_epoch
    every = max(1, math.ceil(number / MOST_MARKS))
    ends = [{"step": n * steps_per_epoch, "epoch": n} for n in range(every, number, every)]
    return alt.Chart(alt.Data(values=ends)).mark_rule(color=theme.MUTED, opacity=0.35).encode(x="step:Q")


def _numbers(rows: pd.DataFrame, steps_per_epoch: int) -> Any:
    """Epochs' numbers in the middle of their steps, as many as there is room for."""
    number = math.ceil(int(rows["step"].max() + 1) / steps_per_epoch)
    every = max(1, math.ceil(number / MOST_NUMBERS))
    middles = [{"step": (n - 0.5) * steps_per_epoch, "epoch": n} for n in range(1, number + 1, every)]
    texts = alt.Chart(alt.Data(values=middles)).mark_text(color=theme.INK, baseline="bottom", dy=-3, fontSize=11)
    return texts.encode(x="step:Q", y=alt.value(0), text="epoch:N")
