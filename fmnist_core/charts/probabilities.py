"""One image through training: the probability of each class, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fmnist_core.charts import gallery, theme
from fmnist_core.charts.theme import Layered

SHOWN = 0.05  # A class that never gets this probability in a trained epoch is left out.


def rows(by_epoch: Mapping[int, NDArray[np.float32]], classes: Sequence[str], true: int) -> pd.DataFrame:
    """by_epoch: probabilities (classes,) by epoch. Returns columns epoch, class, probability, said (in words), is_true; the
    classes that never matter are left out, the true one never is.
    """
    trained = np.array([by_epoch[epoch] for epoch in sorted(by_epoch) if epoch or len(by_epoch) == 1])
    matter = [k for k in range(len(classes)) if k == true or float(trained[:, k].max()) >= SHOWN]
    return pd.DataFrame(
        [
            {
                "epoch": epoch,
                "class": classes[k],
                "probability": float(by_epoch[epoch][k]),
                "said": gallery.percent(float(by_epoch[epoch][k])),
                "is_true": k == true,
            }
            for epoch in sorted(by_epoch)
            for k in matter
        ]
    )


def over_epochs(table: pd.DataFrame, classes: Sequence[str], epoch: int) -> Layered:
    """Probability of each class over the epochs. table: as from `rows`. epoch: the epoch to mark."""
    true = str(table.loc[table["is_true"], "class"].iloc[0])
    shown = [name for name in classes if name in set(table["class"])]
    colours = alt.Scale(domain=shown, range=[theme.CLASS_COLOURS[list(classes).index(name)] for name in shown])
    base = alt.Chart(table).encode(
        x=alt.X("epoch:Q", axis=alt.Axis(tickMinStep=1, format="d"), scale=alt.Scale(nice=False)),
        y=alt.Y("probability:Q", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%")),
        color=alt.Color("class:N", scale=colours, legend=alt.Legend(columns=4, symbolType="stroke", symbolOpacity=1)),
        tooltip=["epoch:Q", "class:N", alt.Tooltip("said:N", title="probability")],
    )
    width = alt.when(alt.datum.is_true).then(alt.value(4)).otherwise(alt.value(1.5))
    lines = base.mark_line(interpolate="monotone").encode(strokeWidth=width)
    dots = base.mark_circle(size=22, opacity=1)
    now = (
        alt.Chart(pd.DataFrame({"epoch": [epoch]})).mark_rule(color=theme.MUTED, strokeDash=[4, 3]).encode(x="epoch:Q")
    )
    title = theme.titled(
        "Predicted probabilities for this image, epoch by epoch", f"Thick line: the true class, {true}."
    )
    return alt.layer(now, lines, dots).properties(height=300, title=title)
