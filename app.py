"""Home: what this is, three ways in, and the runs so far."""

import streamlit as st

from fmnist_core.data import dataset
from fmnist_core.ui.home import ways_in
from fmnist_core.ui.shared import frame

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
        ways_in.notebook_path(data.name)
    with play.container(border=True, height="stretch"):
        ways_in.free_play()
    with st.container(border=True):
        ways_in.teach()
    ways_in.runs()
