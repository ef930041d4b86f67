"""Files that a page offers: what a picture shows, and quiet buttons beside it."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from fmnist_core.errors import LabError

File = tuple[str, Callable[[], bytes], str, str]  # label, content, file name, type
FORMULA = re.compile(r"\s*[=+\-@\uff0b\uff0d\uff1d\uff20]")  # how a spreadsheet's formula may begin
LINES = re.compile(r"[\t\r\n]+")
NUMBER = re.compile(r"\s*[+-]?[0-9.]+(e[+-]?[0-9]+)?\s*", re.IGNORECASE)


class _OneSentence(logging.Filter):
    """Streamlit logs a file that could not be made with its trace; what is a sentence for people needs none."""

    def filter(self, record: logging.LogRecord) -> bool:
        failure = record.exc_info[1] if record.exc_info else None
        if failure is not None and isinstance(failure.__cause__, LabError):
            record.msg, record.args, record.exc_info = f"A download failed: {failure.__cause__}", (), None
        return True


logging.getLogger("streamlit.runtime.backend_operation_handler").addFilter(_OneSentence())


def csv(rows: pd.DataFrame) -> bytes:
    """A table as CSV, without its index. A text that a spreadsheet would take for a formula gets an apostrophe."""
    cells = {name: rows[name] if pd.api.types.is_numeric_dtype(rows[name]) else rows[name].map(_text) for name in rows}
    return pd.DataFrame(cells).rename(columns=_text).to_csv(index=False).encode()


def _text(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    text = LINES.sub(" ", cell)
    return f"'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text) else text


def csv_file(rows: pd.DataFrame | Callable[[], pd.DataFrame], name: str, label: str = "Table (CSV)") -> File:
    """A table as a file for `foot`. rows: the table without its index, or what makes it."""
    return label, lambda: csv(rows() if callable(rows) else rows), name, "text/csv"


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
