"""The warm-up of a worker process: what the first training and map need is imported and compiled in advance."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress

from fmnist_core.data import dataset

log = logging.getLogger(__name__)
PERIOD = 0.1  # seconds between two looks whether a job that waits is to end
STARTED, WARM, TRAINING_WAITS = threading.Event(), threading.Event(), threading.Event()  # of this process


def start(on_warm: Callable[[], None]) -> None:
    """Warm up in the background, once in a process; on_warm is called when a training could begin."""
    if WARM.is_set():
        on_warm()
    elif not STARTED.is_set():
        STARTED.set()
        threading.Thread(target=_warm_up, args=(on_warm,), name="warm-up", daemon=True).start()


def wait(should_stop: Callable[[], bool]) -> bool:
    """Wait for the warm-up, if there is one; whether it ended before a stop was asked for."""
    TRAINING_WAITS.set()
    while STARTED.is_set() and not WARM.wait(PERIOD):
        if should_stop():
            return False
    return True


def _warm_up(on_warm: Callable[[], None]) -> None:
    try:
        from fmnist_core.learning import training

        if not TRAINING_WAITS.is_set():  # else its own network is to be compiled, not the base network
            training.warm_up(dataset.load())
    except Exception as error:  # the first training will say it, to somebody who listens
        log.warning("Warming up failed: %s", error)
    WARM.set()
    on_warm()
    with suppress(OSError, AttributeError):  # Linux gives each thread its own priority: a training may run by now
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
    try:
        from fmnist_core.embedding import maps

        maps.warm()
    except Exception as error:  # the first map will say it
        log.warning("Warming up for maps failed: %s", error)
