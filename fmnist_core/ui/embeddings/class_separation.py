"""Does separation improve over layers, and over training? Answered by numbers, in the layers themselves."""

from __future__ import annotations

from itertools import pairwise

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
from fmnist_core.ui.embeddings import map_gaps
from fmnist_core.ui.embeddings.all_layers import few
from fmnist_core.ui.embeddings.embeddings_view import View
from fmnist_core.ui.shared import analysis_panel, chart_view
from fmnist_core.ui.shared.downloads import csv_file, foot

WIDTH = 540  # of a chart, in pixels: its legend and its subtitle fit


def show(view: View, run: Run) -> None:
    """The measures over epochs and over layers, what they say, and the table to take away."""
    st.markdown(
        "Maps can mislead; these measures are computed in the layers themselves, on"
        f" {analyses.SEPARATION_IMAGES:,} {view.split} images, the same ones everywhere."
    )
    result = analysis_panel.result(analyses.separation_analysis(run, view.split))
    if result is None:
        return
    layers = [_short(layer) for layer in layers_of(run.experiment)]
    table = _table(result.facts["rows"], result.facts["points"])
    st.markdown(_answer(result, run))
    chosen = table[table["epoch"].isin(few(run.epochs))]
    for measure in ("knn", "silhouette"):
        with st.container(horizontal=True, gap="medium"):  # side by side where there is room
            over_epochs = separation_curves.over_epochs(table, measure, layers)
            over_layers = separation_curves.over_layers(chosen, measure, layers)
            chart_view.show(over_epochs, key=f"{measure} over epochs", width=WIDTH)
            chart_view.show(over_layers, key=f"{measure} over layers", width=WIDTH)
    foot(
        f"Votes of {K} neighbours, without the image itself; bands: 95 % intervals for {result.facts['points']:,}"
        " images (Wilson 1927). Silhouette after Rousseeuw (1987).",
        csv_file(table, f"fashion-mnist-separation-{run.run_id}.csv", "Figures (CSV)"),
    )


def _short(layer: str) -> str:
    """A layer's name under an axis: "pixels", "hidden 1", "output"."""
    return layer.replace("_", " ")


def _table(rows: list[SeparationRow], images: int) -> pd.DataFrame:
    """A row for each layer, epoch and measure, with its interval."""
    table = pd.DataFrame(rows)
    table["layer"] = [_short(layer) for layer in table["layer"]]
    ends = [
        evaluation.wilson(value * images, images) if measure == "knn" and pd.notna(value) else (np.nan, np.nan)
        for measure, value in zip(table["measure"], table["value"], strict=True)
    ]
    return table.assign(low=[float(low) for low, _ in ends], high=[float(high) for _, high in ends])


def _answer(result: Result[SeparationFacts], run: Run) -> str:
    """Whether separation improves over the layers at the end, and over training in the last layer.

    The same images are looked at everywhere, so differences are paired.
    """
    layers, gaps = layers_of(run.experiment), result.facts.get("gaps", [])
    reasons = {f"{the_layer(gap['layer'])} at epoch {gap['epoch']}": gap["error"] for gap in gaps}
    told = map_gaps.told("No measures", reasons)
    measured = [epoch for epoch in run.epochs if epoch not in {gap["epoch"] for gap in gaps}]
    if not measured:
        return f"After no epoch can all layers be compared. {told}"
    first, last = measured[0], measured[-1]
    before, after = (result.arrays["right"][run.epochs.index(epoch)] for epoch in (first, last))
    steps = [
        f"from {the_layer(one)} to {the_layer(other)} it {_changed(after[index], after[index + 1])}"
        for index, (one, other) in enumerate(pairwise(layers))
    ]
    ends = [
        row["value"]
        for layer in (layers[0], layers[-1])
        for row in result.facts["rows"]
        if (row["measure"], row["epoch"], row["layer"]) == ("silhouette", last, layer) and row["value"] is not None
    ]
    silhouette = ""
    if len(ends) == 2:
        silhouette = f" The silhouette goes from {ends[0]:.2f} in the pixels to {ends[1]:.2f} in the output layer."
    since = "" if first == run.epochs[0] else f" since epoch {first}"
    return (
        f"**Does separation improve over the layers?** After epoch {last}, the share of images whose neighbours agree"
        f" with them: {'; '.join(steps)}.{silhouette} **And over training?** In the output layer it"
        f" {_changed(before[-1], after[-1])}{since}, from {before[-1].mean():.3f} to {after[-1].mean():.3f}. {told}"
    ).strip()


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
