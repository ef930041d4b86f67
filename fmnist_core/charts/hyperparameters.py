"""Studies over hyperparameters: which values do well, one at a time, in pairs, and all at once.

The table has one row per run: run_id, model (its name), seed, a column for each hyperparameter (numbers, words or
bools), and the measures test_loss, test_accuracy, best_val_loss, seconds. A run of which a test measure or the drawn
one is not finite has diverged. titles: what a reader calls each column.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from fmnist_core.charts import theme
from fmnist_core.charts.comparison import BARE, Layered, records, spans

PALE, STRONG = 0.08, 0.9  # Opacity of the worst cell: it still shows; and of those with white figures on a light page.
NOISE = 4  # The scale of colours spans at least this many standard deviations, so that noise looks like noise.
MOST_TICKS, MOST_MARKS = 12, 8  # More values than this get an ordinary axis in place of a tick each, or only the ends.
NEAREST = 0.07  # Marks on a parallel axis nearer than this share of its length would overlap.
ROOM, HEIGHT = 130, 400  # Pixels: what titles and axes take, a whole picture.
WRAP = 14  # Characters in a line of a parallel axis' title.
WHO = (alt.Tooltip("model:N"), alt.Tooltip("seed:Q"))


def heat_map(table: pd.DataFrame, x: str, y: str, measure: str, titles: Mapping[str, str]) -> Layered:
    """The mean of a measure for each combination of two hyperparameters, with its figure: the better, the stronger.

    The point selection "cell" has the fields x and y.
    """
    cells = over_runs(table, [x, y], measure)
    chosen = alt.selection_point(name="cell", fields=[x, y])
    gaps = alt.Scale(type="band", paddingInner=0.04, paddingOuter=0)
    base = alt.Chart(alt.NamedData("cells")).encode(
        x=alt.X(f"{x}:O", scale=gaps, **_ordinal(cells[x], titles[x])),
        y=alt.Y(f"{y}:O", scale=gaps, **_ordinal(cells[y], titles[y])),
        tooltip=[*(alt.Tooltip(f"{name}:N", title=titles[name]) for name in (x, y)), *_mean(titles[measure])],
    )
    opacity = alt.Scale(domain=[0, 1], range=[PALE, 1])
    squares = base.mark_rect(fill=theme.TRAIN, stroke=theme.VALIDATION, cornerRadius=3).encode(
        fillOpacity=alt.FillOpacity("strength:Q", scale=opacity, legend=None),
        strokeWidth=alt.when(chosen, empty=False).then(alt.value(4)).otherwise(alt.value(0)),
    )
    ink = alt.when(alt.datum.strength > STRONG).then(alt.value("white")).otherwise(alt.value(theme.INK))
    picture = alt.layer(
        squares.add_params(chosen), base.mark_text(fontSize=_size(cells[x], 14, 11)).encode(text="figure:N", color=ink)
    )
    picture.datasets = {"cells": records(cells)}
    title = theme.titled(f"{titles[measure]} by {_inside(titles[x])} and {_inside(titles[y])}", _direction(measure))
    return picture.properties(height=_size(cells[y], 48, 34) * cells[y].nunique() + ROOM, title=title)


def scatter(
    table: pd.DataFrame, x: str, measure: str, models: Sequence[str], titles: Mapping[str, str], height: int = HEIGHT
) -> Layered:
    """Each run as a dot, one hyperparameter against a measure, and the mean of each value as a dash.

    models: the order of their colours. The point selection "run" has the field run_id.
    """
    runs = _rated(table.assign(value=_finite(table, measure)), "value", measure)
    lost = int(runs["diverged"].sum())
    runs = runs[~runs["diverged"]].dropna(subset=[x])
    means = over_runs(runs, [x], measure).rename(columns={"mean": "value"})
    path = means.sort_values(x) if _numeric(table[x]) else means.head(0)
    picture = alt.layer(*_dots(runs, x, measure, models, titles))
    picture.datasets = {"path": records(path), "means": records(means), "runs": records(runs)}
    gone = f" Left out: {lost} diverged." if lost else ""
    subtitle = f"Dot: one run. Dash: mean of the runs with this value.{gone}"
    title = theme.titled(f"{titles[measure]} by {_inside(titles[x])}", subtitle)
    return picture.properties(height=height, title=title)


def parallel(
    table: pd.DataFrame, columns: Sequence[str], measure: str, titles: Mapping[str, str], height: int = HEIGHT
) -> Layered:
    """Each run as a line through its hyperparameters to its measure; every axis has its own range.

    The point selection "run" has the field run_id.
    """
    runs = _rated(table.assign(**{measure: _finite(table, measure)}), measure, measure)
    runs = runs.sort_values(["diverged", "strength"], kind="stable")
    axes = {name: "\n".join(textwrap.wrap(titles[name], WRAP)) for name in (*columns, measure)}
    lines, marks = [], []
    for order, (name, axis) in enumerate(axes.items()):
        places, texts = _positions(runs[name]), runs["figure"] if name == measure else runs[name].map(_text)
        lines.append(runs.assign(axis=axis, order=order, place=places))
        marks.append(_marks(places, texts, name == measure).assign(axis=axis))
    told = [alt.Tooltip(f"{name}:N", title=titles[name]) for name in columns]
    tooltip = [*WHO, *told, alt.Tooltip("figure:N", title=titles[measure])]
    picture = alt.layer(*_strands(list(axes.values()), tooltip))
    picture.datasets = {
        "lines": records(pd.concat(lines).dropna(subset=["place"])),
        "marks": records(pd.concat(marks)),
        "axes": [{"axis": axis, "place": 0, "top": 1} for axis in axes.values()],
    }
    gone = " Orange, dashed: diverged." if runs["diverged"].any() else ""
    title = f"Each line is one run, from its settings to its {_inside(titles[measure])}"
    return picture.properties(height=height, title=theme.titled(title, _direction(measure) + gone))


def over_runs(table: pd.DataFrame, by: Sequence[str], measure: str) -> pd.DataFrame:
    """The measure's mean over the runs with the same values, diverged runs left out.

    Columns: those of `by`, mean, deviation (sample standard deviation; nan with one run), runs (how many count),
    diverged, strength (0 worst, 1 best), figure and spread (texts).
    """
    known = table.assign(value=_finite(table, measure)).dropna(subset=list(by))
    grouped = known.groupby(list(by), sort=False)["value"]
    means = grouped.agg(mean="mean", deviation="std", runs="count").reset_index()
    spread = [f"± {_figure(value, measure)}" if value == value else "one run" for value in means["deviation"]]
    return _rated(means, "mean", measure, noise=float(means["deviation"].median())).assign(spread=spread)


def _finite(table: pd.DataFrame, measure: str) -> pd.Series:
    """The measure of each run, nan where the run diverged."""
    names = [name for name in dict.fromkeys(("test_loss", "test_accuracy", measure)) if name in table]
    finite = np.isfinite(table[names].to_numpy(float)).all(axis=1)
    return table[measure].astype(float).where(pd.Series(finite, table.index))


def _rated(table: pd.DataFrame, column: str, measure: str, noise: float = 0.0) -> pd.DataFrame:
    """With columns diverged (no value), strength (0 worst or diverged, 1 best) and figure, the value as text."""
    values = table[column]
    best = values.max() if _kind(measure) == "accuracy" else values.min()
    span = np.nanmax([values.max() - values.min(), NOISE * noise, 1e-12])
    strength = (1 - (values - best).abs() / span).fillna(0.0)
    return table.assign(diverged=values.isna(), strength=strength, figure=[_figure(v, measure) for v in values])


def _kind(measure: str) -> str:
    """How a measure's figures look, and whether more is better: "accuracy", "seconds" or "loss"."""
    return next((kind for kind in ("accuracy", "seconds") if kind in measure), "loss")


def _figure(value: float, measure: str) -> str:
    """As exact as the noise allows."""
    if value != value:
        return "diverged"
    return {"accuracy": f"{value:.1%}", "seconds": f"{value:,.1f} s", "loss": f"{value:.3f}"}[_kind(measure)]


def _mean(title: str) -> list[alt.Tooltip]:
    names = {"figure:N": f"{title}, mean", "spread:N": "standard deviation", "runs:Q": "runs"}
    return [alt.Tooltip(name, title=told) for name, told in names.items()]


def _direction(measure: str) -> str:
    better = "Higher" if _kind(measure) == "accuracy" else "Lower"
    return f"{better} is better: the stronger the colour, the better."


def _size(values: pd.Series, usual: int, small: int) -> int:
    """In pixels, of what stands once for each value."""
    return usual if values.nunique() <= 8 else small


def _inside(title: str) -> str:
    """Ready to stand inside a sentence; "L2 penalty" keeps its capital."""
    return title[0].lower() + title[1:] if title[1:2].islower() else title


def _numeric(values: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(values)) and not pd.api.types.is_bool_dtype(values)


def _levels(values: pd.Series) -> list[Any]:
    """The different values: numbers and bools in their order, words as they come."""
    found = values.dropna().drop_duplicates()
    return list((found.sort_values() if pd.api.types.is_numeric_dtype(values) else found).tolist())


def _ordinal(values: pd.Series, title: str) -> dict[str, Any]:
    """Options of an axis with a place for each value. Words stand one below the other, bools are yes and no."""
    label = "format(datum.value, ',~g')" if _numeric(values) else "split(datum.label, ' ')"
    label = "datum.value ? 'yes' : 'no'" if pd.api.types.is_bool_dtype(values) else label
    return {"sort": _levels(values), "title": title, "axis": alt.Axis(labelExpr=label, labelAngle=0, **BARE)}


def _quantitative(values: pd.Series, title: str) -> dict[str, Any]:
    """Options of an axis for numbers, with a tick at each value where they are few."""
    levels = _levels(values)
    ticks: dict[str, Any] = {"values": levels} if len(levels) <= MOST_TICKS else {}
    axis = alt.Axis(format=",~g", labelOverlap="greedy", labelFlush=False, grid=False, **ticks)
    return {"title": title, "axis": axis, "scale": alt.Scale(zero=False, nice=False, padding=24, **_bend(levels))}


def _bend(levels: Sequence[float]) -> dict[str, Any]:
    """The kind of scale: logarithmic for a wide range; with 0 among the values, straight up to the smallest of them."""
    positive = [level for level in levels if level > 0]
    if not spans(positive) or min(levels) < 0:
        return {"type": "linear"}
    return {"type": "log"} if len(positive) == len(levels) else {"type": "symlog", "constant": min(positive)}


def _dots(
    runs: pd.DataFrame, x: str, measure: str, models: Sequence[str], titles: Mapping[str, str]
) -> list[alt.Chart | alt.LayerChart]:
    """The layers of `scatter`: runs, and the means with a path between those of numbers."""
    numeric = _numeric(runs[x])
    options = (_quantitative if numeric else _ordinal)(runs[x], titles[x])
    format = "~%" if _kind(measure) == "accuracy" else "~g"
    scale = alt.Scale(zero=False, padding=14)
    # A mean is no run: a click on one would select nothing and fade all. (Streamlit's Vega has no `datum` here.)
    on_run = "click[!event.item || !event.item.datum || !event.item.datum.runs]"
    chosen = alt.selection_point(name="run", fields=["run_id"], on=on_run)

    def drawn(name: str, *tooltip: alt.Tooltip) -> alt.Chart:
        return alt.Chart(alt.NamedData(name)).encode(
            x=alt.X(f"{x}:Q" if numeric else f"{x}:O", **options),
            y=alt.Y("value:Q", title=titles[measure], scale=scale, axis=alt.Axis(format=format)),
            tooltip=[*tooltip, alt.Tooltip(f"{x}:N", title=titles[x])],
        )

    dots = drawn("runs", *WHO, alt.Tooltip("figure:N", title=titles[measure])).encode(
        color=_by_model(runs, x, models),
        opacity=alt.when(chosen).then(alt.value(0.85)).otherwise(alt.value(0.25)),
    )
    dash: dict[str, Any] = {"shape": "stroke", "size": 1200, "strokeWidth": 2.5, "opacity": 1}
    return [
        drawn("path").mark_line(color=theme.MUTED, strokeWidth=1.5, tooltip=None),
        dots.mark_point(filled=True, size=110).add_params(chosen),
        drawn("means", *_mean(titles[measure])).mark_point(color=theme.INK, **dash),
    ]


def _by_model(runs: pd.DataFrame, x: str, models: Sequence[str]) -> Any:
    """A colour for each model, unless the models are but the values on the axis, or too many for the palette."""
    pairs = len(runs[["model", x]].drop_duplicates())
    plain = pairs == runs["model"].nunique() == runs[x].nunique()
    if plain or not 1 < len(models) <= len(theme.MODEL_COLOURS):
        return alt.value(theme.TRAIN)
    return theme.by_model(models, "circle")


def _strands(axes: Sequence[str], tooltip: Sequence[alt.Tooltip]) -> list[alt.Chart | alt.LayerChart]:
    """The layers of `parallel`: axes, runs, what takes the clicks, and the marks on the axes with a halo."""
    chosen = alt.selection_point(name="run", fields=["run_id"])
    names = r"split(datum.label, '\n')"
    axis = alt.Axis(orient="top", labelExpr=names, labelAngle=0, labelFontWeight="bold", **BARE)
    x = alt.X("axis:N", sort=list(axes), title=None, scale=alt.Scale(type="point", padding=0.35), axis=axis)
    y = alt.Y("place:Q", axis=None, scale=alt.Scale(domain=[-0.03, 1.03], nice=False))

    def drawn(name: str) -> alt.Chart:
        return alt.Chart(alt.NamedData(name)).encode(x=x, y=y)

    def rising(exponent: int, *ends: Any) -> dict[str, Any]:
        """The best stand out: they are few."""
        return {"scale": alt.Scale(type="pow", exponent=exponent, domain=[0, 1], range=[*ends]), "legend": None}

    gone = alt.datum.diverged
    hue = alt.Color("strength:Q", **rising(3, theme.MUTED, theme.TRAIN))
    force = alt.Opacity("strength:Q", **rising(2, 0.2, 1))
    strands = drawn("lines").encode(detail="run_id:N", order="order:Q", tooltip=list(tooltip))
    marks = drawn("marks").encode(text="mark:N")
    return [
        drawn("axes").mark_rule(color=theme.MUTED, strokeWidth=1.5).encode(y2="top:Q"),
        strands.mark_line().encode(
            color=alt.when(gone).then(alt.value(theme.VALIDATION)).otherwise(hue),
            opacity=alt.when(gone).then(alt.value(1)).otherwise(force),
            strokeDash=alt.when(gone).then(alt.value([3, 4])).otherwise(alt.value([1, 0])),
            size=alt.when(chosen, empty=False).then(alt.value(6)).otherwise(alt.value(2)),
        ),
        strands.mark_line(strokeWidth=14, opacity=0).add_params(chosen),
        marks.mark_text(align="left", dx=7, fontSize=12, stroke=theme.PAPER, strokeWidth=4),
        marks.mark_text(align="left", dx=7, fontSize=12, color=theme.INK),
    ]


def _positions(values: pd.Series) -> pd.Series:
    """Places from 0 to 1 on a parallel axis: numbers by size, words in even steps from the top, equal values halfway."""
    levels = _levels(values)
    kind: dict[str, Any] = _bend(levels) if _numeric(values) else {"type": "words"}
    if kind["type"] == "words":
        values = values.map({level: -place for place, level in enumerate(levels)}).astype(float)
    elif kind["type"] != "linear":
        values = np.log(values) if kind["type"] == "log" else np.log1p(values / kind["constant"])
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else values * 0.0 + 0.5


def _marks(places: pd.Series, texts: pd.Series, ends: bool) -> pd.DataFrame:
    """What stands beside a parallel axis: every value where there is room, else the ends. Columns place, mark."""
    marks = pd.DataFrame({"place": places, "mark": texts}).dropna().drop_duplicates("place").sort_values("place")
    crowded = len(marks) > MOST_MARKS or bool((marks["place"].diff() < NEAREST).any())
    return marks.iloc[[0, -1]] if len(marks) > 1 and (ends or crowded) else marks


def _text(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return f"{value:,.9f}".rstrip("0").rstrip(".") if isinstance(value, int | float) else str(value)
