"""Page Inspect in a real browser: click a cell, follow an image, play the epochs, draw, bring a picture."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, TimeoutError, expect

from tests.support.app_server import Server, press, query
from tests.support.trained_runs import store_trained

pytestmark = [pytest.mark.browser, pytest.mark.engine]
SETTLED = "document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'"


@pytest.fixture(scope="module")
def identity_and_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Server]]:
    """The app with one stored run."""
    runs = tmp_path_factory.mktemp("inspect") / "runs"
    identity = store_trained(runs)
    made = Server(runs)
    yield identity, made
    made.close()


def settled(page: Page) -> None:
    """Wait until the page is drawn whole: what is clicked on before may just be replaced."""
    page.wait_for_function(SETTLED)


def choose_first(page: Page, box: Locator) -> None:
    """Take the first option of a box; a list that a late redraw of the page closes is opened again."""
    option = page.get_by_role("option").first
    for _ in range(30):
        box.press("ArrowDown")
        try:
            option.click(timeout=2_000)
            return
        except TimeoutError:
            continue
    raise AssertionError("the list does not stay open")


def section(page: Page, name: str) -> None:
    settled(page)
    page.get_by_role("radio", name=name, exact=True).click()


def test_from_a_cell_to_an_image_and_through_the_epochs(page: Page, identity_and_server: tuple[str, Server]) -> None:
    identity, server = identity_and_server
    page.goto(f"{server.url}/Inspect?run={identity}")
    matrix = page.get_by_test_id("stVegaLiteChart").locator("canvas, svg").first
    expect(matrix).to_be_visible()
    expect(page.get_by_text("After epoch 3,")).to_be_visible()
    box = matrix.bounding_box()
    assert box
    # Somewhere in the upper left quarter of the matrix there is a cell, whichever it is.
    page.mouse.click(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.3)
    expect(page).to_have_url(re.compile("cell=[0-9]-[0-9]"))
    assert query(page)["run"] == identity
    settled(page)
    press(page, "All mistakes")
    expect(page).not_to_have_url(re.compile("cell="))
    expect(page.get_by_role("button", name="All mistakes")).to_be_disabled()
    expect(page.get_by_text(re.compile("^24 of .* images, most confident first"))).to_be_visible()
    follow = page.get_by_label("Follow one of these through training")
    expect(follow).to_have_count(1)  # the one of the mistakes has taken the place of the cell's
    choose_first(page, follow)
    expect(page.get_by_role("heading", name="What happens in each layer")).to_be_visible()
    expect(page.get_by_text("The nearest training images, layer by layer")).to_be_visible()
    section(page, "Mistakes")
    expect(page.get_by_text("After epoch 3,")).to_be_visible()
    settled(page)
    press(page, "Play")  # from the last epoch it starts anew
    expect(page.get_by_text("After epoch 0,")).to_be_visible()
    expect(page.get_by_text("After epoch 3,")).to_be_visible()
    expect(page.get_by_role("button", name="Play")).to_be_visible()


def test_a_drawing_is_answered_at_once_and_comes_back(page: Page, identity_and_server: tuple[str, Server]) -> None:
    identity, server = identity_and_server
    page.goto(f"{server.url}/Inspect?run={identity}&section=try")
    canvas = page.locator(".sketch canvas")
    expect(canvas).to_be_visible()
    expect(page.get_by_text("Draw a piece of clothing")).to_be_visible()
    press(page, "Broad")
    box = canvas.bounding_box()
    assert box
    page.mouse.move(box["x"] + 150, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 150, box["y"] + 260, steps=8)
    page.mouse.up()
    expect(page.get_by_text("the network predicts")).to_be_visible()
    section(page, "Health")
    expect(page.get_by_text("The state after epoch 3")).to_be_visible()
    section(page, "Try it")
    expect(page.get_by_text("the network predicts")).to_be_visible()
    press(page, "Clear")
    expect(page.get_by_text("the network predicts")).to_have_count(0)
    canvas.focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press(" ")
    expect(page.get_by_text("the network predicts")).to_be_visible()
    press(page, "Undo")
    expect(page.get_by_text("the network predicts")).to_have_count(0)
    press(page, "Start from test image 0")
    expect(page.get_by_text("the network predicts")).to_be_visible()


def test_a_picture_is_shown_as_the_network_sees_it(page: Page, identity_and_server: tuple[str, Server]) -> None:
    identity, server = identity_and_server
    page.goto(f"{server.url}/Inspect?run={identity}&section=try&source=upload")
    canvas = np.full((300, 200), 250, np.uint8)
    canvas[20:280, 60:140] = 70
    buffer = io.BytesIO()
    Image.fromarray(canvas).save(buffer, "JPEG")
    chooser = page.get_by_test_id("stFileUploaderDropzoneInput")
    chooser.set_input_files({"name": "DRESS.JFIF", "mimeType": "", "buffer": buffer.getvalue()})
    expect(page.get_by_text("What the network sees")).to_be_visible()
    expect(page.get_by_text("Light and dark are inverted")).to_be_visible()
    page.get_by_role("radio", name="Leave unchanged").click()
    expect(page.get_by_text("Light and dark are unchanged")).to_be_visible()
    expect(page.get_by_text("DRESS.JFIF")).to_be_visible()
    expect(page.get_by_text("still here")).to_have_count(0)
