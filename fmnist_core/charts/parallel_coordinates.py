"""Studies over many hyperparameters at once, as parallel coordinates: an axis each, and a line for each run.

The table and titles are as in `hyperparameter_grid`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from fmnist_core.charts import theme
from fmnist_core.charts.hyperparameter_grid import HEIGHT, WHO, bend, direction, distinct, is_numeric, measured, rated
from fmnist_core.charts.specification import specified
from fmnist_core.charts.theme import tip
from fmnist_core.experiment import wording

MOST_MARKS = 8  # More values than this on an axis, and only its ends are marked.
NEAREST = 0.07  # Marks nearer than this share of the axis' length would overlap.
WRAP = 14  # Characters in a line of an axis' title.


@specified
def chart(
    table: pd.DataFrame, columns: Sequence[str], measure: str, titles: Mapping[str, str], height: int = HEIGHT
) -> alt.LayerChart:
    """Each run as a line through its hyperparameters to its measure; every axis has its own range.

    The point selection "run" has the field run_id.
    """
    runs = rated(table.assign(**{measure: measured(table, measure)}), measure, measure)
    runs = runs.sort_values(["diverged", "strength"], kind="stable")
    axes = {name: "\n".join(textwrap.wrap(titles[name], WRAP)) for name in (*columns, measure)}
    lines, marks = [], []
    for order, (name, axis) in enumerate(axes.items()):
        positions, texts = _positions(runs[name]), runs["figure"] if name == measure else runs[name].map(_text)
        lines.append(runs.assign(axis=axis, order=order, place=positions))
        marks.append(_marks(positions, texts, name == measure).assign(axis=axis))
    tooltips = [tip(f"{name}:N", titles[name]) for name in columns]
    tooltip = [*WHO, *tooltips, tip("figure:N", titles[measure])]
    data = {
        "lines": pd.concat(lines).dropna(subset=["place"]),
        "marks": pd.concat(marks),
        "axes": [{"axis": axis, "place": 0, "top": 1} for axis in axes.values()],
    }
    diverged = " Orange, dashed: diverged." if runs["diverged"].any() else ""
    title = f"Each line is one run, from its settings to its {wording.inside(titles[measure])}"
    return theme.picture(_strands(list(axes.values()), tooltip), height, title, direction(measure) + diverged, data)


def _strands(axes: Sequence[str], tooltip: Sequence[alt.Tooltip]) -> list[Any]:
    """The layers of `chart`: axes, runs, what takes the clicks, and the marks on the axes with a halo."""
    chosen = alt.selection_point(name="run", fields=["run_id"])
    names = r"split(datum.label, '\n')"
    axis = alt.Axis(orient="top", labelExpr=names, labelAngle=0, labelFontWeight="bold", **theme.BARE)
    x = alt.X("axis:N", sort=list(axes), title=None, scale=alt.Scale(type="point", padding=0.35), axis=axis)
    y = alt.Y("place:Q", axis=None, scale=alt.Scale(domain=[-0.03, 1.03], nice=False))

    def drawn(name: str) -> Any:
        return alt.Chart(alt.NamedData(name)).encode(x=x, y=y)

    def rising(exponent: int, *ends: Any) -> dict[str, Any]:
        """The best stand out: they are few."""
        return {"scale": alt.Scale(type="pow", exponent=exponent, domain=[0, 1], range=[*ends]), "legend": None}

    diverged = alt.datum.diverged
    hue = alt.Color("strength:Q", **rising(3, theme.MUTED, theme.TRAIN))
    force = alt.Opacity("strength:Q", **rising(2, 0.2, 1))
    strands = drawn("lines").encode(detail="run_id:N", order="order:Q", tooltip=list(tooltip))
    marks = drawn("marks").encode(text="mark:N")
    return [
        drawn("axes").mark_rule(color=theme.MUTED, strokeWidth=1.5).encode(y2="top:Q"),
        strands.mark_line().encode(
            color=alt.when(diverged).then(alt.value(theme.VALIDATION)).otherwise(hue),
            opacity=alt.when(diverged).then(alt.value(1)).otherwise(force),
            strokeDash=theme.either(diverged, [3, 4], [1, 0]),
            size=theme.either(chosen, 6, 2, empty=False),
        ),
        strands.mark_line(strokeWidth=14, opacity=0).add_params(chosen),
        marks.mark_text(align="left", dx=7, fontSize=12, stroke=theme.PAPER, strokeWidth=4),
        marks.mark_text(align="left", dx=7, fontSize=12, color=theme.INK),
    ]


def _positions(values: pd.Series) -> pd.Series:
    """Places from 0 to 1 on an axis: numbers by size, words in even steps from the top, equal values halfway."""
    levels = distinct(values)
    kind: dict[str, Any] = bend(levels) if is_numeric(values) else {"type": "words"}
    if kind["type"] == "words":
        values = values.map({level: -index for index, level in enumerate(levels)}).astype(float)
    elif kind["type"] != "linear":
        values = np.log(values) if kind["type"] == "log" else np.log1p(values / kind["constant"])
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else values * 0.0 + 0.5


def _marks(positions: pd.Series, texts: pd.Series, ends: bool) -> pd.DataFrame:
    """What stands beside an axis: every value where there is room, else the ends. Columns place, mark."""
    marks = pd.DataFrame({"place": positions, "mark": texts}).dropna().drop_duplicates("place").sort_values("place")
    crowded = len(marks) > MOST_MARKS or bool((marks["place"].diff() < NEAREST).any())
    return marks.iloc[[0, -1]] if len(marks) > 1 and (ends or crowded) else marks


def _text(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return f"{value:,.9f}".rstrip("0").rstrip(".") if isinstance(value, int | float) else str(value)
