"""What page Initialisation shows: which part, which networks; and ways from one view to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import streamlit as st

from fmnist_core.experiment import table1_plan, wording
from fmnist_core.experiment.hyperparameters import FIELDS, Experiment
from fmnist_core.experiment.initial_networks import HIGHEST_GAIN, LOWEST_GAIN
from fmnist_core.experiment.study import STUDIES
from fmnist_core.ui.shared.page_view import PageView, choice, hyperparameter, number, several, whole
from fmnist_core.ui.shared.pages import Page
from fmnist_core.ui.shared.view_state import ViewState

PARTS = {
    "why": "Why",
    "live": "At the start, live",
    "training": "During training",
    "notebook": "The notebook's comparison",
    "table1": "Table 1",
    "after": "After Glorot",
}
PLANS = {"quick": "Quick", "full": "The full protocol"}
TRAINED = STUDIES["initialisation-deep"].base
MOST_COMPARED = 3
LOW_FACTOR, HIGH_FACTOR = 0.05, 10.0
STANDARD_FACTOR = 0.333  # as an address has the 1/3 of the standard initialisation
FACTORS = (0.05, 0.1, 0.2, STANDARD_FACTOR, 0.5, 0.7, 0.9, 1.0, 1.1, 1.5, 2.0, 3.0, 5.0, 10.0)
UNITS = (8, 16, 32, 64, 100, 200, 300, 500, 700, 1000, 1500, 2048)
WIDTHS = (8, 16, 32, 64, 128, 256, 512, 1000, 2048)
GAINS = (0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)
SEEDS = (2, 3, 5, 7, 10, 15, 20, 30)
# The settings of the trained networks; those that the live part has too begin with "trained_".
TRAINED_SETTINGS = (
    *("trained_layers", "trained_units", "trained_activation"),
    *("learning_rate", "batch_size", "epochs", "training_fraction"),
)
# The names that they have in addresses of version 0.1.
RENAMED = {
    "depth": "trained_layers",
    "width": "trained_units",
    "function": "trained_activation",
    "rate": "learning_rate",
    "batch": "batch_size",
    "share": "training_fraction",
}
CARD = 460  # pixels of a figure's width: two fit beside the sidebar on a screen of 1,440, three on one of 1,920


@dataclass(frozen=True)
class View(PageView):
    """One part of the page, and the networks of all of them.

    factor: n Var[W] of the drawing in part "why". layers, units, activation, gain, seed: of the networks that are
    looked at before training; initialisers: of these and of those that are trained, to which TRAINED_SETTINGS belong.
    plan, seeds: of table 1, and of each of its rows.
    """

    page = Page.INITIALISATION
    part: str = choice(PARTS, "What to see", heading=False)
    factor: float = number(
        LOW_FACTOR,
        HIGH_FACTOR,
        STANDARD_FACTOR,
        "Factor of each layer, n Var[W]",
        usual=FACTORS,
        form=lambda factor: "1/3" if factor == STANDARD_FACTOR else f"{factor:g}",
        help="The number of inputs of a layer times the variance of its weights: 1/3 with the standard initialisation.",
    )
    layers: int = hyperparameter("layers", default=5, low=1)
    units: int = hyperparameter("units", default=1000, usual=UNITS)
    activation: str = hyperparameter("activation", default="tanh")
    initialisers: tuple[str, ...] = several(
        {name: wording.choice(name) for name in FIELDS["initialiser"].choices},
        (table1_plan.STANDARD, table1_plan.NORMALISED),
        "Initialisers side by side",
        allowed=f"1 to {MOST_COMPARED} different ones, joined by dots",
        most=MOST_COMPARED,
        help="Standard uniform is the paper's eq. 1, Glorot uniform its normalised initialisation, eq. 16.",
    )
    gain: float = number(
        LOWEST_GAIN,
        HIGHEST_GAIN,
        1.0,
        "Gain",
        usual=GAINS,
        help="Multiplies all initial weights: 1 is the initialiser itself. Move it and watch training conditions"
        " break.",
    )
    seed: int = whole(0, 9_999, label="Seed", help="Another seed draws other weights.")
    trained_layers: int = hyperparameter("layers", TRAINED.layers, low=1)
    trained_units: int = hyperparameter("units", TRAINED.units, usual=WIDTHS)
    trained_activation: str = hyperparameter("activation", TRAINED.activation)
    learning_rate: float = hyperparameter(
        "learning_rate",
        TRAINED.learning_rate,
        label="Learning rate (SGD)",
        usual=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
    )
    batch_size: int = hyperparameter("batch_size", TRAINED.batch_size, usual=(10, 32, 64, 128, 256))
    epochs: int = hyperparameter("epochs", TRAINED.epochs, usual=(1, 2, 3, 5, 10, 20, 30))
    training_fraction: float = hyperparameter(
        "training_fraction", TRAINED.training_fraction, usual=(0.05, 0.1, 0.2, 0.5, 1.0), form="{:.0%}".format
    )
    plan: str = choice(PLANS, "Version")
    seeds: int = whole(table1_plan.FEWEST_SEEDS, table1_plan.MOST_SEEDS, 5, label="Seeds of each row", usual=SEEDS)

    @classmethod
    def from_query(cls, texts: Mapping[str, str]) -> tuple[Self, list[str]]:
        """As PageView; reads the old names, too."""
        old = {RENAMED[name]: text for name, text in texts.items() if name in RENAMED}
        return super().from_query(old | {name: text for name, text in texts.items() if name not in RENAMED})


STATE = ViewState(View.page, View, View.setting)


def trained(view: View) -> Experiment:
    """The network that part "training" trains, the initialiser aside."""
    return TRAINED.model_copy(update={n.removeprefix("trained_"): getattr(view, n) for n in TRAINED_SETTINGS})


def training(experiment: Experiment) -> View:
    """The view that trains this network."""
    return View(part="training", **{n: getattr(experiment, n.removeprefix("trained_")) for n in TRAINED_SETTINGS})


def view_button(label: str, icon: str, view: View) -> None:
    """Goes to another view of this page.

    A link to the page that is open already would change what is shown, but not the browser's address.
    """
    st.button(label, icon=icon, type="tertiary", on_click=STATE.open, args=(view,), key=f"initialisation way {label}")
