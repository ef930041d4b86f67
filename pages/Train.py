"""Train: set the hyperparameters, press Train, watch the network learn, read what it got."""

import streamlit as st

from fmnist_core.ui import controls, frame

with frame.page("Train", ":material/model_training:"):
    st.title("Train a network")
    with st.sidebar:
        experiment = controls.experiment()
    for problem in controls.problems():
        st.warning(problem)
    st.write(controls.name(experiment))
    st.write(experiment.query())
