"""Layers over the training, as figures 2, 3 and 7 of Glorot & Bengio (2010) show them, and loss curves by model.

The table `rows` is as from `findings.layers_over_epochs.over_epochs`: epoch, layer, measure, value. Layers keep one
order of colours from the first to the last, so that what happens first to the top or to the bottom is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from fmnist_core.charts import theme
from fmnist_core.charts.specification import specified
from fmnist_core.charts.theme import tip

# From the first hidden layer to the last; seen on light and dark pages.
ANCHORS = ("#445cf6", "#be3879", "#e07b00")
HEIGHT = 300
ROOM = 0.04  # of the axis, beyond the lowest and the highest value


def layer_colours(layers: Sequence[str]) -> alt.Scale:
    """A ramp over ANCHORS, one colour a layer."""
    shares = [index / max(len(layers) - 1, 1) for index in range(len(layers))]
    return alt.Scale(domain=list(layers), range=theme.ramp(ANCHORS, shares))


@specified
def activations(
    rows: pd.DataFrame, title: str, domain: tuple[float, float] | None = None, height: int = HEIGHT
) -> alt.LayerChart:
    """Figure 2: each hidden layer's mean activation with a band of ± one standard deviation, and its 98 % quantile.

    domain: of the vertical axis, the same for pictures that are compared.
    """
    table = _wide(rows)
    mean, deviation = table["activation_mean"], table["activation_std"]
    table = table.assign(low=mean - deviation, high=mean + deviation)
    layers, picked, y = list(dict.fromkeys(table["layer"])), theme.legend_selection("layer"), _y(domain)
    band = _drawn(layers, alt.Y("low:Q", **y), picked, 0.16).mark_area(tooltip=None, clip=True).encode(y2="high:Q")
    picture = [band.add_params(picked), *_lines(layers, "activation_mean", y, picked)]
    subtitle = "Line: mean. Band: ± one standard deviation. Circles: 98 % quantile."
    return theme.picture(picture, height, title, subtitle, {"layers": table})


@specified
def spreads(
    rows: pd.DataFrame, title: str, domain: tuple[float, float] | None = None, height: int = HEIGHT
) -> alt.LayerChart:
    """Figure 3, for activations about 0 (tanh, softsign): each hidden layer's standard deviation and 98 % quantile."""
    table = _wide(rows)
    layers, picked = list(dict.fromkeys(table["layer"])), theme.legend_selection("layer")
    first, *others = _lines(layers, "activation_std", _y(domain), picked)
    subtitle = "Line: standard deviation. Circles: 98 % quantile."
    return theme.picture([first.add_params(picked), *others], height, title, subtitle, {"layers": table})


def _lines(layers: Sequence[str], field: str, y: dict[str, Any], picked: alt.Parameter) -> list[Any]:
    """A field as lines, the 98 % quantile as circles, and on the lines dots that tell all measures."""
    titles = {"activation_mean": "mean", "activation_std": "standard deviation", "activation_high": "98 % quantile"}
    measures = [tip(f"{name}:Q", text, ".3g") for name, text in titles.items()]
    line = _drawn(layers, alt.Y(f"{field}:Q", **y), picked, 1)
    high = _drawn(layers, alt.Y("activation_high:Q", **y), picked, 0.8)
    tips = ["layer:N", "epoch:Q", *measures, tip("saturated:Q", format=".1%")]
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


@specified
def measure(
    rows: pd.DataFrame,
    name: str,
    title: str,
    unit: str,
    domain: tuple[float, float] | None = None,
    height: int = HEIGHT,
) -> alt.LayerChart:
    """One measure of each hidden layer, such as gradient_std, on a logarithmic axis: only positive values show."""
    table = _wide(rows)[["epoch", "layer", name]].rename(columns={name: "value"})
    table = table[table["value"] > 0]
    layers = list(dict.fromkeys(rows["layer"]))
    scale = alt.Scale(type="log", padding=8)
    if domain is not None:
        scale = alt.Scale(type="log", domain=list(domain), nice=False)
    y = alt.Y("value:Q", title=unit, scale=scale, axis=alt.Axis(format="~e", tickCount=5))
    picked = theme.legend_selection("layer")
    lines = _drawn(layers, y, picked, 1).mark_line(clip=True, tooltip=None).add_params(picked)
    dots = _drawn(layers, y, picked, 1).mark_point(filled=True, size=26, clip=True)
    dots = dots.encode(tooltip=["layer:N", "epoch:Q", tip("value:Q", format=".3g")])
    return theme.picture([lines, dots], height, title, data={"layers": table})


@specified
def losses(
    rows: pd.DataFrame, models: Sequence[str], target: float | None = None, height: int = HEIGHT
) -> alt.LayerChart:
    """Smoothed training loss of each run over the steps, by model.

    target: a loss to mark, such as one that all runs reach. rows: as from `findings.layers_over_epochs.loss_curves`.
    """
    picked = theme.legend_selection("model")
    steps = alt.Axis(format=",d", grid=False)
    y = alt.Y("loss:Q", title="cross-entropy", scale=alt.Scale(zero=False))
    lines = alt.Chart(alt.NamedData("runs")).mark_line(strokeWidth=1.75).add_params(picked)
    lines = lines.encode(
        x=alt.X("step:Q", title="training steps", axis=steps, scale=alt.Scale(nice=False)),
        y=y,
        detail="run_id:N",
        color=theme.by_model(models),
        opacity=theme.either(picked, 0.8, 0.08),
        tooltip=["model:N", "seed:Q", tip("step:Q", format=",d"), tip("loss:Q", format=".3f")],
    )
    rule = alt.Chart(alt.NamedData("target")).mark_rule(strokeDash=[4, 4], color=theme.MUTED).encode(y=y)
    title, subtitle = "Training loss: the sooner it falls, the better", "Each line: one seed, smoothed."
    data = {"runs": rows[rows["model"].isin(models)], "target": [] if target is None else [{"loss": target}]}
    return theme.picture([lines, rule], height, title, subtitle, data)


def span(tables: Sequence[pd.DataFrame], names: Sequence[str]) -> tuple[float, float] | None:
    """Lowest and highest finite value of these measures in all tables, for a shared axis; None without any two."""
    values = pd.concat([table.loc[table["measure"].isin(names), "value"] for table in tables]).dropna()
    return (float(values.min()), float(values.max())) if values.nunique() > 1 else None


def _wide(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per epoch and layer, a column for each measure; layers in their own order."""
    table = rows.pivot_table(index=["epoch", "layer"], columns="measure", values="value", sort=False, dropna=False)
    return table.reset_index()


def _drawn(layers: Sequence[str], y: alt.Y, picked: alt.Parameter, on: float) -> Any:
    legend: Any = alt.Legend(symbolType="stroke", symbolOpacity=1, labelExpr="replace(datum.label, '_', ' ')")
    epochs = alt.Axis(format="d", tickMinStep=1, grid=False)
    return alt.Chart(alt.NamedData("layers")).encode(
        x=alt.X("epoch:Q", title="epoch", axis=epochs, scale=alt.Scale(padding=6, nice=False)),
        y=y,
        color=alt.Color("layer:N", scale=layer_colours(layers), legend=legend),
        opacity=theme.either(picked, on, on / 12),
    )
