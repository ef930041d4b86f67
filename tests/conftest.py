"""Fixtures of more than one folder's tests, and the check that markers tell the truth."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from altair.utils import schemapi
from playwright.sync_api import Browser, Page, sync_playwright

from fmnist_core.charts import specification  # noqa: F401  (its import switches off what is switched on below)
from tests.support.app_server import CHROMIUM, Server, new_page

# Tests that import Keras themselves mean the one that the product trains with.
os.environ["KERAS_BACKEND"] = "tensorflow"
# Altair checks each chart against the schema of Vega-Lite, which the app leaves to the tests.
schemapi.enable_debug_mode()
# A property holds however long the machine takes for an example.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")
# A program whose command has all these words may be started by a test with this marker only.
PROGRAMS = (
    (("fmnist_core.engine.host",), "engine"),
    (("-m fmnist_core doctor",), "engine"),
    (("-m fmnist_core study",), "engine"),
    (("streamlit run", "app.py"), "engine"),
    (("playwright", "run-driver"), "browser"),
)
FIXTURES = {"engine": "engine", "light_engine": "engine", "browser": "browser"}
running: list[pytest.Item] = []
wrong_starts: list[str] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """For two test processes: one takes all tests that have workers or a browser, and so never two at once.

    Raises: UsageError where a test has the engine or the browser but not its marker.
    """
    for item in items:
        heavy = item.get_closest_marker("engine") or item.get_closest_marker("browser")
        item.add_marker(pytest.mark.xdist_group("engine and browser" if heavy else str(item.path)))
        for fixture, marker in FIXTURES.items():
            if fixture in getattr(item, "fixturenames", ()) and not item.get_closest_marker(marker):
                raise pytest.UsageError(f"{item.nodeid} uses {fixture}: mark it with pytest.mark.{marker}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    running[:] = [item]
    try:
        return (yield)
    finally:
        running.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Iterator[None]:
    yield
    if wrong_starts:
        message = "\n".join(wrong_starts)
        wrong_starts.clear()
        pytest.fail(message, pytrace=False)


def check_start(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse to start workers or Chromium in a test that isn't marked so; it fails at its end, too."""
    if event != "subprocess.Popen" or not running:
        return
    command = " ".join(map(str, arguments[1]))  # type: ignore[call-overload]
    for words, marker in PROGRAMS:
        if all(word in command for word in words) and not running[0].get_closest_marker(marker):
            wrong_starts.append(f"{running[0].nodeid} starts {command}: mark it with pytest.mark.{marker}")
            raise RuntimeError(wrong_starts[-1])


sys.addaudithook(check_start)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is missing; .ci/run installs it.")
        pytest.skip("needs Chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real app with an empty run store."""
    server = Server(tmp_path_factory.mktemp("browser") / "runs")
    yield server
    server.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A person's browser."""
    page = new_page(browser)
    yield page
    page.context.close()


@pytest.fixture
def no_workers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Pages are tested alone: an engine that exists but starts no processes, and a run store of the test's own."""
    from fmnist_core.ui.shared import server as app_server

    monkeypatch.setenv("FMNIST_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr("fmnist_core.engine.service.Engine.start", lambda self: None)
    for cached in (app_server.engine, app_server.store):
        cached.clear()
    yield
    for cached in (app_server.engine, app_server.store):
        cached.clear()
