"""What the measures of networks before training show, in sentences made from their numbers, and as a table.

`measured` is what `learning.initial_measures.measure` returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fmnist_core.experiment import wording
from fmnist_core.experiment.layer_names import layer_title, the_layer
from fmnist_core.experiment.wording import percent

COLUMNS = ("activation_std", "gradient_std", "weight_gradient_std", "mean_singular_value", "saturated")
TABLE = ("initialiser", "gain", "layer", *COLUMNS, "dead_units", "distinct_units")
SMALLEST_PART = 10_000  # from here on a part is too small for its size to matter
LITTLE = 1.5  # a factor between layers that is called "about the same"


def labels(measured: Mapping[str, Any]) -> list[str]:
    """The networks' names, in their order: the initialiser, and the gain where there is one."""
    named = [
        wording.choice(n["initialiser"]) + (f" × {n['gain']:g}" if n["gain"] != 1 else "") for n in measured["networks"]
    ]
    return [name[0].upper() + name[1:] for name in named]


def hidden(network: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The measures of the hidden layers, which the paper's figures show."""
    return [layer for layer in network["layers"] if layer["name"] != "output"]


def sentences(measured: Mapping[str, Any]) -> list[str]:
    """One for each network: where it breaks, or how signals and gradients change; then the paper's point."""
    pairs = list(zip(labels(measured), measured["networks"], strict=True))
    lines = [f"**{label}**: {_network(network)}" for label, network in pairs]
    whole = [network for _, network in pairs if not network["breakdown"] and not symmetric(network)]
    return lines + _weight_gradients(whole)


def symmetric(network: Mapping[str, Any]) -> bool:
    """Whether in each hidden layer all units have the same weights."""
    return all(layer["distinct_units"] == 1 for layer in hidden(network))


def _network(network: Mapping[str, Any]) -> str:
    if network["breakdown"]:
        return _broken(network["breakdown"])
    layers = hidden(network)
    if symmetric(network):
        return _symmetric(network)
    parts = [_along(layers, "activation", "the standard deviation of the activations", "first", "last")]
    parts += [_along(layers[::-1], "gradient", "that of the back-propagated gradients", "last", "first")]
    text = "; ".join(part for part in parts if part)
    return text[0].upper() + text[1:] + "." + _singular(layers) + _idle(layers)


def _broken(breakdown: Mapping[str, str]) -> str:
    layer = the_layer(breakdown["layer"])
    if breakdown["direction"] == "forward":
        return (
            f"the signal overflows: from {layer} on, values are infinite or undefined (inf, nan). Such a network"
            " cannot be trained; lower the gain, or choose another initialiser."
        )
    return (
        f"the signal arrives, but its gradient overflows in {layer} on its way back (inf, nan). Such a network"
        " cannot be trained; lower the gain, or choose another initialiser."
    )


def _symmetric(network: Mapping[str, Any]) -> str:
    """All units of a layer are copies of each other."""
    layers = hidden(network)
    first = layers[0]
    units = f"all {first['units']:,} units of each hidden layer are equal: the same weights, the same activation"
    if not any(layer["gradient"]["std"] for layer in layers):
        units += ", and the same gradient, which is 0, since weights of 0 pass nothing back"
    return (
        f"{units}. Gradient descent changes equal units equally, so a layer of many units can never do more than"
        " a layer of one. Weights have to differ at the start: that is why they are drawn at random."
    )


def _along(layers: Sequence[Mapping[str, Any]], quantity: str, name: str, begin: str, end: str) -> str:
    """How a deviation changes along a way through the layers."""
    first, last = layers[0][quantity]["std"], layers[-1][quantity]["std"]
    if first is None or last is None:
        return ""
    if len(layers) == 1:
        return f"{name} is {first:.2g}"
    ends = f"{first:.2g} in the {begin} to {last:.2g} in the {end} hidden layer"
    if not first or not last:
        return f"{name} goes from {ends}"
    ratio = last / first
    if max(ratio, 1 / ratio) < LITTLE:
        return f"{name} stays about the same, from {ends}"
    how = f"grows {plain(ratio, 2)} times" if ratio > 1 else f"shrinks to {_part(ratio)}"
    return f"{name} {how}, from {ends}"


def _part(ratio: float) -> str:
    """0.1 as "1/10"."""
    count = 1 / ratio
    if count < 1.75:
        return "just over half"
    if count > SMALLEST_PART:
        return f"less than 1/{SMALLEST_PART:,}"
    return {2: "half", 3: "a third"}.get(round(count), f"1/{count:,.0f}")


def spreads(measured: Mapping[str, Any], quantity: str) -> str:
    """For a figure's caption: how the spread in each network's first hidden layer compares with that in its last."""
    changes = []
    for label, network in zip(labels(measured), measured["networks"], strict=True):
        layers = hidden(network)
        first, last = layers[0][quantity]["std"], layers[-1][quantity]["std"]
        if len(layers) > 1 and first and last:
            changes.append(f"{label}: {_beside(first / last)}.")
    return " ".join(changes)


def _beside(ratio: float) -> str:
    """How wide the first layer's values lie, the last layer's being 1."""
    if max(ratio, 1 / ratio) < LITTLE:
        return "about as large in layer 1 as in the last"
    size = f"{plain(ratio, 2)} times" if ratio > 1 else _part(ratio)
    return f"{size} as large in layer 1 as in the last"


def _singular(layers: Sequence[Mapping[str, Any]]) -> str:
    """How much a layer stretches a small change, between hidden layers: these are square, as the paper's."""
    means = [layer["singular_value"]["mean"] for layer in layers[1:] or layers]
    if any(mean is None for mean in means):
        return ""
    return f" A layer stretches a small change {sum(means) / len(means):.2f} times on average (mean singular value)."


def _idle(layers: Sequence[Mapping[str, Any]]) -> str:
    """Saturated activations and dead units, where there are any."""
    worst = max(layers, key=lambda layer: layer["saturated"])
    dead = max(layers, key=lambda layer: layer["dead_units"])
    sentence = ""
    if worst["saturated"] >= 0.005:
        share = percent(worst["saturated"], 1)  # as the picture has it
        sentence += f" In {layer_title(worst['name'])}, {share} of the activations are saturated."
    if dead["dead_units"]:
        units = f"{dead['dead_units']:,} of {dead['units']:,} units"
        sentence += f" In {layer_title(dead['name'])}, {units} are dead: 0 for every image."
    return sentence


def _weight_gradients(networks: Sequence[Mapping[str, Any]]) -> list[str]:
    """The point of figure 8: weight gradients hide what the back-propagated ones show."""
    for network in networks:
        layers = hidden(network)
        first, last = layers[0], layers[-1]
        values = [layer[name]["std"] for layer in (first, last) for name in ("gradient", "weight_gradient")]
        if len(layers) < 2 or not all(values):
            continue
        back, weights = values[0] / values[2], values[1] / values[3]
        if max(back, 1 / back) > 2 and max(weights, 1 / weights) < LITTLE:
            return [
                f"**The paper's point**: in the first hidden layer, ∂Cost/∂s has {back:.2g} times the standard"
                f" deviation that it has in the last, but ∂Cost/∂W has {weights:.2g} times: looking only at the"
                " weight gradients (figure 8) hides it."
            ]
    return []


def table(measured: Mapping[str, Any]) -> pd.DataFrame:
    """One row for each network and layer, the output layer last: columns TABLE; a value that is not finite is empty."""
    rows = []
    for network in measured["networks"]:
        for layer, summary in zip(network["layers"], network["summary"], strict=True):
            values = {name: summary[name] for name in COLUMNS}
            counts = {name: layer[name] for name in ("dead_units", "distinct_units")}
            rows.append({"initialiser": network["initialiser"], "gain": network["gain"], **summary, **values, **counts})
    return pd.DataFrame(rows, columns=list(TABLE))


def plain(value: float, digits: int) -> str:
    """A positive number to that many digits that count; without an exponent where it is readable so."""
    rounded = float(f"{value:.{digits - 1}e}")
    for size, word in ((1e9, "billion"), (1e6, "million")):
        if size <= rounded < 1000 * size:
            return f"{rounded / size:g} {word}"
    if not 1e-6 <= rounded < 1e6:
        return f"{value:.0e}".replace("+", "")
    return f"{rounded:,.0f}" if rounded >= 100 else np.format_float_positional(rounded, trim="-")
