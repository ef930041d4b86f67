"""How a layer's weights, or other values, are spread, epoch by epoch: ridge lines or a heat map, as in TensorBoard."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fmnist_core.charts import theme
from fmnist_core.charts.specification import specified
from fmnist_core.charts.theme import tip

BINS = 60
CENTRAL = 0.98  # of all values, which a heat map shows
OVERLAP = 3.5  # The highest ridge reaches over this many of its neighbours.
TOOLTIP = ["epoch:O", tip("value:Q", format=".3f"), tip("share:Q", format=".2%")]


def spread(weights: Iterable[tuple[int, NDArray[np.float32]]]) -> pd.DataFrame:
    """Histograms of one weight tensor, or of any other values, all epochs on the same bins.

    weights: (epoch, values of any shape). Returns columns epoch, value (bin centre), share (of the values in the
    bin). The bins run over the 0.05 to 99.95 % range of all epochs, so that single outliers do not squeeze the rest.
    """
    flat = [(epoch, np.ravel(values)) for epoch, values in weights]
    # Quantiles need no more than some ten thousand values.
    samples = [values[:: max(1, values.size // 20_000)] for _, values in flat]
    low = min(float(np.quantile(values, 0.0005)) for values in samples)
    high = max(float(np.quantile(values, 0.9995)) for values in samples)
    if not low < high:
        low, high = low - 0.01, low + 0.01
    edges = np.linspace(low, high, BINS + 1)
    centres = (edges[:-1] + edges[1:]) / 2
    tables = []
    for epoch, values in flat:
        share = np.histogram(values, BINS, (low, high))[0] / max(values.size, 1)
        tables.append(pd.DataFrame({"epoch": epoch, "value": centres, "share": share}))
    return pd.concat(tables, ignore_index=True)


@specified
def heat_map(rows: pd.DataFrame, title: str, value: str = "weight", epoch: int | None = None) -> alt.LayerChart:
    """One column per epoch. rows: as from `spread`. value: title of the value axis. epoch: whose column is framed.

    Darker means a larger share, by its square root, so that small shares beside a high peak are visible.
    """
    rows = _central(rows)
    centres = np.sort(rows["value"].unique())
    half = (centres[1] - centres[0]) / 2 if len(centres) > 1 else 0.5
    rows = rows.assign(low=rows["value"] - half, high=rows["value"] + half)
    # Each cell reaches a little into the next: a dark page would shine through the seams.
    drawn = rows.assign(high=rows["high"] + 0.1 * (rows["high"] - rows["low"]))[rows["share"] > 0]
    legend = alt.Legend(orient="right", format=".0%", gradientLength=160)
    marks = alt.Chart(drawn).mark_rect()
    cells = marks.encode(
        x=alt.X("epoch:O", title="epoch", axis=alt.Axis(labelAngle=0, labelOverlap=True)),
        y=alt.Y("low:Q", title=value),
        y2="high:Q",
        color=alt.Color("share:Q", title="share", scale=alt.Scale(type="sqrt", scheme="blues"), legend=legend),
        tooltip=TOOLTIP,
    )
    ends = pd.DataFrame([{"epoch": _marked(rows, epoch), "low": rows["low"].min(), "high": rows["high"].max()}])
    frame = alt.Chart(ends).mark_rect(filled=False, stroke=theme.INK, strokeWidth=2)
    return _outlined(cells, frame.encode(x="epoch:O", y="low:Q", y2="high:Q"), title, rows, epoch)


@specified
def ridges(rows: pd.DataFrame, title: str, value: str = "weight", epoch: int | None = None) -> alt.LayerChart:
    """One ridge per epoch, the first at the back. rows: as from `spread`. value: title of the value axis. epoch: the
    epoch whose ridge is outlined.
    """
    order = {epoch: position for position, epoch in enumerate(sorted(rows["epoch"].unique()))}
    position = rows["epoch"].map(order)
    peak = float(rows["share"].max()) or 1.0
    drawn = rows.assign(place=position, top=position - rows["share"] / peak * OVERLAP)
    labels = "{" + ",".join(f"{p}:'{epoch}'" for epoch, p in order.items()) + "}[datum.value]"
    axis = alt.Axis(values=list(range(0, len(order), max(1, len(order) // 8))), labelExpr=labels, grid=False)
    scale = alt.Scale(domain=[len(order) - 0.5, -OVERLAP], nice=False)
    marks = alt.Chart(drawn).mark_area(line={"strokeWidth": 1, "color": "white"}, opacity=0.9, interpolate="monotone")
    areas = marks.encode(
        x=alt.X("value:Q", title=value, scale=alt.Scale(nice=False)),
        y=alt.Y("top:Q", title="epoch", axis=axis, scale=scale),
        y2="place:Q",
        color=alt.Color("epoch:Q", legend=None, scale=alt.Scale(range=["#9ecae1", theme.TRAIN, "#08447a"])),
        detail="epoch:O",
        tooltip=TOOLTIP,
    )
    ridge = alt.Chart(drawn[drawn["epoch"] == _marked(rows, epoch)])
    outline = ridge.mark_line(interpolate="monotone", color=theme.INK, strokeWidth=2.5)
    return _outlined(areas, outline.encode(x="value:Q", y="top:Q"), title, rows, epoch)


def _marked(rows: pd.DataFrame, epoch: int | None) -> int | None:
    """The counted epoch nearest to the given one; None for None."""
    return None if epoch is None else min(map(int, rows["epoch"].unique()), key=lambda counted: abs(counted - epoch))


def _outlined(chart: Any, outline: Any, title: str, rows: pd.DataFrame, epoch: int | None) -> alt.LayerChart:
    """The chart, with the outline of the epoch where one is given."""
    marked = _marked(rows, epoch)
    if marked is None:
        return theme.picture([chart], 320, title)
    nearest = "" if marked == epoch else f", the nearest one shown to epoch {epoch} of the slider"
    epochs = f"Epochs {rows['epoch'].min()} to {rows['epoch'].max()} at once"
    return theme.picture([chart, outline], 320, title, f"{epochs}. Outlined: epoch {marked}{nearest}.")


def _central(rows: pd.DataFrame) -> pd.DataFrame:
    """The bins between which the middle CENTRAL of the values of all epochs together lie."""
    total = rows.groupby("value")["share"].sum().sort_index()
    below = total.cumsum() / (total.sum() or 1.0)
    outside = (1 - CENTRAL) / 2
    # A bin is outside where the values up to its end, or from its start on, are no more than the tail.
    inside = total.index[(below > outside) & (below - total / (total.sum() or 1.0) < 1 - outside)]
    return rows[rows["value"].isin(inside)] if len(inside) else rows
