"""Table 1 of Glorot & Bengio (2010) on Fashion-MNIST: what is trained, what it costs, what the paper found.

Five hidden layers, three activations, the standard and the normalised initialisation, plain SGD, and for each row the
learning rate with the lowest validation error. The epoch is chosen on the validation images, too: with a constant rate
and batches of 10, the error after the very last step depends much on the last few batches. X. Glorot, Y. Bengio:
Understanding the difficulty of training deep feedforward neural networks, AISTATS 2010, PMLR 9:249-256.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import NamedTuple

from fmnist_core.experiment.cost import SHARED_EFFICIENCY, check_flops, cost, training_seconds
from fmnist_core.experiment.hyperparameters import Experiment, ExperimentError

ALPHA = 0.005  # The paper's bound: "statistically different ... under the null hypothesis test with p = 0.005".
ACTIVATIONS = ("softsign", "tanh", "sigmoid")
STANDARD, NORMALISED = "standard_uniform", "glorot_uniform"
RATES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # Half a decade from one to the next.
FEWEST_SEEDS, MOST_SEEDS = 2, 30
TELLING_SEEDS = 5  # With fewer, even large differences stay within the noise, and no row is better than another.
DATA_SETS = ("Shapeset-3x2", "MNIST", "CIFAR-10", "Small ImageNet")


class Row(NamedTuple):
    """A row of the table. initialiser: STANDARD (the paper's eq. 1) or NORMALISED (eq. 16, an N in the paper)."""

    activation: str
    initialiser: str

    @property
    def name(self) -> str:
        """As the paper has it: "tanh", "tanh N"."""
        return self.activation + (" N" if self.initialiser == NORMALISED else "")

    @property
    def initialisation(self) -> str:
        """In words."""
        return "normalised" if self.initialiser == NORMALISED else "standard"


Training = tuple[Row, float, int]  # row, learning rate, seed
ROWS = tuple(Row(activation, initialiser) for activation in ACTIVATIONS for initialiser in (STANDARD, NORMALISED))
# Test error in %, the columns in the order of DATA_SETS. The paper has no row for sigmoid with normalised weights.
PUBLISHED: dict[Row, tuple[float, float, float, float]] = {
    Row("softsign", STANDARD): (16.27, 1.64, 55.78, 69.14),
    Row("softsign", NORMALISED): (16.06, 1.72, 53.8, 68.13),
    Row("tanh", STANDARD): (27.15, 1.76, 55.9, 70.58),
    Row("tanh", NORMALISED): (15.60, 1.64, 52.92, 68.57),
    Row("sigmoid", STANDARD): (82.61, 2.21, 57.28, 70.66),
}


@dataclass(frozen=True)
class Plan:
    """How the table is made; the defaults are the quick version's.

    5,400 steps show what initialisation does to the start of training, at a cost of minutes. With twice as many, the
    standard one has made up half of what it lacks with softsign and tanh (measured: 1.2 and 1.0 points are left of
    2.8 and 1.8, over 5 and 8 seeds).

    units: in each of `layers` hidden layers. images: that each network is trained on in each epoch; None: all. seeds:
    trainings of each row. search_seeds: with how many of them, the first ones, each rate is tried.
    """

    name: str = "quick"
    layers: int = 5
    units: int = 100
    batch_size: int = 10
    epochs: int = 5
    images: int | None = 10_800
    rates: tuple[float, ...] = RATES
    seeds: int = 5
    search_seeds: int = 2

    def experiment(self, row: Row, rate: float, seed: int, available: int) -> Experiment:
        """One training of a row. available: training images that there are after the validation split."""
        return Experiment.of(
            {
                "layers": self.layers,
                "units": self.units,
                "activation": row.activation,
                "initialiser": row.initialiser,
                "optimiser": "sgd",
                "learning_rate": rate,
                "batch_size": self.batch_size,
                "epochs": self.passes(available),
                "patience": self.passes(available),  # Never stops early, but takes the best epoch's weights back.
                "training_fraction": self.fraction(available),
                "seed": seed,
            }
        )

    def fraction(self, available: int) -> float:
        """The share of the available training images that is used."""
        return 1.0 if self.images is None else min(1.0, self.images / available)

    def passes(self, available: int) -> int:
        """Epochs; more where there are fewer images, so that the number of steps stays."""
        return self.epochs if self.images is None else round(self.epochs * self.images / min(self.images, available))

    def searched(self, row: Row) -> tuple[Training, ...]:
        """The trainings that the learning rate is chosen by."""
        return tuple((row, rate, seed) for rate in self.rates for seed in range(self.search_seeds))

    def confirmed(self, row: Row, rate: float) -> tuple[Training, ...]:
        """The trainings that are left once the rate is known."""
        return tuple((row, rate, seed) for seed in range(self.search_seeds, self.seeds))

    @property
    def trainings(self) -> int:
        """How many networks are trained."""
        return len(ROWS) * (len(self.rates) * self.search_seeds + self.seeds - self.search_seeds)


def plan(name: str = "quick", seeds: object = 5) -> Plan:
    """The plan of that name: "quick" (minutes) or "full" (the paper's 1,000 units and all images: many hours).

    Raises:
        ExperimentError: another name, or seeds that are no whole number from FEWEST_SEEDS to MOST_SEEDS.
    """
    if not isinstance(seeds, int) or not FEWEST_SEEDS <= seeds <= MOST_SEEDS:
        raise ExperimentError(
            f"The number of seeds (seeds) is {str(seeds)[:40]!r}, but it must be a whole number from {FEWEST_SEEDS} to"
            f" {MOST_SEEDS}; use {TELLING_SEEDS} or more to distinguish the rows."
        )
    quick = Plan(seeds=seeds)
    full = replace(quick, name="full", units=1000, epochs=10, images=None, search_seeds=1)
    plans = {"quick": quick, "full": full}
    if name not in plans:
        raise ExperimentError(f"The plan (plan) is {name[:40]!r}, but it must be one of {', '.join(plans)}.")
    return plans[name]


@dataclass(frozen=True)
class Measured:
    """One training's result: errors in % of the images, the validation loss; nan where the training diverged.

    seconds: of training and validation.
    """

    validation_error: float
    validation_loss: float
    test_error: float
    seconds: float

    @property
    def diverged(self) -> bool:
        """Whether training diverged."""
        return not math.isfinite(self.validation_loss)


def choose(searched: Mapping[float, Sequence[Measured]]) -> float | None:
    """The learning rate with the lowest mean validation error; None where each diverged with some seed.

    At the same error, as of networks that all still guess, the lower validation loss decides.
    """

    def error_and_loss(rate: float) -> tuple[float, float]:
        results = searched[rate]
        return fmean(each.validation_error for each in results), fmean(each.validation_loss for each in results)

    converged = [rate for rate, results in searched.items() if results and not any(r.diverged for r in results)]
    return min(converged, key=error_and_loss, default=None)


# --- What it costs --------------------------------------------------------------------------------------------------


def flops(plan: Plan, available: int) -> float:
    """Floating-point operations of the whole plan. available: as for `Plan.experiment`."""
    used = round(plan.fraction(available) * available)
    return plan.trainings * cost(plan.experiment(ROWS[0], plan.rates[0], 0, available), used).flops


def check_budget(plan: Plan, available: int, budget: float) -> None:
    """Refuse a plan that is too large for this server. budget: FLOPs. Raises: ExperimentError."""
    what, remedy = f"The {plan.name} table 1", "fewer seeds or the quick version"
    check_flops(flops(plan, available), budget, what, remedy, ExperimentError)


def seconds(plan: Plan, available: int) -> float:
    """About how long the plan takes on this machine, two trainings at a time, by its operations and steps."""
    used = round(plan.fraction(available) * available)
    steps = plan.trainings * math.ceil(used / plan.batch_size) * plan.passes(available)
    product = (plan.batch_size, plan.units, plan.units)
    return training_seconds(flops(plan, available), steps, SHARED_EFFICIENCY, product)


def announced(plan: Plan, available: int, done: int = 0) -> str:
    """What the plan will cost, said before it begins or goes on. done: how many of its trainings there are already."""
    minutes = seconds(plan, available) * (1 - done / plan.trainings) / 60
    duration = f"{max(1, round(minutes))} min" if minutes < 90 else f"{minutes / 60:.0f} hours"
    if done:
        return f"{done} of {plan.trainings} trainings are done; the rest take about {duration} on this machine."
    return (
        f"The {plan.name} table trains {plan.trainings} networks of {plan.layers} x {plan.units:,} units,"
        f" {plan.passes(available)} epochs each: {flops(plan, available):.1e} floating-point operations, about"
        f" {duration} on this machine."
    )
