"""Learning curves: loss and accuracy, training and validation, with the loss of single steps behind them.

The data sets carry fixed names, so that a redraw with new points updates the picture in place.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import altair as alt
import pandas as pd

from fmnist_core.charts import theme
from fmnist_core.charts.theme import Layered

HEADROOM = 1.15  # After the first epoch single steps above this times the highest curve point are left out.
TITLES = {"loss": ("Loss", "lower is better"), "accuracy": ("Accuracy", "higher is better")}


def curve(
    measure: str,
    history: pd.DataFrame,
    epochs: int,
    steps: Sequence[tuple[float, float]] = (),
    mark: int | None = None,
    terms: Iterable[str] = (),
    height: int = theme.HEIGHT,
) -> Layered:
    """One measure ("loss" or "accuracy") over the epochs, a line for training and one for validation.

    history: rows of EpochRecord (columns epoch, loss, accuracy, val_loss, val_accuracy). epochs: right end of the
    axis. steps: (fraction of epochs done, value) of single steps, drawn thin. mark: an epoch to point out.
    terms: what the losses have beside the cross-entropy.
    """
    points = _points(measure, history)
    x = alt.X("epoch:Q", title="epoch", scale=alt.Scale(domain=[0, epochs], nice=False), axis=_epoch_axis(epochs))
    y = alt.Y("value:Q", title=_axis_title(measure, terms), scale=alt.Scale(zero=False, nice=True))
    layers = [
        alt.Chart(alt.NamedData("steps")).mark_line(strokeWidth=1, opacity=0.35, color=theme.TRAIN).encode(x=x, y=y),
        alt.Chart(alt.NamedData("epochs"))
        .mark_line(point=alt.OverlayMarkDef(size=28))
        .encode(
            x=x,
            y=y,
            color=alt.Color("split:N", scale=theme.split_colours(), legend=alt.Legend(title=None)),
            tooltip=[
                alt.Tooltip("split:N", title="images"),
                alt.Tooltip("epoch:Q"),
                alt.Tooltip("value:Q", title=measure, format=".4f"),
            ],
        ),
        alt.Chart(alt.NamedData("mark")).mark_rule(strokeDash=[4, 4], color=theme.MUTED).encode(x=x),
    ]
    title, subtitle = TITLES[measure]
    chart = alt.layer(*layers, height=height, title=f"{title}: {subtitle}")
    chart.datasets = {
        "steps": _kept(steps, points),
        "epochs": points,
        "mark": [] if mark is None else [{"epoch": mark}],
    }
    return chart


def norms(history: pd.DataFrame, column: str, title: str, limit: float = 0.0) -> Layered:
    """One column of the history over the epochs, such as the gradient norm. limit: drawn as a line, unless it is 0."""
    rows = history.loc[history["epoch"] > 0, ["epoch", column]].rename(columns={column: "value"})
    line = (
        alt.Chart(rows)
        .mark_line(point=alt.OverlayMarkDef(size=20), color=theme.MUTED)
        .encode(
            x=alt.X("epoch:Q", title="epoch", axis=_epoch_axis(int(rows["epoch"].max() if len(rows) else 1))),
            y=alt.Y("value:Q", title=None, scale=alt.Scale(zero=False)),
            tooltip=["epoch:Q", alt.Tooltip("value:Q", title=title, format=".4g")],
        )
    )
    limits = alt.Chart(pd.DataFrame({"limit": [limit] if limit else []}))
    rule = limits.mark_rule(strokeDash=[4, 4], color=theme.INK).encode(y="limit:Q", tooltip="limit:Q")
    return alt.layer(line, rule).properties(height=170, title=title)


def _points(measure: str, history: pd.DataFrame) -> list[dict[str, object]]:
    """Long rows. The untrained network (epoch 0) shows until the first epoch is complete: later it dwarfs the rest."""
    rows = history if len(history) < 2 else history[history["epoch"] > 0]
    named = ((theme.TRAIN_NAME, measure), (theme.VALIDATION_NAME, f"val_{measure}"))
    return [
        {"epoch": int(epoch), "split": split, "value": float(value)}
        for split, column in named
        for epoch, value in zip(rows["epoch"], rows[column], strict=True)
        if math.isfinite(value)
    ]


def _kept(steps: Iterable[tuple[float, float]], points: list[dict[str, object]]) -> list[dict[str, float]]:
    """Single steps that fit the curves' scale, once there are curves."""
    trained = [float(str(point["value"])) for point in points if point["epoch"]]
    most = HEADROOM * max(trained) if trained else math.inf
    return [{"epoch": epoch, "value": value} for epoch, value in steps if value <= most]


def _axis_title(measure: str, terms: Iterable[str]) -> str:
    if measure == "accuracy":
        return "share of correct predictions"
    return " + ".join(["cross-entropy", *terms])


def _epoch_axis(epochs: int) -> alt.Axis:
    step = max(1, math.ceil(epochs / 10))
    return alt.Axis(values=list(range(0, epochs + 1, step)), format="d", grid=False)
