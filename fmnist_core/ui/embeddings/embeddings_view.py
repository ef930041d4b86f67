"""What page Embeddings shows: which run, layer, epoch, images and method; and the sidebar that sets it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import streamlit as st

from fmnist_core.embedding.map_methods import METHODS
from fmnist_core.experiment.layer_names import OUTPUT, PIXELS, layer_heading, layers_of
from fmnist_core.findings.map_request import SETTINGS, MapRequest
from fmnist_core.store.run import Run
from fmnist_core.ui.shared.page_view import PageView, choice, epoch, flag, layer, number, run, whole
from fmnist_core.ui.shared.pages import Page
from fmnist_core.ui.shared.view_state import ViewState

PARTS = {"map": "One layer", "grid": "All layers over training", "separation": "Separation in numbers"}
COLOURS = {
    "class": "True class",
    "predicted": "Predicted class",
    "right": "Correct or wrong",
    "confidence": "Confidence",
}


def _of_map(name: str) -> Any:
    """One of a map's settings, as it is declared there."""
    declared = SETTINGS[name]
    if declared.choices:
        return choice(declared.choices, declared.title, default=declared.default)
    options: dict[str, Any] = {"label": declared.title, "usual": declared.usual, "help": declared.help or None}
    if isinstance(declared.default, int):
        return whole(int(declared.low), int(declared.high), declared.default, **options)
    return number(declared.low, declared.high, declared.default, **options)


@dataclass(frozen=True)
class View(PageView):
    """image: row of the image that is opened, or None. second: whether a second seed is shown beside."""

    page = Page.EMBEDDINGS
    run: str = run()
    epoch: int | None = epoch()
    part: str = choice(PARTS, "What to see", heading=False)
    layer: str = layer(OUTPUT, PIXELS)
    method: str = _of_map("method")
    dimensions: int = _of_map("dimensions")
    split: str = _of_map("split")
    points: int = _of_map("points")
    perplexity: float = _of_map("perplexity")
    n_neighbors: int = _of_map("n_neighbors")
    min_dist: float = _of_map("min_dist")
    metric: str = _of_map("metric")
    seed: int = _of_map("seed")
    colour: str = choice(COLOURS, "Colour by")
    second: bool = flag(
        "A second seed side by side", help="What differs between the two is due to chance, not to the layer."
    )
    image: int | None = whole(0, 59_999, optional=True)

    def request(self, run: Run, *epochs: int, seed: int | None = None) -> MapRequest:
        """The map of these epochs; of one where the layer is the same at all. Raises: RequestError."""
        named = {field.name for field in fields(MapRequest)} - {"run", "epochs"}
        values = {name: value for name, value in asdict(self).items() if name in named}
        if self.layer not in layers_of(run.experiment):
            values["layer"] = OUTPUT
        if self.layer == PIXELS:
            epochs = run.epochs[:1]
        if self.dimensions not in (allowed := METHODS[self.method].dimensions):
            values["dimensions"] = allowed[0]
        return MapRequest(run.run_id, epochs=epochs, **values | ({} if seed is None else {"seed": seed}))


STATE = ViewState(View.page, View, View.setting)


def sidebar(view: View, run: Run, images: int) -> None:
    """The controls of the part that is seen. images: how many there are in the chosen split."""
    if view.part == "map":
        layers = layers_of(run.experiment)
        shown = view.layer if view.layer in layers else OUTPUT
        STATE.select("layer", "Layer", layers, shown, format_func=layer_heading)
        STATE.draw("colour")
    STATE.draw("split")
    if view.part == "separation":
        return
    usual = {images, *(number for number in SETTINGS["points"].usual if number <= images)}
    if len(usual) > 1:
        STATE.draw("points", min(view.points, images), usual=usual)
    STATE.draw("method")
    st.caption("; ".join(method.about for method in METHODS.values()) + ".")
    method = METHODS[view.method]  # the settings of the others wait
    if len(method.dimensions) > 1 and view.part == "map":
        STATE.draw("dimensions")
    for name in method.settings:
        STATE.draw(name)
