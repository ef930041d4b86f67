"""Networks before training, as Glorot & Bengio (2010) show them: a panel for each initialiser, a line for each layer.

`measured` is what `learning.initial_measures.measure` returns. Panels come as single charts, so that each fills its
column; they share their horizontal axis, since the measures share their bins. The vertical axis is each panel's own, as
in the paper: a peak that towers in one panel would flatten the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from fmnist_core.charts import theme
from fmnist_core.charts.specification import Drawn, specified_each
from fmnist_core.charts.theme import tip
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
# What the paper reports for tanh (section 4.2.1): about 0.5 with the standard initialisation, 0.8 with the normalised.
PAPER = {("tanh", "standard_uniform"): 0.5, ("tanh", "glorot_uniform"): 0.8}


def networks(measured: Measured) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each network with its name."""
    return zip(labels(measured), measured["networks"], strict=True)


def histogram_table(measured: Measured, quantity: str) -> pd.DataFrame:
    """Normalised histograms of layers with numbers: columns network, layer (from 1), value (bin centre), share."""
    tables = [pd.DataFrame(columns=["network", "layer", "value", "share"])]
    for label, network in networks(measured):
        for number, layer in enumerate(hidden(network), start=1):
            spread = layer[quantity]
            if spread and spread["shares"]:
                # A layer has as many singular values as units: fewer, wider bins.
                shares = np.reshape(spread["shares"], (-1, MERGED if quantity == "singular_value" else 1)).sum(axis=1)
                edges = np.linspace(spread["low"], spread["high"], len(shares) + 1)
                middle = (edges[:-1] + edges[1:]) / 2
                tables.append(pd.DataFrame({"network": label, "layer": number, "value": middle, "share": shares}))
    return pd.concat(tables[1:] or tables, ignore_index=True)


@specified_each
def panels(measured: Measured, quantity: str) -> list[Drawn]:
    """Figure 6 ("activation"), 7 ("gradient") or 8 ("weight_gradient"): a panel for each network, in their order."""
    table = histogram_table(measured, quantity)
    result: list[Drawn] = []
    for label, network in networks(measured):
        rows = table[table["network"] == label]
        caption, note = _caption(network, quantity), _cut_note(rows, quantity, measured)
        subtitle = f"{caption.rstrip('.')}.{note}" if caption and note else caption or note.strip()
        lines = _lines(rows, quantity, measured, _domain(table))
        result.append(theme.picture([lines], HEIGHT, label, subtitle))
    return result


@specified_each
def singular_values(measured: Measured) -> list[Drawn]:
    """The singular values of the layers' Jacobians: a panel for each network, with rules at their mean, at the closed
    form for f' = f'(0), where there is one, and at what the paper reports."""
    table = histogram_table(measured, "singular_value")
    domain = _domain(table)
    result: list[Drawn] = []
    for label, network in networks(measured):
        rows = table[table["network"] == label]
        marks = mean_singular_values(measured, network)
        inside = marks[marks["value"] <= domain[1]]  # one that lies outside is in the caption, at least
        layers = [_lines(rows, "singular_value", measured, domain), *([] if inside.empty else [_rules(inside)])]
        caption = _means_caption(marks, measured["activation"]) or overflow_note(network)
        subtitle = caption + _cut_note(rows, "singular_value", measured)
        result.append(theme.picture(layers, HEIGHT + 30, label, subtitle))
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


def _lines(rows: pd.DataFrame, quantity: str, measured: Measured, domain: Sequence[float]) -> Any:
    layers, title = measured["layers"], QUANTITIES[quantity]
    ticks = sorted({*range(1, layers + 1, max(1, -(-layers // 6))), layers})
    legend = alt.Legend(title="hidden layer", orient="right", values=ticks, format="d", gradientLength=HEIGHT - 110)
    colours = alt.Scale(domain=[1, max(layers, 2)], range=list(LAYERS), interpolate="lab")
    shares = alt.Scale(domain=[0, _top(rows, quantity, measured)])
    marks = alt.Chart(rows).mark_line(strokeWidth=1.75, interpolate="monotone", clip=True)
    return marks.encode(
        x=alt.X("value:Q", title=title, scale=alt.Scale(domain=list(domain), nice=False)),
        y=alt.Y("share:Q", title="share", axis=alt.Axis(format=".3~%", tickCount=3), scale=shares),
        color=alt.Color("layer:Q", scale=colours, legend=legend),
        detail="layer:N",
        tooltip=[
            tip("layer:Q", "hidden layer"),
            tip("value:Q", title, ".3~g"),
            tip("share:Q", "share in this bin", ".2%"),
        ],
    )


def _rules(marks: pd.DataFrame) -> Any:
    """A rule at each mean, distinguished by its dashes."""
    dashes = alt.Scale(domain=list(marks["what"]), range=[[1, 0], [7, 4], [2, 3]][: len(marks)])
    legend = alt.Legend(orient="top", title=None, symbolType="stroke", symbolStrokeColor=theme.INK)
    rules = alt.Chart(marks).mark_rule(strokeWidth=2, color=theme.INK)
    return rules.encode(
        x="value:Q",
        strokeDash=alt.StrokeDash("what:N", scale=dashes, legend=legend),
        tooltip=["what:N", tip("value:Q", format=".3f")],
    )


def _domain(table: pd.DataFrame) -> list[float]:
    if table.empty:
        return [0.0, 1.0]
    return [float(table["value"].min()), float(table["value"].max())]


def _top(rows: pd.DataFrame, quantity: str, measured: Measured) -> float:
    """Where the vertical axis ends."""
    if rows.empty:
        return 1.0
    if ACTIVATIONS[measured["activation"]].can_die and quantity in CUT:
        distance = rows["value"].abs()
        rows = rows[distance > distance.min()]
    return float(rows["share"].max()) * 1.05 or 1.0


def _cut_note(rows: pd.DataFrame, quantity: str, measured: Measured) -> str:
    if rows.empty or float(rows["share"].max()) <= _top(rows, quantity, measured):
        return ""
    return f" The peak at 0, up to {wording.percent(float(rows['share'].max()))}, is cut off"


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
