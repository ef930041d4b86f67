"""The one way to show a chart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import streamlit as st

from fmnist_core.charts.specification import Specification


def show(
    chart: Specification,
    key: str,
    width: int | Literal["stretch"] = "stretch",
    on_select: Callable[[], None] | Literal["ignore", "rerun"] = "ignore",
) -> Any:
    """Draw a chart where called.

    key: its name on the page; under the same name, other data are drawn in place. on_select: what a click on a mark
    does, as in Streamlit; unless it is "ignore", returns Streamlit's event, with the marks that are chosen.
    """
    return st.vega_lite_chart(chart.ready(), key=key, width=width, on_select=on_select)
