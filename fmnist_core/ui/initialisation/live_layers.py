"""At initialisation, live: the controls, and networks measured before any training, on a batch of real images."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from fmnist_core.charts import initial_distributions as figures
from fmnist_core.charts import initial_layers as by_layer
from fmnist_core.data import dataset
from fmnist_core.engine.analyses import Analysis, initial_analysis
from fmnist_core.experiment import wording
from fmnist_core.experiment.initial_networks import InitialisationError, fits
from fmnist_core.experiment.layer_names import layer_label
from fmnist_core.findings.initial_sentences import sentences, spreads, table
from fmnist_core.findings.layers_over_epochs import IMAGES, batch
from fmnist_core.ui.initialisation.initialisation_view import CARD, STATE, UNITS, View, view_button
from fmnist_core.ui.shared import analysis_panel, chart_view, markdown, server, session
from fmnist_core.ui.shared.downloads import csv_file, foot

VISIBLE = 0.005  # a smaller share of saturated activations or dead units draws no bar that one sees
DARK = 0.9  # share of the images: pixels that are 0 in so many make two thirds of that peak (measured with Glorot)
LARGE = 1e5  # from here on a table's numbers need powers of ten
PATIENCE, LOOK = 1.5, 0.02  # seconds: a wait without a progress bar, and between two looks in it
PROGRESS = 60  # pixels that progress takes, so that the pictures below stay where they are


def controls() -> None:
    """The sidebar: which networks."""
    for name in ("layers", "units", "activation", "initialisers", "gain", "seed"):
        STATE.draw(name)


def show(view: View) -> None:
    """The whole part."""
    st.markdown(
        f"The same {IMAGES} test images pass through each network before any training, and the gradient of each"
        " image's loss passes back. Move a control: the network is measured again, not looked up."
    )
    try:
        facts = _measured(view)
    except InitialisationError as error:
        markdown.error(error)
        # A way to the widest network of this depth that can be looked at.
        units = max((u for u in UNITS if fits(view.layers, u, len(view.initialisers))), default=None)
        if units is not None:
            view_button(f"Use {units:,} units per layer", ":material/compress:", replace(view, units=units))
        return
    if facts is None:
        return
    st.markdown("\n".join(f"- {text}" for text in sentences(facts)))
    _figures(facts)
    _variances(facts)
    chart = by_layer.idle_units(facts)
    if chart is not None and by_layer.unit_table(facts)["share"].max() >= VISIBLE:
        chart_view.show(chart, key="initialisation units")
    for network in facts["networks"]:
        if len(network["lsuv"]) > 1:
            _lsuv(network)
    _table(facts)


def _measured(view: View) -> Mapping[str, Any] | None:
    """What was measured: of these networks, or of the ones before while these are under way."""
    settings = (view.layers, view.units, view.activation, view.initialisers, view.gain, view.seed)
    analysis = initial_analysis(*settings, dataset.load().name)
    with st.container(height=PROGRESS, border=False):
        _wait(analysis)
        if result := analysis_panel.result(analysis):
            session.INITIAL.set(result.name)
            facts = result.facts
            st.caption(
                f"{wording.counted(facts['layers'], 'hidden layer')} of {facts['units']:,} units,"
                f" {wording.choice(facts['activation'])}, gain {facts['networks'][0]['gain']:g}, seed {facts['seed']};"
                f" {facts['images']} images; measured in {facts['seconds']:.1f} s."
            )
            return facts
    earlier = server.results().find("", session.INITIAL.get() or analysis.name)
    return earlier.facts if earlier is not None else None


def _wait(analysis: Analysis[Any]) -> None:
    """Wait a moment for a warm worker: an answer within a second needs no progress bar, and no second drawing.

    A control that is moved meanwhile ends the wait.
    """
    known = server.results().find("", analysis.name) or server.analysis(analysis.name)
    if known is not None or not server.engine().status().ready:
        return
    server.submit_analysis(analysis)
    message, end = st.empty(), time.monotonic() + PATIENCE
    while time.monotonic() < end and (snapshot := server.analysis(analysis.name)) and snapshot.active:
        message.caption("Measuring …")  # here Streamlit looks whether a control was moved
        time.sleep(LOOK)
    message.empty()


# --- The figures ------------------------------------------------------------------------------------------------------

FIGURES = {
    "activation": (
        "Figure 6: activations",
        "One line per layer: the distribution of the values of its units.",
    ),
    "gradient": (
        "Figure 7: back-propagated gradients",
        "The same for ∂Cost/∂s: how the loss changes with each unit's pre-activation.",
    ),
    "weight_gradient": ("Figure 8: weight gradients", "∂Cost/∂W, which training applies to the weights."),
    "singular_value": (
        "Singular values",
        "How much a layer stretches small changes, direction by direction: the singular values of ∂z′/∂z for one"
        " typical image. Around 1, signals and gradients pass unchanged.",
    ),
}


def _figures(facts: Mapping[str, Any]) -> None:
    """As many side by side as fit; each with its networks one below the other, as in the paper."""
    with st.container(horizontal=True, gap="medium"):
        for quantity, (title, reading) in FIGURES.items():
            with st.container(width=CARD):
                st.header(title)
                singular = quantity == "singular_value"
                st.caption(reading if singular else f"{reading} {spreads(facts, quantity)}")
                panels = figures.singular_values(facts) if singular else figures.panels(facts, quantity)
                for number, chart in enumerate(panels):
                    chart_view.show(chart, key=f"initialisation {quantity} {number}")
    images, _ = batch(dataset.load())
    dark = (images.reshape(len(images), -1) == 0).mean(axis=0)
    st.caption(
        "Panels of a figure share their horizontal axis; the vertical axis ends at each panel's highest peak, so"
        " compare widths, not heights. In figure 8, layer 1 may have its own peak at 0:"
        f" {(dark >= DARK).sum()} of the {len(dark)} pixels are 0 in at least {wording.percent(DARK)} of these images,"
        " and an image passes no gradient to the weights of a pixel that is 0."
    )


def _variances(facts: Mapping[str, Any]) -> None:
    st.header("Variance by layer: theory over measurement")
    with st.container(horizontal=True, gap="medium"):
        for quantity in ("activation", "gradient"):
            with st.container(width=CARD):
                chart_view.show(by_layer.variances(facts, quantity), key=f"initialisation variances {quantity}")
    st.caption(
        "The axes are logarithmic: a straight line means the same factor at each layer. Theory assumes normally"
        " distributed pre-activations in each layer, with the variances of eqs. 5 and 6 and the activation's"
        " exact mean slope; it does not use the weights that were drawn."
    )


def _lsuv(network: Mapping[str, Any]) -> None:
    """LSUV at work, as far as the reader wants to see it."""
    st.header("LSUV at work")
    layers = list(dict.fromkeys(each["layer"] for each in network["lsuv"]))
    names = list(map(layer_label, layers))
    last = names.index(st.select_slider("Applied up to layer", names, names[-1], key=f"lsuv {len(names)}"))
    done = [each for each in network["lsuv"] if layers.index(each["layer"]) <= last]
    chart_view.show(by_layer.lsuv({**network, "lsuv": done}), key="initialisation lsuv")
    st.caption(
        "Layer by layer, from the first: draw orthogonal weights, pass the batch through, divide the weights by the"
        " standard deviation of the pre-activations, and measure again, until the variance is 1. Only then continue"
        " with the next layer."
    )


# --- Numbers ----------------------------------------------------------------------------------------------------------


def _table(facts: Mapping[str, Any]) -> None:
    rows = table(facts)
    st.header("The numbers")
    layers, initialisers = rows["layer"].map(layer_label), rows["initialiser"].map(wording.choice)
    plain = st.column_config.Column
    columns = {
        "initialiser": plain("Initialiser"),
        "layer": plain("Layer"),
        "activation_std": _number(rows, "activation_std", "σ(z′)", "Standard deviation of the activations."),
        "gradient_std": _number(rows, "gradient_std", "σ(∂Cost/∂s)", "Of the back-propagated gradients."),
        "weight_gradient_std": _number(rows, "weight_gradient_std", "σ(∂Cost/∂W)", "Of the mean cost's gradients."),
        "mean_singular_value": _number(rows, "mean_singular_value", "Singular value", "Mean singular value of ∂z′/∂z."),
        "saturated": st.column_config.NumberColumn("Saturated", format="percent", help="Share of the activations."),
        "dead_units": plain("Dead", help="Units that are 0 for every image."),
        "distinct_units": plain("Different", help="The number of different units; 1: all have the same weights."),
    }
    st.dataframe(
        rows.assign(initialiser=initialisers, layer=layers),
        hide_index=True,
        column_order=list(columns),
        column_config=columns,
        key="initialisation table",
    )
    foot(
        "An activation counts as saturated within 0.05 of a value that the function never reaches. Dead: units"
        " that are 0 for every image, which only ReLU has. Different: the number of different units, by their"
        " weights; equal units learn the same. None: not finite, or not defined for the output layer.",
        csv_file(rows, "fashion-mnist-initialisation.csv"),
    )


def _number(rows: pd.DataFrame, name: str, title: str, help: str) -> Any:
    """Three digits; with powers of ten where numbers are too large or too small to be read without."""
    sizes = rows[name].dropna().abs()
    plain = sizes.max() < LARGE and not ((sizes > 0) & (sizes < 1 / LARGE)).any()
    return st.column_config.NumberColumn(title, format="%.3g" if plain else "%.2e", help=help)
