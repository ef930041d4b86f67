"""What each class looks like: its mean image, how bright its pixels are, and which other classes it resembles."""

from __future__ import annotations

import streamlit as st

from fmnist_core.charts import dataset_charts as charts
from fmnist_core.charts import images, theme
from fmnist_core.data import class_pixels, dataset
from fmnist_core.data.class_pixels import ClassPixels
from fmnist_core.data.dataset import CLASSES, Dataset
from fmnist_core.experiment import wording
from fmnist_core.ui.shared import chart_view
from fmnist_core.ui.shared.downloads import csv_file, foot, png_file

PAIRS = 6


def show(data: Dataset) -> None:
    """Three sections over all training images."""
    pixels = _described(data.name)
    rows = _mean_rows(pixels)
    st.header("The mean image of each class")
    st.html(images.grid(rows, 1))
    foot(
        "Each pixel is the mean of that pixel over all training images of the class. Where a mean image is"
        " sharp, the images of the class agree; where it is blurred, they differ.",
        png_file(lambda: images.sheet(rows, 1, "Mean images"), "fashion-mnist-means.png"),
    )
    st.header("How bright the pixels are")
    _intensities(pixels)
    st.header("Which classes look alike")
    _similar(pixels, rows)


@st.cache_data(show_spinner="Measuring the images", max_entries=2)
def _described(data_name: str) -> ClassPixels:
    data = dataset.load(data_name)
    pixels = class_pixels.describe(
        data.train_images, data.train_labels, data.test_images, data.test_labels, len(CLASSES)
    )
    dataset.release(data)
    return pixels


def _mean_rows(pixels: ClassPixels) -> list[images.Row]:
    """One row a class, its mean image rounded to whole grey values."""
    grey = pixels.means.round().astype("uint8")
    return [
        images.Row(name, theme.CLASS_COLOURS[label], grey[label : label + 1], f"Mean image of class {name}")
        for label, name in enumerate(CLASSES)
    ]


def _intensities(pixels: ClassPixels) -> None:
    rows = charts.intensity_rows(pixels.intensities, CLASSES)
    chart_view.show(charts.intensity_ridges(rows, CLASSES), key="intensities")
    foot(
        "All training images. Beside each name: the share of its pixels that are exactly 0 (the background). The"
        " ridge shows the distribution of the other pixels over the grey values; all ridges have the same area.",
        csv_file(rows, "fashion-mnist-intensities.csv", "Figures (CSV)"),
    )


def _similar(pixels: ClassPixels, means: list[images.Row]) -> None:
    st.markdown(
        "**The measure:** of the training images of two classes, the share that lies nearer to the *other*"
        " class's mean image than to its own (Euclidean distance over the 784 pixels). At 0 % the two mean images"
        " alone separate the classes; at 50 % they are no help at all."
    )
    rows = charts.similarity_rows(pixels.mixed_up, CLASSES)
    st.markdown("**The most similar pairs**")
    st.html(images.pairs(pixels.closest_pairs(PAIRS), means))
    chart_view.show(charts.similarity_map(rows, CLASSES), width=680, key="similarity")
    foot(
        "Predicting the class of the nearest of the ten mean images is correct for"
        f" {wording.percent(pixels.accuracy)} of the test images. The measure knows nothing but mean images: a"
        " network also learns finer differences, and page Train shows how far that goes.",
        csv_file(rows, "fashion-mnist-similarity.csv", "Figures (CSV)"),
    )
