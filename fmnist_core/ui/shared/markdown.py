"""Streamlit's Markdown: text that people typed, made safe to stand in it; and tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import streamlit as st

SPECIAL = re.compile(r"([\\`*_{}\[\]#|$~:<>])")


def escaped(text: str) -> str:
    """The text with a backslash before every character that Markdown, LaTeX or a table would take for its own."""
    return SPECIAL.sub(r"\\\1", text)


def error(message: object) -> None:
    """What went wrong, in a sentence, which may hold what people typed."""
    st.error(escaped(str(message)))


def warning(message: object) -> None:
    """As `error`, where the page goes on."""
    st.warning(escaped(str(message)))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], align: str = "lr") -> None:
    """A table; cells are Markdown. align: of each column, l (text) or r (numbers); its last letter: of the rest."""
    bar = [{"l": "---", "r": "--:"}[letter] for letter in align.ljust(len(heads), align[-1])]
    st.markdown("\n".join(f"| {' | '.join(cells)} |" for cells in (heads, bar, *rows)))
