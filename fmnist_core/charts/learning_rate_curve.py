"""The learning rate over the training steps."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fmnist_core.charts import theme
from fmnist_core.charts.theme import Layered

MOST_POINTS = 400


def chart(rates: NDArray[np.float32], steps_per_epoch: int, height: int = 200) -> Layered:
    """rates: the rate of every step, shape (steps,). Drawn at up to MOST_POINTS steps; the axis counts epochs."""
    chosen = np.unique(np.linspace(0, len(rates) - 1, min(len(rates), MOST_POINTS)).astype(int))
    rows = pd.DataFrame({"step": chosen, "epoch": chosen / steps_per_epoch, "rate": rates[chosen].astype(float)})
    base = alt.Chart(alt.NamedData("rates")).encode(
        x=alt.X("epoch:Q", title="epoch", scale=alt.Scale(nice=False)),
        y=alt.Y("rate:Q", title="learning rate", axis=alt.Axis(format="~g", tickCount=4), scale=alt.Scale(zero=True)),
        tooltip=[
            alt.Tooltip("step:Q", format=","),
            alt.Tooltip("epoch:Q", format=".1f"),
            alt.Tooltip("rate:Q", title="learning rate", format=".3~g"),
        ],
    )
    first, last = float(rates[0]), float(rates[-1])
    title = f"Learning rate: {first:.3g} at the first step, {last:.3g} at the last ({len(rates):,} steps)"
    layered = alt.layer(base.mark_line(color=theme.TRAIN, interpolate="step-after"), height=height, title=title)
    layered.datasets = {"rates": rows.to_dict("records")}
    return layered
