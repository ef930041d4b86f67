"""How far a map can be trusted: its measures as a small table, each with a plain reading."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from fmnist_core.charts.markup import Html, element

# Title of each measure and what its values say from a lower end on, best first.
# For a random map trustworthiness and continuity are about 0.5.
MEASURES: dict[str, tuple[str, Sequence[tuple[float, str]]]] = {
    "trustworthiness": (
        "Trustworthiness",
        (
            (0.95, "what is close in the map is almost never far apart in the layer"),
            (0.85, "what is close in the map is rarely far apart in the layer"),
            (0.7, "what is close in the map is often far apart in the layer"),
            (-math.inf, "closeness in this map says little about the layer"),
        ),
    ),
    "continuity": (
        "Continuity",
        (
            (0.95, "what is close in the layer is almost never far apart in the map"),
            (0.85, "what is close in the layer is rarely far apart in the map"),
            (0.7, "what is close in the layer is often far apart in the map"),
            (-math.inf, "the map breaks up most neighbourhoods"),
        ),
    ),
    "overlap": (
        "Neighbours preserved",
        (
            (0.5, "more than half of the 15 nearest neighbours are the same ones in layer and map"),
            (0.2, "some of the 15 nearest neighbours are the same ones: trust groups, not single pairs"),
            (-math.inf, "few of the 15 nearest neighbours are the same ones: read the rough outline only"),
        ),
    ),
    "silhouette": (
        "Silhouette in the layer",
        (
            (0.5, "the classes are compact and well separated"),
            (0.2, "the classes are separated, with blurred edges"),
            (0.0, "the classes touch"),
            (-math.inf, "the classes overlap: many images are nearer to another class"),
        ),
    ),
}
CLOSE = 0.02  # Accuracies in the layer and in the map that differ by no more are called equal.


def table(measures: Mapping[str, float]) -> Html:
    """The measures as an HTML table. measures: any of MEASURES' names, knn_layer and knn_map; others are left out."""
    rows = [
        (title, f"{measures[name]:.2f}", reading(name, measures[name]))
        for name, (title, _) in MEASURES.items()
        if math.isfinite(measures.get(name, math.nan))
    ]
    accuracies = [measures.get(name, math.nan) for name in ("knn_layer", "knn_map")]
    if all(map(math.isfinite, accuracies)):
        percentages = " → ".join(f"{100 * accuracy:.0f} %" for accuracy in accuracies)
        rows.insert(2, ("Nearest-neighbour accuracy, layer → map", percentages, accuracy_reading(*accuracies)))
    cell = "padding:0.3rem 1rem 0.3rem 0;border:none;text-align:left;vertical-align:top"
    lines = (
        element(
            "tr",
            element("th", title, scope="row", style=f"{cell};font-weight:500"),
            element("td", element("b", value), style=f"{cell};font-variant-numeric:tabular-nums;white-space:nowrap"),
            element("td", words, style=cell),
        )
        for title, value, words in rows
    )
    style = "border-collapse:collapse;border:none;font-size:0.95rem"
    return element("table", element("tbody", *lines), style=style)


def reading(measure: str, value: float) -> str:
    """What a value says in plain words."""
    return next(words for least, words in MEASURES[measure][1] if value >= least)


def accuracy_reading(layer: float, mapped: float) -> str:
    """What the accuracies of nearest neighbours in a layer and in its map say together."""
    if mapped < layer - CLOSE:
        less = "neighbours separate the classes less well in the map than in the layer"
        return f"{less}: some of the mixing comes from the map"
    if mapped > layer + CLOSE:
        return "neighbours separate the classes better in the map: it looks cleaner than the layer is"
    return "neighbours separate the classes as well in the map as in the layer"
