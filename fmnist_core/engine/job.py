"""One job of the engine: the function that a worker calls, how far it is, and the sentences about its fate."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from fmnist_core.experiment.cost import INPUTS, OUTPUTS, cost
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.recording import EpochRecord, Event, Fraction, Phase, Progress

# The functions that workers call, as "module:function": the app process must not import them, since they import
# TensorFlow. Each is a job as of `recording.JobContext`, but for warm_up: see there.
JOBS = {
    "train": "fmnist_core.jobs.train_runs:train_job",
    "race": "fmnist_core.jobs.train_runs:race_job",
    "check": "fmnist_core.jobs.train_runs:check_job",
    "map": "fmnist_core.jobs.layer_maps:map_job",
    "grid": "fmnist_core.jobs.layer_maps:grid_job",
    "separation": "fmnist_core.jobs.layer_maps:separation_job",
    "initial": "fmnist_core.jobs.initial_look:look_job",
    "table1": "fmnist_core.jobs.table1_trainings:table_job",
}
WARM_UP = "fmnist_core.jobs.train_runs:warm_up"

ACTIVE = ("queued", "starting", "compiling", "training", "testing", "working", "saving")
MOST_POINTS = 600  # of the per-step loss curve: more than a chart is wide
SMALL = 2_000_000  # parameters; with the optimiser's state, snapshots and their copies about 100 MB
STUDY = "study "  # begins the name under which a study asks for its jobs
# A worker has one analysis of each kind at a time, beside its trainings: those that take seconds, those that a moved
# slider waits for, and those that take hours.
AnalysisKind = Literal["map", "measure", "table"]


@dataclass(frozen=True)
class JobSnapshot:
    """A job as it is now.

    name: of the run, or of the analysis' result. state: one of ACTIVE, or done, stopped, failed. place: jobs that end
    before this one starts (0: it has a worker). seconds_left: from the measured pace, None before there is one. notice:
    what happened that a person should know; error: why it failed; each one sentence or "".
    """

    name: str
    state: str
    place: int
    seconds_left: float | None
    notice: str
    error: str

    @property
    def active(self) -> bool:
        """Whether the job has not ended."""
        return self.state in ACTIVE


@dataclass(frozen=True)
class AnalysisSnapshot(JobSnapshot):
    """An analysis as it is now. fraction: how much is done, 0 to 1. doing: what it does now, in a few words."""

    fraction: float
    doing: str


@dataclass(frozen=True)
class Snapshot(JobSnapshot):
    """A training as it is now.

    step: steps done; step_losses: (step, loss), at most MOST_POINTS, evenly thinned. accuracy: running training
    accuracy in this epoch. watchers: living sessions that asked for this training.
    """

    experiment: Experiment
    epoch: int
    step: int
    steps_per_epoch: int
    history: tuple[EpochRecord, ...]
    step_losses: tuple[tuple[int, float], ...]
    accuracy: float
    examples_per_second: float
    watchers: int

    @property
    def run_id(self) -> str:
        """The run's name."""
        return self.name


class LossCurve:
    """(step, loss) points, thinned evenly by doubling the distance between two kept steps."""

    def __init__(self) -> None:
        self.points: list[tuple[int, float]] = []
        self._distance = 1
        self._next = 0

    def extend(self, points: Iterable[tuple[int, float]]) -> None:
        """Add points with growing steps."""
        for step, loss in points:
            if step < self._next:
                continue
            self.points.append((step, loss))
            self._next = step + self._distance
            if len(self.points) > MOST_POINTS:
                self._distance *= 2
                kept, self.points, self._next = self.points, [], 0
                self.extend(kept)


class JobProgress:
    """How far a training or an analysis is. epochs: of the training. Times are seconds of a monotonic clock."""

    def __init__(self, epochs: int = 0) -> None:
        self.epochs = epochs
        self.history: list[EpochRecord] = []
        self.losses = LossCurve()
        self.latest = Progress(0, 0, 0, (), 0.0, 0.0)
        self.fraction, self.doing = 0.0, ""
        self._first: tuple[float, float] | None = None  # when, and which fraction was done
        self._last = 0.0  # when

    @property
    def epoch(self) -> int:
        """The last one that has begun."""
        return max(self.latest.epoch, self.history[-1].epoch if self.history else 0)

    def add(self, event: Event, now: float) -> None:
        """Take one event, in the order of sending."""
        if isinstance(event, EpochRecord):
            self.history.append(event)
        elif isinstance(event, Progress):
            self.latest = event
            self.losses.extend(event.losses)
            self._mark(event.step / (event.steps_per_epoch * self.epochs), now)
        elif isinstance(event, Fraction):
            self.doing = event.doing
            self._mark(event.done, now)

    def _mark(self, fraction: float, now: float) -> None:
        # The first steps of a program are slower than the rest, so the pace is counted from the first event on.
        self.fraction, self._last = fraction, now
        self._first = self._first or (now, fraction)

    def seconds_left(self, now: float) -> float | None:
        """Time to the end at the pace so far, validation included; None before there is a pace."""
        start, done_before = self._first or (0.0, self.fraction)
        if self.fraction <= done_before:
            return None
        pace = (self._last - start) / (self.fraction - done_before)
        return max((1 - self.fraction) * pace - (now - self._last), 0.0)


@dataclass(eq=False)
class Job:
    """A job from its submission to its end. The engine's lock guards it.

    function: one of JOBS' values. name: the run's, or the result's. params: JSON values. experiments: what a training
    trains, each in a lane of its own; none for an analysis. kind: of an analysis. request: what a person asked for, see
    `kept_requests.Request`, or "" where it is not kept. key: its name at Dask, which no other try has, nor another app
    at the same scheduler. requesters: sessions and studies. address: of the worker that has it, or is to get it. begun:
    when it was handed over. attempts: how often a worker started it; failures: how often it could not be submitted, or
    a worker or scheduler was lost with it.
    """

    function: str
    name: str
    params: dict[str, Any]
    experiments: tuple[Experiment, ...] = ()
    kind: AnalysisKind | None = None
    request: str = ""
    key: str = ""
    requesters: set[str] = field(default_factory=set)
    state: str = "queued"
    address: str = ""
    begun: float = 0.0
    attempts: int = 0
    failures: int = 0
    stopping: bool = False
    notice: str = ""
    error: str = ""
    future: Any = None
    lanes: tuple[JobProgress, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.key = self.key or self.new_key()
        self.restart("", "queued")

    def new_key(self) -> str:
        """A key for the next try."""
        return f"{self.name}-{uuid.uuid4().hex[:8]}"

    def restart(self, notice: str, state: str = "starting") -> None:
        """From the beginning, with a sentence that says why."""
        self.lanes = tuple(JobProgress(experiment.epochs) for experiment in self.experiments) or (JobProgress(),)
        self.notice, self.state = notice, state

    def add(self, event: Event, lane: int, now: float) -> None:
        """Take an event of one of the lanes."""
        if isinstance(event, Phase):
            self.state = "starting" if event.name == "preparing" else event.name
        elif isinstance(event, Fraction):
            self.state = "working"
        self.lanes[lane].add(event, now)

    @property
    def active(self) -> bool:
        """Whether it has not ended."""
        return self.state in ACTIVE

    @property
    def texts(self) -> list[str]:
        """What it trains, as JSON."""
        return [experiment.to_json() for experiment in self.experiments]

    @property
    def noun(self) -> str:
        """What it is, in a word."""
        return "analysis" if self.kind else "training"

    @property
    def fits_beside_another(self) -> bool:
        """Whether it leaves room for another training in a worker's memory."""
        return all(cost(experiment, 1).parameters <= SMALL for experiment in self.experiments)

    @property
    def background(self) -> bool:
        """Whether only studies asked for it: a person who waits goes first."""
        return all(name.startswith(STUDY) for name in self.requesters)

    @property
    def title(self) -> str:
        """What it trains, in words."""
        experiment = self.experiments[0]
        widths = "-".join(map(str, (INPUTS, *experiment.hidden_widths, OUTPUTS)))
        return f"the network {widths} ({experiment.epochs} epoch{'s' if experiment.epochs > 1 else ''})"

    def snapshot(self, place: int, watchers: int, now: float, lane: int = 0) -> Snapshot:
        """A training's frozen picture for screens."""
        progress = self.lanes[lane]
        return Snapshot(
            **self._common(place, progress, now),
            experiment=self.experiments[lane],
            epoch=progress.epoch,
            step=progress.latest.step,
            steps_per_epoch=progress.latest.steps_per_epoch,
            history=tuple(progress.history),
            step_losses=tuple(progress.losses.points),
            accuracy=progress.latest.accuracy,
            examples_per_second=progress.latest.examples_per_second,
            watchers=watchers,
        )

    def analysis_snapshot(self, place: int, now: float) -> AnalysisSnapshot:
        """An analysis' frozen picture for screens."""
        [progress] = self.lanes
        doing = "stopping" if self.stopping else progress.doing
        return AnalysisSnapshot(**self._common(place, progress, now), fraction=progress.fraction, doing=doing)

    def _common(self, place: int, progress: JobProgress, now: float) -> dict[str, Any]:
        """A job that waits for nobody but a worker is starting."""
        return {
            "name": self.name,
            "state": "starting" if self.state == "queued" and place == 0 else self.state,
            "place": place,
            "seconds_left": 0.0 if self.state in ("testing", "saving") else progress.seconds_left(now),
            "notice": self.notice,
            "error": self.error,
        }


def restarted(running: bool) -> str:
    """The notice after a restart of the server. running: whether a worker had begun the training."""
    return "The server was restarted; this training " + ("started again." if running else "is in the queue again.")


def ended_again(times: int) -> str:
    """The error of a training that is not started again."""
    return (
        f"The server ended {times} times during this training, so it was not started again by itself; try fewer units"
        " or layers, and see the server's log for the reason."
    )


def died_once(job: Job, out_of_memory: bool) -> str:
    """The notice after a worker's death."""
    what = "ran out of memory" if out_of_memory else "died"
    if job.kind:
        return f"The worker process {what} and the {job.noun} was started again."
    epoch = job.lanes[0].epoch
    when = f"at epoch {epoch}" if epoch else "before the first epoch"
    return f"The worker process {what} {when} and the training was started again."


def died_again(job: Job, out_of_memory: bool, limit: float) -> str:
    """The error after the retry's death; limit: a worker's memory in GiB."""
    smaller = "fewer images" if job.kind else "fewer units or layers"
    if out_of_memory:
        return (
            f"This {job.noun} needs more memory than a worker may use ({limit:.2g} GiB); choose {smaller}, or"
            " raise the limit (the setting FMNIST_WORKER_MEMORY)."
        )
    return (
        f"The worker process died twice during this {job.noun}; try {smaller}, and see the server's log for the reason."
    )
