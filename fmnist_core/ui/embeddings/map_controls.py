"""The sidebar of page Embeddings: which layer of which run, which images, by which method."""

from __future__ import annotations

import streamlit as st

from fmnist_core.embedding.map_methods import METHODS
from fmnist_core.experiment.layer_names import layer_heading, layers_of
from fmnist_core.findings.map_request import SETTINGS
from fmnist_core.store.run import Run
from fmnist_core.ui.embeddings.embeddings_view import STATE, View
from fmnist_core.ui.shared import run_picker


def run(view: View) -> Run | None:
    """The run, from the sidebar; None where none is stored."""
    return run_picker.choose(STATE, view.run)


def show(view: View, run: Run, images: int) -> None:
    """The controls of the part that is seen. images: how many there are in the chosen split."""
    if view.part == "map":
        _layer(view, run)
        STATE.draw("colour")
    STATE.draw("split")
    if view.part != "separation":
        _points(view, images)
        STATE.draw("method")
        st.caption("; ".join(method.about for method in METHODS.values()) + ".")
        method = METHODS[view.method]  # the settings of the others wait
        if len(method.dimensions) > 1 and view.part == "map":
            STATE.draw("dimensions")
        for name in method.settings:
            STATE.draw(name)


def _points(view: View, images: int) -> None:
    """Usual numbers as far as there are images, and all there are."""
    usual = {images, *(number for number in SETTINGS["points"].usual if number <= images)}
    if len(usual) > 1:
        STATE.draw("points", min(view.points, images), usual=usual)


def _layer(view: View, run: Run) -> None:
    layers = layers_of(run.experiment)
    start, rest = STATE.control("layer", view.layer if view.layer in layers else layers[-1])
    start = start if start in layers else layers[-1]
    st.selectbox("Layer", layers, layers.index(start), format_func=layer_heading, **rest)
