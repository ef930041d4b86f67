"""What page Inspect measures on a network's weights: its layers on a batch, the neighbours of one image. Pure NumPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fmnist_core.embedding.neighbours import Neighbours, nearest_to
from fmnist_core.experiment.activations import Array
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.layer_names import activation_name, dense_layers, layer_heading
from fmnist_core.findings.health import LayerState
from fmnist_core.network import backward, forward
from fmnist_core.network.diagnostics import dead_units, saturated_share

SAMPLED = 20_000  # values of a layer that are enough for a histogram
AT_ONCE = 500  # images whose layers are held at a time; for the largest networks 250 MB


class LayerMeasures(NamedTuple):
    """One Dense layer on a batch of images. activations, gradients: up to SAMPLED of its z' and dCost/ds, float32."""

    state: LayerState
    activation_std: float
    activations: Array
    gradients: Array


@np.errstate(all="ignore")
def measure_layers(
    experiment: Experiment, weights: Mapping[str, Array], images: NDArray[np.uint8], labels: NDArray[np.uint8]
) -> list[LayerMeasures]:
    """Every Dense layer, hidden_1 ... output, on these images; infinite and undefined values are results, too."""
    result = []
    for layer in backward.signals(experiment, weights, images, labels):
        state = LayerState(
            layer.name,
            dead=float(dead_units(experiment.activation, layer).mean()),
            saturated=saturated_share(experiment.activation, layer),
            gradient_std=float(layer.gradient.std()),
            images=len(layer.gradient),
            finite=bool(np.isfinite(layer.activations).all() and np.isfinite(layer.gradient).all()),
        )
        std = float(layer.activations.std())
        result.append(LayerMeasures(state, std, sampled(layer.activations), sampled(layer.gradient)))
    return result


def sampled(values: Array, most: int = SAMPLED) -> Array:
    """Up to `most` finite values drawn at random, at the same indices for equal shapes."""
    flat = values.ravel()
    if flat.size > most:
        flat = flat[np.random.default_rng(0).integers(0, flat.size, most)]
    return flat[np.isfinite(flat)]


def shown_layers(experiment: Experiment) -> dict[str, str]:
    """The layers of `forward.layers` that a reader looks at, and what they are called."""
    hidden = {activation_name(layer): layer_heading(layer) for layer in dense_layers(experiment)[:-1]}
    return {"rescale": "Pixels", **hidden, "output": "Output"}


def nearest(
    experiment: Experiment,
    weights: Mapping[str, Array],
    image: NDArray[np.uint8],
    images: NDArray[np.uint8],
    k: int,
) -> dict[str, Neighbours]:
    """The k images nearest to one image in each of `shown_layers`, by Euclidean distance between the layer's values.

    image: uint8 (28, 28). images: uint8 (n, 28, 28), k <= n. The images pass in blocks, of which the nearest are kept.
    """
    names = shown_layers(experiment)
    query = {
        layer.name: layer.values for layer in forward.layers(experiment, weights, image[None]) if layer.name in names
    }
    neighbours: dict[str, list[Neighbours]] = {name: [] for name in names}
    for start in range(0, len(images), AT_ONCE):
        block = images[start : start + AT_ONCE]
        for layer in forward.layers(experiment, weights, block):
            if layer.name in names:
                near = nearest_to(query[layer.name], layer.values, min(k, len(block)))
                neighbours[layer.name].append(Neighbours(near.indices + np.int32(start), near.distances))
    return {name: _nearest_of(parts, k) for name, parts in neighbours.items()}


def _nearest_of(parts: Sequence[Neighbours], k: int) -> Neighbours:
    indices, distances = (np.concatenate(blocks, axis=1) for blocks in zip(*parts, strict=True))
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return Neighbours(np.take_along_axis(indices, order, axis=1), np.take_along_axis(distances, order, axis=1))


def thinned(epochs: Sequence[int], most: int) -> tuple[int, ...]:
    """At most `most` of the epochs, evenly spread, the first and the last among them."""
    indices = np.unique(np.linspace(0, len(epochs) - 1, min(most, len(epochs))).round().astype(int))
    return tuple(epochs[index] for index in indices)
