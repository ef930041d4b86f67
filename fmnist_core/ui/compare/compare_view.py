"""What page Compare shows: a study or chosen runs, which measure over what; and the URL that brings the view back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from fmnist_core.errors import LabError
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.study import STUDIES, Study
from fmnist_core.store.run_store import RUN_ID
from fmnist_core.ui.shared.address import Address, ViewError, one_of, read_all, unknown
from fmnist_core.ui.shared.pages import MOST_COMPARED, Page

CURVES = ("loss", "accuracy", "gap", "rate")
AXES = ("epoch", "step", "seconds")
MEASURES = ("test_accuracy", "test_loss", "best_val_loss", "seconds")
CHOICES: dict[str, tuple[str, ...]] = {"curve": CURVES, "x": AXES, "measure": MEASURES}


@dataclass(frozen=True)
class View:
    """study: what is compared, or None. race: two experiments side by side, or none. runs: names of stored runs, compared
    when there is neither. curve: one of CURVES, over x, one
    of AXES. measure: one of MEASURES, for charts over hyperparameters. baseline: a model's name, "" for the first.
    each: whether single runs are drawn.
    """

    study: Study | None = STUDIES["notebook"]
    race: tuple[Experiment, ...] = ()
    runs: tuple[str, ...] = ()
    curve: str = CURVES[0]
    x: str = AXES[0]
    measure: str = MEASURES[0]
    baseline: str = ""
    each: bool = False

    def query(self) -> dict[str, str]:
        """What differs from the defaults, as URL parameters; `from_query` reads them back."""
        default = View()
        what = "study" if self.study else "race" if self.race else "runs"
        names = [f.name for f in fields(self) if f.name not in ("study", "race", "runs")]
        changed = [name for name in names if getattr(self, name) != getattr(default, name)]
        changed += [what] * (self.study != default.study)
        return {name: _written(name, getattr(self, name)) for name in changed}


def _written(name: str, value: Any) -> str:
    if name == "study":
        return str(value.to_short_json())
    if name == "race":
        return json.dumps([experiment.query() for experiment in value], separators=(",", ":"))
    if name == "runs":
        return ".".join(value)
    return {True: "true", False: "false"}[value] if name == "each" else str(value)


def from_query(texts: Mapping[str, str]) -> tuple[View, list[str]]:
    """A view from URL parameters; what is wrong is left at its default and named in the list."""
    return read_all(texts, View(), _read)


def _read(name: str, text: str) -> dict[str, Any]:
    """One parameter's value, and what follows from it. Raises: LabError."""
    if name in CHOICES:
        return {name: one_of(name, text, CHOICES[name])}
    match name:
        case "study":
            return {"study": Study.from_json(text)}
        case "runs":
            return {"runs": read_runs(tuple(text.split(".")) if text else ()), "study": None}
        case "race":
            return {"race": _read_race(text), "study": None}
        case "baseline":
            return {"baseline": text[:300]}
        case "each":
            return {"each": text == "true"}
    raise unknown(name, "Compare")


def _read_race(text: str) -> tuple[Experiment, ...]:
    """Two experiments, each a JSON object of the settings that differ from the base network's. Raises: ViewError."""
    wrong = ViewError(f"race is {text[:80]!r}, but it must be a JSON list of two objects with settings.")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise wrong from None
    if not isinstance(values, list) or len(values) != 2 or not all(isinstance(one, dict) for one in values):
        raise wrong
    return tuple(Experiment.parse({key: str(held) for key, held in one.items()}) for one in values)


def read_runs(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of runs, checked for form and number. Raises: ViewError."""
    if not all(map(RUN_ID.fullmatch, names)):
        raise ViewError(f"runs is {'.'.join(names)[:80]!r}, but it must be ids of stored runs, joined by dots.")
    if len(names) > MOST_COMPARED:
        raise ViewError(f"runs names {len(names)} runs, but at most {MOST_COMPARED} can be compared; choose fewer.")
    return names


ADDRESS = Address(Page.COMPARE.path, from_query)


def set_study(values: Mapping[str, Any]) -> None:
    """Change entries of the study from a callback; what cannot be used is named and not taken."""
    held = ADDRESS.view().study or Study()
    try:
        ADDRESS.change(study=Study.of(dict(held) | dict(values)))
    except LabError as error:
        ADDRESS.refuse(f"{error} It is unchanged.")


def watch(study: Study) -> None:
    """Show another study; meant as a button's callback."""
    ADDRESS.set(study=study, race=(), runs=(), baseline="")
