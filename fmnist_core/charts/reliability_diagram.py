"""The reliability diagram: how often predictions are correct, by their confidence."""

from __future__ import annotations

import altair as alt
import pandas as pd

from fmnist_core.charts import theme
from fmnist_core.charts.specification import specified
from fmnist_core.charts.theme import tip
from fmnist_core.findings.evaluation import Reliability

SHARES = alt.Scale(domain=[0, 1], nice=False)
MARGIN = 44  # pixels for the labels of both vertical axes, so that the two charts stand exactly below each other
TOOLTIP = [
    tip("images:Q", format=",d"),
    tip("confidence:Q", "mean confidence", ".3f"),
    tip("accuracy:Q", "accuracy", ".3f"),
    tip("low:Q", "95 % interval from", ".3f"),
    tip("high:Q", "to", ".3f"),
]


def rows(reliability: Reliability) -> pd.DataFrame:
    """A row a bin with images: from, to (its edges), images, confidence (mean), accuracy, low, high."""
    measures = ("images", "confidence", "accuracy", "low", "high")
    edges = {"from": reliability.edges[:-1], "to": reliability.edges[1:]}
    table = pd.DataFrame(edges | {name: getattr(reliability, name) for name in measures})
    return table[table["images"] > 0].reset_index(drop=True)


@specified
def diagram(table: pd.DataFrame) -> alt.LayerChart:
    """Accuracy of each bin as bars, and the diagonal on which confidence and accuracy agree. table: as from `rows`."""
    base = alt.Chart(table).encode(tooltip=TOOLTIP)
    bars = base.mark_rect(color=theme.TRAIN, opacity=0.55, stroke=theme.PAPER, strokeWidth=1).encode(
        x=alt.X("from:Q", title=None, scale=SHARES, axis=alt.Axis(labels=False, grid=False)),
        x2="to:Q",
        y=alt.Y("accuracy:Q", title="accuracy", scale=SHARES, axis=alt.Axis(format=".0%", minExtent=MARGIN)),
        y2=alt.datum(0),
    )
    ends = base.mark_rule(strokeWidth=2, color=theme.INK).encode(
        x=alt.X("confidence:Q", scale=SHARES), y="low:Q", y2="high:Q"
    )
    dots = base.mark_point(filled=True, size=45, color=theme.INK).encode(x="confidence:Q", y="accuracy:Q")
    agreement = alt.Chart(pd.DataFrame({"at": [0.0, 1.0]})).mark_line(color=theme.MUTED, strokeDash=[5, 4])
    diagonal = agreement.encode(x=alt.X("at:Q", scale=SHARES), y=alt.Y("at:Q", scale=SHARES))
    subtitle = "On the dashed line, confidence and accuracy agree."
    return theme.picture([bars, diagonal, ends, dots], 300, "Does accuracy match confidence?", subtitle)


@specified
def counts(table: pd.DataFrame) -> alt.Chart:
    """The number of images in each bin, to be drawn below the diagram. table: as from `rows`."""
    title, axis = "confidence: the probability of the prediction", alt.Axis(format=".0%", grid=False)
    about = "Images in each bin of confidence."
    bars = alt.Chart(table, height=130, description=about).mark_rect(
        color=theme.MUTED, stroke=theme.PAPER, strokeWidth=1
    )
    chart: alt.Chart = bars.encode(
        x=alt.X("from:Q", title=title, scale=SHARES, axis=axis),
        x2="to:Q",
        y=alt.Y("images:Q", scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=3, format=",d", minExtent=MARGIN)),
        y2=alt.datum(0),
        tooltip=TOOLTIP,
    )
    return chart
