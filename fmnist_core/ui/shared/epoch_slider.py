"""One slider through the recorded epochs of a run, with play and pause: the same on every page that looks into a network."""

from __future__ import annotations

import time
from typing import Any

import streamlit as st

from fmnist_core.errors import LabError
from fmnist_core.experiment import wording
from fmnist_core.store.run import Run
from fmnist_core.ui.shared.address import Address, whole

PERIOD = 1.0  # seconds an epoch stays while playing
MOST = 100_000


def read(text: str) -> int:
    """An epoch, from an address. Raises: ViewError."""
    return whole("epoch", text, 0, MOST)


def choose(address: Address[Any], run: Run, epoch: int | None) -> int:
    """Show the slider where called and return the epoch to show, one of `run.epochs`.

    address: of a view with a part `epoch`. epoch: the view's; None is the last one. Raises: LabError (nothing kept).
    """
    kept = run.epochs
    if not kept:
        raise LabError(f"The stored run {run.run_id} has no checkpoints; train this network again.")
    wanted = kept[-1] if epoch is None else epoch
    current = min(kept, key=lambda one: abs(one - wanted))
    if len(kept) == 1:
        st.caption(f"Only epoch {current} of this run is checkpointed.")
        return current
    playing = bool(st.session_state.get(_name(address, "playing")))
    if st.session_state.get(_name(address, "at")) != (run.run_id, current):  # set from elsewhere: a link, a tick
        st.session_state[_name(address, "at")] = (run.run_id, current)
        st.session_state[_name(address, "mount")] = st.session_state.get(_name(address, "mount"), 0) + 1
    widget = _widget(address)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.button(
            "Pause" if playing else "Play",
            icon=":material/pause:" if playing else ":material/play_arrow:",
            on_click=_toggle,
            args=(address, kept, current),
            key=_name(address, "play"),
            help="Plays the checkpointed epochs, from the first when the last is shown.",
            width=116,
        )
        st.select_slider(
            "Epoch",
            kept,
            current,
            key=widget,
            on_change=_take,
            args=(address, run.run_id, widget),
            help="0 is the network before training.",
        )
    if wanted != current:
        st.caption(f"Epoch {wanted} was not checkpointed; the nearest one, {current}, is shown.")
    if len(kept) <= run.metrics["epochs_done"]:
        st.caption(f"Of {wording.counted(run.metrics['epochs_done'], 'epoch')}, {len(kept)} are checkpointed.")
    if playing:
        st.session_state[_name(address, "since")] = time.monotonic()
        st.fragment(_tick, run_every=PERIOD)(address, kept, current)
    return current


def _toggle(address: Address[Any], kept: tuple[int, ...], current: int) -> None:
    playing = not st.session_state.get(_name(address, "playing"))
    st.session_state[_name(address, "playing")] = playing
    address.stay()
    if playing and current == kept[-1]:
        address.change(epoch=kept[0])


def _take(address: Address[Any], run: str, widget: str) -> None:
    """The slider was moved by hand: that ends playing.

    A browser that has not drawn the latest slider yet reports the place of an earlier one: that is no move.
    """
    if widget != _widget(address):
        address.stay()
        return
    epoch = st.session_state[widget]
    st.session_state[_name(address, "at")] = (run, epoch)
    st.session_state[_name(address, "playing")] = False
    address.change(epoch=epoch)


def _tick(address: Address[Any], kept: tuple[int, ...], current: int) -> None:
    """The next epoch, when this one was there for its time; called with the page itself, too."""
    if time.monotonic() - st.session_state[_name(address, "since")] < 0.8 * PERIOD:
        return
    later = [epoch for epoch in kept if epoch > current]
    if later:
        address.change(epoch=later[0])
    else:
        st.session_state[_name(address, "playing")] = False
    st.rerun()


def _widget(address: Address[Any]) -> str:
    """The key of the slider that holds now."""
    return _name(address, f"epoch {st.session_state[_name(address, 'mount')]}")


def _name(address: Address[Any], what: str) -> str:
    return f"epochs {address.page} {what}"
