"""The images of page Embeddings' maps: what the network says of each, its colour, and what stands beside the map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from fmnist_core.charts import gallery, images, theme
from fmnist_core.data import dataset
from fmnist_core.data.dataset import CLASSES
from fmnist_core.embedding.neighbours import EmbeddingError, check_features, nearest_to
from fmnist_core.embedding.pca import PCA, pca
from fmnist_core.experiment import wording
from fmnist_core.experiment.layer_names import the_layer
from fmnist_core.findings.map_request import SETTINGS, Chosen, MapRequest, chosen, features
from fmnist_core.network import forward
from fmnist_core.store.run import Run
from fmnist_core.ui.components.scatter.scatter_map import Cloud, atlas_url
from fmnist_core.ui.embeddings.embeddings_view import STATE
from fmnist_core.ui.shared.downloads import csv_file, foot
from fmnist_core.ui.shared.per_run import per_run

CORRECT_OR_WRONG = {"right": theme.MUTED, "wrong": "#d6336c"}
# From dark blue over green to yellow (Viridis), light enough at its low end for a dark page.
CONFIDENCE = ("#4a5fa5", "#3f78ab", "#338fa8", "#2ba59b", "#45ba85", "#7ccb66", "#b7d84b", "#f0e146")
LEVELS = 64
NEIGHBOURS, GROUP = 8, 24


@dataclass(frozen=True, eq=False)
class Shown:
    """The images of a map at an epoch. probabilities: float32 (n, 10). address: of their pictures."""

    chosen: Chosen
    probabilities: NDArray[np.float32]
    address: str

    @property
    def predicted(self) -> NDArray[np.uint8]:
        """The most probable class of each image, uint8 (n,)."""
        return np.asarray(self.probabilities.argmax(axis=1), np.uint8)

    def item(self, index: int, short: bool = False) -> gallery.Item:
        """One of them for a gallery. short: with its class only."""
        label = int(self.chosen.labels[index])
        if short:
            return gallery.Item(CLASSES[label], self.chosen.images[index], None, label)
        title = f"Image {self.chosen.rows[index]:,}"
        return gallery.Item(title, self.chosen.images[index], self.probabilities[index], label)


def shown(run: Run, request: MapRequest, epoch: int) -> Shown:
    """The images of a request, with what the network says of them after an epoch. Raises: LabError."""
    parts = _parts(run, request.split, request.points)
    url = atlas_url(_atlas(*parts), "map")
    return Shown(_images(*parts), _probabilities(run, epoch, request.split, request.points), url)


def available(run: Run, split: str) -> int:
    """How many images a map of a run's split can show."""
    data, experiment = dataset.load(run.data_name), run.experiment
    parts = dataset.split_of(data.name, experiment.validation_fraction, experiment.training_fraction)
    counts = {"test": len(data.test_labels), "training": len(parts.train), "validation": len(parts.validation)}
    return min(counts[split], int(SETTINGS["points"].high))


def cloud(points: NDArray[np.float32], mapped: Shown, colour: str, corners: NDArray[np.float32] | None = None) -> Cloud:
    """Points in the colours asked for: class, predicted, right, or confidence."""
    predicted, labels = mapped.predicted, mapped.chosen.labels
    confidence = mapped.probabilities.max(axis=1)
    colours, gradient = labels, None
    palette: tuple[str, ...] = theme.CLASS_COLOURS
    names: tuple[str, ...] = CLASSES
    if colour == "predicted":
        colours = predicted
    elif colour == "right":
        colours = (predicted != labels).astype(np.uint8)
        palette, names = (*CORRECT_OR_WRONG.values(),), (*CORRECT_OR_WRONG,)
    elif colour == "confidence":
        colours = np.rint(np.nan_to_num(confidence).clip(0, 1) * (LEVELS - 1)).astype(np.uint8)
        palette, names, gradient = _levels(), (), ("Confidence", "0", "1")
    numbers, address = mapped.chosen.rows, mapped.address
    return Cloud(
        points, colours, palette, names, labels, predicted, confidence, numbers, address, CLASSES, gradient, corners
    )


def _levels() -> tuple[str, ...]:
    """LEVELS colours between those of CONFIDENCE."""
    stops = np.array([[int(colour[start : start + 2], 16) for start in (1, 3, 5)] for colour in CONFIDENCE], float)
    at = np.linspace(0, len(stops) - 1, LEVELS)
    mixed = np.stack([np.interp(at, np.arange(len(stops)), stops[:, channel]) for channel in range(3)], axis=1)
    return tuple("#" + "".join(f"{int(value):02x}" for value in row) for row in np.rint(mixed))


# --- Beside the map ---------------------------------------------------------------------------------------------------


def opened(run: Run, request: MapRequest, epoch: int, mapped: Shown, index: int) -> None:
    """The image that is opened, and those nearest to it in the layer itself, not in the map."""
    st.markdown("**The image you opened**")
    st.html(gallery.html([mapped.item(index)], CLASSES, 190))
    near = neighbours_of(run, request, epoch, index, NEIGHBOURS)
    same = int((mapped.chosen.labels[near] == mapped.chosen.labels[index]).sum())
    st.markdown(f"**Nearest in {the_layer(request.layer)}**")
    st.caption(
        f"Among the {len(mapped.chosen.rows):,} images of the map, by distance in the layer, not in the picture:"
        f" {same} of {len(near)} are of the same class."
    )
    st.html(gallery.html([mapped.item(int(neighbour), short=True) for neighbour in near], CLASSES, 52))
    st.button("Close", icon=":material/close:", on_click=STATE.change, kwargs={"image": None}, key="embeddings close")


def lasso(taken: Sequence[int], mapped: Shown, clear: Callable[[], None]) -> None:
    """The group that the lasso took: its class mix, its first images, and its list."""
    group = np.asarray(taken)
    labels, predicted = mapped.chosen.labels[group], mapped.predicted[group]
    wrong = int((predicted != labels).sum())
    st.markdown(f"**{wording.counted(len(group), 'image')} in the lasso**")
    counts = np.bincount(labels, minlength=len(CLASSES))
    lines = [
        f"<div>{images.mark(theme.CLASS_COLOURS[label])}{CLASSES[label]}: <b>{counts[label]:,}</b>"
        f" ({wording.percent(counts[label] / len(labels))})</div>"
        for label in np.argsort(-counts, kind="stable")
        if counts[label]
    ]
    st.html(f'<div style="line-height:1.7">{"".join(lines)}</div>')
    st.caption(f"The network predicts {len(group) - wrong} of them correctly and {wrong} wrongly.")
    st.html(gallery.html([mapped.item(int(index), short=True) for index in group[:GROUP]], CLASSES, 52))
    table = pd.DataFrame(
        {
            "image": mapped.chosen.rows[group],
            "true": [CLASSES[label] for label in labels],
            "predicted": [CLASSES[label] for label in predicted],
            "confidence": mapped.probabilities[group].max(axis=1).round(4),
        }
    )
    caption = f"The first {GROUP} are shown." if len(group) > GROUP else ""
    foot(caption, csv_file(table, "fashion-mnist-lasso.csv", "List (CSV)"))
    st.button("Clear", icon=":material/close:", on_click=clear, key="embeddings clear")


# --- Computed from a run ----------------------------------------------------------------------------------------------


def components(run: Run, request: MapRequest, epoch: int) -> PCA:
    """The principal components of the layer, at once."""
    return _components(run, epoch, request.layer, request.split, request.points, request.dimensions)


def neighbours_of(run: Run, request: MapRequest, epoch: int, index: int, number: int) -> NDArray[np.int32]:
    """The images nearest to one of a map's in the layer itself, nearest first: int32 (number,), indices in the map."""
    return _neighbours(run, epoch, request.layer, request.split, request.points, request.metric, index, number)


def _parts(run: Run, split: str, points: int) -> tuple[str, float, float, str, int]:
    """What decides which images a map shows."""
    experiment = run.experiment
    return run.data_name, experiment.validation_fraction, experiment.training_fraction, split, points


@st.cache_resource(show_spinner=False, max_entries=4)
def _images(data: str, validation: float, training: float, split: str, points: int) -> Chosen:
    return chosen(dataset.load(data), validation, training, split, points)


@st.cache_resource(show_spinner=False, max_entries=4)
def _atlas(data: str, validation: float, training: float, split: str, points: int) -> bytes:
    return images.atlas(_images(data, validation, training, split, points).images)


def _values(run: Run, epoch: int, layer: str, split: str, points: int) -> NDArray[np.float32]:
    return features(run.experiment, run.weights(epoch), layer, _images(*_parts(run, split, points)).images)


@per_run(max_entries=64, shared=True)
def _probabilities(run: Run, epoch: int, split: str, points: int) -> NDArray[np.float32]:
    mapped = _images(*_parts(run, split, points))
    if split == "test":
        return run.probabilities(epoch)[mapped.rows]
    return forward.probabilities(run.experiment, run.weights(epoch), mapped.images)


@per_run(max_entries=32, shared=True)
def _components(run: Run, epoch: int, layer: str, split: str, points: int, dimensions: int) -> PCA:
    values = _values(run, epoch, layer, split, points)
    try:
        check_features(values)
    except EmbeddingError:  # it will be said where the map would be
        values = np.zeros_like(values)
    return pca(values, dimensions)


@per_run(max_entries=500)
def _neighbours(
    run: Run, epoch: int, layer: str, split: str, points: int, metric: str, index: int, number: int
) -> NDArray[np.int32]:
    values = _values(run, epoch, layer, split, points)
    indices = nearest_to(values[[index]], values, number + 1, metric).indices[0]
    near: NDArray[np.int32] = indices[indices != index][:number]
    return near
