"""The first picture of page Data: images drawn at random from each class."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from fmnist_core.charts import images, theme
from fmnist_core.data import dataset
from fmnist_core.data.class_draw import draw
from fmnist_core.data.dataset import CLASSES, Dataset
from fmnist_core.ui.data.data_view import MOST_DRAWS, STATE, View
from fmnist_core.ui.shared.downloads import foot


def show(data: Dataset, view: View) -> None:
    """Controls, the grid, and its download."""
    _controls(view)
    if not view.classes:
        st.info("No class is chosen: choose at least one above to see its images.")
        return
    part = (data.name, view.split, view.validation_fraction if view.split != "test" else 0.0)
    drawing = (view.number, view.classes, view.seed)
    st.html(_html(*part, *drawing))
    told = caption(data, view)
    name = f"fashion-mnist-{view.split}-seed-{view.seed}.png"
    foot(told, ("Picture (PNG)", lambda: images.sheet(_rows(*part, *drawing), view.number, told), name, "image/png"))


def caption(data: Dataset, view: View) -> str:
    """What the grid shows, in one sentence."""
    each = "1 image" if view.number == 1 else f"{view.number} images"
    name = "" if data.name == "full" else " of the embedded sample"
    return f"{each} of each class, drawn at random from the {view.split} images{name} with seed {view.seed}."


def _controls(view: View) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        STATE.draw("split")
        STATE.draw("number", width=220)
        STATE.draw("seed", width=140)
        following = (view.seed + 1) % (MOST_DRAWS + 1)
        st.button(
            "Draw again",
            key="data new draw",
            icon=":material/casino:",
            help="Uses the next seed: other images, and the same ones again for the same seed.",
            on_click=STATE.change,
            kwargs={"seed": following},
        )
    STATE.draw("classes")


def part_rows(labels: NDArray[np.uint8], split: str, validation_fraction: float) -> NDArray[np.int32]:
    """The row numbers of one part; `labels` are the training labels, or the test labels for split "test"."""
    if split == "test":
        return np.arange(len(labels), dtype=np.int32)
    parts = dataset.split(labels, validation_fraction)
    return parts.train if split == "training" else parts.validation


def _rows(
    data_name: str, split: str, validation_fraction: float, number: int, classes: tuple[int, ...], seed: int
) -> list[images.Row]:
    data = dataset.load(data_name)
    test = split == "test"
    pictures, labels = (data.test_images, data.test_labels) if test else (data.train_images, data.train_labels)
    rows = part_rows(labels, split, validation_fraction)
    chosen = {label: draw(labels, rows, label, number, seed) for label in classes}
    file = "test" if test else "training"
    return [
        images.Row(CLASSES[label], theme.CLASS_COLOURS[label], pictures[own], _description(file, label, own))
        for label, own in chosen.items()
    ]


def _description(file: str, label: int, rows: NDArray[np.int32]) -> str:
    numbers = ", ".join(f"{row:,}" for row in rows)
    return f"{CLASSES[label]}: {file} {'image' if len(rows) == 1 else 'images'} number {numbers}"


@st.cache_data(show_spinner=False, max_entries=64)
def _html(
    data_name: str, split: str, validation_fraction: float, number: int, classes: tuple[int, ...], seed: int
) -> str:
    return images.grid(_rows(data_name, split, validation_fraction, number, classes, seed), number)
