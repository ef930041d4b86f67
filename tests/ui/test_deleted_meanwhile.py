"""Somebody deletes the run that a page shows: the page says so, and offers the run back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage
from streamlit.testing.v1 import AppTest

from fmnist_core.errors import LabError
from fmnist_core.store.run import Run, RunGone
from fmnist_core.store.run_store import RunStore
from fmnist_core.ui.embeddings.embeddings_view import PARTS
from fmnist_core.ui.inspect.inspect_view import SECTIONS
from fmnist_core.ui.shared import server
from fmnist_core.ui.shared.pages import Page
from tests.support.screens import opened, pressed, texts
from tests.support.stored_runs import store_run
from tests.support.trained_runs import EXPERIMENT, store_trained

pytestmark = pytest.mark.usefixtures("no_workers")
INTO_A_RUN = [
    *((Page.INSPECT, {"section": section}) for section in SECTIONS),
    (Page.INSPECT, {"section": "inside", "part": "kernels"}),
    (Page.INSPECT, {"section": "inside", "part": "units"}),
    *((Page.EMBEDDINGS, {"part": part}) for part in PARTS if part != "separation"),  # a worker reads for that one
]
EACH = [
    *((Page.INSPECT, {"section": "mistakes"}), (Page.EMBEDDINGS, {"part": "map"})),
    *((Page.COMPARE, {}), (Page.TRAIN, EXPERIMENT.query())),
]


@pytest.fixture
def run(tmp_path: Path) -> str:
    """A stored run on the sample, and its twin on the data set of this machine."""
    store_run(tmp_path / "runs", EXPERIMENT)  # what page Train shows
    return store_trained(tmp_path / "runs")


def shown(page: Page, query: dict[str, str], run: str) -> AppTest:
    named = {"run": run} if page.needs == "run" else {"runs": run} if page is Page.COMPARE else {}
    return opened(page.path, **named, **query)


def told(app: AppTest) -> None:
    said = texts(app)
    assert not app.exception and "deleted by somebody on this server" in said and "damaged" not in said


@pytest.mark.parametrize(("page", "query"), EACH, ids=str)
def test_a_run_that_is_deleted_while_one_looks_can_be_brought_back(
    page: Page, query: dict[str, str], run: str, tmp_path: Path
) -> None:
    app, store = shown(page, query, run), RunStore(tmp_path / "runs", 10**9)
    names = [each.run_id for each in store.runs()]
    for name in names:
        store.delete(name)
    app.run()
    told(app)
    pressed(app, "Bring it back")
    assert store.runs() and "deleted" not in texts(app)


@pytest.mark.parametrize(("page", "query"), INTO_A_RUN, ids=str)
def test_a_run_that_is_deleted_before_its_files_are_read_is_a_sentence(
    page: Page, query: dict[str, str], run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = server.opened

    def found_and_deleted(run_id: str) -> Run | None:
        found = find(run_id)
        if found:
            RunStore(tmp_path / "runs", 10**9).delete(run_id)
        return found

    monkeypatch.setattr(server, "opened", found_and_deleted)
    told(shown(page, query, run))


@pytest.mark.parametrize(("page", "query"), EACH, ids=str)
def test_a_file_of_a_deleted_run_is_whole_or_a_sentence(
    page: Page, query: dict[str, str], run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: dict[str, Callable[[], bytes]] = {}
    original = MediaFileManager.add_deferred

    def noted(self: Any, data_callable: Callable[[], bytes], *args: Any, **kwargs: Any) -> str:
        made[str(len(made))] = data_callable
        return original(self, data_callable, *args, **kwargs)

    monkeypatch.setattr(MediaFileManager, "add_deferred", noted)
    shown(page, query, run)
    for each in server.store().runs():
        RunStore(tmp_path / "runs", 10**9).delete(each.run_id)
    for content in made.values():
        try:
            assert content()
        except RunGone as error:
            assert "deleted by somebody on this server" in str(error)


def test_a_download_that_fails_leaves_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """As Streamlit does it: it logs the error of its own, raised from ours."""
    manager = MediaFileManager(MemoryMediaFileStorage("/media"))

    def gone() -> bytes:
        raise LabError("The stored run was deleted.")

    manager._deferred_callables["file"] = {"callable": gone}  # type: ignore[typeddict-item]
    log = logging.getLogger("streamlit.runtime.backend_operation_handler")
    monitored = logging.Handler()
    lines: list[str] = []
    monitored.emit = lambda record: lines.append(logging.Formatter().format(record))  # type: ignore[method-assign]
    log.addHandler(monitored)
    try:
        manager.execute_deferred("file")
    except Exception:
        log.exception("Error executing deferred callable for file_id %s", "file")
    finally:
        log.removeHandler(monitored)
    assert lines == ["A download failed: The stored run was deleted."]
