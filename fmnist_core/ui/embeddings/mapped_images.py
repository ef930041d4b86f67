"""What the maps of page Embeddings show of each image: its class, what the network says of it, its colour, its picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from fmnist_core.charts import atlas, theme
from fmnist_core.data import dataset
from fmnist_core.data.dataset import CLASSES
from fmnist_core.embedding.neighbours import nearest_to
from fmnist_core.embedding.pca import PCA, pca
from fmnist_core.findings.map_request import SETTINGS, Chosen, MapRequest, chosen, features
from fmnist_core.network import forward
from fmnist_core.store.run import Run
from fmnist_core.ui.components.scatter.scatter_map import Cloud, atlas_url
from fmnist_core.ui.shared.per_run import per_run

RIGHT_OR_WRONG = {"right": theme.MUTED, "wrong": "#d6336c"}
# From dark blue over green to yellow (Viridis), light enough at its low end for a dark page.
CONFIDENCE = ("#4a5fa5", "#3f78ab", "#338fa8", "#2ba59b", "#45ba85", "#7ccb66", "#b7d84b", "#f0e146")
LEVELS = 64


@dataclass(frozen=True, eq=False)
class Shown:
    """The images of a map at an epoch. probabilities: float32 (n, 10). address: of their pictures."""

    chosen: Chosen
    probabilities: NDArray[np.float32]
    address: str

    @property
    def predicted(self) -> NDArray[np.uint8]:
        """The most probable class of each image, uint8 (n,)."""
        return self.probabilities.argmax(axis=1).astype(np.uint8)


def shown(run: Run, request: MapRequest, epoch: int) -> Shown:
    """The images of a request, with what the network says of them after an epoch. Raises: LabError."""
    images = _images(*_source(run, request))
    url = atlas_url(_atlas(*_source(run, request)), "map")
    return Shown(images, _probabilities(run, epoch, request.split, request.points), url)


def cloud(points: NDArray[np.float32], held: Shown, colour: str, corners: NDArray[np.float32] | None = None) -> Cloud:
    """Points in the colours asked for: class, predicted, right, or confidence."""
    predicted, labels = held.predicted, held.chosen.labels
    confidence = held.probabilities.max(axis=1)
    colours = labels
    palette: tuple[str, ...] = theme.CLASS_COLOURS
    names: tuple[str, ...] = CLASSES
    gradient = None
    if colour == "predicted":
        colours = predicted
    elif colour == "right":
        colours, palette, names = (
            (predicted != labels).astype(np.uint8),
            (*RIGHT_OR_WRONG.values(),),
            (*RIGHT_OR_WRONG,),
        )
    elif colour == "confidence":
        colours = np.rint(np.nan_to_num(confidence).clip(0, 1) * (LEVELS - 1)).astype(np.uint8)
        palette, names, gradient = _levels(), (), ("Confidence", "0", "1")
    numbers = held.chosen.rows
    return Cloud(
        points, colours, palette, names, labels, predicted, confidence, numbers, held.address, CLASSES, gradient, corners
    )  # fmt: skip


def first_look(run: Run, request: MapRequest, epoch: int) -> NDArray[np.float32]:
    """The principal components, at once: float32 (n, dimensions)."""
    return _of_epoch(run, request, epoch).points


def explained(run: Run, request: MapRequest, epoch: int) -> NDArray[np.float64]:
    """The share of the variance along each principal component, float64 (dimensions,)."""
    return _of_epoch(run, request, epoch).explained


def _of_epoch(run: Run, request: MapRequest, epoch: int) -> PCA:
    return _components(run, epoch, request.layer, request.split, request.points, request.dimensions)


def neighbours_of(run: Run, request: MapRequest, epoch: int, index: int, number: int) -> NDArray[np.int32]:
    """The images nearest to one of a map's in the layer itself, nearest first: int32 (number,), indices into the map."""
    return _neighbours(run, epoch, request.layer, request.split, request.points, request.metric, index, number)


def _levels() -> tuple[str, ...]:
    """LEVELS colours between those of CONFIDENCE."""
    stops = np.array([[int(colour[place : place + 2], 16) for place in (1, 3, 5)] for colour in CONFIDENCE], float)
    at = np.linspace(0, len(stops) - 1, LEVELS)
    mixed = np.stack([np.interp(at, np.arange(len(stops)), stops[:, channel]) for channel in range(3)], axis=1)
    return tuple("#" + "".join(f"{int(value):02x}" for value in row) for row in np.rint(mixed))


def _source(run: Run, request: MapRequest) -> tuple[str, float, float, str, int]:
    """What decides which images a map shows."""
    experiment = run.experiment
    return run.data_name, experiment.validation_fraction, experiment.training_fraction, request.split, request.points


@st.cache_resource(show_spinner=False, max_entries=4)
def _images(data: str, validation: float, training: float, split: str, points: int) -> Chosen:
    return chosen(dataset.load(data), validation, training, split, points)


@st.cache_resource(show_spinner=False, max_entries=4)
def _atlas(data: str, validation: float, training: float, split: str, points: int) -> bytes:
    return atlas.webp(_images(data, validation, training, split, points).images)


def _of(run: Run, split: str, points: int) -> Chosen:
    experiment = run.experiment
    return _images(run.data_name, experiment.validation_fraction, experiment.training_fraction, split, points)


@per_run(max_entries=64, shared=True)
def _probabilities(run: Run, epoch: int, split: str, points: int) -> NDArray[np.float32]:
    images = _of(run, split, points)
    if split == "test":
        return run.probabilities(epoch)[images.rows]
    return forward.probabilities(run.experiment, run.weights(epoch), images.images)


@per_run(max_entries=32, shared=True)
def _components(run: Run, epoch: int, layer: str, split: str, points: int, dimensions: int) -> PCA:
    values = features(run.experiment, run.weights(epoch), layer, _of(run, split, points).images)
    return pca(np.nan_to_num(values), dimensions)


@per_run(max_entries=500)
def _neighbours(
    run: Run, epoch: int, layer: str, split: str, points: int, metric: str, index: int, number: int
) -> NDArray[np.int32]:
    values = features(run.experiment, run.weights(epoch), layer, _of(run, split, points).images)
    found = nearest_to(values[[index]], values, number + 1, metric).indices[0]
    return found[found != index][:number]


def available(run: Run, split: str) -> int:
    """How many images a map of a run's split can show."""
    data, experiment = dataset.load(run.data_name), run.experiment
    parts = dataset.split_of(data.name, experiment.validation_fraction, experiment.training_fraction)
    counts = {"test": len(data.test_labels), "training": len(parts.train), "validation": len(parts.validation)}
    return min(counts[split], int(SETTINGS["points"].high))
