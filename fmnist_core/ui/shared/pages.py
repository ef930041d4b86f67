"""The pages: one row each. The menu, the links, and the names in the session's state follow from it.

A new page is a row here, a folder `fmnist_core/ui/NAME` with `NAME_page.show`, and a script of two lines in `pages/`,
with one beside it for the address in small letters.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Literal
from urllib.parse import urlsplit

import streamlit as st

MOST_COMPARED = 60  # stored runs in one address of page Compare


def material(symbol: str) -> str:
    """A Material symbol as Streamlit's icons name it."""
    return f":material/{symbol}:"


class Page(Enum):
    """Every page, in the menu's order: its title, its Material symbol, and what it needs ("run": a stored run)."""

    HOME = ("Home", "home")
    DATA = ("Data", "grid_view")
    TRAIN = ("Train", "model_training")
    COMPARE = ("Compare", "stacked_line_chart")
    INSPECT = ("Inspect", "search", "run")
    EMBEDDINGS = ("Embeddings", "bubble_chart", "run")
    INITIALISATION = ("Initialisation", "start")

    def __init__(self, title: str, symbol: str, needs: Literal["", "run"] = "") -> None:
        self.title, self.icon, self.needs = title, material(symbol), needs

    @property
    def path(self) -> str:
        """Its script, as Streamlit names it."""
        return "app.py" if self is Page.HOME else f"pages/{self.title}.py"


def open_instead(page: Page) -> None:
    """Go to a page with the settings of this address, which is that page's own in small letters.

    Streamlit compares an address with the names of the scripts in `pages/` letter by letter. It leaves out a number
    before a script's name, so that two scripts stand side by side that differ in nothing else.
    """
    st.switch_page(page.path, query_params=st.query_params.to_dict())


def open_meant(url: str) -> None:
    """Go to the page that an address means which names it in other letters, such as /TRAIN or /tRain/.

    Streamlit opens Home for these, below a dialog that says so.
    """
    base = str(st.get_option("server.baseUrlPath")).strip("/")
    name = urlsplit(url).path.strip("/").removeprefix(base).strip("/")
    meant = next((page for page in Page if page.title.casefold() == name.casefold() and page.title != name), None)
    if meant and meant is not Page.HOME:
        open_instead(meant)


def link(
    page: Page, label: str, query: Mapping[str, str] | None = None, symbol: str | None = "", help: str | None = None
) -> None:
    """A link to a page, with its view as URL parameters. label: Markdown. symbol: "": the page's own; None: none."""
    icon = material(symbol) if symbol else page.icon if symbol == "" else None
    st.page_link(page.path, label=label, icon=icon, query_params=dict(query or {}), help=help)
