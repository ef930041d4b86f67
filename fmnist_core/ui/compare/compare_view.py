"""What page Compare shows: a study, a race or chosen runs, which measure over what."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import streamlit as st

from fmnist_core.errors import quoted
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.study import STUDIES, Study
from fmnist_core.store.run_store import RUN_ID
from fmnist_core.ui.shared.page_view import PageView, ViewError, choice, flag, of_experiment, text
from fmnist_core.ui.shared.pages import MOST_COMPARED, Page
from fmnist_core.ui.shared.view_state import ViewState

NOTEBOOK = STUDIES["notebook"]
CURVES = {"loss": "Loss", "accuracy": "Accuracy", "gap": "Generalisation gap", "rate": "Learning rate"}
AXES = {"epoch": "by epoch", "step": "by step", "seconds": "by time"}
MEASURES = {
    "test_accuracy": "Test accuracy",
    "test_loss": "Test loss",
    "best_val_loss": "Lowest validation loss",
    "seconds": "Training time (s)",
}


def _runs(name: str, text: str) -> tuple[str, ...]:
    names = tuple(text.split(".")) if text else ()
    if not all(map(RUN_ID.fullmatch, names)):
        raise ViewError(f"{name} is {quoted(text)}, but it must be ids of stored runs, joined by dots.")
    if len(names) > MOST_COMPARED:
        raise ViewError(f"{name} names {len(names)} runs, but at most {MOST_COMPARED} can be compared; choose fewer.")
    return names


def _race(name: str, text: str) -> tuple[Experiment, ...]:
    """Two experiments, each a JSON object of the settings that differ from the base network's."""
    wrong = ViewError(f"{name} is {quoted(text)}, but it must be a JSON list of two objects with settings.")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise wrong from None
    if not isinstance(values, list) or len(values) != 2 or not all(isinstance(lane, dict) for lane in values):
        raise wrong
    return tuple(Experiment.parse({key: str(value) for key, value in lane.items()}) for lane in values)


@dataclass(frozen=True)
class View(PageView):
    """What is compared: a study, a race of two experiments, or else stored runs, by their ids.

    curve: which curves, over x. measure: of charts over hyperparameters. baseline: a model's name, "" for the first.
    each: whether single runs are drawn.
    """

    page = Page.COMPARE
    study: Study | None = text(lambda _, text: Study.from_json(text), NOTEBOOK, Study.to_short_json)  # noqa: RUF009
    race: tuple[Experiment, ...] = text(
        _race, (), lambda race: json.dumps([each.query() for each in race], separators=(",", ":")), {"study": None}
    )
    runs: tuple[str, ...] = text(_runs, (), ".".join, implies={"study": None})
    curve: str = choice(CURVES, "Curve", heading=False)
    x: str = choice(AXES, "Over", heading=False)
    measure: str = choice(MEASURES, "Measure", heading=False)
    baseline: str = text(lambda _, text: text[:300], "")
    each: bool = flag("Individual runs")

    def query(self) -> dict[str, str]:
        """As PageView: of study, race and runs, the one that is shown."""
        query = super().query()
        shown = "study" if self.study else "race" if self.race else "runs"
        if self.study is None:
            query.setdefault(shown, "")
        return {name: text for name, text in query.items() if name not in {"study", "race", "runs"} - {shown}}


STATE = ViewState(View.page, View, View.setting)


def change_study(**values: Any) -> None:
    """Change entries of the study from a callback. Raises: LabError."""
    STATE.change(study=Study.of(dict(STATE.view.study or Study()) | values))


def select(
    label: str,
    options: Sequence[str],
    name: str,
    value: str,
    take: Callable[[str], None] | None = None,
    **kwargs: Any,
) -> None:
    """A selectbox as a control of the view. name, value, take: as `STATE.control` has them."""
    start, widget = STATE.control(name, value, take)
    st.selectbox(label, options, options.index(start if start in options else value), **widget, **kwargs)


def draw_hyperparameter(name: str, experiment: Experiment, take: Callable[[str, Any], None]) -> None:
    """The control of an experiment's hyperparameter. take: what a move of it does, given the name and the value."""
    start, widget = STATE.control(f"shared {name}", getattr(experiment, name), partial(take, name))
    of_experiment(name).draw(start, **widget)


def watch(study: Study) -> None:
    """Show another study; meant as a button's callback."""
    STATE.open(View(study=study))
