"""Greets each worker process as it joins, also one that replaces a dead one, and warms it up in the background."""

from __future__ import annotations

from typing import Any

from distributed import WorkerPlugin

from fmnist_core.runs import worker as jobs

TOPIC = "fmnist-lab-workers"


class Greeter(WorkerPlugin):
    """Tells on TOPIC that a worker is there and, later, that it is warm."""

    name = "fmnist-lab-greeter"

    def __init__(self, warm_up: bool) -> None:
        self.warm_up = warm_up

    def setup(self, worker: Any) -> None:
        """Called by Dask in the worker's event loop, so the slow part goes to a thread."""

        def tell(warm: bool) -> None:
            worker.log_event(TOPIC, {"address": worker.address, "warm": warm})

        tell(jobs.WARM.is_set() or not self.warm_up)
        if self.warm_up:
            jobs.start_warming(lambda: tell(True))
