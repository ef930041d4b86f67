"""Section One image: its probabilities over the epochs, what it does in each layer, and its nearest training images."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from fmnist_core.charts import epoch_lines, gallery, unit_images
from fmnist_core.data import dataset
from fmnist_core.data.dataset import CLASSES
from fmnist_core.experiment import wording
from fmnist_core.experiment.activations import ACTIVATIONS, Array
from fmnist_core.findings import evaluation
from fmnist_core.findings import layer_measures as measures
from fmnist_core.network import forward
from fmnist_core.store.run import Run
from fmnist_core.ui.inspect import mistakes, run_at_epoch
from fmnist_core.ui.inspect.inspect_view import ORDERS, STATE, View
from fmnist_core.ui.inspect.run_at_epoch import At
from fmnist_core.ui.shared import chart_view
from fmnist_core.ui.shared.downloads import csv_file, foot
from fmnist_core.ui.shared.per_run import per_run

NEAREST, EACH = 8, 600  # neighbours shown, and training images of each class among which they are sought


class Near(NamedTuple):
    """The nearest training images in one layer: rows int32 (k,) and distances float32 (k,)."""

    title: str
    rows: NDArray[np.int32]
    distances: NDArray[np.float32]


def show(at: At, view: View) -> None:
    """Choice of the image, then three parts."""
    predictions = run_at_epoch.predictions(at)
    if predictions is None:
        return
    row = min(view.image, len(at.data.test_labels) - 1)
    _choose(at, view, row, mistakes.behind(view, predictions, at.data.test_labels))
    true = int(at.data.test_labels[row])
    picture, course = st.columns([1, 3], gap="large")
    item = gallery.Item(f"Test image {row:,}: {CLASSES[true]}", at.data.test_images[row], predictions[row], true)
    picture.html(gallery.html([item], CLASSES, width=210))
    table = epoch_lines.probability_rows(_course(at.run, row), CLASSES, true)
    with course:
        chart_view.show(epoch_lines.probabilities(table, CLASSES, at.epoch), key="course")
    with course:
        foot(
            f"Dashed line: the epoch of the slider. Classes that stay below {wording.percent(epoch_lines.SHOWN)} at"
            " every checkpointed epoch of training are not shown; before training, at epoch 0, they may have been"
            " above.",
            csv_file(table[["epoch", "class", "probability"]], f"{at.stem}-image-{row}.csv"),
        )
    layers(at, at.data.test_images[row], f"{at.stem}-image-{row}")
    neighbours(at, at.data.test_images[row], f"test {row}", true)


def _choose(at: At, view: View, row: int, rows: evaluation.Rows) -> None:
    """rows: the images that are gone through, of the cell that is chosen in section Mistakes, or all mistakes."""
    last = len(at.data.test_labels) - 1
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        STATE.draw("image", row, max_value=last, width=170)
        indices = {int(number): index for index, number in enumerate(rows)}
        following = int(rows[(indices.get(row, -1) + 1) % len(rows)]) if len(rows) else row
        st.button(
            f"Next {mistakes.title(view)}" if view.cell else "Next mistake",
            icon=":material/skip_next:",
            help=f"{ORDERS[view.order]}, at this epoch. Choose the cell and the order in section Mistakes.",
            on_click=STATE.change,
            kwargs={"image": following},
            disabled=not len(rows),
        )
        drawn = int(np.random.default_rng(row).integers(0, last + 1))
        st.button("Any image", icon=":material/casino:", on_click=STATE.change, kwargs={"image": drawn})
    if view.image > last:
        st.caption(f"There is no test image {view.image:,} in this run's data set: the last one, {last:,}, is shown.")


@per_run(max_entries=200)
def _course(run: Run, row: int) -> dict[int, NDArray[np.float32]]:
    """The probabilities of one test image by epoch; epochs at which they are no numbers are left out."""
    images = len(dataset.load(run.data_name).test_labels)
    course = {epoch: run_at_epoch.probabilities(run, epoch, images)[row].copy() for epoch in run.epochs}
    return {epoch: values for epoch, values in course.items() if np.isfinite(values).all()}


# --- Parts that section Try it shows, too ----------------------------------------------------------------------------


def layers(at: At, image: NDArray[np.uint8], stem: str) -> None:
    """What the image does in each layer, unit by unit."""
    st.header("What happens in each layer")
    experiment = at.run.experiment
    values = {
        layer.name: layer.values[0] for layer in forward.layers(experiment, at.run.weights(at.epoch), image[None])
    }
    strips = [
        unit_images.Layer(title, _summary(experiment.activation, values[name]), values[name])
        for name, title in measures.shown_layers(experiment).items()
        if name.startswith("activation")
    ]
    logits = values["logits"]
    summary = f"pre-activations of the ten classes, largest: {CLASSES[int(logits.argmax())]}"
    strips.append(unit_images.Layer("Output, before the softmax", summary, logits, CLASSES))
    st.html(unit_images.layer_strips(strips))
    rows = [(layer.title, unit, float(value)) for layer in strips for unit, value in enumerate(layer.values)]
    foot(
        "Each square is a unit: grey is 0, orange above, blue below; each layer has its own scale, set by its largest"
        " value.",
        csv_file(pd.DataFrame(rows, columns=["layer", "unit", "value"]), f"{stem}-layers.csv", "Values (CSV)"),
    )


def _summary(activation: str, values: Array) -> str:
    """A layer's values in a few words."""
    if ACTIVATIONS[activation].rectifies:
        return f"{int((values > 0).sum()):,} of {len(values):,} units above 0, largest {values.max():.2f}"
    return f"{len(values):,} units from {values.min():.2f} to {values.max():.2f}"


def neighbours(at: At, image: NDArray[np.uint8], name: str, true: int | None) -> None:
    """The nearest training images in each layer. name: of the image, in caches. true: its class, where it has one."""
    st.header("The nearest training images, layer by layer")
    pictures, labels = at.data.train_images, at.data.train_labels
    strips, rows = [], []
    for near in _nearest(at.run, at.epoch, name, image):
        classes = labels[near.rows]
        strips.append(gallery.strip(near.title, _mix(classes, true), pictures[near.rows], classes, CLASSES))
        for row, label, distance in zip(near.rows, classes, near.distances, strict=True):
            rows.append((near.title, int(row), CLASSES[label], float(distance)))
    st.html("".join(strips))
    table = pd.DataFrame(rows, columns=["layer", "training_image", "class", "distance"])
    number = len(run_at_epoch.training_rows(at.run, EACH))
    foot(
        f"Nearest by the Euclidean distance between the layer's values, nearest first, among {number:,} of the images"
        " that the network was trained on, equally many of each class.",
        csv_file(table, f"{at.stem}-nearest.csv"),
    )


def _mix(labels: NDArray[np.uint8], true: int | None) -> str:
    """Which classes the neighbours have: "5 of 8 have its class, Shirt"."""
    counts = np.bincount(labels, minlength=len(CLASSES))
    if true is not None:
        return f"{counts[true]} of {len(labels)} are of its class, {CLASSES[true]}"
    most = int(counts.argmax())
    return f"{counts[most]} of {len(labels)} are {CLASSES[most]}"


@per_run(max_entries=200, spinner="Comparing with training images")
def _nearest(run: Run, epoch: int, name: str, _image: NDArray[np.uint8]) -> list[Near]:
    rows = run_at_epoch.training_rows(run, EACH)
    images = dataset.load(run.data_name).train_images[rows]
    nearest = measures.nearest(run.experiment, run.weights(epoch), _image, images, NEAREST)
    titles = measures.shown_layers(run.experiment)
    return [Near(titles[layer], rows[near.indices[0]], near.distances[0]) for layer, near in nearest.items()]
