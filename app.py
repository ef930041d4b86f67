"""Home: what this is, three ways in, and the runs so far."""

import streamlit as st

from fmnist_core import dataset
from fmnist_core.ui import frame, home

with frame.page("Home"):
    st.title("Fashion-MNIST Lab")
    data = dataset.load()
    images = len(data.train_images) + len(data.test_images)
    st.markdown(
        "Watch neural networks learn. Set the layers, press Train, and see a dense network find its way"
        f" through {images:,} pictures of clothes, live, on this machine."
    )
    notebook, play = st.columns(2, gap="medium")
    with notebook.container(border=True, height="stretch"):
        home.notebook_path(data.name)
    with play.container(border=True, height="stretch"):
        home.free_play()
    with st.container(border=True):
        home.teach()
    home.runs()
