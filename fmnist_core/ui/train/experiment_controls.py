"""The sliders and selectors of an experiment, made from its declaration; and the URL that always holds it.

The experiment lives in the session's state and is mirrored to the URL. The URL is read when the page is opened, when
a link is followed and when the browser goes back; a move of a control wins over a URL that has not caught up yet.
"""

from __future__ import annotations

import re
from typing import Any

import streamlit as st

from fmnist_core.experiment import wording
from fmnist_core.experiment.hyperparameters import FIELDS, Experiment, ExperimentError, Hyperparameter
from fmnist_core.experiment.presets import PRESETS
from fmnist_core.ui.shared import address
from fmnist_core.ui.shared.pages import Page

PAGE = Page.TRAIN.path
GROUPS = {
    "network": "Network",
    "regularisation": "Regularisation",
    "optimisation": "Optimisation",
    "data": "Data",
    "training": "Training",
}
MOST_POSITIONS = 400  # A slider with more positions cannot be set by hand; a number field can.


def experiment() -> Experiment:
    """Show all controls where called (the sidebar) and return the experiment they describe."""
    _follow_url()
    # One block, whatever comes and goes in it: a browser closes an expander whose place changes.
    with st.container():
        _presets()
        current = Experiment.of(st.session_state["values"])
        _group(current, basic=True)
    with st.expander("More"):
        _group(current, basic=False)
    _write_url(current)
    return current


def follow(found: Experiment) -> None:
    """Go to another experiment from this page itself. Meant as a button's callback: a link to the page that is open
    would leave the browser's address as it is.
    """
    st.session_state["train moved"], st.session_state["problems"] = True, []
    _load(found)


def problems() -> list[str]:
    """One sentence for each URL parameter that could not be used, until the experiment is changed."""
    found: list[str] = st.session_state.get("problems", [])
    return found


def options(field: Hyperparameter, *extra: float) -> list[float]:
    """Positions of a logarithmic slider: powers of two up to a power of two, else 1, 2, 5, 10, ...; and `extra`."""
    low, high = field.low or 0, field.high or 0
    if field.kind == "int" and int(high) & (int(high) - 1) == 0:
        steps = [float(2**power) for power in range(int(high).bit_length())]
    else:
        steps = [float(f"{digit}e{power}") for power in range(-9, 10) for digit in (1, 2, 5)]
    chosen = sorted({value for value in (*steps, low, high, field.default, *extra) if low <= value <= high})
    return [int(value) for value in chosen] if field.kind == "int" else chosen


# --- The URL --------------------------------------------------------------------------------------------------------


def _follow_url() -> None:
    """Take the experiment from the URL where the person changed the URL and not a control."""
    state = st.session_state
    state["page"] = address.short(PAGE)
    now = st.query_params.to_dict()
    moved = state.pop("train moved", False)
    if "values" not in state or (now != state.get(f"url {PAGE}") and not moved):
        found, state["problems"] = Experiment.from_query(now)
        _load(found)


def _write_url(current: Experiment) -> None:
    query = current.query()
    if st.query_params.to_dict() != query:
        st.query_params.from_dict(query)
    st.session_state[f"url {PAGE}"] = query


def _load(found: Experiment) -> None:
    """Make an experiment the current one and set every control to it."""
    st.session_state["values"] = found.model_dump()
    st.session_state["control keys"] = {}


# --- The controls ---------------------------------------------------------------------------------------------------


def _presets() -> None:
    state = st.session_state
    matching = [key for key, preset in PRESETS.items() if preset.experiment.model_dump() == state["values"]]
    last = state.get("preset")
    state["preset"] = last if last in matching else (matching[0] if matching else None)
    heading, reset = st.columns([2, 1], vertical_alignment="center")
    heading.markdown("**Start from**")
    reset.button(
        "Reset", on_click=_choose, args=("base",), help="Resets every control to the base network.", type="tertiary"
    )
    st.pills(
        "Presets",
        list(PRESETS),
        format_func=lambda key: PRESETS[key].title,
        key="preset",
        on_change=_choose,
        label_visibility="collapsed",
    )
    if state["preset"]:
        st.caption(PRESETS[state["preset"]].description)


def _choose(preset: str | None = None) -> None:
    state = st.session_state
    state["train moved"], state["problems"] = True, []
    state["preset"] = chosen = preset or state["preset"]
    if chosen:
        _load(PRESETS[chosen].experiment)


def _group(current: Experiment, *, basic: bool) -> None:
    for group, heading in GROUPS.items():
        fields = [f for f in FIELDS.values() if f.group == group and f.basic is basic and f.relevant(current)]
        if fields:
            st.markdown(f"**{heading}**")
        for field in fields:
            _control(field)


def _control(field: Hyperparameter) -> None:
    """One widget; its value reaches the experiment through `_take`."""
    key, start = _mounted(field.name)
    common: dict[str, Any] = {"key": key, "help": field.help, "on_change": _take, "args": (field.name, key)}
    if field.kind == "bool":
        st.toggle(field.title, start, **common)
    elif field.kind == "choice":
        st.selectbox(field.title, field.choices, field.choices.index(start), format_func=wording.choice, **common)
    elif field.kind == "widths":
        st.text_input(field.title, field.write(start), placeholder="such as 512-256-128", **common)
    elif field.log:
        st.select_slider(field.title, options(field, start), start, format_func=_plain, **common)
    else:
        _linear(field, start, common)


def _mounted(name: str) -> tuple[str, Any]:
    """A widget's key and the value it starts with; both new whenever it comes (back) to the screen.

    The value is not set through the session's state: a browser that draws a widget only after the next rerun has
    begun would miss it, and send the widget's lowest value as if a person had chosen it.
    """
    state = st.session_state
    held: tuple[str, Any] | None = state["control keys"].get(name)
    if held is None or held[0] not in state:
        state["control number"] = state.get("control number", 0) + 1
        held = state["control keys"][name] = (f"control {name} {state['control number']}", state["values"][name])
    return held


def _linear(field: Hyperparameter, start: Any, common: dict[str, Any]) -> None:
    cast: Any = int if field.kind == "int" else float
    low, high, step = cast(field.low), cast(field.high), cast(field.step or 1)
    if (high - low) / step > MOST_POSITIONS:
        st.number_input(field.title, low, high, start, step, **common)
    else:
        st.slider(field.title, low, high, start, step, "%d" if field.kind == "int" else "%.3g", **common)


def _take(key: str, widget: str) -> None:
    """A control was moved: its value becomes the experiment's; what cannot be used is named and not taken."""
    state = st.session_state
    state["train moved"], state["problems"] = True, []
    field = FIELDS[key]
    value = state[widget]
    try:
        value = field.read(value or "") if field.kind == "widths" else value
        state["values"] = Experiment.of({**state["values"], key: value}).model_dump()
    except ExperimentError as error:
        state["problems"] = [f"{error} It is left at {wording.value(key, state['values'][key]) or 'empty'}."]


def _plain(value: float) -> str:
    """1e-05 as 0.00001: the reader of a slider thinks in plain numbers."""
    return re.sub(r"0+$", "", f"{value:.8f}").rstrip(".") if isinstance(value, float) else f"{value:,}"
