"""How long a person waits: cold start, Train to the first live point, opening a run, moving a slider.

Times are taken inside the page, from the event's own time stamp to the first frame that shows the answer.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser, Page

from benchmarks.browser import Server, Stopwatch, chromium, open_page, press, read, serving, settle, shown, visitor
from benchmarks.report import Row, at_most, say

COLD, NEW, SEEN, OPEN, SLIDER, EPOCH, LIVE_MEASURES = 2.5, 3.0, 1.0, 0.3, 0.2, 0.5, 1.0  # seconds
REPEATS, MORE_REPEATS = 5, 9
# Conditions on the page; `text` is the text of its main part.
GRID = "(images => images.length >= 10 && images.every(image => image.complete && image.naturalWidth))"
GRID += "([...document.querySelectorAll('[data-testid=stMain] figure img')])"
LIVE = (
    "/Training accuracy\\d/.test(text)"  # a dash before the first sign of life, which brings the chart's first points
)
RESULT = "/Test accuracy\\d/.test(text)"
PARAMETERS = "text.match(/([\\d,]+) parameters/)?.[1]"
WHEN = "text.match(/(before training|after epoch \\d+), drawn/)?.[0]"
GAIN = "text.match(/gain ([\\d.]+), seed \\d+; 300 images; measured in/)?.[1]"
FILM = "points=10000&method=pca&layer=hidden_1"
STORED = "units=64&training_fraction=0.1"
LONG = "epochs=200"
# A worker that has grown is replaced, and the next training waits for the new one: not what is measured here.
ROOMY = {"FMNIST_WORKER_MEMORY": str(4 * 2**30)}


def rows(quick: bool) -> Iterator[Row]:
    """All waits, each the median of its repeats."""
    few, more = (1, 2) if quick else (REPEATS, MORE_REPEATS)
    with tempfile.TemporaryDirectory(prefix="lab-screens-") as name, chromium() as browser:
        folder = Path(name)
        cold = [_cold_start(browser, folder / f"cold-{number}") for number in range(few)]
        yield _row("server start to the sample grid, cold deep link", cold, COLD)
        with serving(folder / "warm", **ROOMY) as server, visitor(browser) as page:
            _train_one(page, server)
            yield _row("a stored run opens", _openings(page, server, more), OPEN)
            pairs = [_first_points(page, server, number) for number in range(1, few + 1)]
            new, seen = zip(*pairs, strict=True)
            yield _row("Train to the first live point, new architecture", new, NEW)
            yield _row("Train to the first live point, architecture seen before", seen, SEEN)
            yield _row("the next epoch of a film of 10,000 points", _epochs(page, server, more), EPOCH)
            yield _row(
                "measures of two networks before training after a slider move",
                _gains(page, server, few),
                LIVE_MEASURES,
            )
            open_page(page, f"{server.url}/Train?{LONG}")
            _start(page)
            with visitor(browser) as other:
                yield _row("a slider move redraws while a training runs", _moves(other, server, more), SLIDER)


def _row(name: str, seconds: list[float] | tuple[float, ...], limit: float) -> Row:
    say(f"{name}: {', '.join(f'{value:.2f}' for value in seconds)} s")
    note = f"{min(seconds):.2f} to {max(seconds):.2f}" if len(seconds) > 1 else ""
    return at_most(name, median(seconds), "s", limit, note)


def _cold_start(browser: Browser, folder: Path) -> float:
    """The clock starts with the server's process and stops when all ten classes' images are there."""
    with visitor(browser) as page, serving(folder) as server:
        page.goto(f"{server.url}/Data", wait_until="commit")
        page.wait_for_function(GRID)
        return time.monotonic() - server.begun


def _train_one(page: Page, server: Server) -> None:
    """A first training: its end says that the worker is warm."""
    say("a first training")
    open_page(page, f"{server.url}/Train?{STORED}")
    press(page, "Train")
    shown(page, RESULT)


def _openings(page: Page, server: Server, count: int) -> list[float]:
    """From the list of runs on Home to the run's page, in the app that is already open."""
    open_page(page, f"{server.url}/")
    found = []
    for _ in range(count):
        link = page.get_by_test_id("stMain").locator("a[href*='units=64']").last
        link.scroll_into_view_if_needed()
        watch = Stopwatch(page, "pointerdown", RESULT)
        link.click()
        found.append(watch.read())
        settle(page)
        page.get_by_test_id("stSidebar").get_by_role("link", name="Home").click()
        page.get_by_role("heading", name="Runs so far").wait_for()
        settle(page)
    return found


def _first_points(page: Page, server: Server, number: int) -> tuple[float, float]:
    """Networks about as large as the base network: one that no worker has seen, then the same with another seed."""
    query = f"units={512 - number}&{LONG}"
    found = []
    for seed in (1, 2):
        open_page(page, f"{server.url}/Train?{query}&seed={seed}")
        found.append(_start(page))
        press(page, "Stop")
        page.get_by_text("This run was stopped").wait_for()
    return found[0], found[1]


def _epochs(page: Page, server: Server, count: int) -> list[float]:
    """The epoch slider moved by its keys, over a film that is stored, until the page tells of the other epoch."""
    say("a film to move through")
    open_page(page, f"{server.url}/Train?{STORED}&epochs=4")
    press(page, "Train")
    shown(page, RESULT)
    open_page(page, f"{server.url}/Embeddings?{FILM}")
    press(page, "Make the film")
    page.get_by_role("button", name="Make the film").wait_for(state="detached")
    return _pressed(page, "Epoch", WHEN, count)


def _gains(page: Page, server: Server, count: int) -> list[float]:
    """The gain moved by its slider's keys until the measures are new: 5 layers of 1,000, 300 images, two networks."""
    open_page(page, f"{server.url}/Initialisation?part=live")
    shown(page, f"{GAIN} !== undefined")
    return _pressed(page, "Gain", GAIN, count, back=False)  # a gain that was measured before would come at once


def _pressed(page: Page, slider: str, answer: str, count: int, back: bool = True) -> list[float]:
    """A slider moved by its keys, to the left or to and fro, until the page's answer is another one."""
    moved = page.get_by_role("slider", name=slider)
    found = []
    for number in range(count):
        before = read(page, answer)
        watch = Stopwatch(page, "keydown", f"{answer} !== undefined && {answer} !== '{before}'")
        moved.press("ArrowRight" if back and number % 2 else "ArrowLeft")
        found.append(watch.read())
        settle(page)
    return found


def _start(page: Page) -> float:
    watch = Stopwatch(page, "pointerdown", LIVE)
    press(page, "Train")
    return watch.read()


def _moves(page: Page, server: Server, count: int) -> list[float]:
    """A slider moved by its keys, by one who looks on from another browser, until the number of parameters is new."""
    open_page(page, f"{server.url}/Train?units=64")
    return _pressed(page, "Hidden layers", PARAMETERS, count)
