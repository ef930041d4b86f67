"""All layers at the start, in the middle and at the end of training: small multiples of one film for each layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from fmnist_core.charts import map_panels
from fmnist_core.data.dataset import CLASSES
from fmnist_core.embedding.map_methods import METHODS
from fmnist_core.embedding.neighbours import K
from fmnist_core.engine import analyses
from fmnist_core.experiment import wording
from fmnist_core.experiment.analysis_facts import FrameFacts, GridFacts
from fmnist_core.experiment.layer_names import OUTPUT, layer_heading, layers_of, the_layer
from fmnist_core.store.result_store import Result
from fmnist_core.store.run import Run
from fmnist_core.ui.embeddings import map_gaps, map_trust
from fmnist_core.ui.embeddings.embeddings_view import View
from fmnist_core.ui.embeddings.mapped_images import available, shown
from fmnist_core.ui.shared import analysis_panel
from fmnist_core.ui.shared.downloads import foot, png_file


def show(view: View, run: Run) -> None:
    """The grid, what it says in numbers, and its picture to take away."""
    epochs, layers = few(run.epochs), layers_of(run.experiment)
    request = replace(view, layer=OUTPUT, dimensions=2).request(run, *epochs)
    method = METHODS[request.method]
    headings = [_heading(epoch) for epoch in epochs]
    how = "is rotated to match" if method.components else "starts from"
    st.markdown(
        f"Every layer's map by **{method.title}**, {wording.listed([heading.lower() for heading in headings])}, of the"
        f" same {min(request.points, available(run, view.split)):,} {request.split} images. In each row a map {how} its"
        " neighbour, so the same images stay in about the same place."
    )
    result = analysis_panel.result(analyses.grid_analysis(request, layers), start="Make the maps", draw=None)
    if result is None:
        return
    labels = shown(run, request, epochs[-1]).chosen.labels
    maps = zip(layers, result.arrays["points"], result.facts["layers"], strict=True)
    rows = [_row(layer, points, frames) for layer, points, frames in maps]
    st.html(map_panels.small_multiples(rows, headings, labels, CLASSES))
    st.markdown(_reading(result, layers, epochs))
    title = f"{wording.name(run.experiment)}: every layer by {method.title}"
    caption = f"{request.points:,} {request.split} images; run {run.run_id}"
    foot(
        map_trust.program(result.facts, request),
        png_file(
            lambda: map_panels.sheet(rows, headings, labels, CLASSES, title, caption),
            f"fashion-mnist-layers-{request.method}-{run.run_id}.png",
        ),
    )


def few(kept: Sequence[int]) -> tuple[int, ...]:
    """The first, middle and last checkpointed epoch."""
    return tuple(sorted({kept[0], kept[len(kept) // 2], kept[-1]}))


def _row(layer: str, maps: NDArray[np.float32], frames: Sequence[FrameFacts]) -> map_panels.MapRow:
    captions = tuple(
        "" if "error" in frame else f"neighbours agree {wording.percent(frame['knn_layer'])}" for frame in frames
    )
    drawn = tuple(None if "error" in frame else points for points, frame in zip(maps, frames, strict=True))
    return map_panels.MapRow(layer_heading(layer), drawn, captions)


def _heading(epoch: int) -> str:
    return "Before training" if epoch == 0 else f"Epoch {epoch}"


def _reading(result: Result[GridFacts], layers: Sequence[str], epochs: Sequence[int]) -> str:
    """Whether separation improves over layers and over training, by this run's own numbers."""
    cells = [
        (layer, epoch, frame)
        for layer, frames in zip(layers, result.facts["layers"], strict=True)
        for epoch, frame in zip(epochs, frames, strict=True)
    ]
    gaps = {f"{the_layer(layer)} at epoch {epoch}": frame["error"] for layer, epoch, frame in cells if "error" in frame}
    figures = {(layer, epoch): 100 * frame["knn_layer"] for layer, epoch, frame in cells if "error" not in frame}
    said = [f"Under each map: the share of images whose {K} nearest neighbours *in the layer* vote for their class."]
    pixels, at_the_end = layers[0], [layer for layer in layers[1:] if (layer, epochs[-1]) in figures]
    if (pixels, epochs[-1]) in figures and at_the_end:
        best = max(at_the_end, key=lambda layer: figures[layer, epochs[-1]])
        first = figures.get((best, epochs[0])) if len(epochs) > 1 else None
        before = "" if first is None else f", where it was {first:.1f} % {_heading(epochs[0]).lower()}"
        said.append(
            f"In the pixels it is {figures[pixels, epochs[-1]]:.1f} %; after epoch {epochs[-1]} it is highest in"
            f" {the_layer(best)}, {figures[best, epochs[-1]]:.1f} %{before}."
        )
    return " ".join([*said, "The maps illustrate; judge by these numbers.", map_gaps.told("No map", gaps)]).strip()
