"""Table 1 of Glorot & Bengio (2010) beside the one made here, and the seeds behind each of its numbers.

All take the result of `runs.table1.run`, complete or not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import altair as alt
import pandas as pd

from fmnist_core.charts import theme
from fmnist_core.charts.comparison import records
from fmnist_core.charts.theme import Layered
from fmnist_core.experiment.table1_plan import DATA_SETS, PUBLISHED, ROWS, TELLING_SEEDS

INITIALISATIONS = ("standard", "normalised")
HEIGHT = 190
LINE = "1px solid rgba(128,128,128,0.5)"  # seen on light and dark pages
CELL = "padding:0.3rem 0.45rem;border:none;white-space:nowrap"


def html(result: Mapping[str, Any]) -> str:
    """The table as the paper sets it: a rule above and below, the best and all that do not differ from it in bold.

    Rows that are not made yet have a dash. The paper's columns are as published, without its own bold.
    """
    by_name = {row["name"]: row for row in result["rows"]}
    ours = "Fashion-MNIST" if result["data"]["name"] == "full" else "Fashion-MNIST (sample)"
    names = "".join(_head(name) for name in (ours, "rate", *DATA_SETS))
    above = (
        f'<tr><td></td><th colspan="2" style="{CELL}">this app</th><th colspan="4" style="{CELL};border-left:{LINE}">'
    )
    above += "Glorot &amp; Bengio (2010)</th></tr>"
    body = "".join(_line(row.name, by_name.get(row.name), PUBLISHED.get(row)) for row in ROWS)
    caption = f"Test error in %, with {_seeds(result)}; N: normalised initialisation."
    style = "border-collapse:collapse;border-top:2px solid;border-bottom:2px solid;font-variant-numeric:tabular-nums"
    return (
        f'<div style="overflow-x:auto"><table style="{style}"><caption style="text-align:left;white-space:normal">{escape(caption)}</caption>'
        f'<thead>{above}<tr style="border-bottom:{LINE}"><th style="{CELL};text-align:left">network</th>{names}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _seeds(result: Mapping[str, Any]) -> str:
    count = len(result["protocol"]["seeds"])
    return f"± one standard deviation over {count} seeds"


def _head(name: str) -> str:
    return f'<th scope="col" style="{CELL};white-space:normal;text-align:right;{_border(name)}">{escape(name)}</th>'


def _border(name: str) -> str:
    """A line between our columns and the paper's."""
    return f"border-left:{LINE}" if name == DATA_SETS[0] else ""


def _line(name: str, row: Mapping[str, Any] | None, published: Iterable[float] | None) -> str:
    own = "–" if row is None else _error(row)
    rate = "–" if row is None or row["learning_rate"] is None else f"{row['learning_rate']:g}"
    numbers = [f"{error:.2f}" for error in published] if published else ["–"] * len(DATA_SETS)
    cells = zip(("", "", *DATA_SETS), (own, rate, *numbers), strict=True)
    right = "".join(f'<td style="{CELL};text-align:right;{_border(column)}">{cell}</td>' for column, cell in cells)
    return f'<tr><th scope="row" style="{CELL};text-align:left;font-weight:400">{escape(name)}</th>{right}</tr>'


def _error(row: Mapping[str, Any]) -> str:
    error = row["test_error"]
    if error["mean"] is None or not math.isfinite(error["mean"]):
        return "diverged"
    spread = error["std"]
    shown = f"{error['mean']:.2f}" + ("" if spread is None or not math.isfinite(spread) else f" ± {spread:.2f}")
    return f"<b>{shown}</b>" if row["bold"] else shown


def seeds(result: Mapping[str, Any], activation: str) -> Layered:
    """One activation: each seed's test error as a dot, each initialisation's mean with its 95 % interval."""
    rows = [row for row in result["rows"] if row["activation"] == activation]
    dots = pd.DataFrame(
        [
            {"initialisation": row["initialisation"], "seed": seed, "error": error}
            for row in rows
            for seed, error in zip(result["protocol"]["seeds"], row["test_error"]["seeds"], strict=True)
        ],
        columns=["initialisation", "seed", "error"],
    )
    means = pd.DataFrame(
        [{"initialisation": row["initialisation"], **_plain(row["test_error"])} for row in rows],
        columns=["initialisation", "mean", "low", "high"],
    )
    y = alt.Y("initialisation:N", title=None, sort=list(INITIALISATIONS), axis=alt.Axis(**theme.BARE))
    scale = alt.Scale(domain=_domain(dots, means), nice=False)
    colour = alt.Color("initialisation:N", scale=theme.model_colours(INITIALISATIONS), legend=None)

    def layer(name: str, field: str) -> alt.Chart:
        x = alt.X(field, title="test error in %", scale=scale)
        return alt.Chart(alt.NamedData(name)).encode(x=x, y=y, color=colour)

    tooltips = [
        alt.Tooltip("mean:Q", format=".2f"),
        *(alt.Tooltip(f"{end}:Q", format=".2f") for end in ("low", "high")),
    ]
    picture = alt.layer(
        layer("means", "low:Q").mark_rule(strokeWidth=3, opacity=0.5).encode(x2="high:Q", tooltip=tooltips),
        layer("means", "mean:Q").mark_tick(thickness=3, size=34).encode(tooltip=tooltips),
        layer("dots", "error:Q")
        .mark_point(filled=True, size=55, opacity=0.75)
        .encode(tooltip=["seed:Q", alt.Tooltip("error:Q", title="test error in %", format=".2f")]),
    )
    picture.datasets = {"means": records(means), "dots": records(dots)}
    title = theme.titled(
        f"{activation}: {_verdict(result, activation)}", "Dots: seeds. Tick and line: mean, 95 % interval."
    )
    return picture.properties(height=HEIGHT, title=title)


def _plain(error: Mapping[str, Any]) -> dict[str, Any]:
    """Mean and interval; no error is below 0 or above 100 %, whatever the t distribution says."""
    ends = {name: error[name] for name in ("mean", "low", "high")}
    return {name: value if value is None else min(max(value, 0.0), 100.0) for name, value in ends.items()}


def _domain(dots: pd.DataFrame, means: pd.DataFrame) -> list[float]:
    """Of the axis: all that is drawn and a little room, within 0 to 100 %."""
    errors = pd.to_numeric(pd.concat([dots["error"], means["low"], means["high"]])).dropna()
    if errors.empty:
        return [0.0, 100.0]
    room = 0.05 * (errors.max() - errors.min()) or 1.0
    return [max(float(errors.min() - room), 0.0), min(float(errors.max() + room), 100.0)]


def _verdict(result: Mapping[str, Any], activation: str) -> str:
    """A few words for a title."""
    test = next((test for test in result["tests"] if test["activation"] == activation), None)
    if test is None or test["n"] < 2:
        return "not comparable yet"
    if test["n"] < TELLING_SEEDS:
        return f"{test['n']} seeds are too few to decide"
    if not test["differs"]:
        return f"no difference beyond p = {result['protocol']['alpha']:g}"
    size = f"{abs(test['difference']):.1f} points"
    return f"normalised is {size} {'better' if test['difference'] < 0 else 'worse'}"
