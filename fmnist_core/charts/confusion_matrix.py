"""The confusion matrix, whose cells can be clicked, and each class's precision, recall and F1."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fmnist_core.charts import theme
from fmnist_core.charts.specification import specified
from fmnist_core.charts.theme import tip
from fmnist_core.findings import evaluation
from fmnist_core.findings.evaluation import Scores

CELL = "cell"  # the point selection, with the fields true and predicted
# Opacity of an empty cell, and of the diagonal's strongest: correct predictions must not outshine mistakes.
PALE, RIGHT = 0.04, 0.3
# Above this opacity black stands out from a cell's orange better than white does, on the dark page's background.
STRONG = 0.76
FIGURES = alt.ExprRef("luminance(background || 'white') > 0.4 ? 'black' : 'white'")
MEASURES = ("precision", "recall", "F1")


def rows(counts: NDArray[np.int64], classes: Sequence[str], shares: bool = False) -> pd.DataFrame:
    """A row a cell: true, predicted (names), images, share (of the true class's images), figure (what the cell says),
    right, strength (opacity). counts: rows true, columns predicted. shares: figures in per cent of the row.
    """
    share = evaluation.row_shares(counts)
    most = float(share[~np.eye(len(classes), dtype=bool)].max(initial=0)) or 1.0
    cells = []
    for a, b in np.ndindex(share.shape):
        images, part = int(counts[a, b]), float(share[a, b])
        # A small share keeps a digit, so that it does not read as nothing.
        figure = f"{100 * part:.{int(part < 0.0095)}f} %" if shares else f"{images:,}"
        cells.append(
            {
                "true": classes[a],
                "predicted": classes[b],
                "images": images,
                "share": part,
                "figure": figure if images else "",
                "right": a == b,
                "strength": RIGHT * part if a == b else PALE + (1 - PALE) * part / most,
            }
        )
    return pd.DataFrame(cells)


@specified
def matrix(table: pd.DataFrame, classes: Sequence[str], chosen: tuple[str, str] | None = None) -> alt.LayerChart:
    """The confusion matrix. table: as from `rows`. chosen: true and predicted class of the cell to frame."""
    cells = zip(table["true"], table["predicted"], strict=True)
    names = alt.Axis(labelAngle=-40, labelLimit=120, **theme.BARE)
    base = alt.Chart(table.assign(chosen=[cell == chosen for cell in cells])).encode(
        x=alt.X("predicted:N", sort=list(classes), title="predicted class", axis=names),
        y=alt.Y("true:N", sort=list(classes), title="true class", axis=alt.Axis(labelLimit=120, **theme.BARE)),
        tooltip=[
            tip("true:N", "true class"),
            tip("predicted:N", "predicted class"),
            tip("images:Q", format=",d"),
            tip("share:Q", "share of the true class", ".1%"),
        ],
    )
    frame = alt.datum.chosen
    squares = (
        base.mark_rect(cornerRadius=2, cursor="pointer", strokeWidth=2)
        .encode(
            color=theme.either(alt.datum.right, theme.MUTED, theme.VALIDATION),
            opacity=alt.Opacity("strength:Q", scale=None),
            stroke=theme.either(frame, theme.INK, "transparent"),
        )
        .add_params(alt.selection_point(name=CELL, fields=["true", "predicted"], on="click", clear=False))
    )
    figures = base.mark_text(fontSize=12, cursor="pointer").encode(
        text="figure:N", color=theme.either(alt.datum.strength > STRONG, "black", FIGURES)
    )
    outline = base.transform_filter(frame).mark_rect(
        filled=False, strokeWidth=2.5, cornerRadius=2, stroke=theme.INK, aria=False
    )
    title, key = "Which classes the network confuses", "Grey: correct. Orange: mistakes; click a cell."
    return theme.picture([squares, figures, outline], 430, title, key)


def score_rows(scores: Scores, classes: Sequence[str]) -> pd.DataFrame:
    """A row a class and measure: class, measure, value, low, high (95 % Wilson intervals; F1 is no proportion and has
    none), figure. A measure that is 0 / 0 has no row.
    """
    none = np.full(len(classes), np.nan)
    measures = {
        "precision": (scores.precision, *evaluation.wilson(scores.right, scores.predicted)),
        "recall": (scores.recall, *evaluation.wilson(scores.right, scores.support)),
        "F1": (scores.f1, none, none),
    }
    table = pd.DataFrame(
        [
            {"class": name, "measure": measure, "value": value[k], "low": low[k], "high": high[k]}
            for k, name in enumerate(classes)
            for measure, (value, low, high) in measures.items()
        ]
    )
    return table.dropna(subset=["value"])


@specified
def score_dots(table: pd.DataFrame, classes: Sequence[str]) -> alt.LayerChart:
    """Precision, recall and F1 of each class as dots with intervals. table: as from `score_rows`."""
    colours = alt.Scale(domain=list(MEASURES), range=list(theme.MODEL_COLOURS[:3]))
    base = alt.Chart(table).encode(
        y=alt.Y("class:N", sort=list(classes), title=None, axis=alt.Axis(**theme.BARE)),
        yOffset=alt.YOffset("measure:N", sort=list(MEASURES), scale=alt.Scale(paddingOuter=0.35)),
        color=alt.Color("measure:N", scale=colours, legend=alt.Legend(symbolType="circle", symbolOpacity=1)),
        tooltip=["class:N", "measure:N", *(tip(f"{n}:Q", format=".3f") for n in ("value", "low", "high"))],
    )
    lowest = float(np.nanmin(table[["value", "low"]].to_numpy(), initial=1))
    across = alt.Scale(domain=[np.floor(lowest * 10) / 10, 1], nice=False)
    intervals = base.mark_rule(strokeWidth=2, opacity=0.6).encode(x=alt.X("low:Q", scale=across), x2="high:Q")
    dots = base.mark_circle(size=55, opacity=1).encode(
        x=alt.X("value:Q", title="share", scale=across, axis=alt.Axis(format=".0%", grid=True))
    )
    title = "Precision, recall and F1 of each class"
    return theme.picture([intervals, dots], 440, title, "Dots: value. Lines: 95 % interval.")
