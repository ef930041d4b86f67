"""How long table 1 of Glorot & Bengio (2010) takes on Fashion-MNIST, compiling included."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.report import Row, at_most, say
from fmnist_core.data import dataset
from fmnist_core.experiment.table1_plan import plan

SEEDS, MINUTES = 5, 6.0


def rows(quick: bool) -> Iterator[Row]:
    """The quick table, from nothing."""
    from fmnist_core.jobs.table1_trainings import make_table1

    chosen = plan("quick", 2 if quick else SEEDS)
    data = dataset.load("sample" if quick else None)
    say(f"{chosen.trainings} trainings")
    begun = time.perf_counter()
    make_table1(chosen, data)
    taken = (time.perf_counter() - begun) / 60
    yield at_most(f"the quick table 1, {chosen.seeds} seeds", taken, "min", MINUTES, f"{chosen.trainings} trainings")
