"""Streamlit parts that the screens share.

What pages need of other packages is imported here, in one thread, before any page. Two tabs that open at once on a new
server run their pages in two threads, and Altair looks into a pandas that another one has imported by half.
Before that, a Python or a package that is missing is one sentence instead of each page.
"""

# ruff: noqa: I001
import streamlit as st

from fmnist_core import installation

if _problem := installation.problem():
    st.error(_problem)
    st.stop()

import pandas  # noqa: F401  # before Altair, which looks for it among the modules
import altair  # noqa: F401
import pyarrow  # noqa: F401

from fmnist_core.ui.shared import frame  # noqa: F401  # and with it what every page needs
