"""Pages are tested alone: the engine exists, but starts no processes. Its own tests and the browser's have them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fmnist_core.ui.shared import server as app_server


@pytest.fixture
def no_workers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An engine without processes and a run store of the test's own."""
    monkeypatch.setenv("FMNIST_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr("fmnist_core.engine.service.Engine.start", lambda self: None)
    for cached in (app_server.engine, app_server.store):
        cached.clear()
    yield
    for cached in (app_server.engine, app_server.store):
        cached.clear()
