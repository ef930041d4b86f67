"""What page Inspect shows: which run, epoch, section and image; and the URL that brings the same view back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fmnist_core.data.dataset import CLASSES
from fmnist_core.experiment.hyperparameters import HIGH_LAYERS
from fmnist_core.ui.shared import epoch_slider, run_picker
from fmnist_core.ui.shared.address import Address, ViewError, changed, one_of, read_all, unknown, whole
from fmnist_core.ui.shared.pages import Page

SECTIONS = ("mistakes", "classes", "image", "inside", "health", "try")
FIGURES = ("counts", "shares")
ORDERS = ("sure", "doubtful")
PARTS = ("histograms", "kernels", "units")
QUANTITIES = ("weight", "bias", "activation", "gradient")
KINDS = ("ridges", "heat")
SOURCES = ("draw", "upload")
MOST_IMAGES = 9_999
CHOICES = {
    "section": SECTIONS,
    "figures": FIGURES,
    "order": ORDERS,
    "part": PARTS,
    "quantity": QUANTITIES,
    "kind": KINDS,
    "source": SOURCES,
}


@dataclass(frozen=True)
class View:
    """run: a run's name, "" for the last one. epoch: None for the last one. section: one of SECTIONS. figures: what the
    confusion matrix says, one of FIGURES. cell: the true and predicted class whose images are shown, None for all
    mistakes. order: of those images, one of ORDERS. image: row of the test image that is followed. part: of section
    "inside", one of PARTS. quantity, layer, kind: of the histograms. source: of the picture to try, one of SOURCES.
    """

    run: str = ""
    epoch: int | None = None
    section: str = SECTIONS[0]
    figures: str = FIGURES[0]
    cell: tuple[int, int] | None = None
    order: str = ORDERS[0]
    image: int = 0
    part: str = PARTS[0]
    quantity: str = QUANTITIES[0]
    layer: str = "hidden_1"
    kind: str = KINDS[0]
    source: str = SOURCES[0]

    def query(self) -> dict[str, str]:
        """What differs from the defaults, as URL parameters; `from_query` reads them back."""
        return changed(self, _written)


def from_query(texts: Mapping[str, str]) -> tuple[View, list[str]]:
    """A view from URL parameters; what is wrong is left at its default and named in the list."""
    return read_all(texts, View(), _read)


def _read(name: str, text: str) -> dict[str, Any]:
    """One parameter's value. Raises: LabError."""
    if name in CHOICES:
        return {name: one_of(name, text, CHOICES[name])}
    readers: dict[str, Callable[[str], Any]] = {
        "run": run_picker.read,
        "epoch": epoch_slider.read,
        "cell": _cell,
        "image": lambda text: whole(name, text, 0, MOST_IMAGES),
        "layer": _layer,
    }
    if name not in readers:
        raise unknown(name, "Inspect")
    return {name: readers[name](text)}


def _cell(text: str) -> tuple[int, int]:
    true, dash, predicted = text.partition("-")
    if not all(len(part) == 1 and part in "0123456789" for part in (true, predicted)) or not dash:
        last = len(CLASSES) - 1
        raise ViewError(f"cell is {text[:80]!r}, but it must be two class numbers from 0 to {last}, such as 6-0.")
    return int(true), int(predicted)


def _layer(text: str) -> str:
    names = ("output", *(f"hidden_{number}" for number in range(1, HIGH_LAYERS + 1)))
    if text not in names:
        raise ViewError(f"layer is {text[:80]!r}, but it must be hidden_1, hidden_2, ..., or output.")
    return text


def _written(value: Any) -> str:
    return "-".join(map(str, value)) if isinstance(value, tuple) else str(value)


ADDRESS = Address(Page.INSPECT.path, from_query)
