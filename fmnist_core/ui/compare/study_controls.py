"""The sidebar of page Compare: which study, over which values, with how many seeds; or runs from the store."""

from __future__ import annotations

from typing import Any

import streamlit as st

from fmnist_core.errors import LabError
from fmnist_core.experiment import wording
from fmnist_core.experiment.hyperparameters import FIELDS, Experiment, Hyperparameter
from fmnist_core.experiment.study import SHARED, STUDIES, Axis, Study
from fmnist_core.ui.compare import compare_view, race
from fmnist_core.ui.compare.compare_view import View

ONE, TWO, OWN, RACE, RUNS = "one", "two", "own", "race", "runs"
# A ready-made study with axes is reached by a link: chosen here, it would lose its base, and be one of these anyway.
KINDS = {name: study.name for name, study in STUDIES.items() if study.presets}
KINDS |= {ONE: "One hyperparameter", TWO: "Two hyperparameters", RACE: "A race of two", RUNS: "Stored runs"}
AXES = tuple(name for name, field in FIELDS.items() if field.suggested)
FIRST, SECOND = "dropout", "l2"


def show(view: View) -> None:
    """All controls of the choice."""
    kind = kind_of(view)
    options = [*KINDS, OWN] if kind == OWN else list(KINDS)
    widget, start = compare_view.ADDRESS.mounted("kind", kind)
    st.pills(
        "Compare",
        options,
        default=start,
        format_func=lambda name: KINDS.get(name, "A loaded study"),
        key=widget,
        on_change=_choose,
        args=(widget,),
        required=True,
    )
    if view.study is not None:
        _study(view.study)
    elif view.race:
        race.choose(view.race)
    _load()


def kind_of(view: View) -> str:
    """Which of KINDS a view is, or OWN."""
    if view.study is None:
        return RACE if view.race else RUNS
    if view.study.axes:
        return ONE if len(view.study.axes) == 1 else TWO
    return next((name for name, study in STUDIES.items() if study.presets == view.study.presets and name in KINDS), OWN)


def _choose(widget: str) -> None:
    kind = st.session_state[widget]
    held = _held()
    shared = {"base": held.base, "seeds": held.seeds}
    if kind == RUNS:
        compare_view.ADDRESS.change(study=None, race=())
    elif kind == RACE:
        compare_view.ADDRESS.change(study=None, race=race.start(held.base))
    elif kind in STUDIES:
        compare_view.ADDRESS.change(study=Study.of(dict(STUDIES[kind]) | shared), race=(), baseline="")
    elif kind in (ONE, TWO):
        axes = [{"field": name, "values": FIELDS[name].suggested} for name in (FIRST, SECOND)[: 1 + (kind == TWO)]]
        compare_view.ADDRESS.change(baseline="", race=())
        compare_view.set_study({"name": "", "presets": (), "axes": axes} | shared)


def _held() -> Study:
    """The study whose seeds, epochs and images go on when another kind is chosen; a race gives it its own."""
    state = st.session_state
    view: View = compare_view.ADDRESS.view()
    held: Study = view.study or state.get("compare last") or Study()
    if view.race:
        shared = {name: getattr(view.race[0], name) for name in SHARED}
        held = held.model_copy(update={"base": held.base.model_copy(update=shared)})
    state["compare last"] = held
    return held


def _study(study: Study) -> None:
    for place, axis in enumerate(study.axes):
        _axis(study, place, axis)
    widget, start = compare_view.ADDRESS.mounted("seeds", study.seeds)
    st.slider(
        "Seeds",
        1,
        30,
        start,
        help="How many times each network is trained, each time with different random numbers. Three show only"
        " large differences; five or more show smaller ones.",
        key=widget,
        on_change=_set,
        args=("seeds", widget),
    )
    _base(study)


def _set(entry: str, widget: str) -> None:
    compare_view.set_study({entry: st.session_state[widget]})


# --- Axes -----------------------------------------------------------------------------------------------------------


def _axis(study: Study, place: int, axis: Axis) -> None:
    taken = {other.field for other in study.axes} - {axis.field}
    choices = [name for name in AXES if name not in taken]
    choices += [axis.field] if axis.field not in choices else []
    widget, start = compare_view.ADDRESS.mounted(f"axis {place} {len(study.axes)}", axis.field)
    st.selectbox(
        ("First hyperparameter", "Second hyperparameter")[place] if len(study.axes) > 1 else "Hyperparameter",
        choices,
        choices.index(start) if start in choices else choices.index(axis.field),
        format_func=lambda name: FIELDS[name].title,
        help=FIELDS[axis.field].help,
        key=widget,
        on_change=_set_field,
        args=(place, widget),
    )
    _values(FIELDS[axis.field], axis, place)


def _set_field(place: int, widget: str) -> None:
    name = st.session_state[widget]
    _set_axis(place, name, FIELDS[name].suggested)


def _set_axis(place: int, name: str, values: tuple[Any, ...]) -> None:
    held = compare_view.ADDRESS.view().study or Study()
    axes: list[Any] = [dict(axis) for axis in held.axes]
    axes[place] = {"field": name, "values": values}
    compare_view.ADDRESS.change(baseline="")
    compare_view.set_study({"axes": axes})


def _values(field: Hyperparameter, axis: Axis, place: int) -> None:
    widget, start = compare_view.ADDRESS.mounted(f"values {place} {field.name}", axis.values)
    common: dict[str, Any] = {"key": widget, "on_change": _take, "args": (place, field.name, widget)}
    if field.kind == "bool":
        st.caption("Without and with it.")
    elif field.kind == "choice":
        st.multiselect("Values", field.choices, list(start), format_func=wording.choice, **common)
    else:
        shown = ", ".join(field.write(value) for value in start)
        st.text_input("Values", shown, help=f"Separated by commas; each {field.allowed}.", **common)


def _take(place: int, name: str, widget: str) -> None:
    held = st.session_state[widget]
    if isinstance(held, str):
        held = [FIELDS[name].read(part) for part in held.split(",") if part.strip()]
    if not held:
        compare_view.ADDRESS.refuse(
            f"The values of {FIELDS[name].title} are empty; give at least one. They are unchanged."
        )
        return
    _set_axis(place, name, tuple(held))


# --- The base and the definition ------------------------------------------------------------------------------------


def _base(study: Study) -> None:
    """How much is trained, for all; and, for axes, the network they are varied on."""
    varied = {axis.field for axis in study.axes}
    for name in ("epochs", "training_fraction"):
        if name not in varied:
            _shared(study, FIELDS[name])
    if study.presets:
        return
    st.caption(f"Everything else as in: **{wording.name(study.base, leave_out=SHARED)}**.")
    own = st.session_state.get("values")
    st.button(
        "Use the settings of page Train",
        on_click=_take_train,
        disabled=own is None,
        help="Varies the network that is set up on page Train."
        if own
        else "Open page Train first and set up a network there.",
        width="stretch",
    )


def _shared(study: Study, field: Hyperparameter) -> None:
    value = getattr(study.base, field.name)
    widget, start = compare_view.ADDRESS.mounted(f"base {field.name}", value)
    cast: Any = int if field.kind == "int" else float
    st.slider(
        field.title,
        cast(field.low),
        cast(field.high),
        start,
        cast(field.step),
        help=field.help,
        key=widget,
        on_change=_set_base,
        args=(field.name, widget),
    )


def _set_base(name: str, widget: str) -> None:
    held = compare_view.ADDRESS.view().study or Study()
    _try_base(held.base.model_dump() | {name: st.session_state[widget]})


def _take_train() -> None:
    held = compare_view.ADDRESS.view().study or Study()
    _try_base(st.session_state["values"] | {"seed": held.base.seed})
    compare_view.ADDRESS.remount()


def _try_base(values: dict[str, Any]) -> None:
    try:
        compare_view.set_study({"base": Experiment.of(values)})
    except LabError as error:
        compare_view.ADDRESS.refuse(str(error))


def _load() -> None:
    with st.expander("Load a study"):
        uploads = st.session_state.get("compare uploads", 0)
        widget = f"compare upload {uploads}"
        st.file_uploader(
            "A study's definition (JSON)",
            ["json"],
            key=widget,
            on_change=_loaded,
            args=(widget,),
            help="The file that 'Definition (JSON)' downloads at the bottom of this page.",
        )


def _loaded(widget: str) -> None:
    state = st.session_state
    file = state[widget]
    if file is None:
        return
    state["compare uploads"] = state.get("compare uploads", 0) + 1  # an empty uploader, ready for the next file
    try:
        compare_view.ADDRESS.change(study=Study.from_json(file.getvalue()), race=(), baseline="")
        compare_view.ADDRESS.remount()
    except LabError as error:
        compare_view.ADDRESS.refuse(f"{file.name}: {error} The study is unchanged.")
