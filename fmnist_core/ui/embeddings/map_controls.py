"""The sidebar of page Embeddings: which layer of which run, which images, by which method."""

from __future__ import annotations

import streamlit as st

from fmnist_core.embedding.map_methods import METHODS
from fmnist_core.experiment.layer_names import layer_heading, layers_of
from fmnist_core.findings.map_request import SETTINGS
from fmnist_core.store.run import Run
from fmnist_core.ui.embeddings.embeddings_view import ADDRESS, View
from fmnist_core.ui.shared import run_picker

COLOUR_WORDS = {
    "class": "True class",
    "predicted": "Predicted class",
    "right": "Correct or wrong",
    "confidence": "Confidence",
}


def run(view: View) -> Run | None:
    """The run, from the sidebar; None where none is stored."""
    return run_picker.choose(ADDRESS, view.run)


def show(view: View, run: Run, images: int) -> None:
    """The controls of the part that is seen. images: how many there are in the chosen split."""
    if view.part == "map":
        _layer(view, run)
        ADDRESS.segments("Colour by", "colour", COLOUR_WORDS, view.colour, shown=True)
    _setting(view, "split")
    if view.part != "separation":
        _choice("points", min(view.points, images), images)
        _setting(view, "method")
        st.caption("; ".join(method.about for method in METHODS.values()) + ".")
        method = METHODS[view.method]  # the settings of the others wait
        if len(method.dimensions) > 1 and view.part == "map":
            _setting(view, "dimensions")
        for name in method.settings:
            _setting(view, name)


def _layer(view: View, run: Run) -> None:
    layers = layers_of(run.experiment)
    start, rest = ADDRESS.control("layer", view.layer if view.layer in layers else layers[-1])
    start = start if start in layers else layers[-1]
    st.selectbox("Layer", layers, layers.index(start), format_func=layer_heading, **rest)


def _setting(view: View, name: str) -> None:
    """The control of one of the map's settings."""
    declared, value = SETTINGS[name], getattr(view, name)
    if declared.choices:
        ADDRESS.segments(declared.title, name, declared.choices, value, shown=True)
    elif declared.usual:
        _choice(name, value, declared.high)
    else:
        start, kwargs = ADDRESS.control(name, value)
        draw, step = (st.number_input, 1) if isinstance(start, int) else (st.slider, 0.01)
        low, high = type(start)(declared.low), type(start)(declared.high)
        draw(declared.title, low, high, start, step, help=declared.help, **kwargs)


def _choice(name: str, value: float, most: float) -> None:
    """A slider over usual values, the one in force, and the most images there can be."""
    declared = SETTINGS[name]
    start, kwargs = ADDRESS.control(name, int(value) if value == int(value) else value)
    start = type(declared.default)(start)
    stops = {type(start)(each) for each in declared.usual if each <= most} | {start}
    stops |= {int(most)} if name == "points" else set()
    if len(stops) > 1:
        form = "{:,g}".format if isinstance(start, float) else "{:,}".format
        st.select_slider(declared.title, sorted(stops), start, format_func=form, help=declared.help or None, **kwargs)
