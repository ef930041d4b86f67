"""What dropout does: the units of a layer that one step switches off, and what that does to the prediction."""

from __future__ import annotations

import math
from collections.abc import Mapping

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw

from fmnist_core.charts import images, theme
from fmnist_core.charts.kept import kept
from fmnist_core.charts.markup import Html, element, joined
from fmnist_core.charts.specification import specified
from fmnist_core.charts.theme import tip
from fmnist_core.charts.value_spread import KEY, Array

CELL, GAP, SHARPER = 16, 2, 2  # A unit's square and the gap to the next in pixels; drawn larger for dense screens.
PALE = 0.12  # Opacity of a unit that is on but hands on 0, so that it still shows as a unit.
OFF = "#c2477f"  # The dropout layer's colour, lighter: thin crosses must show on a dark page, too.


@kept
def unit_grid(values: Array, kept: NDArray[np.bool_], highest: float, description: str) -> Html:
    """A layer's units as squares, row by row, as HTML, and what the squares mean.

    values: what the layer hands on, (units,). kept: which units are on, (units,). highest: the size that is drawn in
    full colour, the same for pictures that are compared. description: for readers who cannot see it.
    """
    columns = math.ceil(math.sqrt(2 * len(values)))
    pitch = (CELL + GAP) * SHARPER
    rows = math.ceil(len(values) / columns)
    canvas = Image.new("RGBA", (columns * pitch - GAP * SHARPER, rows * pitch - GAP * SHARPER))
    pen = ImageDraw.Draw(canvas)
    shares = np.clip(np.abs(values) / (highest or 1.0), 0, 1)
    for index, (share, on) in enumerate(zip(shares.tolist(), kept.tolist(), strict=True)):
        _square(pen, index % columns * pitch, index // columns * pitch, share if on else None)
    size = f"width:100%;max-width:{columns * (CELL + GAP)}px;display:block"
    return joined([images.described(canvas, description, size), _unit_key()])


def _square(pen: ImageDraw.ImageDraw, left: int, top: int, share: float | None) -> None:
    """share: of the full colour; None is off, a cross."""
    right, bottom = left + CELL * SHARPER - 1, top + CELL * SHARPER - 1
    if share is not None:
        opacity = round(255 * (PALE + (1 - PALE) * share))
        pen.rectangle((left, top, right, bottom), (*ImageColor.getrgb(theme.TRAIN), opacity))
        return
    inset = 3 * SHARPER
    for start, end in ((left + inset, right - inset), (right - inset, left + inset)):
        pen.line((start, top + inset, end, bottom - inset), OFF, width=2 * SHARPER)


def _unit_key() -> Html:
    kinds: dict[str, float | None] = {
        "off in this step": None,
        "on, activation 0": 0.0,
        "on: the stronger the colour, the larger the activation": 1.0,
    }
    parts = []
    for meaning, share in kinds.items():
        canvas = Image.new("RGBA", (CELL * SHARPER, CELL * SHARPER))
        _square(ImageDraw.Draw(canvas), 0, 0, share)
        size = f"width:{CELL}px;height:{CELL}px;margin-right:0.4em"
        swatch = element("img", src=images.source(canvas), alt="", style=size)
        parts.append(element("span", swatch, meaning, style="display:inline-flex;align-items:center"))
    return element("div", *parts, style=f"{KEY};margin-top:0.6rem")


@specified
def masks(probabilities: Mapping[int, float], full: float, name: str) -> alt.LayerChart:
    """The probability of one class, mask by mask.

    probabilities: by step, the newest last. full: with all units on. name: of the class.
    """
    newest = max(probabilities)
    rows = pd.DataFrame(
        {"step": step, "probability": value, "newest": step == newest} for step, value in probabilities.items()
    )
    y = alt.Y("probability:Q", title=f"probability of {name}", scale=alt.Scale(domain=[0, 1]))
    marks = alt.Chart(rows).mark_point(filled=True, size=90, opacity=1)
    dots = marks.encode(
        x=alt.X("step:O", title="step (each with its own mask)", axis=alt.Axis(labelAngle=0)),
        y=y,
        color=theme.either(alt.datum.newest, OFF, theme.MUTED),
        tooltip=["step:O", tip("probability:Q", format=".3f")],
    )
    rule = alt.Chart(pd.DataFrame({"probability": [full]})).mark_rule(color=theme.TRAIN, strokeWidth=2).encode(y=y)
    low, high = min(probabilities.values()), max(probabilities.values())
    lines = f"line: all units on, {full:.2f}; dots: {low:.2f} to {high:.2f}"
    return theme.picture([rule, dots], 280, f"Probability of {name} by mask", lines)
