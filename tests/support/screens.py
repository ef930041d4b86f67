"""Pages as scripts: open one as a browser does by a link, read what it shows, press what it offers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).parents[2]


def opened(page: str, **query: str) -> AppTest:
    """A page as a browser opens it by a link."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=30)
    if page != "app.py":
        app.switch_page(page)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def unfolded(app: AppTest, key: str) -> AppTest:
    """The page after the expander of this name was opened, as a browser does it."""
    app.session_state[f"expander {key}"] = True
    app.run()
    assert not app.exception
    return app


def texts(app: AppTest) -> str:
    """Everything the page says, one text a line."""
    parts = [*app.markdown, *app.caption, *app.error, *app.warning, *app.info]
    return "\n".join(plain(part.value) for part in parts)


def plain(markdown: str) -> str:
    """Markdown without the backslashes, and what is not seen, before what is not to be taken for its own."""
    return re.sub(r"\\([^A-Za-z0-9\s])", r"\1", re.sub("[\u2060\u2068\u2069]", "", markdown))


def url(app: AppTest) -> dict[str, str]:
    """The settings in the page's address."""
    return {name: values[0] if isinstance(values, list) else values for name, values in app.query_params.items()}


def button(app: AppTest, label: str) -> Any:
    """The button of this name. Raises: StopIteration."""
    return next(button for button in app.button if button.label == label)


def pressed(app: AppTest, label: str) -> AppTest:
    """The page after a press on this button."""
    app = button(app, label).click().run()
    assert not app.exception
    return app
