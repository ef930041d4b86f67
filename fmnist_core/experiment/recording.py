"""What a training reports while it runs, and what the job of a worker tells the engine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from typing import Any, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

Weights = dict[str, NDArray[np.float32]]
PERIOD = 0.1  # seconds between two events of a job within an epoch, at least
MOST_LOSSES = 50  # in one event


@dataclass(frozen=True)
class EpochRecord:
    """The measures of one epoch; epoch 0 is the network before training.

    loss, accuracy: on the training images; epoch 0 by evaluation, later as Keras reports them: the mean over the
    epoch's batches, with dropout on, label smoothing and the L2 penalty included. val_loss has these two, too; dropout
    is off. gradient_norm: Euclidean norm of all gradients before any clipping, mean over every 8th step of the epoch;
    nan at epoch 0. weight_norm: Euclidean norm of all trainable weights at the epoch's end. seconds: training and
    validation.
    """

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    gradient_norm: float
    weight_norm: float
    seconds: float


@dataclass(frozen=True)
class Progress:
    """Progress within an epoch, reported several times per epoch.

    epoch: from 1. step: steps done since the start of the training. losses: (step, loss of that batch) of the steps
    since the last report, at most 25, evenly thinned. accuracy: running mean over the epoch's batches so far.
    """

    epoch: int
    step: int
    steps_per_epoch: int
    losses: tuple[tuple[int, float], ...]
    accuracy: float
    examples_per_second: float


class Listener(Protocol):
    """Receives the progress of a training."""

    def phase(self, name: str) -> None:
        """The training enters a phase: preparing, compiling, training or testing."""

    def progress(self, progress: Progress) -> None:
        """Progress within an epoch."""

    def epoch(self, record: EpochRecord) -> None:
        """An epoch is complete; called for epoch 0, too."""


class Recorder(Listener, Protocol):
    """A listener that also stores losses, weights and probabilities."""

    def steps(self, epoch: int, losses: NDArray[np.float32]) -> None:
        """The loss of each of the epoch's batches, float32 (steps,)."""

    def snapshot(self, epoch: int, weights: Weights, probabilities: NDArray[np.float32]) -> None:
        """Weights by name ("hidden_1/kernel", "output/bias"), and probabilities of the test images, (n_test, 10)."""


def to_json_types(value: Any) -> Any:
    """Records, mappings and sequences as JSON types. JSON has no nan: what is not finite becomes null."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {key: to_json_types(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json_types(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


# --- The events of a job ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Started:
    """A worker begins the job. address: the worker's."""

    address: str


@dataclass(frozen=True)
class Phase:
    """A training enters a phase: preparing, compiling, training, testing or saving."""

    name: str


@dataclass(frozen=True)
class Fraction:
    """How much of an analysis is done, 0 to 1, and what it does now, in a few words."""

    done: float
    doing: str


Event = Started | Phase | Progress | EpochRecord | Fraction
EVENTS: dict[str, type[Event]] = {kind.__name__: kind for kind in get_args(Event)}
Send = Callable[[Event, int], None]


def to_message(event: Event) -> dict[str, Any]:
    """An event as plain values, which is all that Dask carries. NumPy's numbers become Python's."""
    return {"event": type(event).__name__, **{name: _plain(value) for name, value in asdict(event).items()}}


def from_message(message: Mapping[str, Any]) -> Event:
    """The event of `to_message`; other entries of the message count for nothing."""
    kind = EVENTS[message["event"]]
    values = {field.name: message[field.name] for field in fields(kind)}
    if kind is Progress:
        values["losses"] = tuple((step, loss) for step, loss in values["losses"])
    return kind(**values)


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value.item() if hasattr(value, "item") else value


class JobContext:
    """What a job is given beside its params; a Listener. At most one event in PERIOD seconds within an epoch.

    A job is a function `job(params, context) -> bool`: whether it ran to its end. False: it was stopped before.
    send: takes each event and the lane it belongs to. should_stop: whether the job has been asked to end.
    """

    def __init__(self, send: Send, should_stop: Callable[[], bool] = lambda: False, lane: int = 0) -> None:
        self.should_stop = should_stop
        self._send_to_lane = send
        self._lane = lane
        self._pending: Progress | None = None
        self._losses: list[tuple[int, float]] = []
        self._last_sent = -PERIOD

    def lane(self, number: int) -> JobContext:
        """The context of one of several trainings side by side."""
        return JobContext(self._send_to_lane, self.should_stop, number)

    def phase(self, name: str) -> None:
        """A phase begins."""
        self._flush()
        self._send(Phase(name))

    def progress(self, progress: Progress) -> None:
        """Within an epoch: sent now or with the next one."""
        self._pending = progress
        self._losses += progress.losses
        if self._due():
            self._flush()

    def epoch(self, record: EpochRecord) -> None:
        """An epoch is complete: sent at once, always."""
        self._flush()
        self._send(record)

    def fraction(self, done: float, doing: str) -> None:
        """How much of an analysis is done (0 to 1), and what it does now."""
        if done >= 1 or self._due():
            self._send(Fraction(done, doing))

    def _due(self) -> bool:
        return time.monotonic() - self._last_sent >= PERIOD

    def _flush(self) -> None:
        if self._pending is None:
            return
        thinned = self._losses[:: -(-len(self._losses) // MOST_LOSSES)] if self._losses else []
        self._send(replace(self._pending, losses=tuple(thinned)))
        self._pending, self._losses = None, []

    def _send(self, event: Event) -> None:
        if isinstance(event, Progress | Fraction):
            self._last_sent = time.monotonic()
        self._send_to_lane(event, self._lane)
