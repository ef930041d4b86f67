"""Data: look at the images before a network does: what they are, how they are prepared and split."""

from __future__ import annotations

import streamlit as st

from fmnist_core.data import dataset
from fmnist_core.ui.data import class_overview, data_source, data_view, image_grid, preparation_steps
from fmnist_core.ui.shared import frame
from fmnist_core.ui.shared.pages import Page


def show() -> None:
    """The whole page."""
    with frame.page(Page.DATA):
        data = dataset.load()
        view = data_view.STATE.current()
        st.title("Look at the images")
        data_source.introduction(data)
        data_view.STATE.show_problems()
        image_grid.show(data, view)
        data_source.facts(data)
        class_overview.show(data)
        preparation_steps.steps(data, view)
        preparation_steps.split(data, view)
