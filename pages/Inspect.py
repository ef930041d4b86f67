"""Inspect: one epoch slider through what a network gets right and wrong, and what it has inside."""

import streamlit as st

from fmnist_core.ui import (
    epochs,
    frame,
    inspect_classes,
    inspect_health,
    inspect_image,
    inspect_inside,
    inspect_mistakes,
    inspect_try,
    stored,
)
from fmnist_core.ui.inspect_run import At
from fmnist_core.ui.inspect_view import ADDRESS

SECTIONS = {
    "mistakes": ("Mistakes", inspect_mistakes.show),
    "classes": ("Classes and calibration", inspect_classes.show),
    "image": ("One image", inspect_image.show),
    "inside": ("Inside", inspect_inside.show),
    "health": ("Health", inspect_health.show),
    "try": ("Try it", inspect_try.show),
}

with frame.page("Inspect"):
    view, problems = ADDRESS.current()
    st.title("Inspect a network")
    st.markdown(
        "What a trained network gets right and wrong, and what it has inside, from the first epoch to the last."
    )
    for problem in problems:
        st.warning(problem)
    with st.sidebar:
        run = stored.choose(ADDRESS, view.run)
    if run is None:
        stored.nothing_yet()
    else:
        data = stored.data_of(run)
        epoch = epochs.choose(ADDRESS, run, view.epoch)
        ADDRESS.segments("Section", "section", {name: title for name, (title, _) in SECTIONS.items()}, view.section)
        SECTIONS[view.section][1](At(run, data, epoch), view)
