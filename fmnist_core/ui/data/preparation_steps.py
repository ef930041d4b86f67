"""Preparation: what happens to an image before a network sees it, and how the images are split."""

from __future__ import annotations

import random

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from fmnist_core.charts import dataset_charts, images, preparation, theme
from fmnist_core.data import dataset
from fmnist_core.data.dataset import CLASSES, Dataset
from fmnist_core.ui.data.data_view import STATE, View
from fmnist_core.ui.shared import chart_view
from fmnist_core.ui.shared.downloads import csv_file, foot, png_file

# Of each part: what it is for.
REASONS = {
    "training": "The network learns from these: every step updates the weights by them.",
    "validation": (
        "Not used for training. Measured after each epoch, they show whether it learns or memorises, and help to"
        " choose settings."
    ),
    "test": (
        "Untouched by the slider, and measured once, at the end: choosing settings by them would make the result"
        " look too good."
    ),
}


def steps(data: Dataset, view: View) -> None:
    """Choice of an image, then what happens to it, step by step."""
    st.header("From image to input")
    _choice(len(data.train_images))
    image, label = np.asarray(data.train_images[view.image]), int(data.train_labels[view.image])
    st.subheader("1. Scale the pixels")
    st.markdown(
        "Each pixel is divided by 255. **Why:** initial weights and learning rates are chosen for inputs of"
        " about 1; with inputs up to 255 the first steps would be far too large. Here the network's own first"
        " layer, `rescale`, does this, so that images take one byte per pixel in memory."
    )
    st.html(preparation.before_and_after(image, f"Training image number {view.image:,}, class {CLASSES[label]}"))
    st.subheader("2. Flatten the image")
    st.markdown(
        "The 28 rows are joined end to end: a square of 28 × 28 becomes a vector of 784 numbers. **Why:** a"
        " dense layer takes a vector. It connects every number to every unit, so it does not know which pixels"
        " are neighbours."
    )
    st.html(preparation.flat(image))
    st.subheader("3. One-hot encode the label")
    st.markdown(
        f"The label {label} ({CLASSES[label]}) becomes ten numbers: a 1 at its index, 0 elsewhere. **Why:** the"
        " network outputs ten probabilities, and the loss compares the two vectors; class numbers have no order,"
        " so 9 is not “more” than 0. (The app stores the class number; sparse categorical cross-entropy picks the"
        " right probability, with the same result.)"
    )
    st.html(preparation.one_hot(label, CLASSES, theme.CLASS_COLOURS))
    name = f"fashion-mnist-training-{view.image}"
    foot(
        "The CSV file has one line per pixel, in flattened order, with the stored and the scaled value.",
        png_file(lambda: images.png(images.enlarged(Image.fromarray(image), 16)), f"{name}.png", "Image (PNG)"),
        csv_file(lambda: _table(image), f"{name}.csv", "Its 784 numbers (CSV)"),
    )


def _choice(number: int) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        STATE.draw("image", label=f"Training image (0 to {number - 1:,})", max_value=number - 1, width=220)
        st.button(
            "Another image",
            icon=":material/casino:",
            on_click=lambda: STATE.change(image=random.randrange(number)),
            help="Picks one at random. The tooltip of a row in the grid above gives the numbers of its images.",
        )


def _table(image: NDArray[np.uint8]) -> pd.DataFrame:
    """One row a pixel, in the flat order: place, row, column, stored value, scaled value."""
    rows, columns = np.indices(image.shape)
    flat = image.ravel()
    named = {"place": np.arange(flat.size), "row": rows.ravel(), "column": columns.ravel()}
    return pd.DataFrame({**named, "stored": flat, "scaled": (flat / 255).round(6)})


def split(data: Dataset, view: View) -> None:
    """Training, validation and test images: a slider, what each part is for, and the class balance that follows."""
    st.header("Training, validation, test")
    STATE.draw("validation_fraction", format="percent", width=420)
    counts = _counts(data.name, view.validation_fraction)
    for column, (part, reason) in zip(st.columns(3, gap="medium"), REASONS.items(), strict=True):
        column.metric(part.capitalize(), f"{counts[part].sum():,}")
        column.caption(reason)
    chart_view.show(dataset_charts.balance(counts, CLASSES), key="balance")
    foot(
        "The split is stratified: the same fraction of each class is drawn at random, always with the same seed"
        f" ({dataset.SPLIT_SEED}). So no class is rare in any part, and two runs differ only in their settings.",
        csv_file(pd.DataFrame({"class": CLASSES, **counts}), "fashion-mnist-split.csv", "Figures (CSV)"),
    )


@st.cache_data(show_spinner=False, max_entries=100)
def _counts(data_name: str, validation_fraction: float) -> dict[str, NDArray[np.int64]]:
    """Images of each class in each part, int64 (classes,)."""
    data = dataset.load(data_name)
    parts = dataset.split_of(data_name, validation_fraction)
    labels = (data.train_labels[parts.train], data.train_labels[parts.validation], data.test_labels)
    return {part: np.bincount(each, minlength=len(CLASSES)) for part, each in zip(REASONS, labels, strict=True)}
