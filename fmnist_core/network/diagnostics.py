"""What the signals of a network look like, layer by layer: small measures for screens and files.

Activations, back-propagated gradients dCost/ds and weight gradients dCost/dW: their spread. Units that are dead,
saturated or copies of each other. Singular values of the layers' Jacobians dz'/dz. Where a network broke.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fmnist_core.experiment.activations import ACTIVATIONS, Array
from fmnist_core.experiment.layer_names import OUTPUT
from fmnist_core.network.backward import Signals

BINS = 81  # odd, so that one bin is centred on 0
TAIL = 0.001  # bins leave out this share at each end, so that single outliers do not squeeze the rest
PLENTY = 60_000  # values that are enough for histograms; mean and deviation take all
# How near to an asymptote counts as saturated: for tanh, |z'| > 0.95. Our definition: Glorot & Bengio (2010) show
# saturation in their figures 2 to 4 without a number.
NEAR = 0.05

Direction = Literal["forward", "backward"]


class Network(NamedTuple):
    """One network to measure: the name of its activation, its weights, and its signals on a batch."""

    activation: str
    weights: Mapping[str, Array]
    signals: tuple[Signals, ...]


@dataclass(frozen=True)
class Spread:
    """How values are spread. shares: of the values in each of BINS equal bins from low to high; all networks and layers
    that are compared have the same bins. nan, and no shares, where no value is finite."""

    mean: float
    std: float
    low: float
    high: float
    shares: tuple[float, ...]


@dataclass(frozen=True)
class LayerDiagnostics:
    """The measures of one Dense layer with its activation; see `Signals` for the symbols.

    gradient: dCost/ds of single images. weight_gradient: dCost/dW of the mean cost. singular_value: of dz'/dz, the
    min(inputs, units) of each image chosen; None for the output layer, whose softmax mixes its units. dead_units:
    how many there are. saturated: share of the activations. distinct_units: 1 where all units have the same weights.
    """

    name: str
    units: int
    activation: Spread
    gradient: Spread
    weight_gradient: Spread
    singular_value: Spread | None
    dead_units: int
    saturated: float
    distinct_units: int


class Breakdown(NamedTuple):
    """Where values first stopped being finite numbers: on the way forward, or of the gradients on the way back."""

    layer: str
    direction: Direction


def diagnose(
    networks: Sequence[Network],
    jacobian_images: int = 1,
    across_layers: bool = True,
    each: Callable[..., Iterable[Any]] = map,
) -> list[tuple[LayerDiagnostics, ...]]:
    """The measures of each network's layers; the networks have equal layers, and histograms of one quantity equal bins.

    jacobian_images: images whose Jacobians are taken apart, a layer of 1,000 units in 0.05 s each. They are chosen at
    even quantiles of the layer's mean slope, so that few stand for all: the mean singular value of one image was within
    0.6 % of the mean over all 300. across_layers: the bins are the same for all hidden layers, too, as in the figures
    of Glorot & Bengio (2010); otherwise each layer has its own. each: as the built-in `map`; that of a pool of threads
    uses several cores.
    """
    count = len(networks[0].signals)
    pairs = [(network, layer) for network in networks for layer in network.signals]
    values = list(each(lambda pair: _values(pair[0], pair[1], jacobian_images), pairs))
    edges = _edges([values[start : start + count] for start in range(0, len(values), count)], across_layers)
    measured = list(
        each(lambda pair, part, bins: _layer(pair[0], pair[1], part, bins), pairs, values, edges * len(networks))
    )
    return [tuple(measured[start : start + count]) for start in range(0, len(measured), count)]


def breakdown(signals: Sequence[Signals]) -> Breakdown | None:
    """Where the signals first are infinite or undefined, or None: forward from the input, then back from the output."""
    for layer in signals:
        if not (np.isfinite(layer.sums).all() and np.isfinite(layer.activations).all()):
            return Breakdown(layer.name, "forward")
    for layer in reversed(signals):
        if not (np.isfinite(layer.gradient).all() and np.isfinite(layer.weight_gradient).all()):
            return Breakdown(layer.name, "backward")
    return None


def singular_values(kernel: Array, slopes: Array) -> Array:
    """Singular values of the Jacobian dz'/dz = diag(slopes) W^T of one image, ascending: float32 (min(fan_in, units),).

    kernel: W, (fan_in, units). slopes: dz'/ds, (units,). By the eigenvalues of the smaller Gram matrix, 20 times as
    fast as NumPy's SVD; values under 0.0003 of the largest drown in rounding. Empty where the Jacobian is not finite.
    """
    steepest, largest = np.abs(slopes).max(), np.abs(kernel).max()
    if not (np.isfinite(steepest) and np.isfinite(largest)):
        return np.empty(0, np.float32)
    if not (steepest > 0 and largest > 0):
        return np.zeros(min(kernel.shape), np.float32)
    jacobian = (kernel / largest) * (slopes / steepest)  # its transpose; scaled so that squares do not underflow
    gram = jacobian @ jacobian.T if kernel.shape[0] < kernel.shape[1] else jacobian.T @ jacobian
    values: Array = np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0)) * (steepest * largest)
    return values


def saturated(activation: str, values: Array) -> NDArray[np.bool_]:
    """Which activations lie within NEAR of a value that the function approaches but never reaches; any shape."""
    near = np.zeros(values.shape, np.bool_)
    for asymptote in ACTIVATIONS[activation].asymptotes:
        near |= np.abs(values - np.float32(asymptote)) < np.float32(NEAR)
    return near


# The softmax mixes the units of the output layer: none of them dies or saturates by itself.


def saturated_share(activation: str, layer: Signals) -> float:
    """The share of a layer's activations that are saturated; 0 for the output layer."""
    return 0.0 if layer.name == OUTPUT else float(saturated(activation, layer.activations).mean())


def dead_units(activation: str, layer: Signals) -> NDArray[np.bool_]:
    """Which units are 0 for every image, bool (units,); none of the output layer, none where f cannot die."""
    zero: NDArray[np.bool_] = (layer.activations == 0).all(axis=0)
    return zero & (layer.name != OUTPUT and ACTIVATIONS[activation].can_die)


# --- One layer --------------------------------------------------------------------------------------------------------


@np.errstate(all="ignore")
def _values(network: Network, layer: Signals, jacobian_images: int) -> dict[str, Array]:
    """The values whose spread is measured, by name of the field of LayerDiagnostics."""
    values = {
        "activation": layer.activations,
        "gradient": layer.gradient,
        "weight_gradient": layer.weight_gradient,
    }
    if layer.name != OUTPUT:
        kernel, rows = network.weights[f"{layer.name}/kernel"], _typical(layer.slopes, jacobian_images)
        values["singular_value"] = np.concatenate([singular_values(kernel, layer.slopes[row]) for row in rows])
    return values


def _typical(slopes: Array, count: int) -> NDArray[np.intp]:
    """Rows of images whose mean slopes lie in the middle of `count` equal parts of all images' mean slopes."""
    order = np.argsort(slopes.mean(axis=1))
    middles = (np.arange(count) + 0.5) / count * len(order)
    rows: NDArray[np.intp] = order[np.unique(middles.astype(int))]
    return rows


@np.errstate(all="ignore")
def _layer(
    network: Network, layer: Signals, values: Mapping[str, Array], edges: Mapping[str, NDArray[np.float64]]
) -> LayerDiagnostics:
    spreads = {name: _spread(part, edges[name]) for name, part in values.items()}
    kernel, bias = (network.weights[f"{layer.name}/{kind}"] for kind in ("kernel", "bias"))
    units = np.ascontiguousarray(np.vstack([kernel, bias]).T)
    return LayerDiagnostics(
        name=layer.name,
        units=len(units),
        activation=spreads["activation"],
        gradient=spreads["gradient"],
        weight_gradient=spreads["weight_gradient"],
        singular_value=spreads.get("singular_value"),
        dead_units=int(dead_units(network.activation, layer).sum()),
        saturated=saturated_share(network.activation, layer),
        distinct_units=len({unit.tobytes() for unit in units}),
    )


# --- Spread -----------------------------------------------------------------------------------------------------------


def _spread(values: Array, edges: NDArray[np.float64]) -> Spread:
    few = _finite(_thinned(values))
    low, high = float(edges[0]), float(edges[-1])
    if not few.size:
        return Spread(math.nan, math.nan, low, high, ())
    shares = tuple((np.histogram(few, edges)[0] / few.size).round(6).tolist())
    return Spread(float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64)), low, high, shares)


def _edges(
    values: Sequence[Sequence[Mapping[str, Array]]], across_layers: bool
) -> list[dict[str, NDArray[np.float64]]]:
    """Bins of each layer and quantity, shared by the networks: values[network][layer][quantity]."""
    count = len(values[0])
    hidden = list(range(count - 1))  # the output layer is always for itself: its activations are probabilities
    groups = [hidden if across_layers and index in hidden else [index] for index in range(count)]

    @cache
    def bins(name: str, first: int, last: int) -> NDArray[np.float64]:
        return _bins([layers[index][name] for layers in values for index in range(first, last + 1)])

    return [{name: bins(name, group[0], group[-1]) for name in values[0][i]} for i, group in enumerate(groups)]


def _bins(arrays: Sequence[Array]) -> NDArray[np.float64]:
    """Equal bins over the middle of all arrays' values: from 0, or symmetric about it where both signs occur."""
    ranges = [np.quantile(few, (TAIL, 1 - TAIL)) for few in (_finite(_thinned(array)) for array in arrays) if few.size]
    low, high = (min(r[0] for r in ranges), max(r[1] for r in ranges)) if ranges else (0.0, 1.0)
    if low < 0 < high:
        high = max(-low, high)
        low = -high
    if not low < high:
        low, high = low - max(abs(low), 1e-3) / 2, high + max(abs(high), 1e-3) / 2
    return np.linspace(low, high, BINS + 1)


def _thinned(values: Array) -> Array:
    """About PLENTY of the values: every k-th, k sharing no factor with the rows' length, so that all columns count."""
    stride = values.size // PLENTY
    if stride < 2:
        return np.ravel(values)
    while math.gcd(stride, values.shape[-1]) > 1:
        stride += 1
    return np.ravel(values)[::stride]


def _finite(values: Array) -> Array:
    return values[np.isfinite(values)]
