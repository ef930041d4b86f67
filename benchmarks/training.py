"""Seconds an epoch in steady state: our loop against Keras' `fit`, and against others for information.

Every contender has a process of its own, so that threads and memory are its own, too; one of them works at a time
and the others wait. A round is one epoch of each, so that a busy moment of the machine meets them all.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.util import find_spec
from statistics import median
from typing import IO, NamedTuple

import psutil

from benchmarks.contenders import CONTENDERS
from benchmarks.machine import ROOT
from benchmarks.processes import busy, taken
from benchmarks.report import Row, at_least, at_most, failed, missing, say, told

ROUNDS, QUICK_ROUNDS, QUICK_SHARE = 7, 2, 0.1
PATIENCE = 300  # seconds for an epoch, the import and compilation before the first one included
OPTIONAL = {"PyTorch, eager": "torch", "JAX, lax.scan": "jax"}
RATIOS: tuple[tuple[str, str, Callable[[str, float], Row]], ...] = (
    ("Keras fit", "ours", partial(at_least, unit="times", limit=3.0)),
    ("ours with dropout 0.3", "ours", partial(at_most, unit="times", limit=1.25)),
    ("Keras fit with dropout 0.3", "Keras fit", partial(told, unit="times")),
)


class Times(NamedTuple):
    """Of one epoch: seconds of training and validation; whole: with all that a contender does besides; others:
    seconds of processor time that other processes took meanwhile.
    """

    seconds: float
    whole: float
    others: float


class Contender(NamedTuple):
    """A process that trains an epoch when it is told to."""

    name: str
    process: subprocess.Popen[str]
    log: IO[str]

    def epoch(self) -> Times:
        """Let it train one epoch. Raises: RuntimeError when it ends or stays silent."""
        before = self._others()
        answer = json.loads(self._ask())
        return Times(**answer, others=self._others() - before)

    def _others(self) -> float:
        return busy() - taken(self.process.pid)

    def _ask(self) -> str:
        assert self.process.stdin and self.process.stdout
        watchdog = threading.Timer(PATIENCE, self.process.kill)
        watchdog.start()
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except OSError:
            line = ""
        finally:
            watchdog.cancel()
        if not line:
            raise RuntimeError(self._last_words())
        return line

    def _last_words(self) -> str:
        self.log.seek(0)
        lines = self.log.read().strip().splitlines()
        return f"{self.name}: its process ended or stayed silent: {lines[-1] if lines else 'no reason given'}"


@contextmanager
def contender(name: str, share: float) -> Iterator[Contender]:
    """One of CONTENDERS, waiting for its first epoch."""
    command = [sys.executable, "-m", "benchmarks.contenders", name, str(share)]
    pipe = subprocess.PIPE
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=log, text=True) as process,
    ):
        try:
            yield Contender(name, process, log)
        finally:
            process.kill()


def rows(quick: bool) -> Iterator[Row]:
    """Ratios first, then each contender's seconds."""
    absent = [name for name, module in OPTIONAL.items() if find_spec(module) is None]
    names = [name for name in CONTENDERS if name not in absent]
    with ExitStack() as stack:
        found, broken = _started(names, QUICK_SHARE if quick else 1.0, stack)
        times = _rounds(found, QUICK_ROUNDS if quick else ROUNDS)
    medians = {name: median(epoch.seconds for epoch in epochs) for name, epochs in times.items()}
    for above, below, row in RATIOS:
        if above in medians and below in medians:
            yield row(f"{above} / {below}", medians[above] / medians[below])
    for name, epochs in times.items():
        yield _seconds(f"{name}: training and validation", [epoch.seconds for epoch in epochs])
        if name == "ours":
            yield _seconds("ours: with what the store keeps of each epoch", [epoch.whole for epoch in epochs])
    yield _others([epoch for epochs in times.values() for epoch in epochs])
    yield from broken
    yield from (missing(name, "not installed") for name in absent)


def _seconds(name: str, epochs: list[float]) -> Row:
    return told(name, median(epochs), "s/epoch", f"{min(epochs):.2f} to {max(epochs):.2f}")


def _others(epochs: list[Times]) -> Row:
    """A busy machine is not fair: who waits actively for threads suffers most, by a factor of ten and more."""
    share = sum(epoch.others for epoch in epochs) / sum(epoch.whole for epoch in epochs) / psutil.cpu_count()
    return told("other work on this machine meanwhile", 100 * share, "% of it", "above a few, measure again")


def _started(names: list[str], share: float, stack: ExitStack) -> tuple[list[Contender], list[Row]]:
    """The contenders after their first epoch, which nobody counts: it imports and compiles; and those that broke."""
    found, broken = [], []
    for name in names:
        made = stack.enter_context(contender(name, share))
        try:
            say(f"{name}: first epoch after {made.epoch().whole:.1f} s")
            found.append(made)
        except RuntimeError as error:
            broken.append(failed(name, error))
    return found, broken


def _rounds(contenders: list[Contender], count: int) -> dict[str, list[Times]]:
    """Each contender's epochs, one a round."""
    found: dict[str, list[Times]] = {each.name: [] for each in contenders}
    for number in range(1, count + 1):
        for each in contenders:
            found[each.name].append(each.epoch())
        now = ", ".join(f"{name} {epochs[-1].seconds:.2f}" for name, epochs in found.items())
        say(f"round {number} of {count}: {now}")
    return found
