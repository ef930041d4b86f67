"""Compare: several networks side by side, each with several seeds, told apart from noise."""

import streamlit as st

from fmnist_core import dataset
from fmnist_core.ui import (
    compare_choose,
    compare_race,
    compare_results,
    compare_runs,
    compare_study,
    compare_view,
    frame,
    regularisers,
)

with frame.page("Compare"):
    view, problems = compare_view.ADDRESS.current()
    data = dataset.load()
    st.title("Compare networks")
    st.markdown(
        "One run can be lucky. Train each network from several seeds, and see which differences are more than chance."
    )
    with st.sidebar:
        compare_choose.show(view)
    for problem in problems:
        st.warning(problem)
    if view.study:
        trained = compare_study.show(view.study, data)
    elif view.race:
        trained = compare_race.show(view, data)
    else:
        trained = compare_runs.show(view)
    if trained:
        compare_results.show(trained, view, data)
        regularisers.show([one.run for one in trained], data)
        compare_results.files(trained, view)
