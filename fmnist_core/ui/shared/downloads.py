"""Small parts that the sections of page Data share."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st


def foot(caption: str, *files: tuple[str, Callable[[], bytes], str, str]) -> None:
    """What a picture shows, and quiet buttons to take it away: (label, content, file name, type).

    A file is made only when its button is pressed.
    """
    with st.container(horizontal=True, vertical_alignment="top", gap="medium"):
        with st.container(width="stretch"):
            st.caption(caption)
        for label, content, name, kind in files:
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
