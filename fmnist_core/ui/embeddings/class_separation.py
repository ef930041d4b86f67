"""Does separation improve over layers, and over training? Answered by numbers, in the layers themselves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from fmnist_core.charts import separation_curves
from fmnist_core.embedding.neighbours import K
from fmnist_core.engine import analyses
from fmnist_core.experiment.analysis_facts import SeparationFacts, SeparationRow
from fmnist_core.experiment.layer_names import layers_of, the_layer
from fmnist_core.findings import evaluation
from fmnist_core.findings.evaluation import Z95
from fmnist_core.store.result_store import Result
from fmnist_core.store.run import Run
from fmnist_core.ui.embeddings.all_layers import few
from fmnist_core.ui.embeddings.embeddings_view import View
from fmnist_core.ui.shared import analysis_panel

WIDTH = 540  # of a chart, in pixels: its legend and its subtitle fit


def show(view: View, run: Run) -> None:
    """The measures over epochs and over layers, what they say, and the table to take away."""
    st.markdown(
        "Maps can mislead; these measures are computed in the layers themselves, on"
        f" {analyses.SEPARATION_IMAGES:,} {view.split} images, the same ones everywhere."
    )
    found = analysis_panel.result(analyses.separation_analysis(run, view.split))
    if found is None:
        return
    layers = [_short(layer) for layer in layers_of(run.experiment)]
    table = _table(found.facts["rows"], found.facts["points"])
    st.markdown(_answer(found, run))
    chosen = table[table["epoch"].isin(few(run.epochs))]
    for measure in ("knn", "silhouette"):
        with st.container(horizontal=True, gap="medium"):  # side by side where there is room
            over_epochs = separation_curves.over_epochs(table, measure, layers)
            over_layers = separation_curves.over_layers(chosen, measure, layers)
            st.altair_chart(over_epochs, key=f"{measure} over epochs", width=WIDTH)
            st.altair_chart(over_layers, key=f"{measure} over layers", width=WIDTH)
    st.caption(
        f"Votes of {K} neighbours, without the image itself; bands: 95 % intervals for {found.facts['points']:,} images"
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


def _table(rows: list[SeparationRow], images: int) -> pd.DataFrame:
    """A row for each layer, epoch and measure, with its interval."""
    table = pd.DataFrame(rows)
    table["layer"] = [_short(layer) for layer in table["layer"]]
    ends = [
        evaluation.wilson(value * images, images) if measure == "knn" and value is not None else (np.nan, np.nan)
        for measure, value in zip(table["measure"], table["value"], strict=True)
    ]
    return table.assign(low=[float(low) for low, _ in ends], high=[float(high) for _, high in ends])


def _answer(found: Result[SeparationFacts], run: Run) -> str:
    """Whether separation improves over the layers at the end, and over training in the last layer.

    The same images are looked at everywhere, so differences are paired.
    """
    right, layers = found.arrays["right"], layers_of(run.experiment)
    last = run.epochs[-1]
    steps = [
        f"from {the_layer(layers[place])} to {the_layer(layers[place + 1])} it {_changed(right[-1, place], right[-1, place + 1])}"
        for place in range(len(layers) - 1)
    ]
    silhouettes = {
        (row["epoch"], row["layer"]): row["value"] for row in found.facts["rows"] if row["measure"] == "silhouette"
    }
    ends = [silhouettes[last, layers[place]] for place in (0, -1)]
    told = "; ".join(steps)
    outline = (
        f" The silhouette goes from {ends[0]:.2f} in the pixels to {ends[1]:.2f} in the output layer."
        if all(ends)
        else ""
    )
    return (
        f"**Does separation improve over the layers?** After epoch {last}, the share of images whose neighbours agree with them:"
        f" {told}.{outline} **And over training?** In the output layer it {_changed(right[0, -1], right[-1, -1])}, from"
        f" {right[0, -1].mean():.3f} to {right[-1, -1].mean():.3f}."
    )


def _changed(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> str:
    """How a share changed on the same images, with the 95 % interval of a paired difference of two shares.

    Its variance is that of matched pairs: Fleiss, Levin & Paik (2003), Statistical Methods for Rates and Proportions.
    """
    n, gained, lost = len(before), int((after & ~before).sum()), int((before & ~after).sum())
    difference = (gained - lost) / n
    half = Z95 * np.sqrt(gained + lost - (gained - lost) ** 2 / n) / n
    if abs(difference) <= half:
        return "shows no clear difference"
    word = "rises" if difference > 0 else "falls"
    return (
        f"{word} by {abs(difference):.3f} (95 % interval {abs(difference) - half:.3f} to {abs(difference) + half:.3f})"
    )
