"""Dropout explained: one image's way through a network under several masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from fmnist_core.charts import dropout_masks, images
from fmnist_core.data.dataset import CLASSES, Dataset
from fmnist_core.experiment import wording
from fmnist_core.network import forward
from fmnist_core.store.run import Run
from fmnist_core.ui.compare import explained_parts as parts
from fmnist_core.ui.shared import chart_view, session
from fmnist_core.ui.shared.per_run import per_run

CANDIDATES = 200  # Training images that are shown, the one that the network is least sure of first.
LAST = 10  # Steps whose masks are compared.


class Masks(NamedTuple):
    """One image under several masks.

    values, kept: of the first hidden layer under the newest, (units,). highest: what a unit hands on at most.
    probabilities: of the image's class, by step. full: with all units on.
    """

    values: NDArray[np.float32]
    kept: NDArray[np.bool_]
    highest: float
    probabilities: dict[int, float]
    full: float


def show(run: Run, runs: Sequence[Run], data: Dataset) -> None:
    """One image under the masks of LAST steps: which units are off in the newest, and what the network answers."""
    rate = run.experiment.dropout
    step = LAST + session.DROPOUT_STEP.get(run.run_id)
    rows = _least_sure(run, data)
    row = int(rows[session.DROPOUT_IMAGE.get(run.run_id) % len(rows)])
    masks, name = _masks(run, data, row, step), CLASSES[data.train_labels[row]]
    text, picture = parts.explanation(
        f"**Dropout {rate:g}.** In each training step each hidden unit is set to 0 with probability {rate:g},"
        f" separately for each image. The others are divided by {1 - rate:g}, so that pre-activations stay as"
        " large on average. No unit can rely on another one, so each must be useful by itself. At test time"
        " all units are on. ([Srivastava et al. 2014](https://jmlr.org/papers/v15/srivastava14a.html))"
    )
    with text:
        caption = f"Training image {row:,}: {name}"
        source = images.source(images.enlarged(Image.fromarray(np.asarray(data.train_images[row])), 8))
        st.html(f'<img src="{source}" alt="{caption}" style="width:112px;display:block"><small>{caption}</small>')
        with st.container(horizontal=True):
            st.button("New step", icon=":material/skip_next:", on_click=_next, args=(session.DROPOUT_STEP, run))
            st.button("Next image", icon=":material/image:", on_click=_next, args=(session.DROPOUT_IMAGE, run))
    with picture:
        off, units = int((~masks.kept).sum()), len(masks.kept)
        share = wording.percent(off / units)
        title = f"Step {step}: {off:,} of {units:,} units of the first hidden layer are off ({share})"
        st.markdown(f"**{title}**")
        st.html(dropout_masks.unit_grid(masks.values, masks.kept, masks.highest, title))
        chart_view.show(dropout_masks.masks(masks.probabilities, masks.full, name), key="regulariser masks")
    batch = f" Each is evaluated in a batch of {parts.BATCH}, for batch normalisation."
    st.caption(
        f"{parts.measured_on(run)} {parts.when(run.epochs[-1])}. Its weights are fixed: only the masks change from step"
        f" to step. The images are the first {len(rows)} it was trained on, those with a probability nearest 0.5"
        f" first.{batch if run.experiment.batch_norm else ''}"
    )


def _next(entry: session.Entry[int], run: Run) -> None:
    entry.set(entry.get(run.run_id) + 1, run.run_id)


@per_run(max_entries=200)
def _least_sure(run: Run, data: Dataset) -> NDArray[np.int32]:
    """The first CANDIDATES training images by how near to 0.5 their class's probability is: there masks show most."""
    rows, weights = parts.training_rows(run, data)[:CANDIDATES], parts.weights(run, run.epochs[-1])
    probabilities = forward.probabilities(run.experiment, weights, data.train_images[rows])
    distances = np.abs(probabilities[np.arange(len(rows)), data.train_labels[rows]] - 0.5)
    nearest: NDArray[np.int32] = rows[distances.argsort(kind="stable")]
    return nearest


@per_run(max_entries=200)
def _masks(run: Run, data: Dataset, row: int, step: int) -> Masks:
    experiment, epoch, label = run.experiment, run.epochs[-1], int(data.train_labels[row])
    weights = parts.weights(run, epoch)
    # Batch normalisation needs a batch: the image passes with other training images.
    others = parts.training_rows(run, data)[: parts.BATCH - 1] if experiment.batch_norm else ()
    pixels = data.train_images[[row, *others]]
    full = float(forward.probabilities(experiment, weights, pixels[:1])[0, label])
    probabilities: dict[int, float] = {}
    for number in range(step - LAST + 1, step + 1):
        outputs = dict(forward.layers(experiment, weights, pixels, parts.generator(run, number), training=True))
        probabilities[number] = float(outputs["output"][0, label])
    parts.check(run, epoch, np.array([full, *probabilities.values()], np.float32))
    kept = forward.kept(parts.generator(run, step), experiment.dropout, outputs["dropout_1"].shape)[0]
    highest = float(np.abs(outputs["activation_1"][0]).max()) / (1 - experiment.dropout)
    return Masks(outputs["dropout_1"][0], kept, highest, probabilities, full)
