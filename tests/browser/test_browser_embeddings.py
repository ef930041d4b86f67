"""Page Embeddings in a real browser: a map made by a worker, a point opened, a lasso, a film that plays."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.app_server import Server, downloaded, press

pytestmark = [pytest.mark.browser, pytest.mark.engine]
SMALL = "units=32&layers=1&epochs=3&training_fraction=0.1"
# Keeps each epoch that the address names, in the page itself: from here a quick one might be missed.
WATCH = """
() => {
  window.seen = []
  setInterval(() => {
    const epoch = new URLSearchParams(location.search).get("epoch")
    if (!seen.length || epoch !== seen.at(-1)) seen.push(epoch)
  }, 20)
}
"""
MAP = "points=200&perplexity=10"


def trained(page: Page, server: Server) -> None:
    """A stored run: the first of the journeys trains it."""
    page.goto(f"{server.url}/Train?{SMALL}")
    button, result = page.get_by_role("button", name="Train", exact=True), page.get_by_text("Test accuracy", exact=True)
    expect(button.or_(result)).to_be_visible()
    if button.count():
        button.click()
    expect(result).to_be_visible()


def test_a_map_is_made_and_a_point_opened(page: Page, server: Server) -> None:
    trained(page, server)
    page.get_by_test_id("stSidebar").get_by_role("link", name="Embeddings").click()
    expect(page.get_by_role("heading", name="What each layer sees")).to_be_visible()
    page.goto(f"{server.url}/Embeddings?{MAP}")
    expect(page.get_by_text(re.compile("200 test images after epoch 3"))).to_be_visible()
    expect(page.get_by_role("heading", name="How far to trust this map")).to_be_visible()
    expect(page.get_by_text("Trustworthiness", exact=True)).to_be_visible()
    # By the keyboard: to a point, and open it.
    field = page.get_by_role("application").or_(page.locator("canvas[tabindex='0']")).first
    field.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The image you opened")).to_be_visible()
    expect(page.get_by_text("Nearest in the output layer")).to_be_visible()
    page.wait_for_function("location.search.includes('image=')")
    # The same link brings the same view back, at once: the map is stored.
    page.reload()
    expect(page.get_by_text("The image you opened")).to_be_visible()
    expect(page.get_by_role("button", name="Stop", exact=True)).to_have_count(0)
    press(page, "Close")
    expect(page.get_by_text("The image you opened")).to_have_count(0)


def test_a_film_plays_from_the_first_epoch_to_the_last(page: Page, server: Server) -> None:
    trained(page, server)
    page.goto(f"{server.url}/Embeddings?layer=hidden_1&method=umap&points=200")
    press(page, "Make the film")
    expect(page.get_by_role("button", name="Make the film")).to_have_count(0)
    expect(page.get_by_role("heading", name="How far to trust this map")).to_be_visible()
    page.evaluate(WATCH)
    press(page, "Play")
    page.wait_for_function("seen.at(-1) === '3'")
    assert page.evaluate("seen") == [None, "0", "1", "2", "3"]
    expect(
        page.get_by_text(re.compile("The outputs of hidden layer 1 for 200 test images after epoch 3"))
    ).to_be_visible()
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()  # it stops at the end


def test_all_layers_and_their_separation(page: Page, server: Server) -> None:
    trained(page, server)
    page.goto(f"{server.url}/Embeddings?part=grid&method=pca&points=200")
    expect(page.get_by_role("columnheader", name="Before training")).to_be_visible()
    expect(page.get_by_role("rowheader", name="Hidden layer 1")).to_be_visible()
    assert downloaded(page, "Picture (PNG)").suggested_filename.startswith("fashion-mnist-layers-pca-")
    page.get_by_text("Separation in numbers", exact=True).click()
    expect(page.get_by_text("Does separation improve over the layers?")).to_be_visible()
    assert downloaded(page, "Figures (CSV)").suggested_filename.endswith(".csv")


def test_two_tabs_have_each_its_own_map(page: Page, server: Server) -> None:
    trained(page, server)
    other = page.context.new_page()
    for number, tab in enumerate((page, other)):
        tab.goto(f"{server.url}/Embeddings?points=500&perplexity=20&seed={number}", wait_until="commit")
    for tab in (page, other):
        expect(tab.get_by_role("heading", name="How far to trust this map")).to_be_visible()


def test_the_address_keeps_the_run_that_is_shown(page: Page, server: Server) -> None:
    trained(page, server)
    page.get_by_test_id("stSidebar").get_by_role("link", name="Inspect").click()
    expect(page.get_by_role("heading", name="Inspect a network")).to_be_visible()
    page.get_by_test_id("stSidebar").get_by_role("link", name="Embeddings").click()
    expect(page.get_by_role("heading", name="What each layer sees")).to_be_visible()
    page.get_by_text("Separation in numbers", exact=True).click()
    page.wait_for_function("/run=[0-9a-f]{16}/.test(location.search) && location.search.includes('part=separation')")
    page.go_back()
    expect(page.get_by_role("slider", name="Epoch")).to_be_visible()
