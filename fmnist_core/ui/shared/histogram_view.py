"""The one view of how a layer's values are spread over the epochs: as ridge lines or a heat map, with a file.

Values are read one array at a time and sampled, so that a page never holds all epochs of a large layer.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
import streamlit as st

from fmnist_core.charts import value_histograms
from fmnist_core.experiment.activations import Array
from fmnist_core.findings.layer_measures import sampled, thinned
from fmnist_core.store.run import Run
from fmnist_core.ui.shared import chart_view
from fmnist_core.ui.shared.downloads import csv_file, foot
from fmnist_core.ui.shared.per_run import per_run

KINDS = {"ridges": "Ridges", "heat": "Heat map"}
MOST_EPOCHS, MOST_VALUES = 41, 200_000  # that histograms are made of: 33 MB at a time
SAMPLE = f"{MOST_VALUES:,} drawn at random where there are more."


@per_run(max_entries=200, spinner="Counting weights")
def of_weights(run: Run, tensor: str) -> pd.DataFrame:
    """Histograms of a weight tensor at up to MOST_EPOCHS epochs, of up to MOST_VALUES of its values; see `counted`."""
    epochs = thinned(run.epochs, MOST_EPOCHS)
    return counted((epoch, sampled(run.tensor(epoch, tensor), MOST_VALUES)) for epoch in epochs)


def counted(values: Iterable[tuple[int, Array]]) -> pd.DataFrame:
    """As `value_histograms.spread`, without the epochs that have no values; possibly empty."""
    filled = [(epoch, array) for epoch, array in values if array.size]
    return value_histograms.spread(filled) if filled else pd.DataFrame(columns=["epoch", "value", "share"])


def show(
    rows: pd.DataFrame, kind: str, title: str, caption: str, file: str, value: str = "weight", epoch: int | None = None
) -> None:
    """Draw histograms as one of KINDS. value: the axis title. file: without its ending. epoch: the one outlined."""
    if rows.empty:
        st.info("These values are NaN at every checkpointed epoch: the network diverged.")
        return
    draw = value_histograms.heat_map if kind == "heat" else value_histograms.ridges
    chart_view.show(draw(rows, title, value, epoch), key="layer histogram")
    foot(caption, csv_file(rows, f"{file}.csv"))
