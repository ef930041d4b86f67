"""The sidebar of page Compare: which study, over which values, with how many seeds; or runs from the store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from fmnist_core.errors import LabError
from fmnist_core.experiment import wording
from fmnist_core.experiment.hyperparameters import FIELDS, Hyperparameter
from fmnist_core.experiment.study import SHARED, STUDIES, Axis, Study
from fmnist_core.ui.compare import race
from fmnist_core.ui.compare.compare_view import STATE, View, change_study
from fmnist_core.ui.shared import session
from fmnist_core.ui.shared.page_view import of_experiment
from fmnist_core.ui.shared.pages import Page
from fmnist_core.ui.shared.view_state import view_of

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
    start, rest = STATE.control("kind", kind, _choose)
    st.pills(
        "Compare",
        options,
        default=start,
        format_func=lambda name: KINDS.get(name, "A loaded study"),
        required=True,
        **rest,
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


def _choose(kind: str) -> None:
    held = _held()
    shared = {"base": held.base, "seeds": held.seeds}
    if kind == RUNS:
        STATE.change(study=None, race=())
    elif kind == RACE:
        STATE.change(study=None, race=race.start(held.base))
    elif kind in STUDIES:
        STATE.change(study=Study.of(dict(STUDIES[kind]) | shared), race=(), baseline="")
    elif kind in (ONE, TWO):
        axes = [{"field": name, "values": FIELDS[name].suggested} for name in (FIRST, SECOND)[: 1 + (kind == TWO)]]
        STATE.change(study=Study.of({"axes": axes} | shared), race=(), baseline="")


def _held() -> Study:
    """The study whose seeds, epochs and images go on when another kind is chosen; a race gives it its own."""
    view = STATE.view
    held: Study = view.study or session.LAST_STUDY.get() or Study()
    if view.race:
        shared = {name: getattr(view.race[0], name) for name in SHARED}
        held = held.model_copy(update={"base": held.base.model_copy(update=shared)})
    session.LAST_STUDY.set(held)
    return held


def _study(study: Study) -> None:
    for place, axis in enumerate(study.axes):
        _axis(study, place, axis)
    start, rest = STATE.control("seeds", study.seeds, lambda seeds: change_study(seeds=seeds))
    st.slider(
        "Seeds",
        1,
        30,
        start,
        help="How many times each network is trained, each time with different random numbers. Three show only"
        " large differences; five or more show smaller ones.",
        **rest,
    )
    _base(study)


# --- Axes -----------------------------------------------------------------------------------------------------------


def _axis(study: Study, place: int, axis: Axis) -> None:
    taken = {other.field for other in study.axes} - {axis.field}
    choices = [name for name in AXES if name not in taken]
    choices += [axis.field] if axis.field not in choices else []
    start, rest = STATE.control(
        f"axis {place} {len(study.axes)}", axis.field, lambda name: _set_axis(place, name, FIELDS[name].suggested)
    )
    st.selectbox(
        ("First hyperparameter", "Second hyperparameter")[place] if len(study.axes) > 1 else "Hyperparameter",
        choices,
        choices.index(start) if start in choices else choices.index(axis.field),
        format_func=lambda name: FIELDS[name].title,
        help=FIELDS[axis.field].help,
        **rest,
    )
    _values(FIELDS[axis.field], axis, place)


def _set_axis(place: int, name: str, values: tuple[Any, ...]) -> None:
    study = STATE.view.study or Study()
    axes: list[Any] = [dict(axis) for axis in study.axes]
    axes[place] = {"field": name, "values": values}
    STATE.change(study=Study.of(dict(study) | {"axes": axes}), baseline="")


def _values(field: Hyperparameter, axis: Axis, place: int) -> None:
    if field.kind == "bool":
        st.caption("Without and with it.")
        return
    texts = [field.write(value) for value in axis.values]
    value = texts if field.kind == "choice" else ", ".join(texts)
    start, rest = STATE.control(f"values {place} {field.name}", value, lambda shown: _take(place, field, shown))
    if field.kind == "choice":
        st.multiselect("Values", field.choices, start, format_func=wording.choice, **rest)
    else:
        st.text_input("Values", start, help=f"Separated by commas; each {field.allowed}.", **rest)


def _take(place: int, field: Hyperparameter, shown: str | list[str]) -> None:
    texts = shown.split(",") if isinstance(shown, str) else shown
    values = tuple(field.read(text) for text in texts if text.strip())
    if values:
        _set_axis(place, field.name, values)
    else:
        STATE.refuse(f"The values of {field.title} are empty; give at least one. They are unchanged.")


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
    own = view_of(Page.TRAIN)
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
    start, rest = STATE.control(f"base {field.name}", value, lambda value: _set_base({field.name: value}))
    of_experiment(field.name).draw(start, **rest)


def _set_base(values: dict[str, Any]) -> None:
    study = STATE.view.study or Study()
    change_study(base=study.base.changed(**values))


def _take_train() -> None:
    study = STATE.view.study or Study()
    with STATE.attempt():
        STATE.change(study=Study.of(dict(study) | {"base": view_of(Page.TRAIN).changed(seed=study.base.seed)}))


def _load() -> None:
    with st.expander("Load a study"):
        widget = session.UPLOAD.key(session.UPLOADS.get())
        st.file_uploader(
            "A study's definition (JSON)",
            ["json"],
            key=widget,
            on_change=_loaded,
            help="The file that 'Definition (JSON)' downloads at the bottom of this page.",
        )


def _loaded() -> None:
    file = session.UPLOAD.get(session.UPLOADS.get())
    if file is None:
        return
    session.UPLOADS.set(session.UPLOADS.get() + 1)  # an empty uploader, ready for the next file
    try:
        STATE.open(replace(STATE.view, study=Study.from_json(file.getvalue()), race=(), baseline=""))
    except LabError as error:
        STATE.refuse(f"{file.name}: {error} The study is unchanged.")
