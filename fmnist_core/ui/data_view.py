"""What page Data shows: which images, how many, which draw; and the URL that brings the same view back.

Works as `controls` does for experiments: the view lives in the session's state and is mirrored to the URL; a move of
a control wins over a URL that has not caught up yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import streamlit as st

from fmnist_core.dataset import CLASSES
from fmnist_core.experiment import FIELDS, Experiment
from fmnist_core.settings import LabError

PAGE = "pages/Data.py"
SPLITS = ("training", "validation", "test")
MOST_IMAGES, MOST_DRAWS = 20, 9_999
SHARE = FIELDS["validation_fraction"]


class ViewError(LabError):
    """A URL parameter cannot be used; the text names it, its value and what is allowed."""


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
        default = View()
        changed = [f.name for f in fields(self) if getattr(self, f.name) != getattr(default, f.name)]
        return {name: _written(getattr(self, name)) for name in changed}


def from_query(texts: Mapping[str, str], images: int) -> tuple[View, list[str]]:
    """A view from URL parameters; what is wrong is replaced by its default and named in the list.

    images: how many training images there are.
    """
    good: dict[str, Any] = {}
    problems = []
    for name, text in texts.items():
        try:
            good[name] = _read(name, text, images)
        except LabError as error:
            default = getattr(View(), name, None)
            told = f" The default, {_written(default)}, is used." if default is not None else ""
            problems.append(f"{error}{told}")
    return View(**good), problems


def _read(name: str, text: str, images: int) -> Any:
    """One parameter's value. Raises: LabError."""
    if name == "validation_fraction":
        return Experiment.parse({name: text}).validation_fraction
    readers: dict[str, Callable[[str], Any]] = {
        "split": _split,
        "number": lambda text: _whole(name, text, 1, MOST_IMAGES),
        "classes": _classes,
        "seed": lambda text: _whole(name, text, 0, MOST_DRAWS),
        "image": lambda text: _whole(name, text, 0, images - 1),
    }
    if name not in readers:
        raise ViewError(f"There is no setting {name!r} on page Data; it is left out.")
    return readers[name](text)


def _split(text: str) -> str:
    if text not in SPLITS:
        raise ViewError(f"split is {text!r}, but it must be one of {', '.join(SPLITS)}.")
    return text


def _whole(name: str, text: str, low: int, high: int) -> int:
    # Python's int() also takes "1_0", " 5" and digits of other scripts; a URL is written one way only.
    value = int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else -1
    if not low <= value <= high:
        raise ViewError(f"{name} is {text!r}, but it must be a whole number from {low} to {high:,}.")
    return value


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


# --- The session's view ---------------------------------------------------------------------------------------------


def current(images: int) -> tuple[View, list[str]]:
    """The view in force and one sentence for each URL parameter that could not be used. images: as in `from_query`."""
    state = st.session_state
    state["data images"] = images
    now = st.query_params.to_dict()
    moved = state.pop("data moved", False)
    if "data view" not in state or (now != state.get(f"url {PAGE}") and not moved):
        state["data view"], state["data problems"] = from_query(now, images)
        for name in asdict(state["data view"]):
            state.pop(f"data {name}", None)
    view: View = state["data view"]
    query = view.query()
    if now != query:
        st.query_params.from_dict(query)
    state[f"url {PAGE}"] = query
    return view, state["data problems"]


def control(name: str, **changes: Any) -> dict[str, Any]:
    """Arguments for the widget of one setting: its key, with its state set, and what to do when it is moved."""
    key = f"data {name}"
    if key not in st.session_state:
        value = getattr(st.session_state["data view"], name)
        st.session_state[key] = list(value) if isinstance(value, tuple) else value
    return {"key": key, "on_change": _take, "args": (name,), **changes}


def change(**values: Any) -> None:
    """Set parts of the view from a callback; the controls follow."""
    state = st.session_state
    state["data view"] = replace(state["data view"], **values)
    state["data moved"], state["data problems"] = True, []
    for name in values:
        state.pop(f"data {name}", None)


def _take(name: str) -> None:
    """A control was moved. The browser's word is checked as a URL's is: limits hold on the server too."""
    value = st.session_state[f"data {name}"]
    value = tuple(sorted(value)) if isinstance(value, list) else value
    state = st.session_state
    state["data moved"], state["data problems"] = True, []
    try:
        value = _read(name, _written(value), state["data images"])
    except LabError as error:
        state["data problems"] = [f"{error} It is left as it was."]
        state.pop(f"data {name}", None)
        return
    state["data view"] = replace(state["data view"], **{name: value})
