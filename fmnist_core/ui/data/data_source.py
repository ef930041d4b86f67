"""Which data set is in use, and how to get the full one: the download with its progress, and the other ways."""

from __future__ import annotations

import streamlit as st

from fmnist_core.data import dataset
from fmnist_core.data.dataset import CLASSES, Dataset
from fmnist_core.data.download import Downloader, Status
from fmnist_core.settings import settings
from fmnist_core.ui.shared import markdown, progress

PERIOD = 0.5  # seconds between two looks at the download
OTHER_WAYS = """
- On Debian or Ubuntu, install the package: `sudo apt install dataset-fashion-mnist`
- Or put the four files (`train-images-idx3-ubyte.gz` and so on, from
  [github.com/zalandoresearch/fashion-mnist](https://github.com/zalandoresearch/fashion-mnist)) into a folder, and name
  it in the environment variable `FMNIST_DATA` before the app is started.
"""


@st.cache_resource
def _downloader() -> Downloader:
    return Downloader()


def introduction(data: Dataset) -> None:
    """What the data set is, in a sentence, and the offer of the full one where it is not there."""
    train, test = len(data.train_images), len(data.test_images)
    name = "Fashion-MNIST" if data.name == "full" else "A sample of Fashion-MNIST"
    st.markdown(
        f"{name}: photographs of clothes in {len(CLASSES)} classes, **{train:,}** for training and **{test:,}**"
        " for testing, each 28 × 28 pixels from 0 (black) to 255 (white). The task: predict the class from the"
        " pixels."
    )
    if data.name == "sample":
        _offer()


def _offer() -> None:
    with st.container(border=True):
        status = _downloader().status
        if status.state == "running":
            progress.watch(_running, _progress, PERIOD, "download")
            return
        text, button, other = st.columns([5, 3, 2], vertical_alignment="center")
        text.markdown("**This is the embedded sample**, a tenth of the data set. All pages work with it.")
        button.button(
            "Resume the download" if status.state in ("stopped", "failed") else "Download all 70,000 images",
            key="data download",
            icon=":material/download:",
            help="About 31 MB from the internet, once for everyone who uses this server. Running trainings are not"
            " disturbed.",
            on_click=_start,
            disabled=dataset.keras_folder() is None,
            width="stretch",
        )
        with other.popover("Other ways", width="stretch"):
            st.markdown(OTHER_WAYS)
        if dataset.keras_folder() is None:
            st.caption("The user of this server has no home folder: KERAS_HOME can name a folder for the download.")
        if status.state == "failed":
            markdown.error(status.text)
        elif status.state == "stopped":
            st.caption(markdown.escaped(status.text))


def _start() -> None:
    if folder := dataset.keras_folder():
        _downloader().start(folder, settings().mirror)


def _running() -> Status | None:
    status = _downloader().status
    return status if status.state == "running" else None


def _progress(status: Status) -> None:
    progress.bar(status.fraction, f"Downloading all 70,000 images. {markdown.escaped(status.text)}", _downloader().stop)


def facts(data: Dataset) -> None:
    """Counts, shapes and value range, measured."""
    st.header("What the data set contains")
    rows = [
        [name, f"{shape[0]:,}", " × ".join(map(str, shape)), f"`{kind}`", str(low), str(high)]
        for name, (shape, kind, low, high) in _measured(data.name).items()
    ]
    markdown.table(["", "images", "array of pixels", "type", "smallest", "largest"], rows, "lrllr")
    st.caption(
        f"Read from {markdown.escaped(data.source)}. Fashion-MNIST is by Zalando Research (Xiao, Rasul and Vollgraf"
        " 2017, arXiv 1708.07747; MIT licence). An array of shape n × 28 × 28 holds n images of 28 rows of 28 pixels."
    )


@st.cache_data(show_spinner=False, max_entries=2)
def _measured(data_name: str) -> dict[str, tuple[tuple[int, ...], str, int, int]]:
    """Shape, type, smallest and largest value of both image files."""
    data = dataset.load(data_name)
    files = {"training": data.train_images, "test": data.test_images}
    result = {
        name: (pixels.shape, str(pixels.dtype), int(pixels.min()), int(pixels.max())) for name, pixels in files.items()
    }
    dataset.release(data)
    return result
