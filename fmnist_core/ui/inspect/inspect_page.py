"""Inspect: one epoch slider through what a network gets right and wrong, and what it has inside."""

from __future__ import annotations

import streamlit as st

from fmnist_core.ui.inspect import class_scores, health_flags, inside_layers, mistakes, one_image, try_it
from fmnist_core.ui.inspect.inspect_view import ADDRESS
from fmnist_core.ui.inspect.run_at_epoch import At
from fmnist_core.ui.shared import epoch_slider, frame, run_picker
from fmnist_core.ui.shared.pages import Page

SECTIONS = {
    "mistakes": ("Mistakes", mistakes.show),
    "classes": ("Classes and calibration", class_scores.show),
    "image": ("One image", one_image.show),
    "inside": ("Inside", inside_layers.show),
    "health": ("Health", health_flags.show),
    "try": ("Try it", try_it.show),
}


def show() -> None:
    """The whole page."""
    with frame.page(Page.INSPECT):
        view, problems = ADDRESS.current()
        st.title("Inspect a network")
        st.markdown(
            "What a trained network predicts correctly and where it is wrong, and what happens inside it, from the first epoch to the last."
        )
        for problem in problems:
            st.warning(problem)
        with st.sidebar:
            run = run_picker.choose(ADDRESS, view.run)
        if run is None:
            run_picker.nothing_yet()
        else:
            data = run_picker.data_of(run)
            epoch = epoch_slider.choose(ADDRESS, run, view.epoch)
            ADDRESS.segments("Section", "section", {name: title for name, (title, _) in SECTIONS.items()}, view.section)
            SECTIONS[view.section][1](At(run, data, epoch), view)
