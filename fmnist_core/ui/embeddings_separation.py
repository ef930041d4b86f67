"""Does separation improve over layers, and over training? Answered by numbers, in the layers themselves."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import streamlit as st

from fmnist_core import evaluation
from fmnist_core.charts import separation
from fmnist_core.embedding.request import layers_of
from fmnist_core.runs import maps
from fmnist_core.runs.run import Run
from fmnist_core.ui import analysis
from fmnist_core.ui.embeddings_grid import few
from fmnist_core.ui.embeddings_view import View

WIDTH = 540  # of a chart, in pixels: its legend and its subtitle fit


def show(view: View, run: Run) -> None:
    """The measures over epochs and over layers, what they say, and the table to take away."""
    st.markdown(
        f"Maps can mislead; these measures look at the layers themselves, with {maps.SEPARATION_IMAGES:,} {view.split}"
        " images, the same ones everywhere."
    )
    found = analysis.result(maps.separation_analysis(run, view.split))
    if found is None:
        return
    layers = [_short(layer) for layer in layers_of(run.experiment)]
    table = _table(found.facts["rows"], found.facts["points"])
    st.markdown(_answer(table, layers))
    chosen = table[table["epoch"].isin(few(run.epochs))]
    for measure in ("knn", "silhouette"):
        with st.container(horizontal=True, gap="medium"):  # side by side where there is room
            over_epochs = separation.over_epochs(table, measure, layers)
            over_layers = separation.over_layers(chosen, measure, layers)
            st.altair_chart(over_epochs, key=f"{measure} over epochs", width=WIDTH)
            st.altair_chart(over_layers, key=f"{measure} over layers", width=WIDTH)
    st.caption(
        f"Votes of {maps.K} neighbours, without the image itself; bands: 95 % intervals for {found.facts['points']:,} images"
        " (Wilson 1927). Silhouette after Rousseeuw (1987)."
    )
    st.download_button(
        "Figures (CSV)",
        table.to_csv(index=False).encode(),
        f"fashion-mnist-separation-{run.run_id}.csv",
        "text/csv",
        on_click="ignore",
    )


def _short(layer: str) -> str:
    """A layer's name under an axis: "pixels", "hidden 1", "output"."""
    return layer.replace("_", " ")


def _table(rows: list[dict[str, object]], images: int) -> pd.DataFrame:
    """A row for each layer, epoch and measure, with its interval."""
    table = pd.DataFrame(rows)
    table["layer"] = [_short(layer) for layer in table["layer"]]
    ends = [
        evaluation.wilson(value * images, images) if measure == "knn" and value is not None else (np.nan, np.nan)
        for measure, value in zip(table["measure"], table["value"], strict=True)
    ]
    return table.assign(low=[float(low) for low, _ in ends], high=[float(high) for _, high in ends])


def _answer(table: pd.DataFrame, layers: list[str]) -> str:
    """Whether separation improves over the layers at the end, and over training in each layer."""
    votes = table[table["measure"] == "knn"]
    last = votes[votes["epoch"] == votes["epoch"].max()].set_index("layer").loc[layers]
    steps = []
    for before, after in itertools.pairwise(layers):
        apart = last["low"][after] > last["high"][before] or last["high"][after] < last["low"][before]
        change = last["value"][after] - last["value"][before]
        word = (
            f"{'rises' if change > 0 else 'falls'} by {abs(change):.3f}"
            if apart
            else "changes by no more than chance allows"
        )
        steps.append(f"from {before} to {after} it {word}")
    first = votes[votes["epoch"] == votes["epoch"].min()].set_index("layer").loc[layers]
    name = layers[-1]
    told = "; ".join(steps)
    return (
        f"**Does separation improve over the layers?** At the last epoch, {told}. **And over training?** In the"
        f" {name} layer it went from {first['value'][name]:.3f} to {last['value'][name]:.3f}. (Share of images whose neighbours in"
        " the layer vote for their class; intervals that overlap count as chance.)"
    )
