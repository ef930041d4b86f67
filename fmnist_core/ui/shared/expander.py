"""What is closed at first: nothing in it is computed, nor sent to the browser, until somebody opens it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from fmnist_core.ui.shared import session
from fmnist_core.ui.shared.session import Expander


def show(label: str, key: str, draw: Callable[[], None]) -> None:
    """An expander, where called. key: its name on the page; the session remembers by it whether it is open, whatever
    its label, and when one comes back to the page. draw: makes what is in it.
    """
    widget = f"expander {key}"
    now = session.EXPANDER.get(key)
    # For Streamlit, one with another label or another start is another one: while it stays, its start does, too.
    if now.label != label or not session.drawn(widget):
        now = Expander(label, start=now.open)
    panel = st.expander(label, expanded=now.start, key=widget, on_change="rerun")
    session.EXPANDER.set(replace(now, open=bool(panel.open)), key)
    if panel.open:
        with panel:
            draw()
