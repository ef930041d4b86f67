"""Section Health: signs that something goes wrong, each with its number and a change worth trying."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from fmnist_core.data import dataset
from fmnist_core.experiment.activations import ACTIVATIONS, Activation
from fmnist_core.experiment.layer_names import layer_heading
from fmnist_core.findings import health
from fmnist_core.network.diagnostics import NEAR
from fmnist_core.ui.inspect import run_at_epoch
from fmnist_core.ui.inspect.inspect_view import View
from fmnist_core.ui.inspect.run_at_epoch import At
from fmnist_core.ui.shared import pages
from fmnist_core.ui.shared.downloads import csv_file, foot
from fmnist_core.ui.shared.pages import Page

GRADIENT = "standard deviation of dCost/ds"


def show(at: At, view: View) -> None:
    """Flags at the chosen epoch, or a quiet sentence; then the numbers of each layer."""
    experiment = at.run.experiment
    records = [record for record in at.run.records if record.epoch <= at.epoch]
    layers = run_at_epoch.layer_states(at.run, at.epoch)
    validation = dataset.split_of(at.data.name, experiment.validation_fraction).validation
    flags = health.flags(experiment, records, layers, len(validation), at.run.metrics["train_examples"])
    st.caption(
        f"The state after epoch {at.epoch} of {at.run.metrics['epochs_done']}: move the slider to see when a problem"
        " began."
    )
    for flag in flags:
        with st.container(border=True):
            where = f" · {layer_heading(flag.layer)}" if flag.layer else ""
            st.markdown(f"**:material/flag: {flag.title}**{where}")
            st.markdown(flag.text)
            if flag.experiment is not None:
                pages.link(Page.TRAIN, f"Try: {flag.suggestion}", flag.experiment.query(), "arrow_forward")
    if not flags:
        st.success(health.all_well(experiment, records, layers), icon=":material/check_circle:")
    if layers:
        _table(at, layers)


def _table(at: At, layers: list[health.LayerState]) -> None:
    activation = ACTIVATIONS[at.run.experiment.activation]
    table = pd.DataFrame(
        [
            {
                "layer": layer_heading(layer.layer),
                "units": units,
                "dead units": layer.dead if activation.can_die else None,
                "saturated values": layer.saturated if activation.can_saturate else None,
                GRADIENT: layer.gradient_std,
            }
            for layer, units in zip(layers, at.run.experiment.hidden_widths, strict=True)
        ]
    )
    shares = ["dead units", "saturated values"]
    shown = table.assign(**{name: 100 * table[name].astype(float) for name in shares}).dropna(axis=1, how="all")
    formats = dict.fromkeys(shares, st.column_config.NumberColumn(format="%.1f %%"))
    formats[GRADIENT] = st.column_config.NumberColumn(format="%.3g")
    st.dataframe(shown, hide_index=True, column_config=formats, width="content")
    foot(_about(activation, layers[0].images), csv_file(table, f"{at.stem}-health.csv"))


def _about(activation: Activation, images: int) -> str:
    """What the table's columns mean."""
    sentences = [f"Measured on {images:,} training images, up to {run_at_epoch.BATCH} of each class."]
    if activation.can_die:
        sentences.append("A unit is dead if it outputs 0 for all of them.")
    if activation.can_saturate:
        sentences.append(
            f"A value is saturated if it is within {NEAR:g} of a limit that {activation.label} approaches."
        )
    sentences.append(
        "dCost/ds: how the cost of one image changes with s, a unit's pre-activation; its standard deviation is"
        " taken over these images and the units of the layer."
    )
    return " ".join(sentences)
