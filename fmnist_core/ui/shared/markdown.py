"""Text that people typed, made safe to stand inside Streamlit's Markdown."""

from __future__ import annotations

import re

SPECIAL = re.compile(r"([\\`*_{}\[\]#|$~:<>])")


def escaped(text: str) -> str:
    """The text with a backslash before every character that Markdown, LaTeX or a table would take for its own."""
    return SPECIAL.sub(r"\\\1", text)
