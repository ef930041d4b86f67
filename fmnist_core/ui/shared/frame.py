"""The frame of every screen: title, menu, which data is in use, and errors as one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import streamlit as st

from fmnist_core.data import dataset
from fmnist_core.errors import LabError
from fmnist_core.settings import SettingError, check_runs_folder, misspelt, settings
from fmnist_core.ui.shared import deleted_runs, markdown, pages, server, session
from fmnist_core.ui.shared.pages import Page
from fmnist_core.ui.shared.view_state import carried

ICON = "👕"  # An emoji, as the browser has it: a Material symbol would be fetched from Google.


STYLE = Path(__file__).with_suffix(".css")


@contextmanager
def page(this: Page) -> Iterator[None]:
    """Everything around a page's own content; every page starts with `with frame.page(...)`.

    A LabError that leaves the block is shown as its sentence, never as a trace. Where a setting is wrong, its sentence
    is the page.
    """
    session.arrive(this)
    name = "Fashion-MNIST Lab"
    st.set_page_config(
        page_title=name if this is Page.HOME else f"{this.title} · {name}", page_icon=ICON, layout="wide"
    )
    st.html(STYLE)
    if this is Page.HOME and st.query_params:
        st.query_params.clear()  # it has no settings
    with st.sidebar:
        for each in Page:
            pages.link(each, each.title, carried(each))
    try:
        settings()
    except SettingError as error:
        markdown.error(error)
        st.stop()
    shown = ""
    try:
        yield
    except LabError as error:
        shown = str(error)
        deleted_runs.error(error)
    with st.sidebar:
        _data_line(shown)
        _settings_line()
    server.wake()


def _settings_line() -> None:
    """What is not as it should be in the settings, but stops no page."""
    for sentence in misspelt():
        markdown.warning(sentence)
    try:
        check_runs_folder()
    except SettingError as error:
        markdown.warning(error)


def _data_line(shown: str) -> None:
    """Which data set is in use; what is wrong with it shows on every page, once. shown: the page's own error."""
    try:
        data = dataset.load()
    except LabError as error:
        if str(error) != shown:
            markdown.error(error)
        return
    name = "Full data set" if data.name == "full" else "Embedded sample"
    counts = f"{len(data.train_images):,} training and {len(data.test_images):,} test images"
    st.caption(f"{name}: {counts}, from {markdown.escaped(data.source)}.")
    if data.name == "sample":
        st.caption("See page Data for how to get all 70,000 images.")
    if data.notice:
        markdown.warning(data.notice)
