"""Inspect: one epoch slider through what a network gets right and wrong, and what it has inside."""

from __future__ import annotations

import streamlit as st

from fmnist_core.data import dataset
from fmnist_core.ui.inspect import class_scores, health_flags, inside_layers, mistakes, one_image, try_it
from fmnist_core.ui.inspect.inspect_view import STATE
from fmnist_core.ui.inspect.run_at_epoch import At
from fmnist_core.ui.shared import epoch_slider, frame, run_picker
from fmnist_core.ui.shared.pages import Page

SECTIONS = {
    "mistakes": mistakes.show,
    "classes": class_scores.show,
    "image": one_image.show,
    "inside": inside_layers.show,
    "health": health_flags.show,
    "try": try_it.show,
}


def show() -> None:
    """The whole page."""
    with frame.page(Page.INSPECT):
        view = STATE.current()
        st.title("Inspect a network")
        st.markdown(
            "What a trained network predicts correctly and where it is wrong, and what happens inside it, from the"
            " first epoch to the last."
        )
        STATE.show_problems()
        run = run_picker.choose(STATE, view.run)
        if run is None:
            run_picker.nothing_yet()
            return
        at = At(run, dataset.load(run.data_name), epoch_slider.choose(STATE, run, view.epoch))
        STATE.draw("section")
        SECTIONS[view.section](at, view)
