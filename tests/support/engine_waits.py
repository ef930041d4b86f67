"""Waiting for the engine: conditions with a deadline, never for time to pass."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from fmnist_core.engine.service import Engine
from fmnist_core.experiment.hyperparameters import Experiment

PATIENCE = 150.0  # seconds until a condition counts as never coming true
TINY = Experiment(units=8, layers=1, epochs=2)


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition, with a deadline."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited in vain for: {what}"
        time.sleep(0.01)


def shot(engine: Engine, name: str) -> Any:
    """The snapshot of a training or an analysis that the engine knows."""
    snapshot = engine.snapshot(name) or engine.analysis(name)
    assert snapshot is not None
    return snapshot
