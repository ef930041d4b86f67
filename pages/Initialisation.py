"""Initialisation: Glorot & Bengio (2010) on one's own network: why the first weights decide whether deep layers learn."""

import streamlit as st

from fmnist_core.ui import (
    frame,
    initialisation_after,
    initialisation_live,
    initialisation_notebook,
    initialisation_table1,
    initialisation_training,
    initialisation_why,
)
from fmnist_core.ui.initialisation_view import ADDRESS

PARTS = {
    "why": "Why",
    "live": "At the start, live",
    "training": "During training",
    "notebook": "The notebook's comparison",
    "table1": "Table 1",
    "after": "After Glorot",
}

with frame.page("Initialisation"):
    view, problems = ADDRESS.current()
    st.title("How weights begin")
    st.markdown(
        "Before the first step of training, weights are drawn at random. How widely they are spread decides whether a deep"
        " network learns at all: Glorot & Bengio (2010), step by step, on your own network."
    )
    for problem in problems:
        st.warning(problem)
    ADDRESS.segments("What to see", "part", PARTS, view.part)
    match view.part:
        case "live":
            with st.sidebar:
                initialisation_live.controls(view)
            initialisation_live.show(view)
        case "training":
            with st.sidebar:
                initialisation_training.controls(view)
            initialisation_training.show(view)
        case "notebook":
            initialisation_notebook.show()
        case "table1":
            initialisation_table1.show(view)
        case "after":
            initialisation_after.show()
        case _:
            initialisation_why.show(view)
