"""What page Initialisation shows: which part, which networks; and the URL that brings the same view back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fmnist_core.experiment import table1_plan
from fmnist_core.experiment.hyperparameters import FIELDS, Experiment
from fmnist_core.experiment.initial_networks import HIGHEST_GAIN, LOWEST_GAIN
from fmnist_core.experiment.study import STUDIES
from fmnist_core.ui.shared.address import Address, ViewError, changed, decimal, one_of, read_all, unknown, whole
from fmnist_core.ui.shared.pages import Page

PARTS = ("why", "live", "training", "notebook", "table1", "after")
PLANS = ("quick", "full")
TRAINED = STUDIES["initialisation-deep"].base
MOST_COMPARED = 3
LOW_FACTOR, HIGH_FACTOR = 0.05, 10.0
STANDARD_FACTOR = 0.333  # as an address has the 1/3 of the standard initialisation
HIGHEST_SEED = 9_999
# A name of a view's part, and the hyperparameter of which it is a value; of the networks that are trained, and all.
TRAINED_BY = {
    "depth": "layers",
    "width": "units",
    "function": "activation",
    "rate": "learning_rate",
    "batch": "batch_size",
    "epochs": "epochs",
    "share": "training_fraction",
}
HYPERPARAMETERS = {"layers": "layers", "units": "units", "activation": "activation", **TRAINED_BY}


@dataclass(frozen=True)
class View:
    """part: one of PARTS. factor: n Var[W] of the drawing in part "why".

    layers, units, activation, gain, seed: of the networks that are looked at before training; initialisers: of these
    and of those that are trained. depth, width, function, rate, batch, epochs, share: of the trained ones. plan: one of PLANS, seeds:
    of each row of table 1.
    """

    part: str = PARTS[0]
    factor: float = STANDARD_FACTOR
    layers: int = 5
    units: int = 1000
    activation: str = "tanh"
    initialisers: tuple[str, ...] = (table1_plan.STANDARD, table1_plan.NORMALISED)
    gain: float = 1.0
    seed: int = 0
    depth: int = TRAINED.layers
    width: int = TRAINED.units
    function: str = TRAINED.activation
    rate: float = TRAINED.learning_rate
    batch: int = TRAINED.batch_size
    epochs: int = TRAINED.epochs
    share: float = TRAINED.training_fraction
    plan: str = PLANS[0]
    seeds: int = 5

    def query(self) -> dict[str, str]:
        """What differs from the defaults, as URL parameters; `from_query` reads them back."""
        return changed(self, written)


def from_query(texts: Mapping[str, str]) -> tuple[View, list[str]]:
    """A view from URL parameters; what is wrong is left at its default and named in the list."""
    return read_all(texts, View(), _read, written)


def _read(name: str, text: str) -> dict[str, Any]:
    """One parameter's value. Raises: LabError."""
    if name in HYPERPARAMETERS:
        return {name: _hyperparameter(name, text)}
    readers: dict[str, Callable[[str], Any]] = {
        "part": lambda text: one_of(name, text, PARTS),
        "factor": lambda text: decimal(name, text, LOW_FACTOR, HIGH_FACTOR),
        "initialisers": _initialisers,
        "gain": lambda text: decimal(name, text, LOWEST_GAIN, HIGHEST_GAIN),
        "seed": lambda text: whole(name, text, 0, HIGHEST_SEED),
        "plan": lambda text: one_of(name, text, PLANS),
        "seeds": lambda text: whole(name, text, table1_plan.FEWEST_SEEDS, table1_plan.MOST_SEEDS),
    }
    if name not in readers:
        raise unknown(name, "Initialisation")
    return {name: readers[name](text)}


def _hyperparameter(name: str, text: str) -> Any:
    """Within the hyperparameter's own bounds; a network to look at has at least one hidden layer. Raises: LabError."""
    field = HYPERPARAMETERS[name]
    if field == "layers":
        return whole(name, text, 1, int(FIELDS[field].high or 0))
    return getattr(Experiment.parse({field: text}), field)


def _initialisers(text: str) -> tuple[str, ...]:
    """One to MOST_COMPARED different ones. Raises: ViewError."""
    names = tuple(text.split("."))
    for name in names:
        one_of("initialisers", name, FIELDS["initialiser"].choices)
    if len(set(names)) < len(names) or len(names) > MOST_COMPARED:
        raise ViewError(
            f"initialisers is {text[:80]!r}, but it must be 1 to {MOST_COMPARED} different ones, joined by dots."
        )
    return names


def written(value: Any) -> str:
    """A part of the view as an address has it."""
    if isinstance(value, tuple):
        return ".".join(value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def trained(view: View) -> Experiment:
    """The network that part "training" trains, the initialiser aside."""
    return TRAINED.model_copy(update={TRAINED_BY[name]: getattr(view, name) for name in TRAINED_BY})


def training(experiment: Experiment) -> View:
    """The view that trains this network."""
    return View(part="training", **{name: getattr(experiment, field) for name, field in TRAINED_BY.items()})


ADDRESS = Address(Page.INITIALISATION.path, from_query)
