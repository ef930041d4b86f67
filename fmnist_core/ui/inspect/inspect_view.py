"""What page Inspect shows: which run, epoch, section and image."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fmnist_core.data.dataset import CLASSES
from fmnist_core.errors import quoted
from fmnist_core.experiment.layer_names import hidden_name
from fmnist_core.ui.shared import histogram_view
from fmnist_core.ui.shared.page_view import PageView, ViewError, choice, epoch, layer, run, text, whole
from fmnist_core.ui.shared.pages import Page
from fmnist_core.ui.shared.view_state import ViewState

MOST_IMAGES = 9_999
SECTIONS = {
    "mistakes": "Mistakes",
    "classes": "Classes and calibration",
    "image": "One image",
    "inside": "Inside",
    "health": "Health",
    "try": "Try it",
}
FIGURES = {"counts": "Counts", "shares": "Percentage of the class"}
ORDERS = {"sure": "Most confident first", "doubtful": "Least confident first"}
PARTS = {"histograms": "Histograms", "kernels": "Kernels as images", "units": "Dead and saturated units"}
QUANTITIES = {"weight": "Weights", "bias": "Biases", "activation": "Activations", "gradient": "Gradients"}
SOURCES = {"draw": "Draw", "upload": "Upload a picture"}


def _cell(name: str, text: str) -> tuple[int, int]:
    if not re.fullmatch("[0-9]-[0-9]", text):
        last = len(CLASSES) - 1
        raise ViewError(f"{name} is {quoted(text)}, but it must be two class numbers from 0 to {last}, such as 6-0.")
    return int(text[0]), int(text[2])


@dataclass(frozen=True)
class View(PageView):
    """cell: the true and predicted class whose images are shown, None for all mistakes. order: of those images. image:
    row of the test image that is followed. part: of section "inside"; quantity, layer, kind: of its histograms. source:
    of the picture to try.
    """

    page = Page.INSPECT
    run: str = run()
    epoch: int | None = epoch()
    section: str = choice(SECTIONS, "Section", heading=False)
    figures: str = choice(FIGURES, "Figures", heading=False)
    cell: tuple[int, int] | None = text(_cell, write=lambda cell: "{}-{}".format(*cell))
    order: str = choice(ORDERS, "Order")
    image: int = whole(0, MOST_IMAGES, label="Test image")
    part: str = choice(PARTS, "Part", heading=False)
    quantity: str = choice(QUANTITIES, "What")
    layer: str = layer(hidden_name(1))
    kind: str = choice(histogram_view.KINDS, "View")
    source: str = choice(SOURCES, "Picture", heading=False)


STATE = ViewState(View.page, View, View.setting)
