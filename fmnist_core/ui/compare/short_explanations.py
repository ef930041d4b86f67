"""What changes a training's steps or its loss, explained in a paragraph and a formula, with the run's own numbers."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from fmnist_core.charts import curves
from fmnist_core.data.dataset import Dataset
from fmnist_core.store.run import Run
from fmnist_core.ui.compare import explained_parts as parts

PASCANU = "https://proceedings.mlr.press/v28/pascanu13.html"


def clipping(run: Run, runs: Sequence[Run], data: Dataset) -> None:
    """Gradient clipping, beside the norm of the gradients over the epochs."""
    limit, history = run.experiment.clip_norm, run.history.reset_index()
    text, picture = parts.columns()
    with text:
        st.markdown(
            f"**Gradient clipping at {limit:g}.** Before each step, the gradients of all weights are taken as one long vector"
            f" $g$. Where its norm is larger than $c = {limit:g}$, the vector is scaled down to that norm: its direction"
            " stays, and one steep batch cannot throw the weights far away."
            f" ([Pascanu, Mikolov & Bengio 2013]({PASCANU})) With plain SGD, clipping limits the length of the step itself;"
            " Adam and its kin divide by the usual size of the gradients, so that with them only gradients count that are"
            " larger than usual."
        )
        st.latex(r"g \leftarrow g \cdot \min\left(1, \frac{c}{\lVert g \rVert}\right)")
        norms = history["gradient_norm"].dropna()
        if len(norms):
            st.markdown(
                f"In this run, the norm before clipping was {norms.min():.2g} to {norms.max():.2g} (epoch means)."
            )
    picture.altair_chart(curves.norms(history, "gradient_norm", "Gradient norm before clipping, epoch mean", limit))
