"""What pages say of runs that cannot be read, and of those that will make room; damaged ones set aside, and back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import streamlit as st

from fmnist_core.experiment import wording
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.store.run import RunDamaged, RunError
from fmnist_core.store.run_store import SetAside, StoreError
from fmnist_core.ui.shared import expander, markdown, server
from fmnist_core.ui.shared.markdown import escaped

MOST = 3  # sentences of a kind; the runs beyond are counted


def show(problems: Sequence[RunError]) -> None:
    """A sentence for each, the first few of each kind."""
    for _, group in groupby(sorted(problems, key=_kind), _kind):
        alike = list(group)
        for problem in alike[:MOST]:
            markdown.warning(problem)
        if further := alike[MOST:]:
            names = ", ".join(problem.run_id for problem in further[:MOST])
            markdown.warning(f"The same is true of {wording.counted(len(further), 'further run')}, such as {names}.")


def damaged_runs(problems: Sequence[RunError]) -> None:
    """Buttons to set damaged runs aside, and to put back those that were."""
    damaged = [problem.run_id for problem in problems if isinstance(problem, RunDamaged)]
    if damaged:
        label = f"Set {wording.counted(len(damaged), 'damaged run')} aside"
        help_text = "They are moved out of the way, and can be put back."
        st.button(label, icon=":material/move_to_inbox:", on_click=_set_aside, args=(damaged,), help=help_text)
    aside = server.store().set_aside_runs()
    if aside:
        label = f"{wording.counted(len(aside), 'damaged run')} set aside"
        expander.show(label, "set aside", lambda: _way_back(aside))


def _way_back(aside: Sequence[SetAside]) -> None:
    """What is wrong with each run that was set aside, and the button that puts it back."""
    for run in aside:
        text, button = st.columns([5, 1], vertical_alignment="center")
        text.caption(escaped(run.reason))
        button.button("Put back", on_click=server.put_back, args=(run.name,), key=f"put back {run.name}")


def room(experiments: Sequence[Experiment], data_name: str) -> None:
    """What storing these trainings will remove, or why they cannot be stored; nothing, where there is room."""
    store, texts = server.store(), [experiment.to_json() for experiment in experiments]
    if sentence := _room(str(store.root), store.budget, store.changed, texts, data_name):
        st.caption(escaped(sentence))


@st.cache_data(show_spinner=False, max_entries=100, ttl=10)
def _room(root: str, budget: int, changed: float, experiments: list[str], data_name: str) -> str:
    try:
        return server.store().room_for(list(map(Experiment.from_json, experiments)), data_name).sentence()
    except StoreError as error:
        return str(error)


def _set_aside(run_ids: Sequence[str]) -> None:
    for run_id in run_ids:
        server.set_aside(run_id)


def _kind(problem: RunError) -> str:
    return type(problem).__name__
