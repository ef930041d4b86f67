"""Jobs for the engine's tests: they run in a worker and need no TensorFlow."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fmnist_core.errors import LabError
from fmnist_core.experiment.recording import EpochRecord, JobContext, Progress

STEPS = 20


def steps(params: Mapping[str, Any], context: JobContext) -> bool:
    """Looks like a training: epochs of STEPS steps of 5 ms; ends early when asked to."""
    for phase in ("preparing", "compiling", "training"):
        context.phase(phase)
    for epoch in range(1, params["epochs"] + 1):
        for step in range(STEPS * (epoch - 1) + 1, STEPS * epoch + 1):
            time.sleep(0.005)
            context.progress(Progress(epoch, step, STEPS, ((step, 1 / step),), 0.5, 1000.0))
            if context.should_stop():
                return False
        context.epoch(EpochRecord(epoch, 1 / epoch, 0.5, 0.4, 0.5, 0.001, 1.0, 2.0, 0.1))
    context.phase("testing")
    return True


def wait(params: Mapping[str, Any], context: JobContext) -> bool:
    """Runs until a file appears, or until it is stopped."""
    while not Path(params["file"]).exists() and not context.should_stop():
        time.sleep(0.02)
    return not context.should_stop()


def analyse(params: Mapping[str, Any], context: JobContext) -> bool:
    """Tells that half is done, then runs until a file appears, or until it is stopped."""
    context.fraction(0.5, "halfway")
    return wait(params, context)


def allocate(params: Mapping[str, Any], context: JobContext) -> bool:
    """Takes more and more memory; slow enough for the nanny to see it."""
    blocks = []
    while True:
        blocks.append(b"x" * 20_000_000)
        time.sleep(0.01)


def scribble(params: Mapping[str, Any], context: JobContext) -> bool:
    """Leaves a temporary file, and another one that it takes away when it ends; runs until it is stopped."""
    tempfile.mkstemp(prefix="left-behind-")
    try:
        Path(params["file"]).touch()
        return steps({"epochs": 10_000}, context)
    except BaseException:
        Path(params["file"]).unlink()
        raise


def fail(params: Mapping[str, Any], context: JobContext) -> bool:
    """Fails with a sentence for people, or with a programmer's error."""
    if params["clear"]:
        raise LabError("The data set is damaged; load it again.")
    raise ZeroDivisionError("division by zero\nand a second line")


def grow(params: Mapping[str, Any], context: JobContext) -> bool:
    """Leaves the process with more memory than before."""
    KEPT.append(b"x" * params["bytes"])
    return True


KEPT: list[bytes] = []
