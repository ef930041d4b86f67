"""Networks before training, layer by layer: variances beside the theory, saturated and dead units, LSUV's rounds.

`measured` is what `learning.initial_measures.measure` returns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from fmnist_core.charts import theme
from fmnist_core.charts.initial_distributions import Measured, networks, overflow_note
from fmnist_core.charts.specification import Specification, specified
from fmnist_core.charts.theme import tip
from fmnist_core.experiment import wording
from fmnist_core.experiment.activations import ACTIVATIONS
from fmnist_core.experiment.layer_names import layer_label
from fmnist_core.findings.initial_sentences import hidden, labels, plain

HEIGHT, LOW = 320, 240  # pixels, title, legend and axis included
# Title of the axis, and what theory says about it: nothing about weight gradients of batches, only of single images.
VARIANCES = {
    "activation": ("variance of the activations z′", "activation_variance"),
    "gradient": ("variance of ∂Cost/∂s", "gradient_variance"),
    "weight_gradient": ("variance of ∂Cost/∂W", None),
}
ROUNDING = 1e-12
SMALLEST = 1e-300  # a logarithmic axis has no 0


def variance_table(measured: Measured, quantity: str) -> pd.DataFrame:
    """Columns network, layer (from 1), kind ("measured" or "theory"), variance, where it is finite and not 0."""
    rows = []
    for label, network in networks(measured):
        for number, layer in enumerate(hidden(network), start=1):
            std, expected = layer[quantity]["std"], VARIANCES[quantity][1]
            variances = {"measured": None if std is None else std**2, "theory": layer["theory"].get(expected)}
            # Activations that are all equal, but for the rounding of their mean square, vary by nothing.
            mean = layer["theory"]["activation_mean"] if quantity == "activation" else 0.0
            least = max(SMALLEST, ROUNDING * (mean or 0.0) ** 2)
            rows += [
                {"network": label, "layer": number, "kind": kind, "variance": value}
                for kind, value in variances.items()
                if value is not None and value > least
            ]
    return pd.DataFrame(rows, columns=["network", "layer", "kind", "variance"])


@specified
def variances(measured: Measured, quantity: str) -> alt.LayerChart:
    """Variance of each hidden layer: points are measured, lines are theory. quantity: a key of VARIANCES."""
    table = variance_table(measured, quantity)
    axis, expected = VARIANCES[quantity]
    layers = measured["layers"]
    ticks = alt.Axis(values=list(range(1, layers + 1)), format="d", labelOverlap=True)
    ends = alt.Scale(domain=[0.75, layers + 0.25], nice=False)
    scale = alt.Scale(type="log", nice=False, padding=12)
    base = alt.Chart(table).encode(
        x=alt.X("layer:Q", title="hidden layer", axis=ticks, scale=ends),
        y=alt.Y("variance:Q", title=axis, scale=scale, axis=log_axis(table["variance"])),
        color=_by_network(labels(measured)),
        tooltip=["network:N", "layer:Q", "kind:N", tip("variance:Q", format=".3~g")],
    )
    lines = base.transform_filter("datum.kind == 'theory'").mark_line(strokeWidth=2, opacity=0.75, aria=False)
    points = base.transform_filter("datum.kind == 'measured'").mark_point(filled=True, size=70, opacity=1)
    key = "Points are measured, lines are theory." if expected else "Points are measured."
    title = _growth(table, quantity)
    return theme.picture([lines, points], HEIGHT, title, [key, *_missing(measured, table)])


def unit_table(measured: Measured) -> pd.DataFrame:
    """Columns network, layer, share: of saturated activations, or with ReLU of dead units."""
    rows = []
    for label, network in networks(measured):
        for number, layer in enumerate(hidden(network), start=1):
            saturates = ACTIVATIONS[measured["activation"]].can_saturate
            share = layer["saturated"] if saturates else layer["dead_units"] / layer["units"]
            rows.append({"network": label, "layer": number, "share": share})
    return pd.DataFrame(rows)


def idle_units(measured: Measured) -> Specification | None:
    """Bars: saturated activations, or dead units; None for an activation that knows neither."""
    activation = ACTIVATIONS[measured["activation"]]
    return idle_bars(measured) if activation.can_saturate or activation.can_die else None


@specified
def idle_bars(measured: Measured) -> alt.Chart:
    """As `idle_units`, for an activation that can saturate or die."""
    activation = ACTIVATIONS[measured["activation"]]
    models, table = labels(measured), unit_table(measured)
    most = float(table["share"].max())
    name, explanation = "dead units", "0 for every image of the batch"
    if activation.can_saturate:
        name, explanation = "saturated activations", "within 0.05 of a value that the activation never reaches"
    at_most = "under 0.1 %" if most < 0.0005 else f"at most {wording.percent(most, 1)} of a layer"
    title = f"{name.capitalize()}: {at_most}" if most else f"No {name}"
    scale = alt.Scale(domain=[0, max(0.05, most)])
    marks = alt.Chart(table, height=LOW, title=theme.titled(title, explanation)).mark_bar()
    bars: alt.Chart = marks.encode(
        x=alt.X("layer:O", title="hidden layer", axis=alt.Axis(labelAngle=0)),
        xOffset=alt.XOffset("network:N", sort=models),
        y=alt.Y("share:Q", title=f"share of {name}", axis=alt.Axis(format=".0%", tickCount=4), scale=scale),
        color=_by_network(models),
        tooltip=["network:N", "layer:O", tip("share:Q", f"share of {name}", ".2%")],
    )
    return bars


def lsuv_table(network: Mapping[str, Any]) -> pd.DataFrame:
    """Columns layer (name), round, variance, when ("before", "after", or "between"): what LSUV did to each layer."""
    table = pd.DataFrame(network["lsuv"], columns=["layer", "round", "variance"])
    table = table[table["variance"].notna() & (table["variance"] > 0)]
    last = table.groupby("layer")["round"].transform("max")
    when = pd.Series("between", table.index).mask(table["round"] == last, "after").mask(table["round"] == 0, "before")
    shown = table["layer"].map(layer_label)
    return table.assign(layer=shown, when=when)


@specified
def lsuv(network: Mapping[str, Any]) -> alt.LayerChart:
    """Variance of each layer's weighted sums before and after LSUV divided its weights, first layer to last."""
    table = lsuv_table(network)
    order = list(dict.fromkeys(table["layer"]))
    colours = alt.Scale(domain=["before", "between", "after"], range=[theme.MUTED, theme.MUTED, theme.MODEL_COLOURS[0]])
    scale, axis = alt.Scale(type="log", padding=12), log_axis(table["variance"])
    base = alt.Chart(table).encode(
        x=alt.X("layer:N", sort=order, title="layer", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("variance:Q", title="variance of the pre-activations s", scale=scale, axis=axis),
        tooltip=["layer:N", "round:Q", "when:N", tip("variance:Q", format=".4~g")],
    )
    spans = base.mark_line(color=theme.MUTED, strokeWidth=1.5).encode(detail="layer:N", order="round:Q")
    legend = alt.Legend(values=["before", "after"], symbolType="circle", symbolOpacity=1)
    points = base.mark_point(filled=True, size=80, opacity=1)
    points = points.encode(color=alt.Color("when:N", scale=colours, legend=legend))
    title, subtitle = "LSUV sets each layer's variance to 1, layer by layer", "before and after its weights are divided"
    return theme.picture([spans, points], LOW, title, subtitle)


def log_axis(values: pd.Series[float]) -> alt.Axis:
    """Lines at powers of ten only, at most about six of them."""
    if values.empty:
        return alt.Axis(format="~g")
    low, high = math.floor(math.log10(values.min())), math.ceil(math.log10(values.max()))
    step = max(1, -(-(high - low) // 6))
    return alt.Axis(format="~g", values=[10.0**power for power in range(low, high + 1, step)])


def _by_network(models: list[str]) -> alt.Color:
    legend = alt.Legend(symbolType="circle", symbolOpacity=1, labelLimit=400, columns=theme.legend_columns(models))
    return alt.Color("network:N", scale=theme.model_colours(models), legend=legend)


def _missing(measured: Measured, table: pd.DataFrame) -> list[str]:
    """Why points of a network are not there."""
    sentences = []
    for label, network in networks(measured):
        if network["breakdown"]:
            sentences.append(f"{label}: {wording.inside(overflow_note(network))}")
        elif not ((table["network"] == label) & (table["kind"] == "measured")).any():
            sentences.append(f"{label}: not drawn: all values of a layer are equal, so the variance is 0.")
    return sentences


def _growth(table: pd.DataFrame, quantity: str) -> str:
    """What the picture says, by the network whose variance changes most from end to end."""
    variances = table[table["kind"] == "measured"].groupby("network", sort=False)["variance"]
    forward = quantity == "activation"
    ratios = {
        name: v.iloc[-1] / v.iloc[0] if forward else v.iloc[0] / v.iloc[-1] for name, v in variances if len(v) > 1
    }
    if not ratios:
        return "Variance by layer"
    name, ratio = max(ratios.items(), key=lambda item: max(item[1], 1 / item[1]))
    way = "from the first to the last layer" if forward else "from the last to the first layer"
    change = f"times {plain(ratio, 2)}" if ratio >= 0.01 else f"÷ {plain(1 / ratio, 2)}"
    return f"{name!s}: variance {change} {way}"
