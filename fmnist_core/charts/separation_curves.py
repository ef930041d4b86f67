"""How far apart the classes lie, by layer and by epoch.

The table has a row for each figure: epoch, layer (its name), measure ("knn" or "silhouette"), value, and low and high,
the ends of its interval (nan where there is none). Altair needs at least one row; what is not finite is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from fmnist_core.charts import theme
from fmnist_core.charts.specification import specified
from fmnist_core.charts.theme import tip

# Title, how to read it, name of the axis, format of the axis and of the figures.
MEASURES = {
    "knn": (
        "Are the nearest neighbours of the same class?",
        "Share of images whose nearest neighbours in the layer vote for their class",
        "nearest-neighbour accuracy",
        "~%",
        ".1%",
    ),
    "silhouette": (
        "Are the classes compact and well separated?",
        "Mean silhouette in the layer: 1 far apart, 0 touching, below 0 overlapping",
        "silhouette",
        "~g",
        ".3f",
    ),
}
# From the first layer (or epoch) to the last: an order that is seen, at one lightness that fits light and dark pages.
FIRST_TO_LAST = ("#d39a1e", "#c9688f", "#8d6bd8", "#3f7fe0", "#12a0a0")


@specified
def over_epochs(table: pd.DataFrame, measure: str, layers: Sequence[str]) -> alt.LayerChart:
    """A line for each layer over the epochs, in a band of its interval. layers: in order, from the input on."""
    rows = _rows(table, measure)
    x = alt.X("epoch:Q", title="epoch", axis=alt.Axis(format="d", tickMinStep=1, grid=False))
    return _lines(rows, measure, x, "layer", list(layers))


@specified
def over_layers(table: pd.DataFrame, measure: str, layers: Sequence[str]) -> alt.LayerChart:
    """A line for each epoch of the table over the layers: whether separation improves from layer to layer."""
    rows = _rows(table, measure)
    epochs = sorted(rows["epoch"].unique())
    names = [f"epoch {epoch:g}" for epoch in epochs]
    rows["time"] = rows["epoch"].map(dict(zip(epochs, names, strict=True)))
    axis = alt.Axis(labelAngle=0, labelLimit=140, labelOverlap=False)
    return _lines(rows, measure, alt.X("layer:N", title="layer", sort=list(layers), axis=axis), "time", names)


def in_order(count: int) -> list[str]:
    """So many colours, from the first to the last of something that has an order."""
    return theme.ramp(FIRST_TO_LAST, np.linspace(0, 1, count) if count > 1 else [0.75])


def _rows(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """The measure's finite values, with intervals that are closed: of no width where there is none."""
    rows = table[(table["measure"] == measure) & np.isfinite(table["value"].astype(float))].copy()
    return rows.assign(low=rows["low"].fillna(rows["value"]), high=rows["high"].fillna(rows["value"]))


def _lines(rows: pd.DataFrame, measure: str, x: alt.X, by: str, names: list[str]) -> alt.LayerChart:
    title, reading, unit, labels, figures = MEASURES[measure]
    scale = alt.Scale(domain=names, range=in_order(len(names)))
    legend = alt.Legend(symbolType="stroke", symbolOpacity=1, labelLimit=300, columns=theme.legend_columns(names))
    colour = alt.Color(f"{by}:N", scale=scale, legend=legend)
    y = alt.Y("value:Q", title=unit, axis=alt.Axis(format=labels), scale=alt.Scale(zero=False))
    base = alt.Chart(rows).encode(x=x, color=colour)
    spread = f"format(datum.low, '{figures}') + ' to ' + format(datum.high, '{figures}')"
    tooltip = ["layer:N", "epoch:Q", tip("value:Q", unit, figures), tip("interval:N", "95 % interval")]
    lines = base.transform_calculate(interval=spread).mark_line(point=alt.OverlayMarkDef(size=45))
    lines = lines.encode(y=y, tooltip=tooltip)
    # A band needs two places; at a single one the interval is a rule.
    single = rows["epoch" if by == "layer" else "layer"].nunique() < 2
    marks = base.mark_rule(opacity=0.5, tooltip=None) if single else base.mark_area(opacity=0.18, tooltip=None)
    intervals = marks.encode(y=alt.Y("low:Q", title=unit), y2="high:Q")
    return theme.picture([intervals, lines], theme.HEIGHT, title, reading)
