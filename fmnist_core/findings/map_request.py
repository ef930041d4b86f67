"""What map is wanted: of which layer, images and epochs, by which method. Checked here, before any worker sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmnist_core.data import dataset
from fmnist_core.embedding.maps import MapSettings
from fmnist_core.embedding.neighbours import METRICS
from fmnist_core.errors import BadValueError
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.layer_names import OUTPUT, PIXELS, layers_of
from fmnist_core.experiment.recording import Weights
from fmnist_core.network import forward

METHODS = {"tsne": "t-SNE", "umap": "UMAP", "pca": "PCA"}
SPLITS = ("test", "validation", "training")
DRAW = 42  # the seed that chooses the images: the same ones for every layer, epoch and method
BOUNDS: dict[str, tuple[float, float]] = {
    "points": (100, 20_000),
    "perplexity": (2, 200),
    "n_neighbors": (2, 200),
    "min_dist": (0.0, 0.99),
    "seed": (0, 9_999),
    "dimensions": (2, 3),
}
# The settings that change each method's map; those of other methods do not count.
OWN = {"tsne": ("perplexity", "metric", "seed"), "umap": ("n_neighbors", "min_dist", "metric", "seed"), "pca": ()}


class RequestError(BadValueError):
    """A map cannot be made as asked; the text names the setting, its value and what is allowed."""


@dataclass(frozen=True)
class MapRequest:
    """A map, or a film of several epochs. Raises: RequestError.

    run: a stored run's name. layer: one of `layers_of`. epochs: recorded ones, rising; more than one makes a film. split:
    one of SPLITS. points: how many images, as many of each class as of any other. The rest: as in MapSettings.
    """

    run: str
    layer: str = OUTPUT
    epochs: tuple[int, ...] = (0,)
    split: str = SPLITS[0]
    points: int = 2_000
    method: str = "tsne"
    dimensions: int = MapSettings.dimensions
    perplexity: float = MapSettings.perplexity
    n_neighbors: int = MapSettings.n_neighbors
    min_dist: float = MapSettings.min_dist
    metric: str = MapSettings.metric
    seed: int = MapSettings.seed

    def __post_init__(self) -> None:
        for name, allowed in (("method", tuple(METHODS)), ("split", SPLITS), ("metric", METRICS)):
            if getattr(self, name) not in allowed:
                raise RequestError(f"{name} is {getattr(self, name)!r}, but it must be one of {', '.join(allowed)}.")
        for name, (low, high) in BOUNDS.items():
            if not low <= getattr(self, name) <= high:
                raise RequestError(f"{name} is {getattr(self, name):,}, but it must be between {low:g} and {high:,g}.")
        if self.method == "tsne" and self.dimensions != 2:
            raise RequestError("dimensions is 3, but t-SNE maps have 2; choose UMAP or PCA for 3.")
        if not self.epochs:
            raise RequestError("epochs is empty, but a map needs at least one epoch.")
        self._check_neighbours()

    def _check_neighbours(self) -> None:
        if self.method == "tsne" and 3 * self.perplexity > self.points - 1:
            most = (self.points - 1) // 3
            raise RequestError(
                f"perplexity is {self.perplexity:g}, but {self.points:,} images allow at most {most} (a third of the other"
                " images); lower it, or use more images."
            )
        if self.method == "umap" and self.n_neighbors > self.points - 1:
            raise RequestError(
                f"n_neighbors is {self.n_neighbors}, but there are only {self.points - 1:,} other images; lower it, or use"
                " more images."
            )

    @property
    def settings(self) -> MapSettings:
        """How the map is made."""
        names = {field.name for field in fields(MapSettings)}
        return MapSettings(**{name: value for name, value in asdict(self).items() if name in names})

    def params(self) -> dict[str, Any]:
        """JSON values; settings without effect are at their defaults, so that equal maps have equal requests."""
        values: dict[str, Any] = asdict(self) | {"epochs": list(self.epochs)}
        defaults = {field.name: field.default for field in fields(self)}
        for name in {name for names in OWN.values() for name in names} - set(OWN[self.method]):
            values[name] = defaults[name]
        return values

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> MapRequest:
        """From `params`. Raises: RequestError."""
        return cls(**{**params, "epochs": tuple(params["epochs"])})


def features(experiment: Experiment, weights: Weights, layer: str, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What a layer makes of images: float32 (n, units); after the activation, pixels scaled to 0-1, probabilities last.

    Raises: RequestError (no such layer), WeightsError.
    """
    if layer not in layers_of(experiment):
        raise RequestError(f"layer is {layer[:40]!r}, but it must be one of {', '.join(layers_of(experiment))}.")
    if layer == PIXELS:
        return images.reshape(len(images), -1) * np.float32(1 / 255)
    name = OUTPUT if layer == OUTPUT else f"activation_{layer.removeprefix('hidden_')}"
    return forward.layer(experiment, weights, images, name)


@dataclass(frozen=True, eq=False)
class Chosen:
    """The images of a map. images: uint8 (n, 28, 28). labels: uint8 (n,), as the data set has them. rows: int32 (n,),
    their numbers in their file, rising."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    rows: NDArray[np.int32]


def chosen(
    data: dataset.Dataset, validation_fraction: float, training_fraction: float, split: str, points: int
) -> Chosen:
    """As many images of each class as of any other, drawn at random with the seed DRAW; all where there are fewer.

    The fractions are the experiment's: they tell which images were trained on and which were held out.
    """
    images, labels = (data.test_images, data.test_labels) if split == "test" else (data.train_images, data.train_labels)
    if split == "test":
        rows = np.arange(len(labels), dtype=np.int32)
    else:
        parts = dataset.split(labels, validation_fraction, training_fraction)
        rows = parts.train if split == "training" else parts.validation
    if points < len(rows):
        rng = np.random.default_rng(DRAW)
        order = rng.permutation(rows)
        rank = np.empty(len(order), np.int64)  # of each image among those of its class
        for label in np.unique(labels[order]):
            members = labels[order] == label
            rank[members] = np.arange(members.sum())
        rows = np.sort(order[np.argsort(rank, kind="stable")[:points]])
    return Chosen(images[rows], labels[rows], rows)
