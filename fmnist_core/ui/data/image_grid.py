"""The first picture of page Data: images drawn at random from each class."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from fmnist_core.charts import images, theme
from fmnist_core.data import dataset
from fmnist_core.data.dataset import CLASSES, Dataset, draw
from fmnist_core.experiment import wording
from fmnist_core.ui.data.data_view import MOST_DRAWS, STATE, View
from fmnist_core.ui.shared.downloads import foot, png_file


def show(data: Dataset, view: View) -> None:
    """Controls, the grid, and its download."""
    _controls(view)
    if not view.classes:
        st.info("No class is chosen: choose at least one above to see its images.")
        return
    fraction = view.validation_fraction if view.split != "test" else 0.0
    drawing = (data.name, view.split, fraction, view.number, view.classes, view.seed)
    st.html(_html(*drawing))
    sample = "" if data.name == "full" else " of the embedded sample"
    caption = (
        f"{wording.counted(view.number, 'image')} of each class, drawn at random from the {view.split} images{sample}"
        f" with seed {view.seed}."
    )
    name = f"fashion-mnist-{view.split}-seed-{view.seed}.png"
    foot(caption, png_file(lambda: images.sheet(_rows(*drawing), view.number, caption), name))


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
    pictures, labels, file = data.train_images, data.train_labels, "training"
    if split == "test":
        pictures, labels, file = data.test_images, data.test_labels, "test"
    rows, result = part_rows(labels, split, validation_fraction), []
    for label in classes:
        drawn = draw(labels, rows, label, number, seed)
        numbers = ", ".join(f"{row:,}" for row in drawn)
        description = f"{CLASSES[label]}: {file} {'image' if len(drawn) == 1 else 'images'} number {numbers}"
        result.append(images.Row(CLASSES[label], theme.CLASS_COLOURS[label], pictures[drawn], description))
    return result


@st.cache_data(show_spinner=False, max_entries=64)
def _html(
    data_name: str, split: str, validation_fraction: float, number: int, classes: tuple[int, ...], seed: int
) -> str:
    return images.grid(_rows(data_name, split, validation_fraction, number, classes, seed), number)
