"""The memory of the app and of its worker while the base network is trained, as the operating system counts it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.browser import chromium, open_page, press, serving, shown, visitor
from benchmarks.processes import GB, MB, Memory, Watch
from benchmarks.report import Row, at_most, say, told

BASE, QUICK = "epochs=5", "units=16&epochs=1&training_fraction=0.05"
APP_MB, WORKER_GB = 300, 1.2


def rows(quick: bool) -> Iterator[Row]:
    """Peaks over a visit of every page and a training."""
    with tempfile.TemporaryDirectory(prefix="lab-memory-") as folder:
        peak, own = _measured(Path(folder), QUICK if quick else BASE)
    yield at_most("app process, peak", peak.app / MB, "MB", APP_MB)
    yield told("app process, what it shares with nobody, at the end", own / MB, "MB", "without the mapped images")
    yield at_most("worker process, peak", peak.worker / GB, "GB", WORKER_GB)
    yield told("app, scheduler and worker together, peak", peak.total / GB, "GB", "shared pages counted for each")


def _measured(folder: Path, query: str) -> tuple[Memory, int]:
    """The peaks, and the bytes that the app alone has."""
    with serving(folder) as server, Watch(server.root) as watch, chromium() as browser, visitor(browser) as page:
        for path in ("", "Data", f"Train?{query}"):
            open_page(page, f"{server.url}/{path}")
        say(f"training {query}")
        press(page, "Train")
        shown(page, "/Test accuracy\\d/.test(text)")
        return watch.peak, server.root.memory_full_info().uss
