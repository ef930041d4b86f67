"""One job in the engine's queue, and the sentences about its fate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fmnist_core.engine.job_progress import ACTIVE, Fold, Snapshot
from fmnist_core.experiment.cost import INPUTS, OUTPUTS, cost
from fmnist_core.experiment.hyperparameters import Experiment

LIGHT = 2_000_000  # parameters; with the optimiser's state, snapshots and their copies about 100 MB
STUDY = "study "  # begins the name under which a study asks for its jobs


@dataclass(eq=False)
class Job:
    """A job from its submission to its end. The engine's lock guards it.

    key: its name at Dask, new for each job. kind, params: what a worker executes. name: the run's name. rivals: what
    trains beside the experiment, each in a lane of its own (the experiment's is 0). group: "" for a training; of an
    analysis, its sort: a worker has one of each sort at a time, beside its trainings. address: of
    the worker that began it last, or "". attempts: how often a worker started it; losses: how often a scheduler died with it.
    """

    key: str
    kind: str
    name: str
    experiment: Experiment
    params: dict[str, Any]
    rivals: tuple[Experiment, ...] = ()
    group: str = ""
    watchers: set[str] = field(default_factory=set)
    address: str = ""
    attempts: int = 0
    losses: int = 0
    stopping: bool = False
    notice: str = ""
    error: str = ""
    future: Any = None
    fold: Fold = field(init=False)
    others: tuple[Fold, ...] = field(init=False)  # of the rivals

    def __post_init__(self) -> None:
        self._fold_anew("queued")

    def _fold_anew(self, state: str) -> None:
        self.fold, self.others = Fold(self.experiment), tuple(map(Fold, self.rivals))
        self.fold.state = state

    def add(self, event: Mapping[str, Any], now: float) -> None:
        """Take an event of one of the lanes."""
        (self.fold, *self.others)[event.get("lane", 0)].add(event, now)

    @property
    def active(self) -> bool:
        """Whether it has not ended."""
        return self.fold.state in ACTIVE

    @property
    def sort(self) -> str:
        """What it is, in a word."""
        return "analysis" if self.group else "training"

    @property
    def light(self) -> bool:
        """Whether it leaves room for another one in a worker's memory."""
        return cost(self.experiment, 1).parameters <= LIGHT

    @property
    def patient(self) -> bool:
        """Whether only studies asked for it: a person who waits goes first."""
        return all(name.startswith(STUDY) for name in self.watchers)

    @property
    def title(self) -> str:
        """What it trains, in words."""
        widths = "-".join(map(str, (INPUTS, *self.experiment.hidden_widths, OUTPUTS)))
        epochs = self.experiment.epochs
        return f"the network {widths} ({epochs} epoch{'s' if epochs > 1 else ''})"

    def restart(self, notice: str, state: str = "starting") -> None:
        """From the beginning, with a sentence that says why."""
        self._fold_anew(state)
        self.notice = notice

    def snapshot(self, place: int, watchers: int, now: float, lane: int = 0) -> Snapshot:
        """The frozen picture for screens; a job that waits for nobody but a worker is starting."""
        fold = (self.fold, *self.others)[lane]
        state = "starting" if self.fold.state == "queued" and place == 0 else self.fold.state
        return Snapshot(
            run_id=self.name,
            experiment=fold.experiment,
            state=state,
            place=place,
            epoch=fold.epoch,
            step=fold.step,
            steps_per_epoch=fold.steps_per_epoch,
            history=tuple(fold.history),
            step_losses=tuple(fold.curve.points),
            accuracy=fold.accuracy,
            examples_per_second=fold.speed,
            seconds_left=fold.seconds_left(now),
            notice=self.notice,
            error=self.error,
            watchers=watchers,
            share=fold.share,
            doing=fold.doing,
        )


def died_once(job: Job, starved: bool) -> str:
    """The notice after a worker's death."""
    what = "ran out of memory" if starved else "died"
    if job.group:
        return f"The worker process {what} and the {job.sort} was started again."
    when = f"at epoch {job.fold.epoch}" if job.fold.epoch else "before the first epoch"  # the last one that had begun
    return f"The worker process {what} {when} and the training was started again."


def died_again(job: Job, starved: bool, limit: float) -> str:
    """The error after the retry's death; limit: a worker's memory in GiB."""
    smaller = "fewer images" if job.group else "fewer units or layers"
    if starved:
        return (
            f"This {job.sort} needs more memory than a worker may use ({limit:.2g} GiB); choose {smaller}, or"
            " raise the limit (the setting FMNIST_WORKER_MEMORY)."
        )
    return (
        f"The worker process died twice during this {job.sort}; try {smaller}, and see the server's log for the reason."
    )
