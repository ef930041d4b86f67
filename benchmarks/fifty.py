"""Fifty different architectures in a row through a real engine: TensorFlow keeps some memory for each that it has seen.

This process is in the place of the app's, about 0.1 GB lighter than that is after a visit of every page.
"""

from __future__ import annotations

import importlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import NamedTuple
from unittest.mock import patch

import psutil

from benchmarks.processes import GB, Watch, largest, memory
from benchmarks.report import Row, at_most, say, told
from fmnist_core.engine.service import Engine
from fmnist_core.experiment.hyperparameters import Experiment

COUNT, QUICK_COUNT = 50, 8
LIMIT_GB, GROWTH = 2.0, 1.25
PATIENCE, POLL = 180, 0.05  # seconds
ALSO_IN_THE_APP = ("streamlit", "altair", "pandas")


class After(NamedTuple):
    """After a run. total: bytes of all processes; worker: its process number; seconds: from submission to the end."""

    total: int
    worker: int
    seconds: float


def rows(quick: bool) -> Iterator[Row]:
    """The peak, and the end against the beginning."""
    for name in ALSO_IN_THE_APP:
        importlib.import_module(name)
    count = QUICK_COUNT if quick else COUNT
    with Watch(psutil.Process()) as watch, _engine() as engine:
        after = [_train(engine, number, count) for number in range(1, count + 1)]
    totals = [run.total for run in after]
    yield at_most(f"app and workers, peak over {count} architectures", watch.peak.total / GB, "GB", LIMIT_GB)
    yield at_most("the same after the last ten runs / after runs 11-20", _growth(totals), "times", GROWTH)
    yield told("after the first run", totals[0] / GB, "GB")
    yield told("after the last run", totals[-1] / GB, "GB")
    yield told("worker processes used", len({run.worker for run in after}), "")
    yield told("a run from submission to its end, median", median(run.seconds for run in after), "s")


def _growth(totals: list[int]) -> float:
    """Medians, so that a worker that is just being replaced does not count; a quick run compares its halves."""
    early = totals[10:20] if len(totals) >= 30 else totals[: len(totals) // 2]
    return median(totals[-min(10, len(totals) // 2) :]) / median(early)


@contextmanager
def _engine() -> Iterator[Engine]:
    """An engine whose runs are thrown away."""
    with tempfile.TemporaryDirectory(prefix="lab-fifty-") as folder, patch.dict(os.environ, FMNIST_RUNS=folder):
        engine = Engine()
        engine.start()
        try:
            yield engine
        finally:
            engine.close()


def _train(engine: Engine, number: int, count: int) -> After:
    """Train the architecture of this number. Raises: RuntimeError."""
    experiment = Experiment(widths=(16 + 4 * number, 8 + 2 * number), epochs=1, training_fraction=0.05)
    begun = time.monotonic()
    identity = engine.submit(experiment, "benchmark")
    while (shot := engine.snapshot(identity)) and shot.active:
        if time.monotonic() > begun + PATIENCE:
            raise RuntimeError(f"run {number} did not end within {PATIENCE} s")
        time.sleep(POLL)
    if shot is None or shot.state != "done":
        raise RuntimeError(f"run {number} did not succeed: {shot and shot.error}")
    root = psutil.Process()
    after = After(memory(root).total, largest(root), time.monotonic() - begun)
    say(f"{number} of {count}: {after.total / GB:.2f} GB, worker {after.worker}, {after.seconds:.1f} s")
    return after
