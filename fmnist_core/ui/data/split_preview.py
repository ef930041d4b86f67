"""The split into training, validation and test images, with the validation share as a slider."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from fmnist_core.charts import dataset_charts as charts
from fmnist_core.data import dataset
from fmnist_core.data.dataset import CLASSES, Dataset
from fmnist_core.ui.data.data_view import STATE, View
from fmnist_core.ui.shared.downloads import csv_file, foot

REASONS = {
    "training": "The network learns from these: every step updates the weights by them.",
    "validation": "Not used for training. Measured after each epoch, they show whether it learns or memorises, and help to choose settings.",
    "test": "Untouched by the slider, and measured once, at the end: choosing settings by them would make the result look too good.",
}


def show(data: Dataset, view: View) -> None:
    """Slider, what each part is for, and the class balance that follows."""
    st.header("Training, validation, test")
    STATE.draw("validation_fraction", format="percent", width=420)
    counts = _counts(data.name, view.validation_fraction)
    for column, (part, reason) in zip(st.columns(3, gap="medium"), REASONS.items(), strict=True):
        column.metric(part.capitalize(), f"{counts[part].sum():,}")
        column.caption(reason)
    st.altair_chart(charts.balance(counts, CLASSES), key="balance")
    table = pd.DataFrame({"class": CLASSES, **counts})
    foot(
        "The split is stratified: the same fraction of each class is drawn at random, always with the same seed"
        f" ({dataset.SPLIT_SEED}). So no class is rare in any part, and two runs differ only in their settings.",
        csv_file(table, "fashion-mnist-split.csv", "Figures (CSV)"),
    )


@st.cache_data(show_spinner=False, max_entries=100)
def _counts(data_name: str, validation_fraction: float) -> dict[str, NDArray[np.int64]]:
    """Images of each class in each part, int64 (classes,)."""
    data = dataset.load(data_name)
    parts = dataset.split_of(data_name, validation_fraction)
    labels = (data.train_labels[parts.train], data.train_labels[parts.validation], data.test_labels)
    return {part: np.bincount(own, minlength=len(CLASSES)) for part, own in zip(REASONS, labels, strict=True)}
