"""One slider over the checkpointed epochs of a run, with play and pause, for every page that looks into a network."""

from __future__ import annotations

import time
from typing import Any

import streamlit as st

from fmnist_core.errors import LabError
from fmnist_core.experiment import wording
from fmnist_core.store.run import Run
from fmnist_core.ui.shared import session
from fmnist_core.ui.shared.view_state import ViewState

PERIOD = 1.0  # seconds an epoch stays while playing


def choose(state: ViewState[Any], run: Run, epoch: int | None) -> int:
    """Show the slider where called and return the epoch to show, one of `run.epochs`.

    state: of a view with a part `epoch`. epoch: the view's; None is the last one. Raises: LabError (no checkpoints).
    """
    epochs = run.epochs
    if not epochs:
        raise LabError(f"The stored run {run.run_id} has no checkpoints; train this network again.")
    asked = epochs[-1] if epoch is None else epoch
    current = min(epochs, key=lambda each: abs(each - asked))
    if len(epochs) == 1:
        st.caption(f"Only epoch {current} of this run is checkpointed.")
        return current
    playing = session.PLAYING.get(state.page)
    start, widget = state.control("epoch", current, lambda epoch: _move(state, epoch))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.button(
            "Pause" if playing else "Play",
            icon=":material/pause:" if playing else ":material/play_arrow:",
            on_click=_toggle,
            args=(state, epochs, current),
            key=f"{state.page.name.lower()} play",
            help="Plays the checkpointed epochs, from the first when the last is shown.",
            width=116,
        )
        start = start if start in epochs else current
        st.select_slider("Epoch", epochs, start, help="0 is the network before training.", **widget)
    if asked != current:
        st.caption(f"Epoch {asked} was not checkpointed; the nearest one, {current}, is shown.")
    if len(epochs) <= run.metrics["epochs_done"]:
        st.caption(f"Of {wording.counted(run.metrics['epochs_done'], 'epoch')}, {len(epochs)} are checkpointed.")
    if playing:
        session.SHOWN_SINCE.set(time.monotonic(), state.page)
        st.fragment(_tick, run_every=PERIOD)(state, epochs, current)
    return current


def _toggle(state: ViewState[Any], epochs: tuple[int, ...], current: int) -> None:
    playing = not session.PLAYING.get(state.page)
    session.PLAYING.set(playing, state.page)
    if playing and current == epochs[-1]:
        state.change(epoch=epochs[0])


def _move(state: ViewState[Any], epoch: int) -> None:
    """The slider was moved by hand: that ends playing."""
    session.PLAYING.set(False, state.page)
    state.change(epoch=epoch)


def _tick(state: ViewState[Any], epochs: tuple[int, ...], current: int) -> None:
    """The next epoch, when this one was there for its time; called with the page itself, too."""
    if time.monotonic() - session.SHOWN_SINCE.get(state.page) < 0.8 * PERIOD:
        return
    later = [epoch for epoch in epochs if epoch > current]
    if later:
        state.change(epoch=later[0])
    else:
        session.PLAYING.set(False, state.page)
    st.rerun()
