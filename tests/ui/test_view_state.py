"""A page's view and its address: what moves the one, what moves the other, and what is no move at all."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from streamlit.runtime.scriptrunner import RerunData
from streamlit.testing.v1 import AppTest, local_script_runner

from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.presets import PRESETS
from fmnist_core.ui.shared import server, session
from fmnist_core.ui.shared.pages import Page
from tests.support.screens import ROOT, button, opened, plain, url
from tests.support.stored_runs import store_run

pytestmark = pytest.mark.usefixtures("no_workers")
LINK = "[Log in again](https://evil.example)"
EVIL = re.compile(r"(?<!\\)\]\([^)]*evil")  # a bracket that Markdown takes for a link's
IMAGE = "![x](https://evil.example/p.png)"
# A page whose number field changes its view, a parameter, and a button that leaves the view alone.
CASES = [(Page.DATA, "seed", "number_input", 7), (Page.TRAIN, "units", "slider", 64)]


def widget(app: AppTest, page: Page, name: str, kind: str) -> Any:
    """The control of a part of the view."""
    prefix = f"{page.name.lower()} {name} "
    return next(each for each in app.get(kind) if (each.key or "").startswith(prefix))


def went_back(app: AppTest, monkeypatch: pytest.MonkeyPatch, **query: str) -> AppTest:
    """The rerun that a browser asks for when it goes back or forward to an address."""
    app.query_params.clear()
    for name, text in query.items():
        app.query_params[name] = text
    with monkeypatch.context() as patch:
        plain_run = RerunData
        patch.setattr(
            local_script_runner, "RerunData", lambda **kwargs: plain_run(**kwargs, is_history_navigation=True)
        )
        return app.run()


@pytest.mark.parametrize(("page", "name", "kind", "value"), CASES)
def test_the_way_back_leads_to_the_earlier_view(
    page: Page, name: str, kind: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(page.path)
    first = widget(app, page, name, kind).value
    widget(app, page, name, kind).set_value(value).run()
    assert url(app) == {name: str(value)}
    went_back(app, monkeypatch)
    assert url(app) == {} and widget(app, page, name, kind).value == first
    went_back(app, monkeypatch, **{name: str(value)})
    assert url(app) == {name: str(value)} and widget(app, page, name, kind).value == value


def test_the_way_back_leads_to_the_run_that_the_page_chose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiments = [Experiment(units=16, seed=seed) for seed in (1, 2)]
    names = {store_run(tmp_path / "runs", each, test_accuracy=0.8, test_loss=0.6).run_id for each in experiments}
    app = opened(Page.INSPECT.path)
    box = widget(app, Page.INSPECT, "run", "selectbox")
    first = box.value
    (other,) = names - {first}
    box.set_value(other).run()
    assert url(app) == {"run": other}
    went_back(app, monkeypatch)
    assert url(app) == {} and widget(app, Page.INSPECT, "run", "selectbox").value == first
    went_back(app, monkeypatch, run=other)
    assert url(app) == {"run": other} and widget(app, Page.INSPECT, "run", "selectbox").value == other


@pytest.mark.parametrize(("page", "name", "kind", "value"), CASES)
def test_an_address_that_has_not_caught_up_changes_nothing(page: Page, name: str, kind: str, value: int) -> None:
    """A browser may press a button, or only rerun, before it has received the address of the last move."""
    app = opened(page.path)
    widget(app, page, name, kind).set_value(value).run()
    app.query_params.clear()
    app.run()
    assert url(app) == {name: str(value)} and widget(app, page, name, kind).value == value
    app.query_params.clear()
    button(app, "Another image" if page is Page.DATA else "Train").click().run()
    assert url(app)[name] == str(value)


def test_a_late_report_of_a_control_drawn_before_a_preset_is_no_move() -> None:
    """A slider sends its value a moment after it was moved: a preset pressed meanwhile is the later move."""
    app = opened(Page.TRAIN.path)
    units = widget(app, Page.TRAIN, "units", "slider")
    presets = next(group for group in app.button_group if (group.key or "").startswith("train preset "))
    units.set_value(64)
    presets.set_value("l2").run()
    assert app.session_state[session.STATE.key(Page.TRAIN)].view == PRESETS["l2"].experiment
    shown = widget(app, Page.TRAIN, "units", "slider")
    assert shown.key != units.key and shown.value == 512 and url(app) == PRESETS["l2"].experiment.query()


def test_a_link_from_another_page_is_followed_and_the_menu_leads_back() -> None:
    app = opened(Page.TRAIN.path, units="64")
    app.switch_page(Page.DATA.path).run()
    app.switch_page(Page.TRAIN.path)
    app.query_params["units"] = "32"
    app.run()
    assert url(app) == {"units": "32"}
    app.switch_page("app.py").run()
    links = {link.proto.label: link.proto.query_string for link in app.get("page_link")}
    assert links["Train"] == "units=32"


@pytest.mark.parametrize("page", Page)
def test_text_of_an_address_is_no_markdown(page: Page) -> None:
    app = opened(page.path, units=LINK, seed=LINK, layer=LINK, run=LINK, **{LINK: "1"})
    told = [*app.warning, *app.error]
    assert not any(EVIL.search(element.value) for element in [*told, *app.markdown, *app.caption, *app.info])
    assert page is Page.HOME or any(LINK in plain(element.value) for element in told)


@pytest.mark.parametrize("page", [Page.HOME, Page.COMPARE, Page.INSPECT, Page.EMBEDDINGS])
def test_a_name_of_a_run_is_no_markdown(page: Page, tmp_path: Path) -> None:
    run = store_run(tmp_path / "runs", Experiment(units=16, dropout=0.3, l2=0.01), [2.3, 0.5])
    server.store().annotate(run.run_id, name=IMAGE)
    query = {"runs": run.run_id} if page is Page.COMPARE else {} if page is Page.HOME else {"run": run.run_id}
    app = opened(page.path, **query)
    shown = [*app.markdown, *app.caption, *app.warning, *app.error, *app.info]
    labels = [link.proto.label for link in app.get("page_link")]
    assert not any(EVIL.search(text) for text in [*(element.value for element in shown), *labels])


def test_the_session_state_is_touched_in_one_module() -> None:
    product = [*(ROOT / "fmnist_core").rglob("*.py"), *(ROOT / "pages").glob("*.py"), ROOT / "app.py"]
    found = {path.name for path in product if "session_state" in path.read_text()}
    assert found == {"session.py", "scatter_map.py"}  # the second is a component, which reads its own value


def test_no_two_entries_of_the_session_have_one_name() -> None:
    names = [entry.key() for entry in vars(session).values() if isinstance(entry, session.Entry)]
    assert len(names) == len(set(names))


def test_messages_are_escaped_in_one_place() -> None:
    raw = re.compile(r"\bst\.(error|warning)\(")
    files = {path for path in (ROOT / "fmnist_core/ui").rglob("*.py") if raw.search(path.read_text())}
    found = {path.relative_to(ROOT / "fmnist_core/ui").as_posix() for path in files}
    assert found == {"__init__.py", "shared/markdown.py"}  # the former for a Python or a package that is missing


TRACKED = (
    "utm_source",
    "utm_id",
    "fbclid",
    "gclid",
    "msclkid",
    "mc_cid",
    "igshid",
    "_ga",
    "_gl",
    "gbraid",
    "li_fat_id",
)


@pytest.mark.parametrize("page", Page)
def test_what_others_add_to_a_link_is_dropped_without_a_word(page: Page) -> None:
    setting = {} if page is Page.HOME else {"units": "64"} if page is Page.TRAIN else {"seed": "7"}
    if page is Page.COMPARE:
        setting = {"curve": "gap"}
    elif page is Page.INSPECT:
        setting = {"section": "health"}
    app = opened(page.path, **setting, **dict.fromkeys(TRACKED, "moodle"))
    assert not app.warning and url(app) == setting


def test_many_wrong_settings_are_a_few_sentences() -> None:
    app = opened(Page.DATA.path, **{f"setting{number}": "1" for number in range(100)})
    assert len(app.warning) == 5 and any("And 95 more settings" in caption.value for caption in app.caption)
