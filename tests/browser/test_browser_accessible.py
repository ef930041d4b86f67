"""Everyone can read and use the pages: axe-core finds nothing, in light and in dark; a finger scrolls past the map."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, expect

from fmnist_core.engine import analyses
from fmnist_core.experiment.layer_names import layers_of
from fmnist_core.experiment.recording import JobContext
from fmnist_core.experiment.study import Study
from fmnist_core.findings.map_request import MapRequest
from fmnist_core.jobs import layer_maps
from fmnist_core.store.run_store import RunStore
from tests.support.app_server import PATIENCE, ROOT, Server
from tests.support.stored_runs import store_study
from tests.support.trained_runs import store_trained

pytestmark = [pytest.mark.browser, pytest.mark.engine]
AXE = ROOT / "fmnist_core" / "ui" / "components" / "node_modules" / "axe-core" / "axe.min.js"
SETTINGS = {"units": 32, "layers": 1, "epochs": 3}
STUDY = Study.of({"base": SETTINGS, "axes": [{"field": "dropout", "values": [0.0, 0.3]}], "seeds": 2})
MAP = "points=200&method=pca"
SETTLED = 30.0  # seconds until a page that is redrawn has its colours
VIEWS = {
    "": "Runs so far",
    "Data": "Training, validation, test",
    "Train": "Train a network",
    "Train?units=many&dropout=7": "is 'many'",
    "Train?{settings}": "Test accuracy",
    "Compare": "Compare networks",
    "Compare?{study}": "Training curves",
    "Inspect?{run}": "The images behind it",
    "Inspect?{run}&section=classes": "Is it as accurate as it is confident?",
    "Inspect?{run}&section=image": "The nearest training images, layer by layer",
    "Inspect?{run}&section=inside": "Inspect a network",
    "Inspect?{run}&section=inside&part=kernels": "Inspect a network",
    "Inspect?{run}&section=inside&part=units": "Inspect a network",
    "Inspect?{run}&section=health": "The state after epoch 3",
    "Inspect?{run}&section=try": "Draw a piece of clothing",
    "Inspect?{run}&section=try&source=upload": "A picture of one piece of clothing",
    f"Embeddings?{{run}}&{MAP}": "How far to trust this map",
    f"Embeddings?{{run}}&part=grid&{MAP}": "Under each map",
    "Embeddings?{run}&part=separation": "Does separation improve over the layers?",
    "Initialisation": "What to look for",
    "Initialisation?part=training": "Weight initialisation",
    "Initialisation?part=notebook": "What makes a difference",
    "Initialisation?part=table1": "Weight initialisation",
    "Initialisation?part=after": "And why not zeros?",
    "Initialisation?part=live&units=16&layers=2": "The numbers",
}
# Findings in Streamlit's own markup, which a page cannot mend: rule, part of the element, why.
STREAMLIT: tuple[tuple[str, str, str], ...] = ()
RUN_AXE = """
async (rules) => {
  const options = { resultTypes: ["violations"], ...(rules.length ? { runOnly: { type: "rule", values: rules } } : {}) }
  const { violations } = await axe.run(document, options)
  return violations.flatMap(({ id, impact, nodes }) =>
    nodes.map((node) => ({ rule: id, impact, element: node.html.slice(0, 300), told: node.failureSummary })))
}
"""


class Site(NamedTuple):
    """A server whose store has a run with its maps, and a browser that stays open."""

    server: Server
    run: str
    page: Page


@pytest.fixture(scope="module")
def site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    runs = tmp_path_factory.mktemp("accessible") / "runs"
    run_id = store_trained(runs)
    store_study(runs, STUDY)
    run = RunStore(runs, 10**9).find(run_id)
    assert run
    request = MapRequest(run_id, epochs=(3,), points=200, method="pca")
    grid = MapRequest(run_id, epochs=(0, 2, 3), points=200, method="pca")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FMNIST_RUNS", str(runs))
        context = JobContext(lambda event, lane: None)
        assert layer_maps.map_job(analyses.map_analysis(request).params, context)
        assert layer_maps.grid_job(analyses.grid_analysis(grid, layers_of(run.experiment)).params, context)
        assert layer_maps.separation_job(analyses.separation_analysis(run, "test").params, context)
    server = Server(runs)
    page = browser.new_context(viewport={"width": 1440, "height": 1000}, reduced_motion="reduce").new_page()
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    yield Site(server, run_id, page)
    page.context.close()
    server.close()


def findings(page: Page, rules: list[str]) -> list[dict[str, Any]]:
    """What axe-core finds, but for what is Streamlit's own. rules: which to apply; all without any.

    Looks again while it finds something, for what is just being redrawn is pale; what stays is a finding.
    """
    known = [(rule, part) for rule, part, _ in STREAMLIT]
    end = time.monotonic() + SETTLED
    while True:
        found: list[dict[str, Any]] = page.evaluate(RUN_AXE, rules)
        left = [
            one
            for one in found
            if one["impact"] != "minor"
            and not any(one["rule"] == rule and part in one["element"] for rule, part in known)
        ]
        if not left or time.monotonic() > end:
            return left
        page.wait_for_timeout(200)


@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_in_light_and_in_dark(site: Site, view: str) -> None:
    assert AXE.is_file(), f"{AXE} is missing: run `make javascript` (npm ci)."
    page = site.page
    page.emulate_media(color_scheme="light")
    study = urlencode({"study": STUDY.to_short_json()})
    page.goto(f"{site.server.url}/{view.format(run=f'run={site.run}', settings=urlencode(SETTINGS), study=study)}")
    expect(page.get_by_text(VIEWS[view]).first).to_be_visible()
    page.evaluate("document.querySelectorAll('details:not([open]) > summary').forEach((each) => each.click())")
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
    page.add_script_tag(path=AXE)
    assert findings(page, []) == []
    levels = [
        int(tag[1]) for tag in page.locator("h1, h2, h3, h4, h5, h6").evaluate_all("all => all.map(h => h.tagName)")
    ]
    assert levels[0] == 1 and levels.count(1) == 1
    expect(page.locator("[data-testid=stVegaLiteChart]:not([aria-label])")).to_have_count(0)
    assert page.locator("[data-testid=stMain] img:not([alt])").count() == 0
    page.emulate_media(color_scheme="dark")
    expect(page.get_by_test_id("stApp")).to_have_css("background-color", "rgb(17, 22, 29)")
    assert findings(page, ["color-contrast"]) == []


def test_one_finger_scrolls_past_the_map_and_two_move_it(browser: Browser, site: Site) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(f"{site.server.url}/Embeddings?run={site.run}&{MAP}")
    canvas = page.locator(".stage > canvas")
    expect(page.get_by_text("How far to trust this map")).to_be_visible()
    canvas.scroll_into_view_if_needed()
    fingers = context.new_cdp_session(page)

    def swipe(*starts: tuple[float, float], by: tuple[tuple[float, float], ...]) -> None:
        """Each finger from its start, in ten steps."""
        for step in range(11):
            points = [
                {"x": x + dx * step / 10, "y": y + dy * step / 10, "id": number}
                for number, ((x, y), (dx, dy)) in enumerate(zip(starts, by, strict=True))
            ]
            fingers.send(
                "Input.dispatchTouchEvent", {"type": "touchMove" if step else "touchStart", "touchPoints": points}
            )
        fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    def scrolled() -> float:
        return float(page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop"))

    def picture() -> str:
        return str(canvas.evaluate("canvas => canvas.toDataURL()"))

    before, drawn, box = scrolled(), picture(), canvas.bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, max(box["y"], 0) + 300
    swipe((x, y), by=((0, -200),))
    page.wait_for_function(f"document.querySelector('[data-testid=stMain]').scrollTop > {before + 100}")
    assert picture() == drawn
    there, box = scrolled(), canvas.bounding_box()
    assert box
    y = max(box["y"], 0) + 100
    swipe((x - 40, y), (x + 40, y), by=((-60, 80), (60, 80)))
    page.wait_for_function("([canvas, old]) => canvas.toDataURL() !== old", arg=[canvas.element_handle(), drawn])
    assert abs(scrolled() - there) < 60  # the one finger may glide on a little; two that scrolled would go 80
    context.close()
