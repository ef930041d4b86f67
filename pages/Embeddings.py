"""Embeddings: how every layer sees the clothes, from the first epoch to the last, and how far to trust the picture."""

import streamlit as st

from fmnist_core.ui import (
    embeddings_controls,
    embeddings_grid,
    embeddings_map,
    embeddings_separation,
    embeddings_shown,
    epochs,
    frame,
    stored,
)
from fmnist_core.ui.embeddings_view import ADDRESS

PARTS = {"map": "One layer", "grid": "All layers over training", "separation": "Separation in numbers"}

with frame.page("Embeddings"):
    view, problems = ADDRESS.current()
    st.title("How layers see the clothes")
    st.markdown(
        "Each layer turns an image into a list of numbers. A map draws lists that are alike close to each other:"
        " watch how the classes come apart, layer by layer and epoch by epoch."
    )
    with st.sidebar:
        run = embeddings_controls.run(view)
    for problem in problems:
        st.warning(problem)
    if run is None:
        stored.nothing_yet()
    else:
        with st.sidebar:
            embeddings_controls.show(view, run, embeddings_shown.available(run, view.split))
        ADDRESS.segments("What to see", "part", PARTS, view.part)
        if view.part == "map":
            embeddings_map.show(view, run, epochs.choose(ADDRESS, run, view.epoch))
        elif view.part == "grid":
            embeddings_grid.show(view, run)
        else:
            embeddings_separation.show(view, run)
