"""Many trainings: a real Ctrl-C ends them all."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.jobs.train_runs import train_many
from tests.support.engine_waits import PATIENCE, until


@pytest.fixture
def heard() -> Iterator[None]:
    """Ctrl-C is heard also where the tests run in the background of a shell, which has programs ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize(("at_a_time", "ends"), [(1, ["interrupted"]), (2, ["stopped", "stopped"])])
def test_ctrl_c_ends_all_trainings(at_a_time: int, ends: list[str]) -> None:
    training = threading.Barrier(at_a_time)
    seen: list[str] = []

    def train(experiment: Experiment, on_fraction: Callable[[float], None], should_stop: Callable[[], bool]) -> None:
        try:
            if training.wait(PATIENCE) == 0:
                os.kill(os.getpid(), signal.SIGINT)
            until(should_stop, "the stop")
            seen.append("stopped")
        except BaseException as error:
            seen.append("interrupted" if isinstance(error, KeyboardInterrupt) else repr(error))
            raise

    with pytest.raises(KeyboardInterrupt):
        train_many([Experiment(seed=seed) for seed in range(6)], lambda experiment: None, train, at_a_time=at_a_time)
    assert seen == ends
