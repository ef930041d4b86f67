"""What regularisers do: the spread of pre-activations around batch normalisation, and of a layer's weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fmnist_core.charts import images, theme
from fmnist_core.charts.markup import Html, element
from fmnist_core.charts.specification import specified
from fmnist_core.charts.theme import tip

Array = NDArray[np.float32]
KEY = "display:flex;flex-wrap:wrap;gap:0.2rem 1.4rem;font-size:0.85rem"
BINS, MIDDLE = 80, 0.99  # Outliers beyond the middle part would squeeze the rest.
NEAR = 0.01  # Weights nearer 0 than this count as "near 0".


def shares(parts: Mapping[tuple[str, str], Array]) -> pd.DataFrame:
    """Histograms on the same bins, over the range that holds the middle MIDDLE of each part.

    parts: by (panel, name). Returns columns panel, part, value (bin centre), share (of the part's values).
    """
    edge = (1 - MIDDLE) / 2
    low, high = (pick(np.quantile(v, q) for v in parts.values()) for pick, q in ((min, edge), (max, 1 - edge)))
    if not low < high:
        low, high = low - 0.01, high + 0.01
    edges = np.linspace(low, high, BINS + 1)
    centres = (edges[:-1] + edges[1:]) / 2
    tables = []
    for (panel, part), values in parts.items():
        share = np.histogram(values, edges)[0] / max(values.size, 1)
        tables.append(pd.DataFrame({"panel": panel, "part": part, "value": centres, "share": share}))
    return pd.concat(tables, ignore_index=True)


@specified
def distributions(rows: pd.DataFrame, colours: Mapping[str, str], value: str, title: str, more: str) -> alt.Chart:
    """rows: as from `shares`, of one panel. colours: of each part, explained by `key`. value: what is spread.

    Each curve is scaled to its own peak: beside a very narrow one, a wide one would lie flat on the axis.
    """
    drawn = rows.assign(height=rows["share"] / rows.groupby("part")["share"].transform("max").clip(lower=1e-12))
    scale = alt.Scale(domain=list(colours), range=list(colours.values()))
    bare = alt.Axis(labels=False, ticks=False, grid=False)
    marks = alt.Chart(drawn, height=230, title=theme.titled(title, more)).mark_area(
        line={"strokeWidth": 2}, fillOpacity=0.2, interpolate="step"
    )
    areas: alt.Chart = marks.encode(
        x=alt.X("value:Q", title=value, scale=alt.Scale(nice=False)),
        y=alt.Y("height:Q", stack=None, title="share (scaled)", axis=bare),
        color=alt.Color("part:N", scale=scale, legend=None),
        tooltip=["part:N", tip("value:Q", value, ".3f"), tip("share:Q", "share in this bin", ".1%")],
    )
    return areas


def sum_facts(before: Array, after: Array) -> tuple[float, ...]:
    """Mean and standard deviation before, then after, rounded to 2 decimals (and no -0.0)."""
    measures = [measure(dtype=np.float64) for values in (before, after) for measure in (values.mean, values.std)]
    return tuple(round(float(measure), 2) + 0.0 for measure in measures)


def weight_facts(values: Array) -> tuple[float, float]:
    """Standard deviation of weights, and the share of them nearer 0 than NEAR."""
    return float(values.std(dtype=np.float64)), float((np.abs(values) < NEAR).mean())


def penalty(kernels: Iterable[Array], factor: float) -> float:
    """What Keras' L2 regulariser adds to the loss: the factor times the sum of all squared weights."""
    return factor * sum(float(np.square(kernel, dtype=np.float64).sum()) for kernel in kernels)


def key(colours: Mapping[str, str]) -> Html:
    """What the colours mean, as HTML: one line for several charts."""
    return element("div", *(element("span", images.mark(colour), name) for name, colour in colours.items()), style=KEY)
