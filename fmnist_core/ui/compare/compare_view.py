"""What page Compare shows: a study, a race or chosen runs, which measure over what."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.study import STUDIES, Study
from fmnist_core.store.run_store import RUN_ID
from fmnist_core.ui.shared.page_view import PageView, ViewError, choice, flag, text
from fmnist_core.ui.shared.pages import MOST_COMPARED, Page
from fmnist_core.ui.shared.view_state import ViewState

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
        raise ViewError(f"{name} is {text[:80]!r}, but it must be ids of stored runs, joined by dots.")
    if len(names) > MOST_COMPARED:
        raise ViewError(f"{name} names {len(names)} runs, but at most {MOST_COMPARED} can be compared; choose fewer.")
    return names


def _race(name: str, text: str) -> tuple[Experiment, ...]:
    """Two experiments, each a JSON object of the settings that differ from the base network's."""
    wrong = ViewError(f"{name} is {text[:80]!r}, but it must be a JSON list of two objects with settings.")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise wrong from None
    if not isinstance(values, list) or len(values) != 2 or not all(isinstance(lane, dict) for lane in values):
        raise wrong
    return tuple(Experiment.parse({key: str(value) for key, value in lane.items()}) for lane in values)


def _race_text(race: tuple[Experiment, ...]) -> str:
    return json.dumps([experiment.query() for experiment in race], separators=(",", ":"))


@dataclass(frozen=True)
class View(PageView):
    """study: what is compared, or None. race: two experiments side by side, or none. runs: names of stored runs, compared
    when there is neither. curve: which curves, over x. measure: of charts over hyperparameters. baseline: a model's
    name, "" for the first. each: whether single runs are drawn.
    """

    page = Page.COMPARE
    study: Study | None = text(lambda _, text: Study.from_json(text), STUDIES["notebook"], Study.to_short_json)  # noqa: RUF009
    race: tuple[Experiment, ...] = text(_race, (), _race_text, implies={"study": None})
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


def watch(study: Study) -> None:
    """Show another study; meant as a button's callback."""
    STATE.open(View(study=study))
