"""What page Data shows: which images, how many, which draw."""

from __future__ import annotations

from dataclasses import dataclass

from fmnist_core.data import dataset
from fmnist_core.data.dataset import CLASSES
from fmnist_core.ui.shared.page_view import PageView, choice, hyperparameter, several, whole
from fmnist_core.ui.shared.pages import Page
from fmnist_core.ui.shared.view_state import ViewState

SPLITS = ("training", "validation", "test")
MOST_IMAGES, MOST_DRAWS = 20, 9_999


@dataclass(frozen=True)
class View(PageView):
    """number: images per class. classes: rising indices into CLASSES, may be empty. seed: of the draw. image: row
    number of a training image, shown step by step.
    """

    page = Page.DATA
    split: str = choice({name: name.capitalize() for name in SPLITS}, "Split")
    number: int = whole(1, MOST_IMAGES, 5, label="Images of each class", slider=True)
    classes: tuple[int, ...] = several(
        dict(enumerate(CLASSES)),
        tuple(range(len(CLASSES))),
        "Classes",
        allowed=f"class numbers from 0 to {len(CLASSES) - 1} such as 0-6, or none",
        joint="-",
        empty="none",
    )
    seed: int = whole(0, MOST_DRAWS, label="Seed")
    validation_fraction: float = hyperparameter(
        "validation_fraction", label="Validation fraction of the training images"
    )
    image: int = whole(0, lambda: len(dataset.load().train_images) - 1)


STATE = ViewState(View.page, View, View.setting)
