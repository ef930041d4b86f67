"""What a screen sees of a job: the events of a worker folded into one small frozen picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.recording import EpochRecord

ACTIVE = ("queued", "starting", "compiling", "training", "testing", "working", "saving")
STATE_OF_PHASE = {"preparing": "starting"}
MOST_POINTS = 600  # of the per-step loss curve: more than a chart is wide
RECORD = tuple(field.name for field in fields(EpochRecord))


@dataclass(frozen=True)
class Snapshot:
    """A job as it is now.

    state: one of ACTIVE, or done, stopped, failed. place: jobs that end before this one starts (0: it has a worker).
    step: steps done; step_losses: (step, loss), at most MOST_POINTS, evenly thinned. accuracy: running training
    accuracy in this epoch. seconds_left: from the measured pace, None before there is one. notice: what happened that
    a person should know; error: why it failed; each one sentence or "". watchers: living sessions that asked for this job.
    share, doing: of an analysis, how much is done (0 to 1) and what it does now, in a few words.
    """

    run_id: str
    experiment: Experiment
    state: str
    place: int
    epoch: int
    step: int
    steps_per_epoch: int
    history: tuple[EpochRecord, ...]
    step_losses: tuple[tuple[int, float], ...]
    accuracy: float
    examples_per_second: float
    seconds_left: float | None
    notice: str
    error: str
    watchers: int
    share: float
    doing: str

    @property
    def active(self) -> bool:
        """Whether the job has not ended."""
        return self.state in ACTIVE


class Curve:
    """(step, loss) points, thinned evenly by doubling the distance between two kept steps."""

    def __init__(self) -> None:
        self.points: list[tuple[int, float]] = []
        self._distance = 1
        self._next = 0

    def extend(self, points: Iterable[tuple[int, float]]) -> None:
        """Add points with growing steps."""
        for step, loss in points:
            self._add(int(step), float(loss))

    def _add(self, step: int, loss: float) -> None:
        if step < self._next:
            return
        self.points.append((step, loss))
        self._next = step + self._distance
        if len(self.points) > MOST_POINTS:
            self._distance *= 2
            kept, self.points, self._next = self.points, [], 0
            self.extend(kept)


class Fold:
    """The mutable side of a snapshot: takes a worker's events in order. The caller holds the lock.

    Events are plain dicts: {"what": "phase", "name"}, {"what": "progress", fields of Progress}, {"what": "epoch",
    fields of EpochRecord} and, of an analysis, {"what": "share", "share", "doing"}. Times are seconds of a monotonic clock.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.state = "queued"
        self.history: list[EpochRecord] = []
        self.curve = Curve()
        self.epoch = self.step = self.steps_per_epoch = 0
        self.accuracy = self.speed = self.share = 0.0
        self.doing = ""
        self._first: tuple[float, float] | None = None  # when, and how many steps (or which share) were done
        self._last: tuple[float, float] | None = None

    def add(self, event: Mapping[str, Any], now: float) -> None:
        """Take one event."""
        what = event["what"]
        if what == "phase":
            self.state = STATE_OF_PHASE.get(event["name"], event["name"])
        elif what == "epoch":
            record = EpochRecord(**{name: event[name] for name in RECORD})
            self.history.append(record)
            self.epoch = max(self.epoch, record.epoch)
        elif what == "progress":
            self._progress(event, now)
        elif what == "share":
            self.state, self.share, self.doing = "working", event["share"], event["doing"]
            self._mark(self.share, now)

    def _progress(self, event: Mapping[str, Any], now: float) -> None:
        self.epoch, self.step, self.steps_per_epoch = event["epoch"], event["step"], event["steps_per_epoch"]
        self.accuracy, self.speed = event["accuracy"], event["examples_per_second"]
        self.curve.extend(event["losses"])
        self._mark(self.step, now)

    def _mark(self, done: float, now: float) -> None:
        # The first steps of a program are slower than the rest, so the pace is counted from the first sign on.
        self._first = self._first or (now, done)
        self._last = (now, done)

    def seconds_left(self, now: float) -> float | None:
        """Time to the last step at the pace so far, validation included."""
        if self.state in ("testing", "saving"):
            return 0.0
        if self._first is None or self._last is None or self._last[1] <= self._first[1]:
            return None
        pace = (self._last[0] - self._first[0]) / (self._last[1] - self._first[1])
        whole = 1.0 if self.state == "working" else self.steps_per_epoch * self.experiment.epochs
        left = whole - self._last[1]
        return max(left * pace - (now - self._last[0]), 0.0)
