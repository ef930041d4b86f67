"""The progress panel: it polls while something runs, draws it, offers to stop it, and redraws the page at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import streamlit as st

from fmnist_core.ui.shared import server

T = TypeVar("T")


def watch(read: Callable[[], T | None], draw: Callable[[T], None], period: float) -> None:
    """Draw the state every `period` seconds until it is None, which it is at the end; then the page is drawn again."""
    st.fragment(_poll, run_every=period)(read, draw)


def _poll(read: Callable[[], T | None], draw: Callable[[T], None]) -> None:
    server.session()  # tells the engine that this tab is there
    state = read()
    if state is None:
        st.rerun()
    else:
        draw(state)


def bar(
    fraction: float, text: str, stop: Callable[..., None], *args: Any, key: str = "stop", notices: Iterable[str] = ()
) -> None:
    """A bar from 0 to 1 with its text, the button Stop beside it, and what else a person should know below.

    stop, args: the button's callback. key: the button's. Empty notices are left out.
    """
    progress, button = st.columns([5, 1], vertical_alignment="center")
    progress.progress(min(fraction, 1.0), text=text)
    button.button("Stop", icon=":material/stop:", key=key, on_click=stop, args=args, width="stretch")
    for notice in filter(None, notices):
        st.info(notice)
