"""What a worker of this machine does first, as a preload of Dask: it makes room for the app, and can end in order."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from typing import Any

from fmnist_core.engine.remote import end_jobs

NICENESS = 5  # below the app, which then answers at once; alone, a worker has all cores as before


def dask_setup(worker: Any) -> None:
    """Called by Dask in the worker's main thread; threads that are started later have the same priority."""
    with suppress(OSError, AttributeError):  # another system
        os.nice(NICENESS)
    signal.signal(signal.SIGTERM, _end)


def _end(signum: int, frame: Any) -> None:
    """Jobs take their half-written files with them; then nothing keeps the process."""

    def end() -> None:
        end_jobs()
        os._exit(0)

    threading.Thread(target=end, daemon=True).start()
