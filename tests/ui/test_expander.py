"""What is closed is not computed, and what was opened stays open."""

from __future__ import annotations

import re
from pathlib import Path

from streamlit.testing.v1 import AppTest

import fmnist_core

SCRIPT = """
import streamlit as st
from fmnist_core.ui.shared import expander

if not st.session_state.get("elsewhere"):
    expander.show(st.session_state.get("label", "512 units"), "network", lambda: st.text("computed"))
"""


def shown(app: AppTest) -> tuple[str, bool, bool]:
    """The panel's label; whether the browser is told to draw it open; whether its content was computed."""
    app.run()
    assert not app.exception
    (panel,) = app.expander
    return panel.label, panel.proto.expanded, bool(app.text)


def test_nothing_is_computed_until_it_is_opened() -> None:
    app = AppTest.from_string(SCRIPT)
    assert shown(app) == ("512 units", False, False)
    app.session_state["expander network"] = True  # what the browser says
    assert shown(app) == shown(app) == ("512 units", True, True)
    app.session_state["expander network"] = False
    assert shown(app) == ("512 units", False, False)


def test_it_stays_open_under_another_label_and_after_a_visit_elsewhere() -> None:
    app = AppTest.from_string(SCRIPT)
    shown(app)
    app.session_state["expander network"] = True
    shown(app)
    app.session_state["label"] = "64 units"
    assert shown(app) == shown(app) == ("64 units", True, True)
    app.session_state["elsewhere"] = True
    app.run()
    assert not app.expander and not app.text
    app.session_state["elsewhere"] = False
    assert shown(app) == ("64 units", True, True)


def test_pages_close_things_in_one_way_only() -> None:
    root = Path(fmnist_core.__file__).parent
    assert {path.name for path in root.rglob("*.py") if re.search(r"\.expander\(", path.read_text())} == {"expander.py"}
