"""Runs that somebody deleted while others look at them: what pages say, and the way to bring them back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from fmnist_core.errors import LabError
from fmnist_core.experiment import wording
from fmnist_core.store.run import RunGone
from fmnist_core.ui.shared import markdown, server


def notice(run_ids: Sequence[str]) -> list[str]:
    """Say which of these runs were deleted, with a button that brings them back. Returns the others."""
    deleted = {run_id: run for run_id in run_ids if (run := server.store().deleted(run_id))}
    if deleted:
        names = [f"“{run.name or wording.name(run.experiment)}”" for run in deleted.values()]
        several = f"{wording.counted(len(names), 'run')} were" if len(names) > 1 else f"The run {names[0]} was"
        markdown.warning(f"{several} deleted by somebody on this server.")
        _bring_back(list(deleted))
    return [run_id for run_id in run_ids if run_id not in deleted]


def error(problem: LabError, show: Callable[[object], None] = markdown.error) -> None:
    """What went wrong; where a run was deleted meanwhile, with the way to bring it back."""
    show(problem)
    if isinstance(problem, RunGone) and server.store().deleted(problem.run_id):
        _bring_back([problem.run_id])


def _bring_back(run_ids: list[str]) -> None:
    label, key = "Bring it back" if len(run_ids) == 1 else "Bring them back", f"bring back {run_ids[0]}"
    st.button(label, icon=":material/undo:", key=key, on_click=server.bring_back, args=(run_ids,))
