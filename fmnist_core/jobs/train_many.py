"""Many trainings in this process, some at a time: what exists is used again, and a stop or an error ends all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from fmnist_core.experiment.hyperparameters import Experiment

Outcome = TypeVar("Outcome")
ALMOST = 0.99  # of a training whose last step is done, but whose result is not kept yet


# Trains an experiment and keeps its result. Is given a function that takes the fraction that is done, and one that says
# whether it is to stop; returns None where it was stopped.
Train = Callable[[Experiment, Callable[[float], None], Callable[[], bool]], Outcome | None]


def train_many(
    experiments: Sequence[Experiment],
    find: Callable[[Experiment], Outcome | None],
    train: Train[Outcome],
    on_progress: Callable[[Experiment, float], None] = lambda experiment, fraction: None,
    should_stop: Callable[[], bool] = lambda: False,
    at_a_time: int = 1,
) -> list[Outcome] | None:
    """The outcome of each experiment, in their order; None after a stop.

    find: the outcome of an earlier training. on_progress: called with an experiment that trains and the fraction of it
    that is done, 1 once its result is kept; from several threads, one at a time. Raises: whatever `train` raises, when
    those that train beside it have ended.
    """
    ended = threading.Event()
    lock = threading.Lock()

    def stopped() -> bool:
        if should_stop():
            ended.set()
        return ended.is_set()

    def report(experiment: Experiment, fraction: float) -> None:
        with lock:
            on_progress(experiment, fraction)

    def outcome_of(experiment: Experiment) -> Outcome | None:
        if (known := find(experiment)) is not None or stopped():
            return known
        try:
            outcome = train(experiment, lambda fraction: report(experiment, min(fraction, ALMOST)), stopped)
        except BaseException:
            ended.set()
            raise
        if outcome is not None:
            report(experiment, 1.0)
        return outcome

    with ThreadPoolExecutor(at_a_time) as pool:
        outcomes = [outcome for outcome in pool.map(outcome_of, experiments) if outcome is not None]
    return outcomes if len(outcomes) == len(experiments) else None
