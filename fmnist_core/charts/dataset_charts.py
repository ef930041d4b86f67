"""Charts of the data set: class balance, pixel intensities, and which classes look alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fmnist_core.charts import theme
from fmnist_core.charts.specification import specified
from fmnist_core.charts.theme import tip
from fmnist_core.experiment import wording

BIN = 15  # Grey values in a bin: 255 = 17 bins of 15 above black; narrower ones show little but spikes at the ends.
OVERLAP = 1.7  # The highest ridge reaches over this many rows.
TEST_NAME = "test"
PALE = 0.04  # Opacity of an empty cell, so that it still shows as a cell.
STRONG = 0.9  # Cells above this share of the highest have white figures.


@specified
def balance(counts: Mapping[str, NDArray[np.int64]], classes: Sequence[str]) -> alt.Chart:
    """Images of each class in each part, side by side. counts: (classes,) of "training", "validation" and "test"."""
    parts = {theme.TRAIN_NAME: theme.TRAIN, theme.VALIDATION_NAME: theme.VALIDATION, TEST_NAME: theme.MUTED}
    rows = pd.DataFrame(
        [
            {"class": name, "images": int(counts[part][label]), "part": part, "order": order}
            for order, part in enumerate(parts)
            for label, name in enumerate(classes)
        ]
    )
    colours = alt.Scale(domain=list(parts), range=list(parts.values()))
    even = all(int(part.min()) == int(part.max()) for part in counts.values())
    title = "Every class has the same number of images in each part" if even else "Images of each class in each part"
    marks = alt.Chart(rows, height=300, title=title).mark_bar(height={"band": 0.72})
    bars: alt.Chart = marks.encode(
        x=alt.X("images:Q", title="images", axis=alt.Axis(format=",d", grid=True)),
        y=alt.Y("class:N", title=None, sort=list(classes), axis=alt.Axis(**theme.BARE)),
        color=alt.Color("part:N", scale=colours, legend=alt.Legend(title=None)),
        order="order:Q",
        tooltip=["class:N", "part:N", tip("images:Q", format=",d")],
    )
    return bars


def intensity_rows(intensities: NDArray[np.int64], classes: Sequence[str]) -> pd.DataFrame:
    """How the pixels that are not black spread over the grey values.

    intensities: (classes, 256), pixels of each value. Returns columns class, value (centre of a bin of BIN grey
    values), share (of the class's pixels above 0), black (share of all the class's pixels that are 0).
    """
    binned = intensities[:, 1:].reshape(len(classes), -1, BIN).sum(axis=2)
    shares = binned / np.maximum(binned.sum(axis=1, keepdims=True), 1)
    black = intensities[:, 0] / np.maximum(intensities.sum(axis=1), 1)
    centres = 1 + (BIN - 1) / 2 + BIN * np.arange(binned.shape[1])
    tables = [
        pd.DataFrame({"class": name, "value": centres, "share": shares[label], "black": black[label]})
        for label, name in enumerate(classes)
    ]
    return pd.concat(tables, ignore_index=True)


@specified
def intensity_ridges(rows: pd.DataFrame, classes: Sequence[str]) -> alt.Chart:
    """Histograms of the pixel values, one ridge per class on a shared axis. rows: as from `intensity_rows`."""
    position = rows["class"].map({name: label for label, name in enumerate(classes)})
    drawn = rows.assign(place=position, top=position - rows["share"] / (float(rows["share"].max()) or 1.0) * OVERLAP)
    black = rows.groupby("class")["black"].first()
    names = [f"{name}, {wording.percent(black[name])} black" for name in classes]
    axis = alt.Axis(
        values=list(range(len(classes))),
        labelExpr=f"{names!r}[datum.value]",
        grid=True,
        labelLimit=240,
        tickCount=len(classes),
        ticks=False,
    )
    scale = alt.Scale(domain=[len(classes) - 0.7, -OVERLAP - 0.1], nice=False)
    marks = alt.Chart(drawn, height=460, title="Brightness of the pixels that are not black").mark_area(
        line={"strokeWidth": 1.5}, fillOpacity=0.7, interpolate="monotone"
    )
    ridges: alt.Chart = marks.encode(
        x=alt.X("value:Q", title="pixel value (0 black, 255 white)", scale=alt.Scale(domain=[0, 255], nice=False)),
        y=alt.Y("top:Q", title=None, axis=axis, scale=scale),
        y2="place:Q",
        color=alt.Color("class:N", legend=None, scale=theme.class_colours(tuple(classes))),
        tooltip=[
            "class:N",
            tip("value:Q", title="pixel value (bin centre)", format=".0f"),
            tip("share:Q", "share of its pixels above 0", ".1%"),
            tip("black:Q", "pixels that are 0", ".0%"),
        ],
    )
    return ridges


def similarity_rows(shares: NDArray[np.float64], classes: Sequence[str]) -> pd.DataFrame:
    """shares: (classes, classes), symmetric. Returns columns class, other, share; each pair both ways, no class with
    itself."""
    return pd.DataFrame(
        [
            {"class": name, "other": other, "share": float(shares[a, b])}
            for a, name in enumerate(classes)
            for b, other in enumerate(classes)
            if a != b
        ]
    )


@specified
def similarity_map(rows: pd.DataFrame, classes: Sequence[str]) -> alt.LayerChart:
    """Similarity of the classes: the stronger a cell, the more similar the two. rows: as from `similarity_rows`."""
    base = alt.Chart(rows).encode(
        x=alt.X("other:N", sort=list(classes), title=None, axis=alt.Axis(labelAngle=-40, **theme.BARE)),
        y=alt.Y("class:N", sort=list(classes), title=None, axis=alt.Axis(**theme.BARE)),
        tooltip=["class:N", "other:N", tip("share:Q", "nearer to the other's mean", ".1%")],
    )
    highest = float(rows["share"].max()) or 1.0
    cells = base.mark_rect(color=theme.TRAIN, cornerRadius=2).encode(
        # Opacity, not a colour ramp: "nothing" is the page's own background, light or dark.
        opacity=alt.Opacity("share:Q", scale=alt.Scale(domain=[0, highest], range=[PALE, 1]), legend=None)
    )
    figures = base.transform_filter(alt.datum.share >= 0.005).mark_text(fontSize=11)
    figures = figures.encode(
        text=alt.Text("share:Q", format=".0%"),
        color=theme.either(alt.datum.share > STRONG * highest, "white", theme.INK),
    )
    return theme.picture([cells, figures], 400, "Share nearer to the other class's mean image")
