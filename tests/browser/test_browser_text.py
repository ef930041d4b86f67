"""What others typed, addresses as people type them, and the reader's clock, in a real browser and a fresh server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Request, expect

from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.store.run_store import RunStore
from tests.support.app_server import PATIENCE, Server, query
from tests.support.stored_runs import store_run

pytestmark = [pytest.mark.engine, pytest.mark.browser]
NASTY = "![z](http://127.0.0.1:9/x) www.z.org :smile: :material/home: $x$ a -> b"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app, whose one run has such a name."""
    runs = tmp_path_factory.mktemp("text") / "runs"
    run = store_run(runs, Experiment(units=16, epochs=1))
    RunStore(runs, 10**9).annotate(run.run_id, name=NASTY)
    server = Server(runs)
    yield server
    server.close()


def test_a_fresh_server_shows_text_as_text_and_finds_a_page_in_small_letters(browser: Browser, server: Server) -> None:
    page = browser.new_context(timezone_id="Asia/Kolkata").new_page()
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    requests: list[str] = []

    def note(request: Request) -> None:
        if not request.url.startswith((server.url, "data:", "blob:")):
            requests.append(request.url)

    page.on("request", note)
    page.goto(f"{server.url}/train?units=64&utm_source=x&layers={NASTY}")
    expect(page.get_by_role("heading", name="Train a network")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    warning = page.get_by_test_id("stAlert").filter(has_text="Hidden layers")
    expect(warning).to_be_visible()
    assert NASTY in warning.inner_text().replace("\u2060", "")
    assert warning.locator("img, a").count() == 0
    page.wait_for_url(lambda url: "utm_source" not in url)
    assert page.url.startswith(f"{server.url}/Train?") and query(page) == {"units": "64"}

    page.goto(f"{server.url}/tRAIN?units=64")  # Streamlit's own dialog may lie above it
    expect(page.get_by_role("heading", name="Train a network", include_hidden=True)).to_be_attached()
    page.wait_for_url(f"{server.url}/Train?units=64")

    page.goto(f"{server.url}/")
    link = page.get_by_test_id("stPageLink").filter(has_text="![z]")
    expect(link).to_be_visible()
    assert link.locator("img").count() == 0
    (run,) = RunStore(Path(server.log.name).with_suffix(""), 10**9).runs()
    expect(page.get_by_text(f"{run.created.astimezone(ZoneInfo('Asia/Kolkata')):%d %b %Y, %H:%M}")).to_be_visible()
    assert requests == []
