"""The reliability diagram: how often a network is right when it says it is sure."""

from __future__ import annotations

import altair as alt
import pandas as pd

from fmnist_core.charts import theme
from fmnist_core.evaluation import Reliability


def rows(found: Reliability) -> pd.DataFrame:
    """A row a bin with images: from, to (its edges), images, confidence (mean), accuracy, low, high."""
    table = pd.DataFrame(
        {
            "from": found.edges[:-1],
            "to": found.edges[1:],
            "images": found.images,
            "confidence": found.confidence,
            "accuracy": found.accuracy,
            "low": found.low,
            "high": found.high,
        }
    )
    return table[table["images"] > 0].reset_index(drop=True)


def diagram(table: pd.DataFrame) -> alt.VConcatChart:
    """table: as from `rows`. Bars of accuracy against the diagonal; below, how many images each bin holds."""
    shares = alt.Scale(domain=[0, 1], nice=False)
    told = [
        alt.Tooltip("images:Q", format=",d"),
        alt.Tooltip("confidence:Q", title="mean confidence", format=".3f"),
        alt.Tooltip("accuracy:Q", format=".3f"),
        alt.Tooltip("low:Q", title="95 % interval from", format=".3f"),
        alt.Tooltip("high:Q", title="to", format=".3f"),
    ]
    base = alt.Chart(table).encode(tooltip=told)
    x = alt.X("from:Q", title=None, scale=shares, axis=alt.Axis(labels=False, grid=False))
    bars = base.mark_bar(color=theme.TRAIN, opacity=0.55, binSpacing=0, stroke=theme.PAPER, strokeWidth=1).encode(
        x=x, x2="to:Q", y=alt.Y("accuracy:Q", title="share of right answers", scale=shares, axis=alt.Axis(format=".0%"))
    )
    ends = base.mark_rule(strokeWidth=2, color=theme.INK).encode(
        x=alt.X("confidence:Q", scale=shares), y="low:Q", y2="high:Q"
    )
    dots = base.mark_point(filled=True, size=45, color=theme.INK).encode(x="confidence:Q", y="accuracy:Q")
    diagonal = (
        alt.Chart(pd.DataFrame({"at": [0.0, 1.0]}))
        .mark_line(color=theme.MUTED, strokeDash=[5, 4])
        .encode(x=alt.X("at:Q", scale=shares), y=alt.Y("at:Q", scale=shares))
    )
    upper = alt.layer(bars, diagonal, ends, dots).properties(height=270, width="container")
    counts = base.mark_bar(color=theme.MUTED, binSpacing=0, stroke=theme.PAPER, strokeWidth=1).encode(
        x=alt.X(
            "from:Q",
            title="confidence: the probability of its answer",
            scale=shares,
            axis=alt.Axis(format=".0%", grid=False),
        ),
        x2="to:Q",
        y=alt.Y("images:Q", axis=alt.Axis(tickCount=3, format="~s")),
    )
    title = theme.titled("Is it right as often as it is sure?", "On the dashed line, confidence and accuracy agree.")
    return alt.vconcat(upper, counts.properties(height=70, width="container"), spacing=8).properties(title=title)
