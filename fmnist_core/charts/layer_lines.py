"""One measure of each layer over the epochs: a line a layer, the first the lightest."""

from __future__ import annotations

import altair as alt
import pandas as pd

from fmnist_core.charts import theme
from fmnist_core.charts.theme import Layered

FIRST, LAST = "#8ecae6", "#0b4f8a"


def over_epochs(
    table: pd.DataFrame, title: str, subtitle: str, axis: str, epoch: int, log: bool = False, form: str = ".0%"
) -> Layered:
    """One line per layer. table: columns epoch, layer, value. epoch: the epoch to mark. form: number format of the value axis."""
    layers = list(dict.fromkeys(table["layer"]))
    colours = alt.Scale(domain=layers, range=_ramp(len(layers)))
    # Shares that are all 0 would have no axis.
    scale = alt.Scale(type="log") if log else alt.Scale(domain=[0, max(float(table["value"].max()), 0.05)])
    base = alt.Chart(table).encode(
        x=alt.X("epoch:Q", axis=alt.Axis(tickMinStep=1, format="d"), scale=alt.Scale(nice=False)),
        y=alt.Y("value:Q", title=axis, scale=scale, axis=alt.Axis(format=form, tickCount=4)),
        color=alt.Color("layer:N", scale=colours, legend=alt.Legend(symbolType="stroke", symbolOpacity=1, columns=4)),
        tooltip=["epoch:Q", "layer:N", alt.Tooltip("value:Q", format=form)],
    )
    now = (
        alt.Chart(pd.DataFrame({"epoch": [epoch]})).mark_rule(color=theme.MUTED, strokeDash=[4, 3]).encode(x="epoch:Q")
    )
    return alt.layer(now, base.mark_line(), base.mark_circle(size=30, opacity=1)).properties(
        height=260, title=theme.titled(title, subtitle)
    )


def _ramp(number: int) -> list[str]:
    """Colours from FIRST to LAST in even steps."""
    ends = [[int(colour[k : k + 2], 16) for k in (1, 3, 5)] for colour in (FIRST, LAST)]
    steps = [k / max(number - 1, 1) for k in range(number)]
    return ["#" + "".join(f"{round(a + (b - a) * t):02x}" for a, b in zip(*ends, strict=True)) for t in steps]
