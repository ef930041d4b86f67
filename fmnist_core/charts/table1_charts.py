"""Table 1 of Glorot & Bengio (2010) beside the one made here, and the seeds behind each of its numbers.

All take the result of the table's trainings, complete or not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import altair as alt
import pandas as pd

from fmnist_core.charts import theme
from fmnist_core.charts.markup import Html, element
from fmnist_core.charts.specification import specified
from fmnist_core.charts.theme import tip
from fmnist_core.experiment.table1_plan import DATA_SETS, PUBLISHED, ROWS, TELLING_SEEDS

INITIALISATIONS = ("standard", "normalised")
HEIGHT = 190
LINE = "1px solid rgba(128,128,128,0.5)"  # seen on light and dark pages
CELL = "padding:0.3rem 0.45rem;border:none;white-space:nowrap"


def html(result: Mapping[str, Any]) -> Html:
    """The table as the paper sets it: a rule above and below, the best and all that do not differ from it in bold.

    Rows without a result have a dash. The paper's columns are as published, without its own bold.
    """
    by_name = {row["name"]: row for row in result["rows"]}
    ours = "Fashion-MNIST" if result["data"]["name"] == "full" else "Fashion-MNIST (sample)"
    above = element(
        "tr",
        element("td"),
        element("th", "this app", colspan=2, style=CELL),
        element("th", "Glorot & Bengio (2010)", colspan=4, style=f"{CELL};border-left:{LINE}"),
    )
    heads = (
        element("th", name, scope="col", style=f"{CELL};white-space:normal;text-align:right;{_border(name)}")
        for name in (ours, "rate", *DATA_SETS)
    )
    names = element(
        "tr", element("th", "network", style=f"{CELL};text-align:left"), *heads, style=f"border-bottom:{LINE}"
    )
    lines = (_line(row.name, by_name.get(row.name), PUBLISHED.get(row)) for row in ROWS)
    seeds = len(result["protocol"]["seeds"])
    caption = f"Test error in %, with ± one standard deviation over {seeds} seeds; N: normalised initialisation."
    table = element(
        "table",
        element("caption", caption, style="text-align:left;white-space:normal"),
        element("thead", above, names),
        element("tbody", *lines),
        style="border-collapse:collapse;border-top:2px solid;border-bottom:2px solid;font-variant-numeric:tabular-nums",
    )
    return element("div", table, style="overflow-x:auto")


def _border(column: str) -> str:
    """A line between our columns and the paper's."""
    return f"border-left:{LINE}" if column == DATA_SETS[0] else ""


def _line(name: str, row: Mapping[str, Any] | None, published: Iterable[float] | None) -> Html:
    ours = "–" if row is None else _error(row)
    rate = "–" if row is None or row["learning_rate"] is None else f"{row['learning_rate']:g}"
    numbers = [f"{error:.2f}" for error in published] if published else ["–"] * len(DATA_SETS)
    cells = (
        element("td", text, style=f"{CELL};text-align:right;{_border(column)}")
        for column, text in zip(("", "", *DATA_SETS), (ours, rate, *numbers), strict=True)
    )
    return element("tr", element("th", name, scope="row", style=f"{CELL};text-align:left;font-weight:400"), *cells)


def _error(row: Mapping[str, Any]) -> str:
    error = row["test_error"]
    if error["mean"] is None or not math.isfinite(error["mean"]):
        return "diverged"
    spread = error["std"]
    shown = f"{error['mean']:.2f}" + ("" if spread is None or not math.isfinite(spread) else f" ± {spread:.2f}")
    return element("b", shown) if row["bold"] else shown


@specified
def seeds(result: Mapping[str, Any], activation: str) -> alt.LayerChart:
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
        [{"initialisation": row["initialisation"], **_limited(row["test_error"])} for row in rows],
        columns=["initialisation", "mean", "low", "high"],
    )
    scale = alt.Scale(domain=_domain(dots, means), nice=False)
    tooltip = [tip(f"{column}:Q", format=".2f") for column in ("mean", "low", "high")]

    def layer(name: str, field: str) -> Any:
        return alt.Chart(alt.NamedData(name)).encode(
            x=alt.X(field, title="test error in %", scale=scale),
            y=alt.Y("initialisation:N", title=None, sort=list(INITIALISATIONS), axis=alt.Axis(**theme.BARE)),
            color=alt.Color("initialisation:N", scale=theme.model_colours(INITIALISATIONS), legend=None),
        )

    picture = [
        layer("means", "low:Q").mark_rule(strokeWidth=3, opacity=0.5).encode(x2="high:Q", tooltip=tooltip),
        layer("means", "mean:Q").mark_tick(thickness=3, size=34).encode(tooltip=tooltip),
        layer("dots", "error:Q")
        .mark_point(filled=True, size=55, opacity=0.75)
        .encode(tooltip=["seed:Q", tip("error:Q", "test error in %", ".2f")]),
    ]
    title, key = f"{activation}: {_verdict(result, activation)}", "Dots: seeds. Tick and line: mean, 95 % interval."
    return theme.picture(picture, HEIGHT, title, key, {"means": means, "dots": dots})


def _limited(error: Mapping[str, Any]) -> dict[str, Any]:
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
