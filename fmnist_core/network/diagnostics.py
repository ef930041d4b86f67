"""What the signals of a network look like, layer by layer: small measures for screens and files.

Activations, back-propagated gradients dCost/ds, weight gradients dCost/dW, weights and biases: their spread. Units that
are dead, saturated or copies of each other. Singular values of the layers' Jacobians dz'/dz. Where a network broke.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fmnist_core.experiment.activations import ACTIVATIONS, Array
from fmnist_core.network.backward import Signals

BINS = 81  # odd, so that one bin is centred on 0
QUANTILES = (0.02, 0.25, 0.5, 0.75, 0.98)
TAIL = 0.001  # bins leave out this share at each end, so that single outliers do not squeeze the rest
PLENTY = 60_000  # values that are enough for quantiles and histograms; mean and deviation take all
# How near to an asymptote counts as saturated: for tanh, |z'| > 0.95. Our definition: the paper of Glorot & Bengio (2010)
# shows saturation in its figures 2 to 4 without a number.
NEAR = 0.05

Direction = Literal["forward", "backward"]


class Network(NamedTuple):
    """One network that was looked at: the name of its activation, its weights, and its signals on a batch."""

    activation: str
    weights: Mapping[str, Array]
    signals: tuple[Signals, ...]


@dataclass(frozen=True)
class Spread:
    """How values are spread. quantiles: at QUANTILES. shares: of the values in each of BINS equal bins from low to high;
    all networks and layers that are compared have the same bins. nan, and no shares, where no value is finite."""

    mean: float
    std: float
    quantiles: tuple[float, ...]
    low: float
    high: float
    shares: tuple[float, ...]


@dataclass(frozen=True)
class LayerDiagnostics:
    """The measures of one Dense layer with its activation; see `Signals` for the symbols.

    gradient: dCost/ds of single images. weight_gradient: dCost/dW of the mean cost. singular_value: of dz'/dz, the
    min(inputs, units) of each image looked at; None for the output layer, whose softmax mixes its units.
    dead_units: ReLU units that are 0 for all images. saturated: share of the activations within NEAR of an asymptote;
    saturated_units: units that are so for all images. distinct_units: 1 where all units have the same weights.
    """

    name: str
    units: int
    activation: Spread
    gradient: Spread
    weight_gradient: Spread
    weight: Spread
    bias: Spread
    singular_value: Spread | None
    dead_units: int
    saturated: float
    saturated_units: int
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
    0.6 % of the mean over all 300. across_layers: the bins are the same for all hidden layers, too, as in the figures of
    Glorot & Bengio (2010); otherwise each layer has its own. each: as the built-in `map`; that of a pool of threads uses
    several cores.
    """
    count = len(networks[0].signals)
    pairs = [(network, layer) for network in networks for layer in network.signals]
    values = list(each(lambda pair: _values(pair[0], pair[1], jacobian_images), pairs))
    edges = _edges([values[start : start + count] for start in range(0, len(values), count)], across_layers)
    found = list(
        each(lambda pair, one, bins: _layer(pair[0], pair[1], one, bins), pairs, values, edges * len(networks))
    )
    return [tuple(found[start : start + count]) for start in range(0, len(found), count)]


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

    kernel: W, (fan_in, units). slopes: dz'/ds, (units,). By the eigenvalues of the smaller Gram matrix, 20 times as fast
    as NumPy's SVD; values under 0.0003 of the largest drown in rounding. Empty where the Jacobian is not finite.
    """
    steepest, largest = np.abs(slopes).max(), np.abs(kernel).max()
    if not (np.isfinite(steepest) and np.isfinite(largest)):
        return np.empty(0, np.float32)
    if not (steepest > 0 and largest > 0):
        return np.zeros(min(kernel.shape), np.float32)
    jacobian = (kernel / largest) * (slopes / steepest)  # its transpose; scaled so that squares do not underflow
    gram = jacobian @ jacobian.T if kernel.shape[0] < kernel.shape[1] else jacobian.T @ jacobian
    found: Array = np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0)) * (steepest * largest)
    return found


def saturated(activation: str, values: Array) -> NDArray[np.bool_]:
    """Which activations lie within NEAR of a value that the function approaches but never reaches; any shape."""
    near = np.zeros(values.shape, np.bool_)
    for asymptote in ACTIVATIONS[activation].asymptotes:
        near |= np.abs(values - np.float32(asymptote)) < np.float32(NEAR)
    return near


# --- One layer --------------------------------------------------------------------------------------------------------


@np.errstate(all="ignore")
def _values(network: Network, layer: Signals, jacobian_images: int) -> dict[str, Array]:
    """The values whose spread is told, by name of the field of LayerDiagnostics."""
    kernel = network.weights[f"{layer.name}/kernel"]
    found = {
        "activation": layer.activations,
        "gradient": layer.gradient,
        "weight_gradient": layer.weight_gradient,
        "weight": kernel,
        "bias": network.weights[f"{layer.name}/bias"],
    }
    if layer.name != "output":
        rows = _typical(layer.slopes, jacobian_images)
        found["singular_value"] = np.concatenate([singular_values(kernel, layer.slopes[row]) for row in rows])
    return found


def _typical(slopes: Array, count: int) -> NDArray[np.intp]:
    """Rows of images whose mean slopes lie in the middle of `count` equal parts of all images' mean slopes."""
    order = np.argsort(slopes.mean(axis=1))
    places = (np.arange(count) + 0.5) / count * len(order)
    return order[np.unique(places.astype(int))]


@np.errstate(all="ignore")
def _layer(
    network: Network, layer: Signals, values: Mapping[str, Array], edges: Mapping[str, NDArray[np.float64]]
) -> LayerDiagnostics:
    spreads = {name: _spread(one, edges[name]) for name, one in values.items()}
    hidden = layer.name != "output"  # The softmax mixes its units: none of them dies or saturates by itself.
    near = saturated(network.activation, layer.activations) if hidden else np.zeros((1, 1), np.bool_)
    can_die = hidden and ACTIVATIONS[network.activation].can_die
    return LayerDiagnostics(
        name=layer.name,
        units=layer.sums.shape[1],
        activation=spreads["activation"],
        gradient=spreads["gradient"],
        weight_gradient=spreads["weight_gradient"],
        weight=spreads["weight"],
        bias=spreads["bias"],
        singular_value=spreads.get("singular_value"),
        dead_units=int((layer.activations == 0).all(axis=0).sum()) if can_die else 0,
        saturated=float(near.mean()),
        saturated_units=int(near.all(axis=0).sum()),
        distinct_units=_distinct(values["weight"], values["bias"]),
    )


def _distinct(kernel: Array, bias: Array) -> int:
    """How many different units, compared by their incoming weights and bias."""
    units = np.ascontiguousarray(np.vstack([kernel, bias]).T)
    return len({unit.tobytes() for unit in units})


# --- Spread -----------------------------------------------------------------------------------------------------------


def _spread(values: Array, edges: NDArray[np.float64]) -> Spread:
    few = _finite(_thinned(values))
    low, high = float(edges[0]), float(edges[-1])
    if not few.size:
        return Spread(math.nan, math.nan, (math.nan,) * len(QUANTILES), low, high, ())
    quantiles = tuple(float(value) for value in np.quantile(few, QUANTILES))
    shares = tuple((np.histogram(few, edges)[0] / few.size).round(6).tolist())
    return Spread(
        float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64)), quantiles, low, high, shares
    )


def _edges(
    values: Sequence[Sequence[Mapping[str, Array]]], across_layers: bool
) -> list[dict[str, NDArray[np.float64]]]:
    """Bins of each layer and quantity, shared by the networks: values[network][layer][quantity]."""
    count = len(values[0])
    hidden = list(range(count - 1))  # the output layer is always for itself: its activations are probabilities
    groups = [hidden if across_layers and place < count - 1 else [place] for place in range(count)]
    made: dict[tuple[str, tuple[int, ...]], NDArray[np.float64]] = {}
    found = []
    for place, group in enumerate(groups):
        for name in values[0][place]:
            key = (name, tuple(group))
            if key not in made:
                made[key] = _bins([layers[member][name] for layers in values for member in group])
        found.append({name: made[name, tuple(group)] for name in values[0][place]})
    return found


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
