"""Batch normalisation explained: pre-activations before and after it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from fmnist_core.charts import network_diagram, value_spread
from fmnist_core.data.dataset import Dataset
from fmnist_core.experiment.layer_names import hidden_name
from fmnist_core.network import forward
from fmnist_core.store.run import Run
from fmnist_core.ui.compare import explained_parts as parts
from fmnist_core.ui.shared import chart_view
from fmnist_core.ui.shared.per_run import per_run

SIDES = {
    "before": network_diagram.COLOURS["Dense"],
    "after, with γ and β": network_diagram.COLOURS["BatchNormalization"],
}


def show(run: Run, runs: Sequence[Run], data: Dataset) -> None:
    """The pre-activations of one batch before and after the normalisation, before training and after it."""
    rows, facts = _sums(run, data)
    count = len(rows)
    text, picture = parts.explanation(
        "**Batch normalisation** takes a unit's pre-activations $z$ for all images of the batch, subtracts their mean"
        " $\\mu$ and divides by their standard deviation $\\sigma$. Then it scales them by $\\gamma$ and shifts them"
        " by $\\beta$; the unit learns both, starting from 1 and 0. So the next layers see pre-activations of a stable"
        " size, however the weights before them change. ([Ioffe & Szegedy 2015](https://arxiv.org/abs/1502.03167))",
        r"\hat z = \gamma\,\frac{z - \mu}{\sqrt{\sigma^2 + 0.001}} + \beta",
    )
    with text:
        first, last = (facts[facts["layer"] == 1].iloc[row] for row in (0, -1))
        st.markdown(
            f"In hidden layer 1 the standard deviation of the pre-activations was {first['deviation before']:.2f}"
            f" {first['when']} and {last['deviation before']:.2f} {last['when']}; after normalisation it was"
            f" {first['deviation after']:.2f} and {last['deviation after']:.2f}."
        )
    with picture:
        st.html(value_spread.key(SIDES))
        # All of up to three layers, else the first, the middle and the last.
        for number in range(1, count + 1) if count <= 3 else (1, (count + 1) // 2, count):
            panels = rows[number].groupby("panel", sort=False)
            for column, (when, panel) in zip(st.columns(2), panels, strict=False):
                chart = value_spread.distributions(panel, SIDES, "pre-activation", f"Hidden layer {number}", str(when))
                with column:
                    chart_view.show(chart, key=f"regulariser sums {number} {when}")
    parts.table(facts, ("%.2f",) * 4)
    st.caption(
        f"{parts.measured_on(run)} with {parts.BATCH} training images as one batch, all units of a layer together. Each"
        " curve is scaled to its own peak. At test time there is no batch: running averages from training replace"
        " $\\mu$ and $\\sigma$."
    )


@per_run(max_entries=100, spinner="Counting pre-activations")
def _sums(run: Run, data: Dataset) -> tuple[dict[int, pd.DataFrame], pd.DataFrame]:
    """Per hidden layer its histograms; and the table of means and deviations. As in training: dropout is on, too."""
    pixels = data.train_images[parts.training_rows(run, data)[: parts.BATCH]]
    values: dict[int, dict[tuple[str, str], NDArray[np.float32]]] = defaultdict(dict)
    facts = []
    for epoch in sorted({run.epochs[0], run.epochs[-1]}):
        when = parts.when(epoch)
        weights, generator = parts.weights(run, epoch), parts.generator(run, 1)
        outputs = dict(forward.layers(run.experiment, weights, pixels, generator, training=True))
        for number in range(1, len(run.experiment.hidden_widths) + 1):
            pair = outputs[hidden_name(number)], outputs[f"batch_norm_{number}"]
            parts.check(run, epoch, *pair)
            values[number] |= zip(((when, side) for side in SIDES), pair, strict=True)
            facts.append((number, when, *value_spread.sum_facts(*pair)))
    columns = ["layer", "when", "mean before", "deviation before", "mean after", "deviation after"]
    table = pd.DataFrame(facts, columns=columns).sort_values("layer", kind="stable")
    return {number: value_spread.shares(part) for number, part in values.items()}, table
