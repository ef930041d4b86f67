"""Small things that the parts of page Initialisation share."""

from __future__ import annotations

import streamlit as st

from fmnist_core.ui.initialisation.initialisation_view import STATE, View

CARD = 460  # pixels of a figure's width: two fit beside the sidebar on a screen of 1,440, three on one of 1,920


def way(label: str, icon: str, view: View) -> None:
    """A way to another view of this page.

    A button: a link to the page that is open already changes what is shown, but not the browser's address.
    """
    st.button(label, icon=icon, type="tertiary", on_click=STATE.open, args=(view,), key=f"initialisation way {label}")
