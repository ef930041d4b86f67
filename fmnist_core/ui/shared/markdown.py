"""Streamlit's Markdown: text that people typed, made safe to stand in it; and tables."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

import streamlit as st

from fmnist_core.experiment import wording

LONGEST = 2_000  # characters of a text that people typed, or that holds what they typed
PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
# Streamlit makes links, emojis, icons and arrows of plain text, too, after it has taken the backslashes away. Between
# these parts of them stands a character that is not seen: http:|//, :|red:, www|., name|@host, -|>.
BREAKS = re.compile(r"(?<=:)(?=//|[\w+-]+:)|(?<=www)(?=\.)|(?<=\w)(?=@\w)|(?<=[<>~-])(?=[-=>])", re.IGNORECASE)
WORD_JOINER, ISOLATE, POP = "\u2060", "\u2068", "\u2069"


def escaped(text: str) -> str:
    """A text as one line of Markdown that shows it as it is: no markup, links, pictures, icons or arrows."""
    line = wording.one_line(text, LONGEST)
    shown = PUNCTUATION.sub(r"\\\1", BREAKS.sub(WORD_JOINER, line))
    # Letters that are written from right to left must not reorder what stands beside the text.
    backwards = any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in line)
    return f"{ISOLATE}{shown}{POP}" if backwards else shown


def error(message: object) -> None:
    """What went wrong, in a sentence, which may hold what people typed."""
    st.error(escaped(str(message)))


def warning(message: object) -> None:
    """As `error`, where the page goes on."""
    st.warning(escaped(str(message)))


def info(message: object) -> None:
    """As `error`, for what happened, or what to do."""
    st.info(escaped(str(message)))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], align: str = "lr") -> None:
    """A table; cells are Markdown. align: of each column, l (text) or r (numbers); its last letter: of the rest."""
    bar = [{"l": "---", "r": "--:"}[letter] for letter in align.ljust(len(heads), align[-1])]
    st.markdown("\n".join(f"| {' | '.join(cells)} |" for cells in (heads, bar, *rows)))
