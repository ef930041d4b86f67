"""Compare: several networks side by side, each with several seeds, told apart from noise."""

from __future__ import annotations

import streamlit as st

from fmnist_core.data import dataset
from fmnist_core.ui.compare import (
    compare_view,
    comparison_results,
    race,
    regularisers_explained,
    stored_runs,
    study_controls,
)
from fmnist_core.ui.shared import frame, study_progress
from fmnist_core.ui.shared.downloads import foot
from fmnist_core.ui.shared.pages import Page


def show() -> None:
    """The whole page."""
    with frame.page(Page.COMPARE):
        view = compare_view.STATE.current()
        data = dataset.load()
        st.title("Compare networks")
        st.markdown(
            "A single run may be chance. Train each network with several seeds, and see which differences are larger"
            " than chance."
        )
        with st.sidebar:
            study_controls.show(view)
        compare_view.STATE.show_problems()
        if view.study:
            trained = study_progress.show(view.study, data, compare_view.watch)
        elif view.race:
            trained = race.show(view, data)
        else:
            trained = stored_runs.show(view)
        if trained:
            comparison_results.show(trained, view, data)
            regularisers_explained.show([member.run for member in trained], data)
            st.divider()
            foot(
                "Download: one row per run, one row per epoch, and the study itself, which can be loaded again. The"
                " menu of each chart saves it as PNG or SVG or shows its Vega-Lite specification.",
                *comparison_results.files(trained, view, data),
            )
