"""Whether the browser shows the tab: one in the background need not look at live views as often."""

from __future__ import annotations

from pathlib import Path

import streamlit as st


def hidden(key: str) -> bool:
    """Whether the tab is in the background; what calls this is drawn again when that changes. key: its name."""
    return _mount(key=key, on_hidden_change=_noted).get("hidden") is True


def _noted() -> None:
    """Streamlit takes a state only where there is a callback for it."""


_mount = st.components.v2.component(
    "fashion_mnist_lab.visibility", js=(Path(__file__).parent / "visibility.js").read_text()
)
