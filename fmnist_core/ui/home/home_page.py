"""Home: what this is, three ways in, and the runs so far."""

from __future__ import annotations

import streamlit as st

from fmnist_core.data import dataset
from fmnist_core.ui.home import ways_in
from fmnist_core.ui.shared import frame
from fmnist_core.ui.shared.pages import Page


def show() -> None:
    """The whole page."""
    with frame.page(Page.HOME):
        st.title("Fashion-MNIST Lab")
        data = dataset.load()
        images = len(data.train_images) + len(data.test_images)
        st.markdown(
            "Watch neural networks learn. Set the layers, press Train, and see a dense network learn"
            f" from {images:,} pictures of clothes, live, on this machine."
        )
        notebook, play = st.columns(2, gap="medium")
        with notebook.container(border=True, height="stretch"):
            ways_in.notebook_path(data.name)
        with play.container(border=True, height="stretch"):
            ways_in.free_play()
        with st.container(border=True):
            ways_in.teach()
        ways_in.runs()
