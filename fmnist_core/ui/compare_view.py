"""What page Compare shows: a study or chosen runs, which measure over what; and the URL that brings the view back.

As on page Data, the view lives in the session's state and is mirrored to the URL; a move of a control wins over a URL
that has not caught up yet.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import streamlit as st

from fmnist_core.experiment import Experiment
from fmnist_core.runs.store import RUN_ID
from fmnist_core.settings import LabError
from fmnist_core.study import STUDIES, Study

PAGE = "pages/Compare.py"
CURVES = ("loss", "accuracy", "gap", "rate")
AXES = ("epoch", "step", "seconds")
MEASURES = ("test_accuracy", "test_loss", "best_val_loss", "seconds")
MOST_RUNS = 60  # chosen from the store at once
CHOICES: dict[str, tuple[str, ...]] = {"curve": CURVES, "x": AXES, "measure": MEASURES}


class ViewError(LabError):
    """A URL parameter cannot be used; the text names it, its value and what is allowed."""


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
    good: dict[str, Any] = {}
    problems = []
    for name, text in texts.items():
        try:
            good |= _read(name, text)
        except LabError as error:
            known = name in {f.name for f in fields(View)}
            problems.append(f"{error} The default is used." if known else str(error))
    return View(**good), problems


def _read(name: str, text: str) -> dict[str, Any]:
    """One parameter's value, and what follows from it. Raises: LabError."""
    if name in CHOICES:
        if text not in CHOICES[name]:
            raise ViewError(f"{name} is {text[:80]!r}, but it must be one of {', '.join(CHOICES[name])}.")
        return {name: text}
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
    raise ViewError(f"There is no setting {name[:80]!r} on page Compare; it is left out.")


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
        raise ViewError(f"runs is {'.'.join(names)[:80]!r}, but it must be names of stored runs, joined by dots.")
    if len(names) > MOST_RUNS:
        raise ViewError(f"runs names {len(names)} runs, but at most {MOST_RUNS} can be compared; choose fewer.")
    return names


# --- The session's view ---------------------------------------------------------------------------------------------


def current() -> tuple[View, list[str]]:
    """The view in force, and one sentence for each URL parameter that could not be used."""
    state = st.session_state
    now = st.query_params.to_dict()
    moved = state.pop("compare moved", False)
    if "compare view" not in state or (now != state.get(f"url {PAGE}") and not moved):
        state["compare view"], state["compare problems"] = from_query(now)
        remount()
    view: View = state["compare view"]
    query = view.query()
    if now != query:
        st.query_params.from_dict(query)
    state[f"url {PAGE}"] = query
    return view, state["compare problems"]


def change(**values: Any) -> None:
    """Set parts of the view from a callback."""
    state = st.session_state
    held: View = state.get("compare view") or View()
    state["compare view"] = replace(held, **values)
    state["compare moved"], state["compare problems"] = True, []


def refuse(sentence: str) -> None:
    """Say why a change was not taken; the controls show what holds."""
    st.session_state["compare moved"], st.session_state["compare problems"] = True, [sentence]
    remount()


def set_study(values: Mapping[str, Any]) -> None:
    """Change entries of the study from a callback; what cannot be used is named and not taken."""
    state = st.session_state
    held = state["compare view"].study or Study()
    try:
        change(study=Study.of(dict(held) | dict(values)))
    except LabError as error:
        refuse(f"{error} It is left as it was.")


def key(name: str) -> str:
    """A widget's key that is new whenever the view was set from elsewhere, so that the widget shows it."""
    return f"compare {name} {st.session_state['compare loaded']}"


def mounted(name: str, value: Any) -> tuple[str, Any]:
    """A widget's key, and the value it starts with: the same until it leaves the screen, so that it keeps the focus."""
    state = st.session_state
    widget = key(name)
    starts = state.setdefault("compare starts", {})
    if widget not in state:
        starts[widget] = value
    return widget, starts[widget]


def remount() -> None:
    """Let every control show the view anew."""
    st.session_state["compare loaded"] = st.session_state.get("compare loaded", 0) + 1


def take(name: str, widget: str) -> None:
    """A control was moved: its value becomes a part of the view."""
    change(**{name: st.session_state[widget]})


def segments(label: str, name: str, words: dict[str, str], value: str) -> None:
    """A choice among a few values of one part of the view. words: what each value is called."""
    widget, start = mounted(name, value)
    st.segmented_control(
        label,
        list(words),
        default=start,
        format_func=words.__getitem__,
        required=True,
        key=widget,
        on_change=take,
        args=(name, widget),
        label_visibility="collapsed",
    )
