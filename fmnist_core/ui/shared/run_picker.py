"""The choice of one stored run, for the pages that look into a network."""

from __future__ import annotations

from typing import Any

import streamlit as st

from fmnist_core.data import dataset
from fmnist_core.experiment import wording
from fmnist_core.experiment.hyperparameters import Experiment, run_id
from fmnist_core.findings import run_sentences
from fmnist_core.store.run import Run
from fmnist_core.ui.shared import deleted_runs, markdown, pages, server, session
from fmnist_core.ui.shared.markdown import escaped
from fmnist_core.ui.shared.pages import Page
from fmnist_core.ui.shared.view_state import ViewState, view_of

MOST_LISTED = 200
SHOWN = 26  # characters that the closed box shows; a number cut in the middle would be a wrong one


def choose(state: ViewState[Any], name: str) -> Run | None:
    """Show the choice in the sidebar and return the run; None where there is none. What is wrong is shown where called.

    state: of a view with a part `run`. name: of the run in the view, or "" for the one looked at or trained last.
    """
    listed = _listed(str(server.store().root), server.store().changed)
    run = server.opened(name or _last(listed))
    if run is None and name:
        run = server.opened(_last(listed, never=name))
        problem = server.store().problem(name) or f"The run {name} is not in the store; train it again."
        if deleted_runs.notice([name]):
            instead = f" Shown instead: {title(run)}." if run else ""
            markdown.warning(f"{problem}{instead}")
    if run is None:
        return None
    session.RUN.set(run.run_id)
    state.assume(run=run.run_id)
    with st.sidebar:
        state.select(
            "run",
            "Stored run",
            list(dict.fromkeys([*listed, run.run_id])),
            run.run_id,
            format_func=lambda name: listed.get(name) or title(run),
            help="A network trained on this server, with its test accuracy.",
        )
        if len(title(run)) > SHOWN:
            st.caption(escaped(title(run)))
    return run


def nothing_yet() -> None:
    """The empty state: no network has been trained here."""
    st.info("No network has been trained here yet. Train one first: the base network takes under a minute.")
    pages.link(Page.TRAIN, "Train the base network")


def title(run: Run) -> str:
    """A run in a few words: what it is, whether it was stopped, what it got."""
    stopped = "" if run.complete else f", stopped after epoch {run.metrics['epochs_done']}"
    sample = ", sample" if run.data_name == "sample" else ""
    tested = run_sentences.tested(run.metrics, "test_accuracy")
    return f"{run.name or wording.name(run.experiment)}{stopped}{sample} · {tested}"


def _last(listed: dict[str, str], never: str = "") -> str:
    """The run looked at last, else that of page Train's settings, else the newest."""
    experiment: Experiment | None = view_of(Page.TRAIN)
    trained = run_id(experiment, dataset.load().name) if experiment else ""
    latest = (session.RUN.get(), trained, *listed)
    return next((name for name in latest if name in listed and name != never), "")


@st.cache_data(show_spinner=False, max_entries=4, ttl=20)
def _listed(root: str, changed: float) -> dict[str, str]:
    """Names and titles of the latest runs, newest first."""
    return {run.run_id: title(run) for run in server.store().runs()[:MOST_LISTED]}
