"""What page Embeddings shows: which run, layer, epoch, images and method; and the URL that brings the same view back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from fmnist_core.embedding.map_methods import METHODS
from fmnist_core.experiment.layer_names import OUTPUT, PIXELS, layers_of
from fmnist_core.findings.map_request import SETTINGS, MapRequest
from fmnist_core.store.run import Run
from fmnist_core.ui.shared import epoch_slider, run_picker
from fmnist_core.ui.shared.address import Address, ViewError, changed, decimal, one_of, read_all, unknown, whole
from fmnist_core.ui.shared.pages import Page

PARTS = ("map", "grid", "separation")
COLOURS = ("class", "predicted", "right", "confidence")
DEFAULT = MapRequest("")


@dataclass(frozen=True)
class View:
    """run: a run's name, "" for the last one. epoch: None for the last one. part: one of PARTS. colour: one of COLOURS.
    image: row of the image that is opened, or None. second: whether a second seed is shown beside. The rest: as in
    MapRequest.
    """

    run: str = ""
    epoch: int | None = None
    part: str = PARTS[0]
    layer: str = DEFAULT.layer
    method: str = DEFAULT.method
    dimensions: int = DEFAULT.dimensions
    split: str = DEFAULT.split
    points: int = DEFAULT.points
    perplexity: float = DEFAULT.perplexity
    n_neighbors: int = DEFAULT.n_neighbors
    min_dist: float = DEFAULT.min_dist
    metric: str = DEFAULT.metric
    seed: int = DEFAULT.seed
    colour: str = COLOURS[0]
    second: bool = False
    image: int | None = None

    def query(self) -> dict[str, str]:
        """What differs from the defaults, as URL parameters; `from_query` reads them back."""
        return changed(self, _written)

    def request(self, run: Run, *shown: int, seed: int | None = None) -> MapRequest:
        """The map of these epochs; of one where the layer is the same at all. Raises: RequestError."""
        own = {field.name for field in fields(MapRequest)} - {"run", "layer", "epochs", "seed", "dimensions"}
        values = {name: value for name, value in asdict(self).items() if name in own}
        layer = self.layer if self.layer in layers_of(run.experiment) else OUTPUT
        shown = run.epochs[:1] if layer == PIXELS else shown
        allowed = METHODS[self.method].dimensions
        dimensions = self.dimensions if self.dimensions in allowed else allowed[0]
        seed = self.seed if seed is None else seed
        return MapRequest(run.run_id, layer, shown, dimensions=dimensions, seed=seed, **values)


def from_query(texts: Mapping[str, str]) -> tuple[View, list[str]]:
    """A view from URL parameters; what is wrong is left at its default and named in the list."""
    return read_all(texts, View(), _read)


def _read(name: str, text: str) -> dict[str, Any]:
    readers: dict[str, Callable[[str], Any]] = {
        "run": run_picker.read,
        "epoch": epoch_slider.read,
        "part": lambda text: one_of(name, text, PARTS),
        "layer": _layer,
        "colour": lambda text: one_of(name, text, COLOURS),
        "second": lambda text: one_of(name, text, ("true", "false")) == "true",
        "image": lambda text: whole(name, text, 0, 59_999),
    }
    if name in SETTINGS:
        return {name: _setting(name, text)}
    if name not in readers:
        raise unknown(name, "Embeddings")
    return {name: readers[name](text)}


def _setting(name: str, text: str) -> Any:
    """The value of one of a map's settings. Raises: ViewError."""
    declared = SETTINGS[name]
    if declared.choices:
        kind = type(declared.default)
        return kind(one_of(name, text, tuple(map(str, declared.choices))))
    if isinstance(declared.default, int):
        return whole(name, text, int(declared.low), int(declared.high))
    return decimal(name, text, declared.low, declared.high)


def _layer(text: str) -> str:
    number = text.removeprefix("hidden_")
    if text in (PIXELS, OUTPUT) or (number != text and number.isdecimal() and len(number) < 3):
        return text
    raise ViewError(f"layer is {text[:80]!r}, but it must be pixels, hidden_1, hidden_2, ..., or {OUTPUT}.")


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


ADDRESS = Address(Page.EMBEDDINGS.path, from_query)
