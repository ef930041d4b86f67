"""One look for all pictures: colours, and a configuration that reads well on a light and on a dark page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle, islice
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from PIL import ImageColor

from fmnist_core.experiment.recording import to_json_types

# One colour for each class, in the order of `dataset.CLASSES`, told apart with any of the three colour-vision
# deficiencies and on both backgrounds (after Paul Tol's "muted" scheme, the dark ones lightened).
CLASS_COLOURS = (
    "#cc6677",
    "#5d50c6",
    "#c9b037",
    "#2e8b57",
    "#56b4e9",
    "#a3336b",
    "#44aa99",
    "#8c8c3a",
    "#c86fc9",
    "#8a94a0",
)
# One colour for each model of a comparison: any two of the first five differ by 18 or more, any two of all by 11 or
# more (CIEDE2000), for normal sight and for each colour-vision deficiency (as simulated by Machado et al. 2009).
MODEL_COLOURS = ("#445cf6", "#c99519", "#be3879", "#21b1bb", "#657233", "#c082ff", "#ff64ae", "#97a473")
TRAIN, VALIDATION = "#0b82c4", "#e07b00"
TRAIN_NAME, VALIDATION_NAME = "training", "validation"
MUTED = "#8a94a0"
HEIGHT, LEGEND = 340, 520
# Text inside a picture follows the page: Vega knows its background (from its configuration) as a signal.
PAPER = alt.ExprRef("background || 'white'")
INK = alt.ExprRef("luminance(background || 'white') > 0.4 ? '#1d2733' : '#e4e9ee'")
# Of labels and titles of axes and legends, which Streamlit shows too faintly on a light page: at least 6:1 on both.
SOFT: Any = {"expr": "luminance(background || 'white') > 0.4 ? '#4d5663' : '#c7ced6'"}
SOFT_ON_WHITE = "#4d5663"
# How d3 writes numbers on axes and in tooltips: as the texts do, "95 %" with a space.
LOCALE: Any = {"decimal": ".", "thousands": ",", "grouping": [3], "currency": ["$", ""], "percent": " %"}
# An axis for names: only the names, and all of them.
BARE: dict[str, Any] = dict.fromkeys(("labelOverlap", "labelFlush", "grid", "ticks", "domain"), False)
# Sizes and weights only: text, grid and background follow the page's light or dark theme.
CONFIG: dict[str, Any] = {
    "locale": {"number": LOCALE},
    "view": {"stroke": None},
    "axis": {
        "labelColor": SOFT,
        "titleColor": SOFT,
        "titleFontWeight": 500,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "tickCount": 6,
    },
    "axisX": {"grid": False},
    "title": {"anchor": "start", "fontSize": 14, "fontWeight": 600, "offset": 10},
    "header": {"labelColor": SOFT, "titleColor": SOFT},
    "legend": {
        "orient": "top",
        "title": None,
        "labelColor": SOFT,
        "titleColor": SOFT,
        "labelFontSize": 12,
        "symbolStrokeWidth": 3,
    },
    "line": {"strokeWidth": 2},
    "bar": {"color": TRAIN},
}


def split_colours() -> alt.Scale:
    """Training is always one hue, validation another."""
    return alt.Scale(domain=[TRAIN_NAME, VALIDATION_NAME], range=[TRAIN, VALIDATION])


def class_colours(classes: tuple[str, ...]) -> alt.Scale:
    """The classes' colours, whatever subset a chart shows. classes: all ten names, in their order."""
    return alt.Scale(domain=list(classes), range=list(CLASS_COLOURS))


def model_colours(models: Sequence[str]) -> alt.Scale:
    """A colour for each model in the order given; from the ninth on they repeat."""
    return alt.Scale(domain=list(models), range=[*islice(cycle(MODEL_COLOURS), len(models))])


def by_model(models: Sequence[str], symbol: str = "stroke") -> alt.Color:
    """The column model as colour, and its legend. symbol: "stroke" for lines, "circle" for dots."""
    legend = alt.Legend(symbolType=symbol, symbolOpacity=1, labelLimit=400, columns=legend_columns(models))
    return alt.Color("model:N", scale=model_colours(models), legend=legend)


def legend_columns(models: Sequence[str]) -> int:
    """As many as fit into half a page: Vega cuts off what is too wide."""
    widths = [46 + 6.3 * len(model) for model in models]
    fitting = [n for n in range(1, len(models) + 1) if sum(max(widths[k::n]) for k in range(n)) <= LEGEND]
    return max(fitting, default=1)


def ramp(colours: Sequence[str], shares: Iterable[float]) -> list[str]:
    """The colours at these shares (0 to 1) of the way from the first to the last, mixed in RGB."""
    channels = np.array([ImageColor.getrgb(colour) for colour in colours], float).T
    stops = np.linspace(0, 1, len(colours))
    mixed = np.stack([np.interp(list(shares), stops, channel) for channel in channels], axis=1)
    return ["#" + "".join(f"{round(channel):02x}" for channel in colour) for colour in mixed]


def either(condition: Any, on: Any, off: Any, **options: Any) -> Any:
    """One fixed value of an encoding where the condition holds, another elsewhere. options: those of `alt.when`."""
    return alt.when(condition, **options).then(alt.value(on)).otherwise(alt.value(off))


def tip(field: str, title: Any = alt.Undefined, format: Any = alt.Undefined) -> alt.Tooltip:
    """A field of a tooltip, its name there, and the d3 format of its numbers."""
    return alt.Tooltip(field, title=title, format=format)


def legend_selection(field: str) -> alt.Parameter:
    """Clicks in the legend of a field bring its names out. The first layer with that legend has to have it."""
    return alt.selection_point(name=field, fields=[field], bind="legend", toggle="true")


def titled(title: str, subtitle: str | Sequence[str]) -> alt.TitleParams:
    """A title with lines under it, in the page's own text colour, which subtitles do not follow by themselves."""
    return alt.TitleParams(title, subtitle=subtitle, subtitleColor=INK, subtitleFontSize=12, subtitlePadding=5)


def picture(
    layers: Sequence[Any],
    height: int,
    title: str,
    subtitle: str | Sequence[str] | None = None,
    data: Mapping[str, Any] | None = None,
) -> alt.LayerChart:
    """Charts over each other, back to front. data: tables and lists of records, by the names that the layers use."""
    heading = title if subtitle is None else titled(title, subtitle)
    chart = alt.LayerChart(layer=list(layers), height=height, title=heading)
    if data is not None:
        chart.datasets = dict(data)
    return chart


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows in JSON types: what is not finite is null."""
    rows: list[dict[str, Any]] = to_json_types(table.rename(columns=str).to_dict("records"))
    return rows
