"""Home: what this is, and the ways in."""

import streamlit as st

from fmnist_core.ui import frame

with frame.page("Home", ":material/checkroom:"):
    st.title("Fashion-MNIST Lab")
