"""A class' study: the notebook's five models, seed by seed, through the engine; against the same as a loop over `fit`.

One seed of all five models makes a round, and the two take turns, so that a busy moment of the machine meets both.
Ours stores every run, with its weights and test probabilities of each epoch; the loop keeps only its figures.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from benchmarks.machine import ROOT
from benchmarks.report import Row, at_least, say, told
from fmnist_core.engine.service import Engine
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.study import STUDIES, Study

SEEDS, EPOCHS = 5, 5
PATIENCE, POLL = 900, 0.05  # seconds
LIMIT = 2.5


def rows(quick: bool) -> Iterator[Row]:
    """The ratio, then the seconds of a round by each means."""
    share, seeds = (0.05, 2) if quick else (1.0, SEEDS)
    ours, loop = [], []
    with _engine(workers=1) as engine, _loop(share) as peer:
        for seed in range(seeds):
            ours.append(_study(engine, seed, share))
            loop.append(_answer(peer))
            say(f"seed {seed}: ours {ours[-1]:.1f} s, loop over fit {loop[-1]:.1f} s")
    with _engine(workers=2) as engine:
        _study(engine, 0, 0.01)  # both workers warm up and compile
        two = [_study(engine, seed, share) for seed in range(2)]
    name = f"5 models x {seeds} seeds x {EPOCHS} epochs"
    yield at_least(f"{name}: loop over Keras fit / ours", sum(loop) / sum(ours), "times", LIMIT)
    yield told("ours, one worker with two threads", sum(ours) / seeds, "s/seed", f"first {ours[0]:.1f}: it compiles")
    yield told("ours, two workers with one thread each", sum(two) / len(two), "s/seed", "twice the memory")
    yield told("loop over Keras fit", sum(loop) / seeds, "s/seed")


@contextmanager
def _engine(workers: int) -> Iterator[Engine]:
    """A warm engine whose runs are thrown away."""
    with (
        tempfile.TemporaryDirectory(prefix="lab-study-") as folder,
        patch.dict(os.environ, FMNIST_RUNS=folder, FMNIST_WORKERS=str(workers)),
    ):
        engine = Engine()
        engine.start()
        try:
            while not engine.status().ready:
                time.sleep(POLL)
            yield engine
        finally:
            engine.close()


def _study(engine: Engine, seed: int, share: float) -> float:
    """Seconds for one seed of the five models. Raises: RuntimeError."""
    base = Experiment(epochs=EPOCHS, seed=seed, training_fraction=share)
    study = Study.of(dict(STUDIES["notebook"]) | {"base": base, "seeds": 1})
    begun = time.monotonic()
    engine.submit_study(study, "benchmark")
    while (shot := engine.study(study.digest)) and shot.state == "running":
        if time.monotonic() > begun + PATIENCE:
            raise RuntimeError(f"seed {seed} did not end within {PATIENCE} s")
        time.sleep(POLL)
    if shot is None or shot.failed or len(shot.done) != len(shot.names):
        raise RuntimeError(f"seed {seed} did not succeed: {shot and shot.failed}")
    return time.monotonic() - begun


@contextmanager
def _loop(share: float) -> Iterator[subprocess.Popen[str]]:
    """The plain loop in a process of its own, waiting for its first round."""
    command = [sys.executable, "-m", "benchmarks.study_loop", str(share), str(EPOCHS)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _answer(peer: subprocess.Popen[str]) -> float:
    assert peer.stdin and peer.stdout
    peer.stdin.write("\n")
    peer.stdin.flush()
    line = peer.stdout.readline()
    if not line:
        raise RuntimeError("the loop over Keras fit ended")
    return float(line)
