"""Journeys in a real browser against the real app: what a script test cannot see."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.support.app_server import Server, downloaded, new_page, press, query

# Long enough to be watched and stopped: minutes on the full data set, seconds on the sample.
SLOW = "widths=256-256&epochs=200"

pytestmark = [pytest.mark.browser, pytest.mark.engine]


def another(page: Page) -> Page:
    """A second person's browser."""
    browser = page.context.browser
    assert browser
    return new_page(browser)


@pytest.mark.parametrize(
    ("path", "title"),
    [("", "Fashion-MNIST Lab"), ("Data", "Look at the images"), ("Train?units=64", "Train a network")],
)
def test_a_cold_deep_link_opens_the_whole_page(path: str, title: str, page: Page, tmp_path: Path) -> None:
    """The server's very first request."""
    cold = Server(tmp_path / "runs")
    try:
        page.goto(f"{cold.url}/{path}")
        expect(page.get_by_role("heading", level=1)).to_contain_text(title)
        menu = page.get_by_test_id("stSidebar").get_by_role("link")
        expect(menu.nth(2)).to_be_visible()
        assert [link.inner_text().split("\n")[-1] for link in menu.all()][:3] == ["Home", "Data", "Train"]
        expect(page.get_by_test_id("stSidebar")).to_contain_text("training and")
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(page.get_by_test_id("stException")).to_have_count(0)
    finally:
        cold.close()


def test_from_sliders_to_a_result(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/Train")
    slider = page.get_by_role("slider", name="Hidden layers")
    expect(slider).to_be_visible()
    slider.press("ArrowLeft")
    expect(page.get_by_text("Hidden layers 1", exact=True)).to_be_visible()
    page.wait_for_url("**/Train?layers=1")
    page.goto(f"{server.url}/Train?layers=1&units=32&epochs=3&training_fraction=0.2")
    press(page, "Train")
    expect(page.get_by_text("Validation accuracy")).to_be_visible()
    expect(page.get_by_text("Test accuracy")).to_be_visible()
    expect(page.get_by_text(re.compile("Most confused: "))).to_be_visible()
    expect(
        page.locator("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg").first
    ).to_be_visible()
    assert query(page) == {"layers": "1", "units": "32", "epochs": "3", "training_fraction": "0.2"}
    lines = Path(downloaded(page, "History (CSV)").path()).read_text().splitlines()
    assert lines[0].startswith("epoch,loss,accuracy,val_loss") and len(lines) == 5
    assert Path(downloaded(page, "Model (Keras)").path()).read_bytes()[:2] == b"PK"
    assert Path(downloaded(page, "TensorBoard logs (zip)").path()).stat().st_size > 1000
    page.get_by_text("Weights and biases over the epochs").click()
    expect(page.get_by_text("Distribution of hidden_1 kernel")).to_be_visible()
    # The address follows a step from this page to itself, and the way back leads to the result.
    page.get_by_role("button", name=re.compile("The same network with another seed")).click()
    page.wait_for_url("**/Train?*seed=1*")
    expect(page.get_by_role("button", name="Train", exact=True)).to_be_visible()
    page.go_back()
    expect(page.get_by_text("Test accuracy")).to_be_visible()
    page.get_by_test_id("stSidebar").get_by_role("link", name="Home").click()
    expect(page.get_by_role("heading", name="Runs so far")).to_be_visible()
    expect(page.get_by_role("link", name=re.compile("Hidden layers 1, units per layer 32"))).to_be_visible()


def test_leave_come_back_watch_together_wait_and_stop(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/Train?{SLOW}")
    press(page, "Train")
    expect(page.get_by_text(re.compile(r"^[1-9]\d* of 200$"))).to_be_visible()  # the epoch, live
    # A second person presses Train on the same settings and watches the same run.
    friend = another(page)
    friend.goto(f"{server.url}/Train?{SLOW}")
    expect(friend.get_by_role("button", name="Stop", exact=True)).to_be_visible()
    # A third one with other settings waits in line.
    third = another(page)
    third.goto(f"{server.url}/Train?units=16&epochs=1&training_fraction=0.1")
    press(third, "Train")
    expect(third.get_by_text("Waiting: one training is before this one")).to_be_visible()
    # The first one reloads, leaves and comes back: the run goes on.
    page.reload()
    expect(page.get_by_text(re.compile(r"^[1-9]\d* of 200$"))).to_be_visible()
    page.get_by_test_id("stSidebar").get_by_role("link", name="Home").click()
    expect(page.get_by_role("heading", name="Runs so far")).to_be_visible()
    page.get_by_test_id("stSidebar").get_by_role("link", name="Train").click()
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
    assert query(page)["epochs"] == "200"
    # Who only looks on cannot end it for the one who asked.
    press(friend, "Stop")
    expect(friend.get_by_text("Someone else is waiting for this training too")).to_be_visible()
    # Who asked can, after the reload too; what was trained is kept and marked, and the third one's turn comes.
    press(page, "Stop")
    expect(page.get_by_text(re.compile("This run was stopped"))).to_be_visible()
    expect(page.get_by_role("button", name="Train in full")).to_be_visible()
    expect(third.get_by_text("Test accuracy")).to_be_visible()
    for visitor in (friend, third):
        visitor.context.close()


def test_a_link_with_wrong_parameters_is_repaired_and_says_so(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/Train?units=1&dropout=0.5&nonsense=1")
    expect(page.get_by_text(re.compile(r"Units per layer \(units\) is 1, but it must be"))).to_be_visible()
    expect(page.get_by_text(re.compile("'nonsense'"))).to_be_visible()
    page.wait_for_url("**/Train?dropout=0.5")


def test_back_and_forward_lead_through_settings(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/Train?units=64")
    expect(page.get_by_text("Units per layer 64", exact=True)).to_be_visible()
    page.goto(f"{server.url}/Train?units=128")
    expect(page.get_by_text("Units per layer 128", exact=True)).to_be_visible()
    page.go_back()
    expect(page.get_by_text("Units per layer 64", exact=True)).to_be_visible()


def test_a_lost_connection_comes_back_to_the_same_run(page: Page, server: Server) -> None:
    """The connection is cut from outside, twice: the page reconnects by itself and goes on showing the run."""
    sockets: list[WebSocketRoute] = []

    def through(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    page.route_web_socket(re.compile("/_stcore/stream"), through)
    page.goto(f"{server.url}/Train?{SLOW}&seed=3")
    press(page, "Train")
    expect(page.get_by_text(re.compile(r"^[1-9]\d* of 200$"))).to_be_visible()
    for cut in (1, 2):
        sockets[-1].close()
        end = time.monotonic() + 30
        while len(sockets) <= cut:
            assert time.monotonic() < end, "no new connection"
            page.wait_for_timeout(20)
        before = page.get_by_text(re.compile(r"^[1-9]\d* of 200$")).inner_text()
        expect(page.get_by_text(re.compile(rf"^(?!{before.split()[0]} )[1-9]\d* of 200$"))).to_be_visible()
    press(page, "Stop")
    expect(page.get_by_text(re.compile("This run was stopped"))).to_be_visible()
