"""The sliders and selectors of an experiment, made from its declaration."""

from __future__ import annotations

import streamlit as st

from fmnist_core.experiment.hyperparameters import FIELDS, Experiment
from fmnist_core.experiment.presets import PRESETS
from fmnist_core.ui.shared import expander, session
from fmnist_core.ui.shared.page_view import of_experiment
from fmnist_core.ui.shared.pages import Page
from fmnist_core.ui.shared.view_state import ViewState

STATE = ViewState(Page.TRAIN, Experiment, of_experiment)
GROUPS = {
    "network": "Network",
    "regularisation": "Regularisation",
    "optimisation": "Optimisation",
    "data": "Data",
    "training": "Training",
}


def show(experiment: Experiment) -> None:
    """All controls, where called (the sidebar)."""
    # One block, whatever comes and goes in it: a browser closes an expander whose place changes.
    with st.container():
        _presets(experiment)
        _groups(experiment, basic=True)
    expander.show("More", "more settings", lambda: _groups(experiment, basic=False))


def _presets(experiment: Experiment) -> None:
    matching = [key for key, preset in PRESETS.items() if preset.experiment == experiment]
    last = session.PRESET.get()
    preset = last if last in matching else next(iter(matching), None)
    heading, reset = st.columns([2, 1], vertical_alignment="center")
    heading.markdown("**Start from**")
    help_text = "Resets every control to the base network."
    reset.button("Reset", on_click=_choose, args=("base",), help=help_text, type="tertiary")
    titles = {key: preset.title for key, preset in PRESETS.items()}
    start, widget = STATE.control("preset", preset, _choose)
    st.pills(
        "Presets",
        list(titles),
        default=start,
        format_func=titles.__getitem__,
        label_visibility="collapsed",
        **widget,
    )
    if preset:
        st.caption(PRESETS[preset].description)


def _choose(preset: str | None) -> None:
    """A preset; a click on the one that is set changes nothing."""
    session.PRESET.set(preset or session.PRESET.get())
    STATE.open(PRESETS[preset].experiment if preset else STATE.view)


def _groups(experiment: Experiment, *, basic: bool) -> None:
    for group, heading in GROUPS.items():
        fields = [f for f in FIELDS.values() if f.group == group and f.basic is basic and f.relevant(experiment)]
        if fields:
            st.markdown(f"**{heading}**")
        for field in fields:
            STATE.draw(field.name)
