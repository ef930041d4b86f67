"""Networks before training, as Glorot & Bengio (2010) show them: one panel for each initialiser, one line for each layer.

`measured` is what `learning.live_initialisation.measure` returns. Panels come as single charts, so that each fills its
place; they share their horizontal axis, since the measures share their bins. The vertical axis is each panel's own, as in
the paper: a peak that towers in one panel would flatten the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from fmnist_core.charts import theme
from fmnist_core.charts.theme import Layered
from fmnist_core.experiment import wording
from fmnist_core.experiment.activations import ACTIVATIONS
from fmnist_core.experiment.layer_names import the_layer
from fmnist_core.findings.initial_sentences import hidden, labels

Measured = Mapping[str, Any]
# First to last layer: hues that read on a light and on a dark page, and that stand for nothing else beside them.
LAYERS = ("#5d50c6", "#cc6677", "#c9b037")
HEIGHT = 260  # pixels, title and axis included
MERGED = 3
# What a ReLU makes exactly 0 for every second unit; the peak would flatten the rest.
CUT = ("activation", "gradient", "singular_value")
QUANTITIES = {
    "activation": "activation z′",
    "gradient": "back-propagated gradient ∂Cost/∂s",
    "weight_gradient": "weight gradient ∂Cost/∂W",
    "singular_value": "singular value of ∂z′/∂z",
}
# What the paper reports for tanh (section 4.2.1): about 0.5 with the standard initialisation, 0.8 with the normalised one.
PAPER = {("tanh", "standard_uniform"): 0.5, ("tanh", "glorot_uniform"): 0.8}


def histogram_table(measured: Measured, quantity: str) -> pd.DataFrame:
    """Normalised histograms: columns network, layer (from 1), value (bin centre), share; layers without numbers left out."""
    tables = [pd.DataFrame(columns=["network", "layer", "value", "share"])]
    for label, network in zip(labels(measured), measured["networks"], strict=True):
        for number, layer in enumerate(hidden(network), start=1):
            spread = layer[quantity]
            if spread and spread["shares"]:
                # A layer has as many singular values as units: fewer, wider bins.
                shares = np.reshape(spread["shares"], (-1, MERGED if quantity == "singular_value" else 1)).sum(axis=1)
                edges = np.linspace(spread["low"], spread["high"], len(shares) + 1)
                middle = (edges[:-1] + edges[1:]) / 2
                tables.append(pd.DataFrame({"network": label, "layer": number, "value": middle, "share": shares}))
    return pd.concat(tables[1:] or tables, ignore_index=True)


def panels(measured: Measured, quantity: str) -> list[Layered]:
    """Figure 6 ("activation"), 7 ("gradient") or 8 ("weight_gradient"): a panel for each network, in their order."""
    table = histogram_table(measured, quantity)
    result: list[Layered] = []
    for label, network in zip(labels(measured), measured["networks"], strict=True):
        rows = table[table["network"] == label]
        chart = alt.layer(_lines(rows, quantity, measured, _domain(table)))
        title = theme.titled(label, _stop(_caption(network, quantity), _cut_note(rows, quantity, measured)))
        result.append(chart.properties(height=HEIGHT, title=title))
    return result


def singular_values(measured: Measured) -> list[Layered]:
    """How the singular values of the layers' Jacobians are spread: a panel for each network, their mean marked, beside it
    the closed form for f' = f'(0), where there is one, and what the paper reports."""
    table = histogram_table(measured, "singular_value")
    result: list[Layered] = []
    for label, network in zip(labels(measured), measured["networks"], strict=True):
        rows = table[table["network"] == label]
        lines = _lines(rows, "singular_value", measured, _domain(table))
        marks = mean_singular_values(measured, network)
        inside = marks[marks["value"] <= _domain(table)[1]]  # one that lies outside is told, at least
        chart = alt.layer(lines, *_marks(inside)) if not inside.empty else alt.layer(lines)
        title = theme.titled(
            label,
            (_means_caption(marks, measured["activation"]) or overflow_note(network))
            + _cut_note(rows, "singular_value", measured),
        )
        result.append(chart.properties(height=HEIGHT + 30, title=title))
    return result


def mean_singular_values(measured: Measured, network: Mapping[str, Any]) -> pd.DataFrame:
    """Columns what ("measured", "closed form", "paper") and value, of the Jacobians between hidden layers (of the first
    layer where it is the only one): those are square, as in the paper; the first layer's inputs are pixels."""
    layers = hidden(network)[1:] or hidden(network)
    means = [layer["singular_value"]["mean"] for layer in layers]
    if any(mean is None for mean in means):
        return pd.DataFrame({"what": [], "value": []})
    values = {"measured": float(np.mean(means))}
    slope = ACTIVATIONS[measured["activation"]].slope_at_zero
    if slope is not None:  # With small sums, a layer's singular values are about those of W^T times it.
        values["closed form"] = slope * float(np.mean([layer["theory"]["mean_singular_value"] for layer in layers]))
    paper = PAPER.get((measured["activation"], network["initialiser"]))
    if paper is not None and network["gain"] == 1:
        values["paper"] = paper
    return pd.DataFrame({"what": list(values), "value": list(values.values())})


def layer_colours(layers: int, legend: alt.Legend | None) -> alt.Color:
    """The column layer (1 to layers), from the first to the last."""
    scale = alt.Scale(domain=[1, max(layers, 2)], range=list(LAYERS), interpolate="lab")
    return alt.Color("layer:Q", scale=scale, legend=legend)


def _lines(rows: pd.DataFrame, quantity: str, measured: Measured, domain: Sequence[float]) -> alt.Chart:
    layers, top = measured["layers"], _top(rows, quantity, measured)
    legend = alt.Legend(
        title="hidden layer", orient="right", values=_ticks(layers), format="d", gradientLength=HEIGHT - 110
    )
    return (
        alt.Chart(rows)
        .mark_line(strokeWidth=1.75, interpolate="monotone", clip=True)
        .encode(
            x=alt.X("value:Q", title=QUANTITIES[quantity], scale=alt.Scale(domain=list(domain), nice=False)),
            y=alt.Y(
                "share:Q", title="share", axis=alt.Axis(format=".3~%", tickCount=3), scale=alt.Scale(domain=[0, top])
            ),
            color=layer_colours(layers, legend),
            detail="layer:N",
            tooltip=[
                alt.Tooltip("layer:Q", title="hidden layer"),
                alt.Tooltip("value:Q", title=QUANTITIES[quantity], format=".3~g"),
                alt.Tooltip("share:Q", title="share in this bin", format=".2%"),
            ],
        )
    )


def _marks(marks: pd.DataFrame) -> list[alt.Chart]:
    """A rule at each mean, distinguished by its dashes."""
    dashes = alt.Scale(domain=list(marks["what"]), range=[[1, 0], [7, 4], [2, 3]][: len(marks)])
    base = alt.Chart(marks).encode(x="value:Q", tooltip=["what:N", alt.Tooltip("value:Q", format=".3f")])
    legend = alt.Legend(orient="top", title=None, symbolType="stroke", symbolStrokeColor=theme.INK)
    return [
        base.mark_rule(strokeWidth=2, color=theme.INK).encode(strokeDash=alt.StrokeDash("what:N", scale=dashes, legend=legend))
    ]  # fmt: skip


def _domain(table: pd.DataFrame) -> list[float]:
    if table.empty:
        return [0.0, 1.0]
    return [float(table["value"].min()), float(table["value"].max())]


def _top(rows: pd.DataFrame, quantity: str, measured: Measured) -> float:
    """Where the vertical axis ends."""
    if rows.empty:
        return 1.0
    others = rows[~_at_zero(rows)] if ACTIVATIONS[measured["activation"]].can_die and quantity in CUT else rows
    return float(others["share"].max()) * 1.05 or 1.0


def _cut_note(rows: pd.DataFrame, quantity: str, measured: Measured) -> str:
    if rows.empty or float(rows["share"].max()) <= _top(rows, quantity, measured):
        return ""
    return f" The peak at 0, up to {wording.percent(float(rows['share'].max()))}, is cut off"


def _stop(sentence: str, more: str) -> str:
    """Both, the first as a sentence where more follows."""
    return f"{sentence.rstrip('.')}.{more}" if more and sentence else sentence or more.strip()


def _at_zero(rows: pd.DataFrame) -> pd.Series[bool]:
    return rows["value"].abs() == rows["value"].abs().min()


def _ticks(layers: int) -> list[int]:
    step = max(1, -(-layers // 6))
    return sorted({*range(1, layers + 1, step), layers})


def _caption(network: Mapping[str, Any], quantity: str) -> str:
    """What the panel shows, from its own numbers."""
    broken = overflow_note(network)
    if broken:
        return broken
    stds = [layer[quantity]["std"] for layer in hidden(network) if layer[quantity]]
    if not stds or stds[0] is None or stds[-1] is None:
        return ""
    if len(stds) == 1:
        return f"Standard deviation {stds[0]:.2g}"
    return f"Standard deviation {stds[0]:.2g} in layer 1, {stds[-1]:.2g} in layer {len(stds)}"


def overflow_note(network: Mapping[str, Any]) -> str:
    """Where numbers end, or ""."""
    broken = network["breakdown"]
    if not broken:
        return ""
    layer = the_layer(broken["layer"]).removeprefix("hidden ")
    if broken["direction"] == "forward":
        return f"The signal overflows from {layer} on."
    return f"The gradient overflows from {layer} backwards."


def _means_caption(marks: pd.DataFrame, activation: str) -> str:
    means = dict(zip(marks["what"], marks["value"], strict=True))
    if not means:
        return ""
    paper = f"; the paper: about {means['paper']:g}" if "paper" in means else ""
    slope = Fraction(ACTIVATIONS[activation].slope_at_zero or 0).limit_denominator(100)
    closed = f"; closed form, f′ = {slope}: {means['closed form']:.3f}" if "closed form" in means else ""
    return f"Mean between layers {means['measured']:.3f}{closed}{paper}"
