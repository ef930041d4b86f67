"""Files that a page offers: what a picture shows, and quiet buttons beside it."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import streamlit as st

File = tuple[str, Callable[[], bytes], str, str]  # label, content, file name, type


def csv_file(rows: pd.DataFrame | Callable[[], pd.DataFrame], name: str, label: str = "Table (CSV)") -> File:
    """A table as a file for `foot`. rows: the table without its index, or what makes it."""
    return label, lambda: (rows() if callable(rows) else rows).to_csv(index=False).encode(), name, "text/csv"


def png_file(content: Callable[[], bytes], name: str, label: str = "Picture (PNG)") -> File:
    """A picture as a file for `foot`."""
    return label, content, name, "image/png"


def foot(caption: str, *files: File) -> None:
    """What a picture shows, and buttons to download files; a file is made only when its button is pressed."""
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
