"""What a job in a worker tells the engine while it runs, and the context through which it does: all that both share.

A job is a function `job(params, context) -> bool`: whether it ran to its end. False: it was stopped before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from fmnist_core.experiment.recording import EpochRecord, Progress

PERIOD = 0.1  # seconds between two events within an epoch, at least
MOST_LOSSES = 50  # in one event


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
EVENTS: dict[str, type[Event]] = {kind.__name__: kind for kind in (Started, Phase, Progress, EpochRecord, Fraction)}
Send = Callable[[Event, int], None]
Job = Callable[[Mapping[str, Any], "JobContext"], bool]


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
    """What a job is given beside its params; a `recording.Listener`. At most one event in PERIOD seconds within an epoch.

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
