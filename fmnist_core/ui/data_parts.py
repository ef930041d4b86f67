"""Small parts that the sections of page Data share."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st


def download(label: str, content: Callable[[], bytes], name: str, kind: str) -> None:
    """A quiet button under a picture; the file is made only when it is pressed."""
    st.download_button(
        label,
        content,
        name,
        kind,
        key=f"download {name}",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
    )
