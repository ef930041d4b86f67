"""A page 1,024 pixels wide: every label, choice, formula and link is there in full."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from fmnist_core.experiment.hyperparameters import Experiment
from tests.support.app_server import Server, new_page
from tests.support.stored_runs import store_run

pytestmark = [pytest.mark.browser, pytest.mark.engine]
LONG = Experiment.of(
    {"units": 16, "epochs": 3, "learning_rate": 0.01, "schedule": "exponential", "training_fraction": 0.1, "seed": 7}
)
# What has more content than room, and does not show it. (KaTeX hides a formula's text for screen readers, and lets
# formulas stand out by a pixel or two.)
CUT = """() => [...document.querySelectorAll('[data-testid=stMain] *')]
    .filter((e) => !e.closest('.katex-mathml') && e.clientWidth && e.scrollWidth > e.clientWidth + 4
        && e.textContent.trim()
        && getComputedStyle(e).overflowX !== 'visible')
    .map((e) => e.textContent.trim().slice(0, 80))"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    alike = [Experiment.of({"units": 16, "epochs": 3, "seed": seed}) for seed in range(2)]
    for experiment in [*alike, LONG]:
        store_run(tmp_path / "runs", experiment, test_accuracy=0.8, test_loss=0.5)
    made = Server(tmp_path / "runs")
    yield made
    made.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = new_page(browser, 1024, 800)
    yield page
    page.context.close()


def test_a_narrow_page_cuts_nothing(page: Page, server: Server) -> None:
    page.goto(server.url)
    expect(page.get_by_role("link", name="Units per layer 16, learning rate 0.01")).to_be_visible()
    expect(page.get_by_text("2 seeds · test loss 0.500")).to_be_visible()
    assert page.evaluate(CUT) == []
    page.get_by_role("link", name="Units per layer 16, learning rate 0.01").click()
    for title in ("Weights and biases over the epochs", "The network: "):
        page.get_by_test_id("stMain").locator("summary").filter(has_text=title).click()
    expect(page.get_by_text("Heat map", exact=True)).to_be_visible()
    expect(page.get_by_text("Metric: accuracy")).to_be_visible()
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
    assert page.evaluate(CUT) == []
