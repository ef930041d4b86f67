"""Embeddings: how every layer sees the clothes, from the first epoch to the last, and how far to trust the picture."""

from __future__ import annotations

import streamlit as st

from fmnist_core.ui.embeddings import all_layers, class_separation, mapped_images, one_map
from fmnist_core.ui.embeddings.embeddings_view import STATE, sidebar
from fmnist_core.ui.shared import epoch_slider, frame, run_picker
from fmnist_core.ui.shared.pages import Page


def show() -> None:
    """The whole page."""
    with frame.page(Page.EMBEDDINGS):
        view = STATE.current()
        st.title("What each layer sees")
        st.markdown(
            "Each layer turns an image into a vector. A map draws similar vectors close to each other: watch how"
            " the classes separate, layer by layer and epoch by epoch."
        )
        run = run_picker.choose(STATE, view.run)
        STATE.show_problems()
        if run is None:
            run_picker.nothing_yet()
            return
        with st.sidebar:
            sidebar(view, run, mapped_images.available(run, view.split))
        STATE.draw("part")
        if view.part == "map":
            one_map.show(view, run, epoch_slider.choose(STATE, run, view.epoch))
        elif view.part == "grid":
            all_layers.show(view, run)
        else:
            class_separation.show(view, run)
