"""What people type, and what an address says, is shown as text in every place of every page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from fmnist_core.experiment.hyperparameters import Experiment, run_id
from fmnist_core.experiment.study import Axis, Study
from fmnist_core.store.run_store import RunStore
from fmnist_core.ui.compare import compare_view
from fmnist_core.ui.data import data_view
from fmnist_core.ui.embeddings import embeddings_view
from fmnist_core.ui.initialisation import initialisation_view
from fmnist_core.ui.inspect import inspect_view
from fmnist_core.ui.shared import server, view_state
from fmnist_core.ui.shared.page_view import PageView
from fmnist_core.ui.shared.pages import Page
from tests.support.screens import opened, texts
from tests.support.stored_runs import store_run
from tests.support.trained_runs import EXPERIMENT, store_trained

pytestmark = pytest.mark.usefixtures("no_workers")
NASTY = "![zq](http://127.0.0.1:9/x)<img src=//127.0.0.1:9/y>$zq$ *zq* www.zq.org :zq:"
RAW = re.compile(r"(?<!\\)(\[zq|<img src=//|\$zq|\*zq)")  # what is left of it where nothing was escaped
SHIELD = re.compile(r"\\([^A-Za-z0-9\s])")  # which it takes away first
LIVE = re.compile(r"http://127|www\.zq|:zq:")  # what Streamlit finds in a text that is escaped
# Fields that are no Markdown: what a control shows as text, data of tables and charts, addresses and keys.
PLAIN = {
    *("Selectbox.options", "Selectbox.id", "MultiSelect.options", "TextInput.value", "TextInput.default"),
    *("Arrow.data", "ArrowData.data", "PageLink.query_string", "Spec", "VegaLiteChart.spec"),
}
TRAINED = run_id(EXPERIMENT, "sample")
VIEWS: dict[Page, type[PageView]] = {
    Page.DATA: data_view.View,
    Page.COMPARE: compare_view.View,
    Page.INSPECT: inspect_view.View,
    Page.EMBEDDINGS: embeddings_view.View,
    Page.INITIALISATION: initialisation_view.View,
}
PLACES: list[tuple[Page, dict[str, str]]] = [
    (Page.HOME, {}),
    (Page.DATA, {}),
    (Page.TRAIN, {"units": "16", "epochs": "2"}),
    *((Page.INSPECT, {"section": section}) for section in inspect_view.SECTIONS),
    *((Page.EMBEDDINGS, {"part": part}) for part in embeddings_view.PARTS),
    *((Page.INITIALISATION, {"part": part}) for part in initialisation_view.PARTS),
]


def strings(message: Any) -> Iterator[tuple[str, str]]:
    """Every text in an element, with the name of its field."""
    for field, value in message.ListFields():
        values = value if field.is_repeated else [value]
        for each in values:
            if field.message_type is not None:
                yield from strings(each)
            elif isinstance(each, str):
                yield f"{message.DESCRIPTOR.name}.{field.name}", each


def elements(block: Any) -> Iterator[Any]:
    """Everything on a page, containers too."""
    for child in getattr(block, "children", {}).values():
        yield child
        yield from elements(child)


def unescaped(app: AppTest) -> set[str]:
    """The fields that have NASTY so that Markdown or HTML would take it."""
    found = set()
    for element in elements(app._tree):
        proto = getattr(element, "proto", None)
        for field, text in strings(proto) if hasattr(proto, "ListFields") else ():
            if RAW.search(text) or (not field.startswith("Html") and LIVE.search(SHIELD.sub(r"\1", text))):
                found.add(field)
    return found


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose runs have the nasty name and note: networks of which one is explained on page Compare."""
    root = tmp_path_factory.mktemp("named") / "runs"
    store = RunStore(root, 10**9)
    store_trained(root)
    for experiment in (Experiment(units=16, epochs=1), Experiment(units=16, epochs=1, dropout=0.2, l2=1e-4)):
        store_run(store, experiment)
    for run in store.runs():
        store.annotate(run.run_id, name=NASTY, note=NASTY)
    return root


@pytest.fixture
def runs(named: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the stored runs, the one that was really trained last."""
    monkeypatch.setenv("FMNIST_RUNS", str(named))
    monkeypatch.setattr(view_state, "MOST_PROBLEMS", 99)
    server.store.clear()
    return sorted((run.run_id for run in server.store().runs()), key=TRAINED.__eq__)


@pytest.mark.parametrize(("page", "query"), PLACES, ids=str)
def test_names_and_addresses_are_shown_as_text(page: Page, query: dict[str, str], runs: list[str]) -> None:
    names = VIEWS[page].settings() if page in VIEWS else ("units", "widths", "activation")
    wrong = dict.fromkeys(names, NASTY) | {NASTY: NASTY}
    if page.needs == "run":
        query = query | {"run": TRAINED}
    app = opened(page.path, **(wrong | query))
    assert unescaped(app) <= PLAIN
    assert page is Page.HOME or len(app.warning) >= len(names) - len(query)


@pytest.mark.parametrize("columns", ["Results", "Names and notes"])
def test_names_in_a_comparison_are_shown_as_text(columns: str, runs: list[str]) -> None:
    app = opened(Page.COMPARE.path, runs=".".join(runs[:2]))
    next(group for group in app.button_group if group.key == "compare columns").set_value([columns]).run()
    assert len(app.header) > 2 and unescaped(app) <= PLAIN


def test_the_name_of_a_study_is_shown_as_text(runs: list[str]) -> None:
    study = Study(name=NASTY, base=Experiment(epochs=1), axes=(Axis(field="units", values=(16, 32)),), seeds=1)
    app = opened(Page.COMPARE.path, study=study.to_short_json())
    assert "zq" in texts(app) and unescaped(app) <= PLAIN
