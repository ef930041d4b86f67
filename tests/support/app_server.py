"""A Streamlit server of its own for a browser, and what people do in a browser."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urlparse

from playwright.sync_api import Browser, Download, Page, TimeoutError, expect

ROOT = Path(__file__).parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE = 120_000  # milliseconds; journeys wait for what they expect to see, never for time to pass


class Server:
    """The real app, or another script, on a free port with its own run store."""

    def __init__(self, runs: Path, script: Path = ROOT / "app.py") -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(self.port)]
        environment = os.environ | {"FMNIST_RUNS": str(runs), "PYTHONPATH": str(ROOT)}
        self.log = runs.with_suffix(".log").open("w")
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=self.log, stderr=self.log, start_new_session=True
        )
        self._wait()

    def _wait(self) -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=2).close()
                return
            except OSError:
                assert self.process.poll() is None, "the server ended"
                time.sleep(0.05)
        raise TimeoutError("the server did not start")

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.log.close()


def new_page(browser: Browser, width: int = 1440, height: int = 1000, reduced_motion: bool = False) -> Page:
    """Another person's browser, that waits for what it expects."""
    motion: Literal["reduce", "no-preference"] = "reduce" if reduced_motion else "no-preference"
    page = browser.new_context(viewport={"width": width, "height": height}, reduced_motion=motion).new_page()
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    return page


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def downloaded(page: Page, name: str) -> Download:
    """A file; its button is pressed again where the page was just being redrawn, as a person would."""
    for _ in range(4):
        try:
            with page.expect_download(timeout=15_000) as download:
                press(page, name)
            return download.value
        except TimeoutError:
            continue
    raise AssertionError(f"{name} gives no file")


def query(page: Page) -> dict[str, str]:
    """The settings in the page's address."""
    return {name: values[0] for name, values in parse_qs(urlparse(page.url).query).items()}
