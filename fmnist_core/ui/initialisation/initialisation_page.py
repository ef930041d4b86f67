"""Initialisation: Glorot & Bengio (2010) on one's own network, and why the first weights decide how it learns."""

from __future__ import annotations

import streamlit as st

from fmnist_core.ui.initialisation import (
    after_glorot,
    compared_in_training,
    live_layers,
    notebook_comparison,
    table1_section,
    why_it_matters,
)
from fmnist_core.ui.initialisation.initialisation_view import STATE
from fmnist_core.ui.shared import frame
from fmnist_core.ui.shared.pages import Page


def show() -> None:
    """The whole page."""
    with frame.page(Page.INITIALISATION):
        view = STATE.current()
        st.title("Weight initialisation")
        st.markdown(
            "Before the first step of training, weights are drawn at random. The variance of these weights decides"
            " whether a deep network learns at all: Glorot & Bengio (2010), step by step, on your own network."
        )
        STATE.show_problems()
        STATE.draw("part")
        match view.part:
            case "live":
                with st.sidebar:
                    live_layers.controls()
                live_layers.show(view)
            case "training":
                with st.sidebar:
                    compared_in_training.controls()
                compared_in_training.show(view)
            case "notebook":
                notebook_comparison.show()
            case "table1":
                table1_section.show(view)
            case "after":
                after_glorot.show()
            case _:
                why_it_matters.show(view)
