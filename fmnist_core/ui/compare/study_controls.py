"""The sidebar of page Compare: which study, over which values, with how many seeds; or runs from the store."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import streamlit as st

from fmnist_core.errors import LabError
from fmnist_core.experiment import wording
from fmnist_core.experiment.hyperparameters import FIELDS, Hyperparameter
from fmnist_core.experiment.study import SHARED, STUDIES, Axis, Study
from fmnist_core.ui.compare import race
from fmnist_core.ui.compare.compare_view import STATE, View, change_study, draw_hyperparameter, select
from fmnist_core.ui.shared import expander, session
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
    start, widget = STATE.control("kind", kind, _choose)
    titles = KINDS | {OWN: "A loaded study"}
    st.pills("Compare", options, default=start, format_func=titles.__getitem__, required=True, **widget)
    if view.study is not None:
        _study(view.study)
    elif view.race:
        race.choose(view.race)
    expander.show("Load a study", "load", _upload)


def _upload() -> None:
    st.file_uploader(
        "A study's definition (JSON)",
        ["json"],
        key=session.UPLOAD.key(session.UPLOADS.get()),
        on_change=_load,
        help="The file that 'Definition (JSON)' downloads at the bottom of this page.",
    )


def kind_of(view: View) -> str:
    """Which of KINDS a view is, or OWN."""
    if view.study is None:
        return RACE if view.race else RUNS
    if view.study.axes:
        return ONE if len(view.study.axes) == 1 else TWO
    return next((name for name, study in STUDIES.items() if study.presets == view.study.presets and name in KINDS), OWN)


def _choose(kind: str) -> None:
    study = _last_study()
    shared = {"base": study.base, "seeds": study.seeds}
    if kind == RUNS:
        STATE.change(study=None, race=())
    elif kind == RACE:
        STATE.change(study=None, race=race.start(study.base))
    elif kind in STUDIES:
        STATE.change(study=Study.of(dict(STUDIES[kind]) | shared), race=(), baseline="")
    elif kind in (ONE, TWO):
        axes = [{"field": name, "values": FIELDS[name].suggested} for name in (FIRST, SECOND)[: 1 + (kind == TWO)]]
        STATE.change(study=Study.of({"axes": axes} | shared), race=(), baseline="")


def _last_study() -> Study:
    """The study whose seeds, epochs and images go on when another kind is chosen; a race has changed its base."""
    view = STATE.view
    study: Study = view.study or session.LAST_STUDY.get() or Study()
    if view.race:
        shared = {name: getattr(view.race[0], name) for name in SHARED}
        study = study.model_copy(update={"base": study.base.model_copy(update=shared)})
    session.LAST_STUDY.set(study)
    return study


def _study(study: Study) -> None:
    for index, axis in enumerate(study.axes):
        _axis(study, index, axis)
    start, widget = STATE.control("seeds", study.seeds, lambda seeds: change_study(seeds=seeds))
    st.slider(
        "Seeds",
        1,
        30,
        start,
        help="How many times each network is trained, each time with different random numbers. Three show only"
        " large differences; five or more show smaller ones.",
        **widget,
    )
    _base(study)


# --- Axes -----------------------------------------------------------------------------------------------------------


def _axis(study: Study, index: int, axis: Axis) -> None:
    field = FIELDS[axis.field]
    taken = {other.field for other in study.axes} - {axis.field}
    select(
        ("First hyperparameter", "Second hyperparameter")[index] if len(study.axes) > 1 else "Hyperparameter",
        [name for name in dict.fromkeys([*AXES, axis.field]) if name not in taken],
        f"axis {index} {len(study.axes)}",
        axis.field,
        lambda name: _set_axis(index, name, FIELDS[name].suggested),
        format_func=lambda name: FIELDS[name].title,
        help=field.help,
    )
    if field.kind == "bool":
        st.caption("Without and with it.")
        return
    texts = [field.write(value) for value in axis.values]
    value = texts if field.kind == "choice" else ", ".join(texts)
    start, widget = STATE.control(f"values {index} {field.name}", value, partial(_take_values, index, field))
    if field.kind == "choice":
        st.multiselect("Values", field.choices, start, format_func=wording.choice, **widget)
    else:
        st.text_input("Values", start, help=f"Separated by commas; each {field.allowed}.", **widget)


def _set_axis(index: int, name: str, values: tuple[Any, ...]) -> None:
    study = STATE.view.study or Study()
    axes: list[Any] = [dict(axis) for axis in study.axes]
    axes[index] = {"field": name, "values": values}
    STATE.change(study=Study.of(dict(study) | {"axes": axes}), baseline="")


def _take_values(index: int, field: Hyperparameter, entered: str | list[str]) -> None:
    texts = entered.split(",") if isinstance(entered, str) else entered
    values = tuple(field.read(text) for text in texts if text.strip())
    if values:
        _set_axis(index, field.name, values)
    else:
        STATE.refuse(f"The values of {field.title} are empty; give at least one. They are unchanged.")


# --- The base and the definition ------------------------------------------------------------------------------------


def _base(study: Study) -> None:
    """How much is trained, for all; and, for axes, the network they are varied on."""
    varied = {axis.field for axis in study.axes}
    for name in ("epochs", "training_fraction"):
        if name not in varied:
            draw_hyperparameter(name, study.base, _take_shared)
    if study.presets:
        return
    st.caption(f"Everything else as in: **{wording.name(study.base, leave_out=SHARED)}**.")
    experiment = view_of(Page.TRAIN)
    st.button(
        "Use the settings of page Train",
        on_click=_take_train,
        disabled=experiment is None,
        help="Varies the network that is set up on page Train."
        if experiment
        else "Open page Train first and set up a network there.",
        width="stretch",
    )


def _take_shared(name: str, value: Any) -> None:
    change_study(base=(STATE.view.study or Study()).base.changed(**{name: value}))


def _take_train() -> None:
    with STATE.attempt():
        change_study(base=view_of(Page.TRAIN).changed(seed=(STATE.view.study or Study()).base.seed))


def _load() -> None:
    file = session.UPLOAD.get(session.UPLOADS.get())
    if file is None:
        return
    session.UPLOADS.set(session.UPLOADS.get() + 1)  # an empty uploader, ready for the next file
    try:
        STATE.open(replace(STATE.view, study=Study.from_json(file.getvalue()), race=(), baseline=""))
    except LabError as error:
        STATE.refuse(f"{file.name}: {error} The study is unchanged.")
