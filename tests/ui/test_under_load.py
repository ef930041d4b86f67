"""What keeps the app quick and its memory flat when many people use it at once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from benchmarks.tabs import Tab, tab
from fmnist_core.engine.service import Snapshot
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.ui.shared import server as app_server
from fmnist_core.ui.shared.view_state import NUMBERS
from fmnist_core.ui.shared.watchers import GONE, Watchers
from fmnist_core.ui.train import live_training
from tests.support.app_server import ROOT, Server

PAGES = ("home", "data", "train", "compare", "inspect", "embeddings", "initialisation")


# --- The first page ---------------------------------------------------------------------------------------------------

IMPORTS = f"""
import sys
import streamlit, fmnist_core.ui
before = set(sys.modules)
for page in {PAGES}:
    __import__(f"fmnist_core.ui.{{page}}.{{page}}_page")
new = {{name.partition(".")[0] for name in set(sys.modules) - before}} - set(sys.stdlib_module_names)
print(*sorted(new - {{"fmnist_core", "PIL"}}))
"""


def test_no_page_imports_other_packages_for_itself() -> None:
    """Two first tabs import in two threads, and one sees what the other has imported by half. (Pillow has no loops.)"""
    found = subprocess.run([sys.executable, "-c", IMPORTS], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "runs")
    yield server
    server.close()


@pytest.mark.engine
def test_first_tabs_at_once_are_all_shown(new_server: Server) -> None:
    async def visit(page: str) -> Tab:
        async with tab(new_server.url) as person:
            await person.open(page)
            return person

    async def visits() -> list[Tab]:
        return await asyncio.gather(*map(visit, ("Train", "Data", "Compare", "Initialisation")))

    for person in asyncio.run(visits()):
        assert not person.errors and person.elements > 10


# --- Memory -----------------------------------------------------------------------------------------------------------


def test_streamlit_does_not_search_all_memory_after_each_run() -> None:
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert settings["runner"]["postScriptGC"] is False


def test_what_is_imported_is_set_aside_for_the_garbage_collector() -> None:
    code = "import gc; from fmnist_core.ui.shared import memory; memory.set_aside(); print(gc.get_freeze_count())"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(found.stdout) > 100_000


def test_a_session_has_a_bounded_number_of_control_keys(no_workers: None) -> None:
    """Streamlit keeps what it knows of a control, by its key, until the session ends."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    keys: set[str | None] = set()
    for _ in range(NUMBERS + 3):
        keys |= {slider.key for slider in app.switch_page("pages/Data.py").run().slider}
        app.switch_page("app.py").run()
    assert len(keys) == NUMBERS * len(app.switch_page("pages/Data.py").run().slider)


def test_people_who_left_are_forgotten(no_workers: None, monkeypatch: pytest.MonkeyPatch) -> None:
    tabs = app_server._tabs()
    tabs.clear()
    tabs |= {"left": {"tab 1"}, "stays": {"tab 2"}}
    monkeypatch.setattr(app_server, "_connected", "tab 2".__eq__)
    app_server.session()
    assert "left" not in tabs and "stays" in tabs
    tabs.clear()


# --- Live views -------------------------------------------------------------------------------------------------------


def test_few_watchers_look_as_often_as_planned() -> None:
    watchers = Watchers(looks=30)
    assert [watchers.interval(f"tab {number % 3}", 0.5) for number in range(9)] == [0.5] * 9


@pytest.mark.parametrize("people", [15, 16, 30, 100])
def test_many_watchers_look_at_most_so_often_together(people: int) -> None:
    watchers = Watchers(looks=30)
    for number in range(people):
        interval = watchers.interval(f"tab {number}", 0.5)
    assert people / interval <= 30
    assert interval == 0.5 or people / (interval / 2) > 30, "no less often than it must be"


def test_who_left_is_no_watcher(monkeypatch: pytest.MonkeyPatch) -> None:
    watchers, now = Watchers(looks=1), [0.0]
    monkeypatch.setattr("fmnist_core.ui.shared.watchers.time.monotonic", lambda: now[0])
    for number in range(10):
        watchers.interval(f"tab {number}", 1.0)
    now[0] = GONE + 1
    assert watchers.interval("tab 0", 1.0) == 1.0


def test_a_tab_takes_another_interval_while_it_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    def page() -> None:
        import streamlit as st

        from fmnist_core.ui.shared import progress

        def draw(state: str) -> None:
            st.markdown(state)

        progress.watch(lambda: "training", draw, 0.5, "a run")

    intervals = iter([0.5, 1.0])
    monkeypatch.setattr(Watchers, "interval", lambda self, tab, period: next(intervals, 1.0))
    monkeypatch.setattr("fmnist_core.ui.shared.progress.SETTLED", -1.0)
    app = AppTest.from_function(page, default_timeout=60).run()
    assert not app.exception
    assert [drawn.value for drawn in app.markdown] == ["training"]
    assert next(intervals, None) is None


def test_a_training_is_drawn_once_for_all_who_watch() -> None:
    snapshot = Snapshot(
        name="a run",
        state="training",
        place=0,
        seconds_left=None,
        notice="",
        error="",
        experiment=Experiment(),
        epoch=1,
        step=5,
        steps_per_epoch=10,
        history=(),
        step_losses=((1, 2.3), (5, 1.9)),
        accuracy=0.5,
        examples_per_second=1e4,
        watchers=30,
    )
    drawn = [live_training._charts(snapshot.run_id, snapshot.step, 0, replace(snapshot)) for _ in range(3)]
    assert all(charts is drawn[0] for charts in drawn)
    assert live_training._charts(snapshot.run_id, 6, 0, replace(snapshot, step=6)) is not drawn[0]
