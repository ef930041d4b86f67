"""Lines over the epochs of a training, with a rule at one epoch: a measure of each layer, an image's probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fmnist_core.charts import gallery, theme
from fmnist_core.charts.specification import specified
from fmnist_core.charts.theme import tip

FIRST, LAST = "#8ecae6", "#0b4f8a"  # of the layers
SHOWN = 0.05  # A class that never gets this probability in a trained epoch is left out.


@specified
def layers(
    table: pd.DataFrame, title: str, subtitle: str, axis: str, epoch: int, log: bool = False, form: str = ".0%"
) -> alt.LayerChart:
    """One line per layer, the first the lightest. table: columns epoch, layer, value. epoch: the epoch to mark. form:
    number format of the value axis."""
    names = list(dict.fromkeys(table["layer"]))
    colours = theme.ramp((FIRST, LAST), [index / max(len(names) - 1, 1) for index in range(len(names))])
    # Shares that are all 0 would have no axis.
    scale = alt.Scale(type="log") if log else alt.Scale(domain=[0, max(float(table["value"].max()), 0.05)])
    y = alt.Y("value:Q", title=axis, scale=scale, axis=alt.Axis(format=form, tickCount=4))
    base = _lines(table, "layer:N", dict(zip(names, colours, strict=True)), y, tip("value:Q", format=form))
    picture = [_rule(epoch), base.mark_line(), base.mark_circle(size=30, opacity=1)]
    return theme.picture(picture, 260, title, subtitle)


def probability_rows(by_epoch: Mapping[int, NDArray[np.float32]], classes: Sequence[str], true: int) -> pd.DataFrame:
    """by_epoch: probabilities (classes,) by epoch. Returns columns epoch, class, probability, said (in words), is_true;
    classes that never matter are left out, the true one never is.
    """
    epochs = sorted(by_epoch)
    trained = np.array([by_epoch[epoch] for epoch in epochs if epoch or len(by_epoch) == 1])
    matter = [k for k in range(len(classes)) if k == true or float(trained[:, k].max()) >= SHOWN]
    cells = [(epoch, k, float(by_epoch[epoch][k])) for epoch in epochs for k in matter]
    return pd.DataFrame(
        [
            {"epoch": epoch, "class": classes[k], "probability": p, "said": gallery.percent(p), "is_true": k == true}
            for epoch, k, p in cells
        ]
    )


@specified
def probabilities(table: pd.DataFrame, classes: Sequence[str], epoch: int) -> alt.LayerChart:
    """Probability of each class for one image. table: as from `probability_rows`. epoch: the epoch to mark."""
    true = str(table.loc[table["is_true"], "class"].iloc[0])
    shown = set(table["class"])
    colours = {name: colour for name, colour in zip(classes, theme.CLASS_COLOURS, strict=True) if name in shown}
    y = alt.Y("probability:Q", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%"))
    base = _lines(table, "class:N", colours, y, tip("said:N", "probability"))
    lines = base.mark_line(interpolate="monotone").encode(strokeWidth=theme.either(alt.datum.is_true, 4, 1.5))
    picture = [_rule(epoch), lines, base.mark_circle(size=22, opacity=1)]
    title = "Predicted probabilities for this image, epoch by epoch"
    return theme.picture(picture, 300, title, f"Thick line: the true class, {true}.")


def _lines(table: pd.DataFrame, by: str, colours: Mapping[str, str], y: alt.Y, figure: alt.Tooltip) -> Any:
    legend = alt.Legend(symbolType="stroke", symbolOpacity=1, columns=4)
    scale = alt.Scale(domain=list(colours), range=list(colours.values()))
    return alt.Chart(table).encode(
        x=alt.X("epoch:Q", axis=alt.Axis(tickMinStep=1, format="d"), scale=alt.Scale(nice=False)),
        y=y,
        color=alt.Color(by, scale=scale, legend=legend),
        tooltip=["epoch:Q", by, figure],
    )


def _rule(epoch: int) -> Any:
    rows = pd.DataFrame({"epoch": [epoch]})
    return alt.Chart(rows).mark_rule(color=theme.MUTED, strokeDash=[4, 3]).encode(x="epoch:Q")
