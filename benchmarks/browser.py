"""The real app in a process of its own, Chromium in front of it, and a stopwatch inside the page."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.machine import ROOT
from benchmarks.processes import descendants

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 120  # seconds
TEXT = "(document.querySelector('[data-testid=stMain]')?.textContent ?? '')"  # of the page's main part
# Runs in the page: from the event's own time to the first frame in which the condition holds, in seconds.
STOPWATCH = """([event, holds, patience]) => {
  const check = new Function(`return ${holds}`);
  window.stopwatch = new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`never came: ${holds}`)), patience * 1000);
    addEventListener(event, (happened) => {
      const passed = () => (performance.now() - happened.timeStamp) / 1000;
      const look = () => check() ? resolve(passed()) : requestAnimationFrame(look);
      requestAnimationFrame(look);
    }, {capture: true, once: true});
  });
}"""
SETTLED = "document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'"


class Server:
    """`streamlit run app.py` on a free port with a run store of its own; begun: when it was started, monotonic."""

    def __init__(self, folder: Path, **settings: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._log = (folder / "server.log").open("w+")
        command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
        environment = os.environ | {"FMNIST_RUNS": str(folder / "runs")} | settings
        self.begun = time.monotonic()
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=self._log, stderr=self._log, start_new_session=True
        )
        self.root = psutil.Process(self._process.pid)

    def wait(self) -> None:
        """Until it answers. Raises: RuntimeError."""
        while time.monotonic() < self.begun + PATIENCE:
            with suppress(OSError):
                urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=2).close()
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.005)
        self._log.seek(0)
        raise RuntimeError(f"the server did not start: {self._log.read()[-300:]}")

    def close(self) -> None:
        """End it and wait for all that it started: what comes next shall not share the machine with it."""
        everybody = [self.root, *descendants(self.root)]
        self._process.send_signal(signal.SIGTERM)
        for process in psutil.wait_procs(everybody, 20)[1]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        self._log.close()


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[Server]:
    """A server that answers. settings: environment variables."""
    server = Server(folder, **settings)
    try:
        server.wait()
        yield server
    finally:
        server.close()


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's browser. Raises: RuntimeError."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        raise RuntimeError(f"none of {', '.join(NAMES)} is installed")
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield made
        made.close()


@contextmanager
def visitor(browser: Browser) -> Iterator[Page]:
    """The page of a person who was never here: nothing is cached."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    context.set_default_timeout(PATIENCE * 1000)
    yield context.new_page()
    context.close()


def open_page(page: Page, url: str) -> None:
    """Open an address and wait until the page is complete."""
    page.goto(url)
    page.get_by_role("heading", level=1).wait_for()
    settle(page)


def settle(page: Page) -> None:
    """Wait until the script has ended and the browser has drawn."""
    page.wait_for_function(SETTLED)
    page.wait_for_timeout(500)


def press(page: Page, name: str) -> None:
    """Press a button."""
    page.get_by_role("button", name=name, exact=True).click()


def read(page: Page, expression: str) -> str:
    """A JavaScript expression's value now; `text` in it is the page's text."""
    return str(page.evaluate(_with_text(expression)))


def shown(page: Page, condition: str) -> None:
    """Wait until a condition holds; `text` in it is the page's text."""
    page.wait_for_function(_with_text(condition))


def _with_text(expression: str) -> str:
    return f"(text => {expression})({TEXT})"


class Stopwatch:
    """Seconds from an event ("pointerdown", "keydown") to the first frame in which a condition on `text` holds."""

    def __init__(self, page: Page, event: str, condition: str) -> None:
        self._page = page
        page.evaluate(STOPWATCH, [event, _with_text(condition), PATIENCE])

    def read(self) -> float:
        """Wait for the condition. Raises: playwright's Error when it never holds."""
        return float(self._page.evaluate("window.stopwatch"))
