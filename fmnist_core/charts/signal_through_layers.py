"""A signal through ten layers, by real matrix products: what it means that each multiplies the variance."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from fmnist_core.charts import theme
from fmnist_core.charts.initial_layers import log_axis
from fmnist_core.charts.specification import specified
from fmnist_core.charts.theme import tip
from fmnist_core.findings.initial_sentences import plain

UNITS, LAYERS, SHOWN = 200, 10, 60
HEIGHT = 230  # pixels, title and axis included
FRAME = 4.0  # standard deviations of the input that the strips show


def passed(factor: float, layers: int = LAYERS, units: int = UNITS, seed: int = 0) -> pd.DataFrame:
    """A normally distributed vector through linear layers whose n Var[W] is `factor` (Glorot & Bengio 2010, eq. 5).

    Returns one row for each unit and layer (0: the input): layer, unit, value, variance (of the layer's values),
    expected (of the variance: the input's times factor^layer).
    """
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal(units)
    signal /= signal.std()
    tables = []
    for layer in range(layers + 1):
        if layer:
            signal = signal @ rng.normal(0, np.sqrt(factor / units), (units, units))
        table = {"layer": layer, "unit": np.arange(units), "value": signal}
        tables.append(pd.DataFrame(table | {"variance": np.mean(signal**2), "expected": factor**layer}))
    return pd.concat(tables, ignore_index=True)


@specified
def strips(rows: pd.DataFrame) -> alt.LayerChart:
    """A cloud of units for each layer: it shrinks to a line, keeps its size, or leaves the frame, where triangles at
    the edge stand for what lies outside. rows: as from `passed`.
    """
    shown = rows[rows["unit"] < SHOWN]
    rng = np.random.default_rng(1)
    drawn = shown.assign(place=shown["layer"] + rng.uniform(-0.28, 0.28, len(shown)))
    drawn = drawn.assign(edge=drawn["value"].clip(-FRAME, FRAME))
    outside = drawn["edge"] != drawn["value"]
    base = alt.Chart(drawn[~outside]).encode(
        x=_axis("place", int(rows["layer"].max())),
        y=alt.Y("edge:Q", title="value of a unit", scale=alt.Scale(domain=[-FRAME, FRAME]), axis=alt.Axis(tickCount=5)),
        tooltip=["layer:Q", tip("value:Q", format=".3~g")],
    )
    look: dict[str, Any] = {"filled": True, "opacity": 0.6, "color": theme.MODEL_COLOURS[0]}
    layers = [base.mark_point(shape="circle", size=16, **look)]
    for shape, beyond in (("triangle-up", drawn["value"] > FRAME), ("triangle-down", drawn["value"] < -FRAME)):
        if beyond.any():
            layers.append(base.mark_point(shape=shape, size=30, **look).properties(data=drawn[beyond]))
    subtitle = f"{SHOWN} units of each layer; 0 is the input"
    if outside.any():
        subtitle += f"; triangles: {outside.sum()} values outside the frame"
    return theme.picture(layers, HEIGHT, _verdict(rows), subtitle)


@specified
def variances(rows: pd.DataFrame) -> alt.LayerChart:
    """The variance of each layer: points are this signal, the line factor^layer. rows: as from `passed`."""
    table = rows.drop_duplicates("layer")[["layer", "variance", "expected"]]
    low = min(1e-1, float(table[["variance", "expected"]].min().min()) / 2)
    high = max(1e1, float(table[["variance", "expected"]].max().max()) * 2)
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    base = alt.Chart(table).encode(x=_axis("layer", int(table["layer"].max())))
    axis = log_axis(pd.Series([low, high]))
    line = base.mark_line(color=theme.MUTED).encode(y=alt.Y("expected:Q", title="variance", scale=scale, axis=axis))
    points = base.mark_point(filled=True, size=60, opacity=1, color=theme.MODEL_COLOURS[0]).encode(
        y=alt.Y("variance:Q", scale=scale),
        tooltip=["layer:Q", tip("variance:Q", format=".3~g"), tip("expected:Q", format=".3~g")],
    )
    subtitle = "points: this signal; line: (n Var W) to the power of the layer"
    return theme.picture([line, points], HEIGHT, "Its variance", subtitle)


def _axis(column: str, last: int) -> alt.X:
    axis = alt.Axis(values=list(range(last + 1)), format="d")
    return alt.X(f"{column}:Q", title="layer", axis=axis, scale=alt.Scale(domain=[-0.5, last + 0.5], nice=False))


def _verdict(rows: pd.DataFrame) -> str:
    last = rows.iloc[-1]
    ratio = float(last["variance"])
    layers = int(last["layer"])
    if ratio < 1e-6:
        return f"The signal fades: {layers} layers leave less than a millionth of its variance"
    if ratio < 0.1:
        return f"The signal fades: {layers} layers leave {plain(ratio, 1)} of its variance"
    if ratio > 10:
        return f"The signal explodes: {layers} layers multiply its variance by {plain(ratio, 1)}"
    return f"The signal keeps its size through {layers} layers"
