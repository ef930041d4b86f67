"""Studies over hyperparameters: which values do well, one at a time and in pairs.

The table has one row per run: run_id, model (its name), seed, a column for each hyperparameter (numbers, words or
bools), and the measures test_loss, test_accuracy, best_val_loss, seconds. A run of which a test measure or the drawn
one is not finite has diverged. titles: what a reader calls each column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from fmnist_core.charts import theme
from fmnist_core.charts.comparison import spans
from fmnist_core.charts.specification import specified
from fmnist_core.charts.theme import tip
from fmnist_core.experiment import wording

PALE, STRONG = 0.08, 0.9  # Opacity of the worst cell: it still shows; and of those with white figures on a light page.
NOISE = 4  # The scale of colours spans at least this many standard deviations, so that noise looks like noise.
MOST_TICKS = 12  # More values than this get an ordinary axis in place of a tick each.
ROOM, HEIGHT = 130, 400  # Pixels: what titles and axes take, a whole picture.
WHO = (tip("model:N"), tip("seed:Q"))


@specified
def heat_map(table: pd.DataFrame, x: str, y: str, measure: str, titles: Mapping[str, str]) -> alt.LayerChart:
    """The mean of a measure for each combination of two hyperparameters, with its figure: the better, the stronger.

    The point selection "cell" has the fields x and y.
    """
    cells = over_runs(table, [x, y], measure)
    chosen = alt.selection_point(name="cell", fields=[x, y])
    gaps = alt.Scale(type="band", paddingInner=0.04, paddingOuter=0)
    base = alt.Chart(alt.NamedData("cells")).encode(
        x=alt.X(f"{x}:O", scale=gaps, **_ordinal(cells[x], titles[x])),
        y=alt.Y(f"{y}:O", scale=gaps, **_ordinal(cells[y], titles[y])),
        tooltip=[*(tip(f"{name}:N", titles[name]) for name in (x, y)), *_mean(titles[measure])],
    )
    opacity = alt.Scale(domain=[0, 1], range=[PALE, 1])
    squares = base.mark_rect(fill=theme.TRAIN, stroke=theme.VALIDATION, cornerRadius=3).encode(
        fillOpacity=alt.FillOpacity("strength:Q", scale=opacity, legend=None),
        strokeWidth=theme.either(chosen, 4, 0, empty=False),
    )
    ink = theme.either(alt.datum.strength > STRONG, "white", theme.INK)
    figures = base.mark_text(fontSize=_size(cells[x], 14, 11)).encode(text="figure:N", color=ink)
    title = f"{titles[measure]} by {wording.inside(titles[x])} and {wording.inside(titles[y])}"
    height = _size(cells[y], 48, 34) * cells[y].nunique() + ROOM
    picture = [squares.add_params(chosen), figures]
    return theme.picture(picture, height, title, direction(measure), {"cells": cells})


@specified
def scatter(
    table: pd.DataFrame, x: str, measure: str, models: Sequence[str], titles: Mapping[str, str], height: int = HEIGHT
) -> alt.LayerChart:
    """Each run as a dot, one hyperparameter against a measure, and the mean of each value as a dash.

    models: the order of their colours. The point selection "run" has the field run_id.
    """
    runs = rated(table.assign(value=measured(table, measure)), "value", measure)
    diverged = int(runs["diverged"].sum())
    runs = runs[~runs["diverged"]].dropna(subset=[x])
    means = over_runs(runs, [x], measure).rename(columns={"mean": "value"})
    path = means.sort_values(x) if is_numeric(table[x]) else means.head(0)
    picture = _dots(runs, x, measure, models, titles)
    left_out = f" Left out: {diverged} diverged." if diverged else ""
    subtitle = f"Dot: one run. Dash: mean of the runs with this value.{left_out}"
    title = f"{titles[measure]} by {wording.inside(titles[x])}"
    return theme.picture(picture, height, title, subtitle, {"path": path, "means": means, "runs": runs})


def over_runs(table: pd.DataFrame, by: Sequence[str], measure: str) -> pd.DataFrame:
    """The measure's mean over the runs with the same values, diverged runs left out.

    Columns: those of `by`, mean, deviation (sample standard deviation; nan with one run), runs (how many count),
    diverged, strength (0 worst, 1 best), figure and spread (texts).
    """
    runs = table.assign(value=measured(table, measure)).dropna(subset=list(by))
    grouped = runs.groupby(list(by), sort=False)["value"]
    means = grouped.agg(mean="mean", deviation="std", runs="count").reset_index()
    spread = [f"± {_figure(value, measure)}" if value == value else "one run" for value in means["deviation"]]
    return rated(means, "mean", measure, noise=float(means["deviation"].median())).assign(spread=spread)


def measured(table: pd.DataFrame, measure: str) -> pd.Series:
    """The measure of each run, nan where the run diverged."""
    names = [name for name in dict.fromkeys(("test_loss", "test_accuracy", measure)) if name in table]
    finite = np.isfinite(table[names].to_numpy(float)).all(axis=1)
    return table[measure].astype(float).where(pd.Series(finite, table.index))


def rated(table: pd.DataFrame, column: str, measure: str, noise: float = 0.0) -> pd.DataFrame:
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
    return {"accuracy": wording.percent(value, 1), "seconds": f"{value:,.1f} s", "loss": f"{value:.3f}"}[_kind(measure)]


def _mean(title: str) -> list[alt.Tooltip]:
    names = {"figure:N": f"{title}, mean", "spread:N": "standard deviation", "runs:Q": "runs"}
    return [tip(name, label) for name, label in names.items()]


def direction(measure: str) -> str:
    """Tells which values are good, and how the colours show it."""
    better = "Higher" if _kind(measure) == "accuracy" else "Lower"
    return f"{better} is better: the stronger the colour, the better."


def _size(values: pd.Series, usual: int, small: int) -> int:
    """In pixels, of what stands once for each value."""
    return usual if values.nunique() <= 8 else small


def is_numeric(values: pd.Series) -> bool:
    """Whether these are numbers; bools are not."""
    return bool(pd.api.types.is_numeric_dtype(values)) and not pd.api.types.is_bool_dtype(values)


def distinct(values: pd.Series) -> list[Any]:
    """The different values: numbers and bools in their order, words as they come."""
    unique = values.dropna().drop_duplicates()
    return list((unique.sort_values() if pd.api.types.is_numeric_dtype(values) else unique).tolist())


def _ordinal(values: pd.Series, title: str) -> dict[str, Any]:
    """Options of an axis with a place for each value. Words stand one below the other, bools are yes and no."""
    label = "format(datum.value, ',~g')" if is_numeric(values) else "split(datum.label, ' ')"
    label = "datum.value ? 'yes' : 'no'" if pd.api.types.is_bool_dtype(values) else label
    return {"sort": distinct(values), "title": title, "axis": alt.Axis(labelExpr=label, labelAngle=0, **theme.BARE)}


def _quantitative(values: pd.Series, title: str) -> dict[str, Any]:
    """Options of an axis for numbers, with a tick at each value where they are few."""
    levels = distinct(values)
    ticks: dict[str, Any] = {"values": levels} if len(levels) <= MOST_TICKS else {}
    axis = alt.Axis(format=",~g", labelOverlap="greedy", labelFlush=False, grid=False, **ticks)
    return {"title": title, "axis": axis, "scale": alt.Scale(zero=False, nice=False, padding=24, **bend(levels))}


def bend(levels: Sequence[float]) -> dict[str, Any]:
    """The kind of scale: logarithmic for a wide range; with 0 among the values, straight up to the smallest of them."""
    positive = [level for level in levels if level > 0]
    if not spans(positive) or min(levels) < 0:
        return {"type": "linear"}
    return {"type": "log"} if len(positive) == len(levels) else {"type": "symlog", "constant": min(positive)}


def _dots(runs: pd.DataFrame, x: str, measure: str, models: Sequence[str], titles: Mapping[str, str]) -> list[Any]:
    """The layers of `scatter`: runs, and the means with a path between those of numbers."""
    numeric = is_numeric(runs[x])
    options = (_quantitative if numeric else _ordinal)(runs[x], titles[x])
    format = "~%" if _kind(measure) == "accuracy" else "~g"
    scale = alt.Scale(zero=False, padding=14)
    # A mean is no run: a click on one would select nothing and fade all. (Streamlit's Vega has no `datum` here.)
    on_run = "click[!event.item || !event.item.datum || !event.item.datum.runs]"
    chosen = alt.selection_point(name="run", fields=["run_id"], on=on_run)

    def drawn(name: str, *tooltip: alt.Tooltip) -> Any:
        return alt.Chart(alt.NamedData(name)).encode(
            x=alt.X(f"{x}:Q" if numeric else f"{x}:O", **options),
            y=alt.Y("value:Q", title=titles[measure], scale=scale, axis=alt.Axis(format=format)),
            tooltip=[*tooltip, tip(f"{x}:N", titles[x])],
        )

    dots = drawn("runs", *WHO, tip("figure:N", titles[measure])).encode(
        color=_by_model(runs, x, models), opacity=theme.either(chosen, 0.85, 0.25)
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
