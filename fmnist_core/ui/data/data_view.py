"""What page Data shows: which images, how many, which draw; and the URL that brings the same view back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fmnist_core.data import dataset
from fmnist_core.data.dataset import CLASSES
from fmnist_core.experiment.hyperparameters import FIELDS, Experiment
from fmnist_core.ui.shared.address import Address, ViewError, changed, one_of, read_all, unknown, whole
from fmnist_core.ui.shared.pages import Page

SPLITS = ("training", "validation", "test")
MOST_IMAGES, MOST_DRAWS = 20, 9_999
SHARE = FIELDS["validation_fraction"]


@dataclass(frozen=True)
class View:
    """split: one of SPLITS. number: images per class. classes: rising indices into CLASSES, may be empty. seed: of the
    draw. validation_fraction: as in Experiment. image: row number of a training image, shown step by step.
    """

    split: str = SPLITS[0]
    number: int = 5
    classes: tuple[int, ...] = tuple(range(len(CLASSES)))
    seed: int = 0
    validation_fraction: float = SHARE.default
    image: int = 0

    def query(self) -> dict[str, str]:
        """What differs from the defaults, as URL parameters; `from_query` reads them back."""
        return changed(self, _written)


def from_query(texts: Mapping[str, str], images: int) -> tuple[View, list[str]]:
    """A view from URL parameters; what is wrong is replaced by its default and named in the list.

    images: how many training images there are.
    """
    return read_all(texts, View(), lambda name, text: {name: _read(name, text, images)}, _written)


def _read(name: str, text: str, images: int) -> Any:
    """One parameter's value. Raises: LabError."""
    if name == "validation_fraction":
        return Experiment.parse({name: text}).validation_fraction
    readers: dict[str, Callable[[str], Any]] = {
        "split": lambda text: one_of(name, text, SPLITS),
        "number": lambda text: whole(name, text, 1, MOST_IMAGES),
        "classes": _classes,
        "seed": lambda text: whole(name, text, 0, MOST_DRAWS),
        "image": lambda text: whole(name, text, 0, images - 1),
    }
    if name not in readers:
        raise unknown(name, "Data")
    return readers[name](text)


def _classes(text: str) -> tuple[int, ...]:
    if text == "none":
        return ()
    parts = text.split("-")
    if not all(len(part) == 1 and part in "0123456789" for part in parts):
        last = len(CLASSES) - 1
        raise ViewError(f"classes is {text!r}, but it must be class numbers from 0 to {last} such as 0-6, or none.")
    return tuple(sorted({int(part) for part in parts}))


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return "-".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


ADDRESS = Address(Page.DATA.path, lambda texts: from_query(texts, len(dataset.load().train_images)))
