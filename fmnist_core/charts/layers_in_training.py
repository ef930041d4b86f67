"""Layers over the training, as figures 2, 3 and 7 of Glorot & Bengio (2010) show them, and loss curves by model.

The table `rows` is as from `findings.layers_over_epochs.over_epochs`: epoch, layer, measure, value. Layers keep one order of
colours from the first to the last, so that what happens first to the top or to the bottom is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from fmnist_core.charts import theme
from fmnist_core.charts.comparison import records
from fmnist_core.charts.theme import Layered

# From the first hidden layer to the last; seen on light and dark pages.
ANCHORS = ("#445cf6", "#be3879", "#e07b00")
HEIGHT = 300
ROOM = 0.04  # of the axis, beyond the lowest and the highest value


def layer_colours(layers: Sequence[str]) -> alt.Scale:
    """A ramp over ANCHORS, one colour a layer."""
    last = max(len(layers) - 1, 1)
    return alt.Scale(domain=list(layers), range=[_ramp(index / last) for index in range(len(layers))])


def _ramp(share: float) -> str:
    """The colour at 0 (first anchor) to 1 (last anchor)."""
    position = share * (len(ANCHORS) - 1)
    start = min(int(position), len(ANCHORS) - 2)
    pairs = zip(_channels(ANCHORS[start]), _channels(ANCHORS[start + 1]), strict=True)
    mixed = (round(a + (b - a) * (position - start)) for a, b in pairs)
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def _channels(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[start : start + 2], 16) for start in (1, 3, 5))


def activations(
    rows: pd.DataFrame, title: str, domain: tuple[float, float] | None = None, height: int = HEIGHT
) -> Layered:
    """Figure 2: each hidden layer's mean activation with a band of ± one standard deviation, and its 98 % quantile.

    domain: of the vertical axis, the same for pictures that are compared.
    """
    table = _wide(rows)
    mean, deviation = table["activation_mean"], table["activation_std"]
    table = table.assign(low=mean - deviation, high=mean + deviation)
    layers, picked, y = list(dict.fromkeys(table["layer"])), _picked(), _y(domain)
    band = _drawn(layers, alt.Y("low:Q", **y), picked, 0.16).mark_area(tooltip=None, clip=True).encode(y2="high:Q")
    picture = alt.layer(band.add_params(picked), *_lines(layers, "activation_mean", y, picked))
    picture.datasets = {"layers": records(table)}
    heading = theme.titled(title, "Line: mean. Band: ± one standard deviation. Circles: 98 % quantile.")
    return picture.properties(height=height, title=heading)


def spreads(rows: pd.DataFrame, title: str, domain: tuple[float, float] | None = None, height: int = HEIGHT) -> Layered:
    """Figure 3, for activations about 0 (tanh, softsign): each hidden layer's standard deviation and 98 % quantile."""
    table = _wide(rows)
    layers, picked, y = list(dict.fromkeys(table["layer"])), _picked(), _y(domain)
    first, *others = _lines(layers, "activation_std", y, picked)
    picture = alt.layer(first.add_params(picked), *others)
    picture.datasets = {"layers": records(table)}
    heading = theme.titled(title, "Line: standard deviation. Circles: 98 % quantile.")
    return picture.properties(height=height, title=heading)


def _lines(layers: Sequence[str], field: str, y: dict[str, Any], picked: alt.Parameter) -> list[alt.Chart]:
    """A field as lines, the 98 % quantile as circles, and on the lines dots that tell all measures."""
    titles = {"activation_mean": "mean", "activation_std": "standard deviation", "activation_high": "98 % quantile"}
    measures = [alt.Tooltip(f"{name}:Q", title=text, format=".3g") for name, text in titles.items()]
    line = _drawn(layers, alt.Y(f"{field}:Q", **y), picked, 1)
    high = _drawn(layers, alt.Y("activation_high:Q", **y), picked, 0.8)
    tips = ["layer:N", "epoch:Q", *measures, alt.Tooltip("saturated:Q", format=".1%")]
    return [
        line.mark_line(clip=True, tooltip=None),
        high.mark_point(size=28, clip=True, tooltip=None),
        line.mark_point(filled=True, size=22, clip=True).encode(tooltip=tips),
    ]


def _y(domain: tuple[float, float] | None) -> dict[str, Any]:
    if domain is None:
        return {"title": "activation", "scale": alt.Scale(zero=False)}
    room = ROOM * (domain[1] - domain[0])  # or the marks at the ends would be cut in half
    padded = [domain[0] - room, domain[1] + room]
    return {"title": "activation", "scale": alt.Scale(domain=padded, nice=False)}


def _picked() -> alt.Parameter:
    """The legend's clicks bring layers out."""
    return alt.selection_point(name="layer", fields=["layer"], bind="legend", toggle="true")


def measure(
    rows: pd.DataFrame,
    name: str,
    title: str,
    unit: str,
    domain: tuple[float, float] | None = None,
    height: int = HEIGHT,
) -> Layered:
    """One measure of each hidden layer on a logarithmic axis, such as gradient_std; what is not positive has no mark."""
    table = _wide(rows)[["epoch", "layer", name]].rename(columns={name: "value"})
    table = table[table["value"] > 0]
    layers = list(dict.fromkeys(rows["layer"]))
    scale = (
        alt.Scale(type="log", padding=8) if domain is None else alt.Scale(type="log", domain=list(domain), nice=False)
    )
    y = alt.Y("value:Q", title=unit, scale=scale, axis=alt.Axis(format="~e", tickCount=5))
    picked = _picked()
    lines = _drawn(layers, y, picked, 1).mark_line(clip=True, tooltip=None).add_params(picked)
    dots = _drawn(layers, y, picked, 1).mark_point(filled=True, size=26, clip=True)
    picture = alt.layer(lines, dots.encode(tooltip=["layer:N", "epoch:Q", alt.Tooltip("value:Q", format=".3g")]))
    picture.datasets = {"layers": records(table)}
    return picture.properties(height=height, title=title)


def losses(rows: pd.DataFrame, models: Sequence[str], target: float | None = None, height: int = HEIGHT) -> Layered:
    """Smoothed training loss of each run over the steps, by model. rows: as from `findings.layers_over_epochs.loss_curves`.

    target: a loss to mark, such as the one that all runs reach.
    """
    picked = alt.selection_point(name="model", fields=["model"], bind="legend", toggle="true")
    y = alt.Y("loss:Q", title="cross-entropy", scale=alt.Scale(zero=False))
    lines = (
        alt.Chart(alt.NamedData("runs"))
        .mark_line(strokeWidth=1.75)
        .encode(
            x=alt.X(
                "step:Q", title="training steps", axis=alt.Axis(format=",d", grid=False), scale=alt.Scale(nice=False)
            ),
            y=y,
            detail="run_id:N",
            color=theme.by_model(models),
            opacity=alt.when(picked).then(alt.value(0.8)).otherwise(alt.value(0.08)),
            tooltip=["model:N", "seed:Q", alt.Tooltip("step:Q", format=",d"), alt.Tooltip("loss:Q", format=".3f")],
        )
        .add_params(picked)
    )
    rule = alt.Chart(alt.NamedData("target")).mark_rule(strokeDash=[4, 4], color=theme.MUTED).encode(y=y)
    picture = alt.layer(lines, rule)
    marked = [] if target is None else [{"loss": target}]
    picture.datasets = {"runs": records(rows[rows["model"].isin(models)]), "target": marked}
    title = theme.titled("Training loss: the sooner it falls, the better", "Each line: one seed, smoothed.")
    return picture.properties(height=height, title=title)


def span(tables: Sequence[pd.DataFrame], names: Sequence[str]) -> tuple[float, float] | None:
    """Lowest and highest finite value of these measures in all tables, for a shared axis; None without any two."""
    values = pd.concat([table.loc[table["measure"].isin(names), "value"] for table in tables]).dropna()
    return (float(values.min()), float(values.max())) if values.nunique() > 1 else None


def _wide(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per epoch and layer, a column for each measure; layers in their own order."""
    table = rows.pivot_table(index=["epoch", "layer"], columns="measure", values="value", sort=False, dropna=False)
    return table.reset_index()


def _drawn(layers: Sequence[str], y: alt.Y, picked: alt.Parameter, on: float) -> alt.Chart:
    legend: Any = alt.Legend(symbolType="stroke", symbolOpacity=1, labelExpr="replace(datum.label, '_', ' ')")
    return alt.Chart(alt.NamedData("layers")).encode(
        x=alt.X(
            "epoch:Q",
            title="epoch",
            axis=alt.Axis(format="d", tickMinStep=1, grid=False),
            scale=alt.Scale(padding=6, nice=False),
        ),
        y=y,
        color=alt.Color("layer:N", scale=layer_colours(layers), legend=legend),
        opacity=alt.when(picked).then(alt.value(on)).otherwise(alt.value(on / 12)),
    )
