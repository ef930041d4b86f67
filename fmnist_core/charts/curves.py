"""Learning curves: loss and accuracy, training and validation, with single steps behind them; and the learning rate.

The data sets carry fixed names, so that a redraw with new points updates the picture in place.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fmnist_core.charts import theme
from fmnist_core.charts.specification import specified
from fmnist_core.charts.theme import tip

HEADROOM = 1.15  # After the first epoch single steps above this times the highest curve point are left out.
TITLES = {"loss": "Loss: lower is better", "accuracy": "Accuracy: higher is better"}
MOST_POINTS = 400  # of a learning rate's curve


@specified
def curve(
    measure: str,
    history: pd.DataFrame,
    epochs: int,
    steps: Sequence[tuple[float, float]] = (),
    mark: int | None = None,
    terms: Iterable[str] = (),
    height: int = theme.HEIGHT,
) -> alt.LayerChart:
    """One measure ("loss" or "accuracy") over the epochs, a line for training and one for validation.

    history: rows of EpochRecord (columns epoch, loss, accuracy, val_loss, val_accuracy). epochs: right end of the
    axis. steps: (fraction of epochs done, value) of single steps, drawn thin. mark: an epoch to point out.
    terms: what the losses have beside the cross-entropy.
    """
    unit = "share of correct predictions" if measure == "accuracy" else " + ".join(["cross-entropy", *terms])
    x = alt.X("epoch:Q", title="epoch", scale=alt.Scale(domain=[0, epochs], nice=False), axis=_epoch_axis(epochs))
    y = alt.Y("value:Q", title=unit, scale=alt.Scale(zero=False, nice=True))
    marks = alt.Chart(alt.NamedData("epochs")).mark_line(point=alt.OverlayMarkDef(size=28))
    lines = marks.encode(
        x=x,
        y=y,
        color=alt.Color("split:N", scale=theme.split_colours(), legend=alt.Legend(title=None)),
        tooltip=[tip("split:N", "images"), tip("epoch:Q"), tip("value:Q", measure, ".4f")],
    )
    picture = [
        alt.Chart(alt.NamedData("steps")).mark_line(strokeWidth=1, opacity=0.35, color=theme.TRAIN).encode(x=x, y=y),
        lines,
        alt.Chart(alt.NamedData("mark")).mark_rule(strokeDash=[4, 4], color=theme.MUTED).encode(x=x),
    ]
    points = _points(measure, history)
    data = {"steps": _fitting(steps, points), "epochs": points, "mark": [] if mark is None else [{"epoch": mark}]}
    return theme.picture(picture, height, TITLES[measure], data=data)


@specified
def norms(history: pd.DataFrame, column: str, title: str, limit: float = 0.0) -> alt.LayerChart:
    """One column of the history over the epochs, such as the gradient norm. limit: drawn as a line, unless it is 0."""
    rows = history.loc[history["epoch"] > 0, ["epoch", column]].rename(columns={column: "value"})
    marks = alt.Chart(rows).mark_line(point=alt.OverlayMarkDef(size=20), color=theme.MUTED)
    line = marks.encode(
        x=alt.X("epoch:Q", title="epoch", axis=_epoch_axis(int(rows["epoch"].max() if len(rows) else 1))),
        y=alt.Y("value:Q", title=None, scale=alt.Scale(zero=False)),
        tooltip=["epoch:Q", tip("value:Q", title, ".4g")],
    )
    limits = alt.Chart(pd.DataFrame({"limit": [limit] if limit else []}))
    rule = limits.mark_rule(strokeDash=[4, 4], color=theme.INK).encode(
        y=alt.Y("limit:Q", title=None), tooltip="limit:Q"
    )
    return theme.picture([line, rule], 170, title)


@specified
def learning_rate(rates: NDArray[np.float32], steps_per_epoch: int, height: int = 200) -> alt.LayerChart:
    """rates: the rate of every step, shape (steps,). Drawn at up to MOST_POINTS steps; the axis counts epochs."""
    chosen = np.unique(np.linspace(0, len(rates) - 1, min(len(rates), MOST_POINTS)).astype(int))
    rows = pd.DataFrame({"step": chosen, "epoch": chosen / steps_per_epoch, "rate": rates[chosen].astype(float)})
    marks = alt.Chart(alt.NamedData("rates")).mark_line(color=theme.TRAIN, interpolate="step-after")
    line = marks.encode(
        x=alt.X("epoch:Q", title="epoch", scale=alt.Scale(nice=False)),
        y=alt.Y("rate:Q", title="learning rate", axis=alt.Axis(format="~g", tickCount=4), scale=alt.Scale(zero=True)),
        tooltip=[tip("step:Q", format=","), tip("epoch:Q", format=".1f"), tip("rate:Q", "learning rate", ".3~g")],
    )
    first, last = float(rates[0]), float(rates[-1])
    title = f"Learning rate: {first:.3g} at the first step, {last:.3g} at the last ({len(rates):,} steps)"
    return theme.picture([line], height, title, data={"rates": rows})


def _points(measure: str, history: pd.DataFrame) -> list[dict[str, object]]:
    """Long rows. The untrained network (epoch 0) shows until the first epoch is complete: later it dwarfs the rest."""
    rows = history if len(history) < 2 else history[history["epoch"] > 0]
    columns = {theme.TRAIN_NAME: measure, theme.VALIDATION_NAME: f"val_{measure}"}
    return [
        {"epoch": int(epoch), "split": split, "value": float(value)}
        for split, column in columns.items()
        for epoch, value in zip(rows["epoch"], rows[column], strict=True)
        if math.isfinite(value)
    ]


def _fitting(steps: Iterable[tuple[float, float]], points: list[dict[str, object]]) -> list[dict[str, float]]:
    """Single steps that fit the curves' scale, once there are curves."""
    trained = [float(str(point["value"])) for point in points if point["epoch"]]
    most = HEADROOM * max(trained) if trained else math.inf
    return [{"epoch": epoch, "value": value} for epoch, value in steps if value <= most]


def _epoch_axis(epochs: int) -> alt.Axis:
    step = max(1, math.ceil(epochs / 10))
    return alt.Axis(values=list(range(0, epochs + 1, step)), format="d", grid=False)
