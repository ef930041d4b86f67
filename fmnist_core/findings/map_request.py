"""The request for a map: layer, images, epochs, method and its settings; validated before any worker sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmnist_core.data import dataset
from fmnist_core.embedding.map_methods import METHODS, MapSettings, problem, setting, settings_of
from fmnist_core.errors import BadValueError
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.layer_names import OUTPUT, PIXELS, activation_name, layers_of
from fmnist_core.experiment.recording import Weights
from fmnist_core.network import forward

SPLITS = ("test", "validation", "training")
DRAW = 42  # the seed that chooses the images: the same ones for every layer, epoch and method
# A result's name is a digest of its request. These are in every request, also where the method has no use for them;
# settings that came later are only where they count, so that results stored before keep their names.
ALWAYS_NAMED = ("perplexity", "n_neighbors", "min_dist", "metric", "seed")


class RequestError(BadValueError):
    """A map cannot be made as asked; the text names the setting, its value and what is allowed."""


@dataclass(frozen=True)
class MapImages:
    """What is mapped.

    run: a stored run's name. layer: one of `layers_of`. epochs: checkpointed ones, ascending; more than one makes a
    film. split: one of SPLITS. points: how many images, as many of each class as of any other.
    """

    run: str
    layer: str = OUTPUT
    epochs: tuple[int, ...] = (0,)
    split: str = setting(SPLITS[0], "Images from", choices={name: name.capitalize() for name in SPLITS})
    points: int = setting(
        2_000, "Number of images", 100, 20_000, usual=(200, 500, 1_000, 2_000, 3_000, 5_000, 10_000, 20_000)
    )


@dataclass(frozen=True)
class MapRequest(MapSettings, MapImages):
    """A map, or a film of several epochs: of what, and how. Raises: RequestError."""

    def __post_init__(self) -> None:
        if sentence := problem(self, self.points):
            raise RequestError(sentence)
        if not self.epochs:
            raise RequestError("epochs is empty, but a map needs at least one epoch.")

    def params(self) -> dict[str, Any]:
        """JSON values; settings without effect are at their defaults, so that equal maps have equal requests."""
        values: dict[str, Any] = asdict(self) | {"epochs": list(self.epochs)}
        unused = {name for row in METHODS.values() for name in row.settings} - set(METHODS[self.method].settings)
        for name in unused:
            if name in ALWAYS_NAMED:
                values[name] = getattr(MapSettings, name)
            else:
                del values[name]
        return values

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> MapRequest:
        """From `params`. Raises: RequestError."""
        return cls(**{**params, "epochs": tuple(params["epochs"])})


def features(experiment: Experiment, weights: Weights, layer: str, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A layer's outputs for images, float32 (n, units): pixels scaled to 0-1, activations, or probabilities.

    Raises: RequestError (no such layer), WeightsError.
    """
    if layer not in layers_of(experiment):
        raise RequestError(f"layer is {layer[:40]!r}, but it must be one of {', '.join(layers_of(experiment))}.")
    if layer == PIXELS:
        return images.reshape(len(images), -1) * np.float32(1 / 255)
    return forward.layer(experiment, weights, images, activation_name(layer))


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

    The fractions are the experiment's: they tell which images were trained on and which for validation.
    """
    images, labels = (data.test_images, data.test_labels) if split == "test" else (data.train_images, data.train_labels)
    if split == "test":
        rows = np.arange(len(labels), dtype=np.int32)
    else:
        parts = dataset.split_of(data.name, validation_fraction, training_fraction)
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


SETTINGS = settings_of(MapRequest)
