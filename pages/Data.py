"""Data: look at the images before a network does: what they are, how they are prepared and split."""

import streamlit as st

from fmnist_core import dataset
from fmnist_core.ui import data_classes, data_grid, data_source, data_split, data_steps, data_view, frame

with frame.page("Data"):
    data = dataset.load()
    view, problems = data_view.ADDRESS.current()
    st.title("Look at the images")
    data_source.introduction(data)
    for problem in problems:
        st.warning(problem)
    data_grid.show(data, view)
    data_source.facts(data)
    data_classes.show(data)
    data_steps.show(data, view)
    data_split.show(data, view)
