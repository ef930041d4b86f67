"""Page Initialisation in a real browser: a cold link, the gain moved until it breaks, zeros, and training."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.app_server import Server, press, query

pytestmark = [pytest.mark.browser, pytest.mark.engine]
MEASURED = re.compile(r"measured in \d+\.\d s")
FIGURES = ("Figure 6: activations", "Figure 7: back-propagated gradients", "Figure 8: weight gradients", "The numbers")


def test_the_gain_is_moved_until_the_network_breaks(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/Initialisation?part=live&layers=20&units=64&activation=relu&gain=5")
    expect(page.get_by_text(MEASURED)).to_be_visible()
    for title in FIGURES:
        expect(page.get_by_role("heading", name=title)).to_be_visible()
    told = page.get_by_text(re.compile(r"^Glorot uniform × 5: The standard deviation of the activations grows"))
    expect(told).to_be_visible()
    slider = page.get_by_role("slider", name="Gain")
    slider.focus()
    slider.press("ArrowRight")
    expect(
        page.get_by_text(re.compile(r"^Glorot uniform × 10: The standard deviation of the activations grows"))
    ).to_be_visible()
    expect(told).to_have_count(0)
    assert query(page)["gain"] == "10"
    page.goto(f"{server.url}/Initialisation?part=live&layers=20&units=64&activation=relu&gain=100")
    expect(page.get_by_text(re.compile(r"^Glorot uniform × 100: the signal overflows"))).to_be_visible()


def test_zeros_from_the_last_part_s_link(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/Initialisation")
    expect(page.get_by_role("heading", name="The hypothesis")).to_be_visible()
    page.get_by_text("After Glorot").click()
    page.get_by_role("button", name="All units equal").click()
    expect(page.get_by_text("all 100 units of each hidden layer are equal")).to_be_visible()
    assert query(page)["initialisers"] == "zeros.glorot_uniform"
    page.go_back()
    expect(page.get_by_role("heading", name="And why not zeros?")).to_be_visible()


def test_two_initialisers_are_trained_and_followed(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/Initialisation?part=training&depth=3&width=32&epochs=2&share=0.1")
    press(page, "Train all")
    expect(page.get_by_role("heading", name="Gradients over training")).to_be_visible()
    expect(page.get_by_text(re.compile(r"^Glorot uniform: the mean loss of 50 steps first reaches"))).to_be_visible()
