"""The sidebar of page Embeddings: which layer of which run, which images, by which method."""

from __future__ import annotations

import streamlit as st

from fmnist_core.embedding.neighbours import METRICS
from fmnist_core.experiment.layer_names import layer_heading, layers_of
from fmnist_core.findings.map_request import BOUNDS, METHODS, SPLITS
from fmnist_core.store.run import Run
from fmnist_core.ui.embeddings.embeddings_view import ADDRESS, View
from fmnist_core.ui.shared import run_picker

COLOUR_WORDS = {
    "class": "True class",
    "predicted": "Predicted class",
    "right": "Right or wrong",
    "confidence": "Confidence",
}
POINTS = (200, 500, 1_000, 2_000, 3_000, 5_000, 10_000, 20_000)
PERPLEXITIES = (5, 10, 20, 30, 50, 100, 200)
NEIGHBOURS = (5, 10, 15, 30, 50, 100, 200)
METHOD_HELP = (
    "t-SNE keeps close images close and gives each its room; UMAP too, and draws groups tighter; PCA is the flattest view:"
    " the directions in which the layer's outputs vary most, nothing bent."
)


def run(view: View) -> Run | None:
    """The run, from the sidebar; None where none is stored."""
    return run_picker.choose(ADDRESS, view.run)


def show(view: View, run: Run, images: int) -> None:
    """The controls of the part that is seen. images: how many there are in the chosen split."""
    splits = {name: name.capitalize() for name in SPLITS}
    if view.part == "map":
        _layer(view, run)
        ADDRESS.segments("Colour by", "colour", COLOUR_WORDS, view.colour, shown=True)
    ADDRESS.segments("Images from", "split", splits, view.split, shown=True)
    if view.part != "separation":
        _choice("Number of images", "points", POINTS, min(view.points, images), images, "{:,}")
        ADDRESS.segments("Method", "method", METHODS, view.method, shown=True)
        st.caption(METHOD_HELP)
        _settings(view)


def _layer(view: View, run: Run) -> None:
    layers = layers_of(run.experiment)
    start, rest = ADDRESS.control("layer", view.layer if view.layer in layers else layers[-1])
    start = start if start in layers else layers[-1]
    st.selectbox("Layer", layers, layers.index(start), format_func=layer_heading, **rest)


def _settings(view: View) -> None:
    """The method's own settings; those of the others wait."""
    if view.method != "tsne" and view.part == "map":
        ADDRESS.segments("Dimensions", "dimensions", {2: "2-D", 3: "3-D"}, view.dimensions, shown=True)
    if view.method == "pca":
        return
    if view.method == "tsne":
        _choice("Perplexity", "perplexity", PERPLEXITIES, view.perplexity, 200, "{:g}", PERPLEXITY_HELP)
    else:
        _choice("Neighbours (n_neighbors)", "n_neighbors", NEIGHBOURS, view.n_neighbors, 200, "{:g}", NEIGHBOURS_HELP)
        start, rest = ADDRESS.control("min_dist", view.min_dist)
        low, high = BOUNDS["min_dist"]
        st.slider("Least distance (min_dist)", low, high, start, 0.01, help=DISTANCE_HELP, **rest)
    ADDRESS.segments("Distance", "metric", {name: name.capitalize() for name in METRICS}, view.metric, shown=True)
    start, rest = ADDRESS.control("seed", view.seed)
    lowest, highest = BOUNDS["seed"]
    st.number_input("Seed", int(lowest), int(highest), start, 1, help=SEED_HELP, **rest)


def _choice(
    label: str, name: str, usual: tuple[int, ...], value: float, most: float, form: str, told: str | None = None
) -> None:
    """A slider over usual values, the one in force, and the most there can be."""
    start, rest = ADDRESS.control(name, type(usual[0])(value) if value == int(value) else value)
    places = sorted({*(one for one in usual if one <= most), start, *((int(most),) if name == "points" else ())})
    if len(places) > 1:
        st.select_slider(label, places, start, format_func=form.format, help=told, **rest)


PERPLEXITY_HELP = "About how many neighbours each image tries to stay close to; at most a third of the images."
NEIGHBOURS_HELP = "How many neighbours of each image the map tries to keep: few show detail, many the large shape."
DISTANCE_HELP = (
    "How close points may come to each other in the map: it changes how tight groups look, not who is in them."
)
SEED_HELP = "Chance enters where the map starts and in what order points move; the same seed gives the same map."
