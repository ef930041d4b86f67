"""Overfitting of several models: where the validation loss of each was lowest, and how far it rose from there.

The table `rows` is as in `comparison`; of its measures only val_loss counts, and loss_terms tells what is in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from fmnist_core.charts import theme
from fmnist_core.charts.comparison import L2, LINE, loss_terms, points, x_axis
from fmnist_core.charts.specification import specified
from fmnist_core.charts.theme import tip
from fmnist_core.findings.health import LEVEL

ROW, ROOM = 36, 120  # Pixels: a model's row; what titles and axes take.


def lowest(rows: pd.DataFrame) -> pd.DataFrame:
    """Where each model's validation loss was lowest, and how much it rose from there; means over the seeds.

    Columns: model, seeds, epoch and epoch_deviation (of the lowest loss), loss, end_epoch, end_loss, rise.
    """
    losses = points(rows, "val_loss", list(dict.fromkeys(rows["model"]))).reset_index(drop=True)
    by_run = losses.groupby(["model", "run_id"], sort=False)
    best, last = losses.loc[by_run["mean"].idxmin()], by_run.tail(1)
    table = best.groupby("model", sort=False).agg(
        seeds=("mean", "size"), epoch=("epoch", "mean"), epoch_deviation=("epoch", "std"), loss=("mean", "mean")
    )
    ends = last.groupby("model").agg(end_epoch=("epoch", "mean"), end_loss=("mean", "mean"))
    return table.join(ends).assign(rise=lambda joined: joined["end_loss"] - joined["loss"]).reset_index()


@specified
def chart(rows: pd.DataFrame, models: Sequence[str]) -> alt.LayerChart:
    """A row for each model: a dot where its validation loss is lowest, and a line from there to its last epoch."""
    table = lowest(rows[rows["model"].isin(models)])
    spread = table["epoch_deviation"].fillna(0)
    high = np.minimum(table["epoch"] + spread, table["end_epoch"])
    table = table.assign(low=(table["epoch"] - spread).clip(lower=1), high=high)
    table["shown_rise"] = table["rise"].round(3) + 0.0  # never -0.000
    figures = {
        row["model"]: f"{row['loss']:.3f} → {row['end_loss']:.3f}  ({row['shown_rise']:+.3f})"
        for row in theme.records(table)
    }
    about = " ± one standard deviation" if (table["seeds"] > 1).any() else ""
    subtitle = [
        f"Dot: epoch of the lowest validation loss{about}.",
        "Right: that loss → the loss after the last epoch.",
        *[f"The losses include the {L2}, whose fall can hide a rise."] * (L2 in loss_terms(rows, models)),
    ]
    rises = (table["rise"] > LEVEL * table["loss"]).any()
    overfitting = "Overfitting: after the dot, validation loss rises"
    title = overfitting if rises else "No overfitting visible: no validation loss rises"
    height = ROW * len(models) + ROOM + LINE * (len(subtitle) - 2)
    picture = theme.picture(_stretches(models, figures), height, title, subtitle, {"lowest": table})
    picture.resolve = alt.Resolve(axis=alt.AxisResolveMap(y="independent"))
    return picture


def _stretches(models: Sequence[str], labels: Mapping[str, str]) -> list[Any]:
    """The layers of `chart`. labels: what stands to the right of each model's row."""
    right = alt.Axis(orient="right", labelExpr=f"{json.dumps(labels)}[datum.value] || ''", labelLimit=300, **theme.BARE)
    names = {"epoch": "epoch of the lowest loss", "loss": "lowest validation loss", "end_loss": "after the last epoch"}
    tooltip = [tip(f"{name}:Q", title, ".4~r") for name, title in names.items()]

    def drawn(axis: alt.Axis | None, start: str = "epoch:Q") -> Any:
        return alt.Chart(alt.NamedData("lowest")).encode(
            x=x_axis("epoch", field=start),
            y=alt.Y("model:N", sort=list(models), title=None, axis=axis),
            color=alt.Color("model:N", scale=theme.model_colours(models), legend=None),
            tooltip=[tip("model:N"), *tooltip, tip("seeds:Q")],
        )

    return [
        drawn(alt.Axis(labelLimit=300, **theme.BARE)).mark_rule(strokeWidth=7, opacity=0.4).encode(x2="end_epoch:Q"),
        drawn(None, "low:Q").mark_rule(strokeWidth=2).encode(x2="high:Q"),
        drawn(right).mark_point(filled=True, size=200, opacity=1),
    ]
