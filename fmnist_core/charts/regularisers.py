"""What each regulariser does to a network, as pictures, with the tables behind them.

Dropout: the units of a layer that one step switches off. Batch normalisation: weighted sums before and after it.
L2 penalty: how a layer's weights are spread. Learning-rate schedule: rate and loss, step by step.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw

from fmnist_core.charts import images, theme

Array = NDArray[np.float32]
CELL, GAP, SHARPER = 16, 2, 2  # A unit's square and the gap to the next in pixels; drawn larger for dense screens.
PALE = 0.12  # Opacity of a unit that is on but hands on 0, so that it still shows as a unit.
OFF = "#c2477f"  # The dropout layer's colour, lighter: thin crosses must show on a dark page, too.
KEY = "display:flex;flex-wrap:wrap;gap:0.2rem 1.4rem;font-size:0.85rem"
BINS, MIDDLE = 80, 0.99  # Outliers beyond the middle part would squeeze the rest.
NEAR = 0.01  # Weights nearer 0 than this count as "near 0".
MOST_POINTS, MOST_MARKS = 600, 40
MOST_NUMBERS = 10
RATES = {"counting steps, as it trained": theme.TRAIN, "if it counted epochs": theme.MUTED}
ALIGNED = 62  # Width of both y axes in pixels, so that charts below each other share their x axis.


# --- Dropout ----------------------------------------------------------------------------------------------------------


def unit_grid(values: Array, kept: NDArray[np.bool_], highest: float, told: str) -> str:
    """A layer's units as squares, row by row, as HTML.

    values: what the layer hands on, (units,). kept: which units are on, (units,). highest: the size that is drawn in
    full colour, the same for pictures that are compared. told: for who cannot see it.
    """
    columns = math.ceil(math.sqrt(2 * len(values)))
    picture = _squares(values, kept, highest or 1.0, columns)
    layout = f"width:100%;max-width:{columns * (CELL + GAP)}px;display:block"
    return f'<img src="{images.source(picture)}" alt="{told}" title="{told}" style="{layout}">{_unit_key()}'


def _squares(values: Array, kept: NDArray[np.bool_], highest: float, columns: int) -> Image.Image:
    pitch = (CELL + GAP) * SHARPER
    rows = math.ceil(len(values) / columns)
    canvas = Image.new("RGBA", (columns * pitch - GAP * SHARPER, rows * pitch - GAP * SHARPER))
    pen = ImageDraw.Draw(canvas)
    shares = np.clip(np.abs(values) / highest, 0, 1)
    for place, (share, on) in enumerate(zip(shares.tolist(), kept.tolist(), strict=True)):
        _square(pen, place % columns * pitch, place // columns * pitch, share if on else None)
    return canvas


def _square(pen: ImageDraw.ImageDraw, left: int, top: int, share: float | None) -> None:
    """share: of the full colour; None is off, a cross."""
    right, bottom = left + CELL * SHARPER - 1, top + CELL * SHARPER - 1
    if share is not None:
        opacity = round(255 * (PALE + (1 - PALE) * share))
        pen.rectangle((left, top, right, bottom), (*ImageColor.getrgb(theme.TRAIN), opacity))
        return
    inset = 3 * SHARPER
    for start, end in ((left + inset, right - inset), (right - inset, left + inset)):
        pen.line((start, top + inset, end, bottom - inset), OFF, width=2 * SHARPER)


def _unit_key() -> str:
    """What the squares mean."""
    kinds = (
        (None, "off in this step"),
        (0.0, "on, activation 0"),
        (1.0, "on: the stronger, the larger its activation"),
    )
    parts = []
    for share, words in kinds:
        canvas = Image.new("RGBA", (CELL * SHARPER, CELL * SHARPER))
        _square(ImageDraw.Draw(canvas), 0, 0, share)
        mark = f'<img src="{images.source(canvas)}" alt="" style="width:{CELL}px;height:{CELL}px;margin-right:0.4em">'
        parts.append(f'<span style="display:inline-flex;align-items:center">{mark}{words}</span>')
    return f'<div style="{KEY};margin-top:0.6rem">{"".join(parts)}</div>'


def masks(probabilities: Mapping[int, float], full: float, name: str) -> alt.LayerChart | alt.FacetChart:
    """The probability of one class, mask by mask.

    probabilities: by step, the newest last. full: with all units on. name: of the class.
    """
    newest = max(probabilities)
    rows = pd.DataFrame(
        {"step": step, "probability": value, "newest": step == newest} for step, value in probabilities.items()
    )
    x = alt.X("step:O", title="step (each with a mask of its own)", axis=alt.Axis(labelAngle=0))
    y = alt.Y("probability:Q", title=f"probability of {name}", scale=alt.Scale(domain=[0, 1]))
    dots = (
        alt.Chart(rows)
        .mark_point(filled=True, size=90, opacity=1)
        .encode(
            x=x,
            y=y,
            color=alt.when(alt.datum.newest).then(alt.value(OFF)).otherwise(alt.value(theme.MUTED)),
            tooltip=["step:O", alt.Tooltip("probability:Q", format=".3f")],
        )
    )
    rule = alt.Chart(pd.DataFrame({"probability": [full]})).mark_rule(color=theme.TRAIN, strokeWidth=2).encode(y=y)
    low, high = min(probabilities.values()), max(probabilities.values())
    title = _title(f"Probability of {name} by mask", f"line: all units on, {full:.2f}; dots: {low:.2f} to {high:.2f}")
    return alt.layer(rule, dots).properties(height=280, title=title)


def _title(text: str, more: str) -> alt.Title:
    """Two short lines: a long one would be cut on a narrow page."""
    return alt.Title(text, subtitle=more, subtitleColor=theme.MUTED, subtitleFontSize=12)


# --- Distributions: batch normalisation and L2 ------------------------------------------------------------------------


def shares(parts: Mapping[tuple[str, str], Array]) -> pd.DataFrame:
    """Histograms on the same bins, over the range that holds the middle MIDDLE of each part.

    parts: by (panel, name). Returns columns panel, part, value (bin centre), share (of the part's values).
    """
    edge = (1 - MIDDLE) / 2
    low, high = (pick(np.quantile(v, q) for v in parts.values()) for pick, q in ((min, edge), (max, 1 - edge)))
    if not low < high:
        low, high = low - 0.01, high + 0.01
    edges = np.linspace(low, high, BINS + 1)
    tables = [
        pd.DataFrame({"panel": panel, "part": part, "value": (edges[:-1] + edges[1:]) / 2, "share": _counts(v, edges)})
        for (panel, part), v in parts.items()
    ]
    return pd.concat(tables, ignore_index=True)


def _counts(values: Array, edges: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.histogram(values, edges)[0] / max(values.size, 1)


def distributions(rows: pd.DataFrame, colours: Mapping[str, str], value: str, title: str, more: str) -> alt.Chart:
    """rows: as from `shares`, of one panel. colours: of each part, told by `key`. value: what is spread. Each curve is
    scaled to its own peak: beside a very narrow one, a wide one would lie flat on the axis."""
    drawn = rows.assign(height=rows["share"] / rows.groupby("part")["share"].transform("max").clip(lower=1e-12))
    scale = alt.Scale(domain=list(colours), range=list(colours.values()))
    return (
        alt.Chart(drawn)
        .mark_area(line={"strokeWidth": 2}, fillOpacity=0.2, interpolate="step")
        .encode(
            x=alt.X("value:Q", title=value, scale=alt.Scale(nice=False)),
            y=alt.Y(
                "height:Q", stack=None, title="share (scaled)", axis=alt.Axis(labels=False, ticks=False, grid=False)
            ),
            color=alt.Color("part:N", scale=scale, legend=None),
            tooltip=[
                "part:N",
                alt.Tooltip("value:Q", title=value, format=".3f"),
                alt.Tooltip("share:Q", title="share in this bin", format=".1%"),
            ],
        )
        .properties(height=230, title=_title(title, more))
    )


def key(colours: Mapping[str, str]) -> str:
    """What the colours mean, as HTML: one line for several charts."""
    parts = "".join(f"<span>{images.mark(colour)}{name}</span>" for name, colour in colours.items())
    return f'<div style="{KEY}">{parts}</div>'


def sum_facts(before: Array, after: Array) -> tuple[float, ...]:
    """Mean and standard deviation before, then after, rounded to 2 decimals (and no -0.0)."""
    measures = [measure(dtype=np.float64) for values in (before, after) for measure in (values.mean, values.std)]
    return tuple(round(float(measure), 2) + 0.0 for measure in measures)


def weight_facts(values: Array) -> tuple[float, float]:
    """Standard deviation of weights, and the share of them nearer 0 than NEAR."""
    return float(values.std(dtype=np.float64)), float((np.abs(values) < NEAR).mean())


def penalty(kernels: Iterable[Array], factor: float) -> float:
    """What Keras' L2 regulariser adds to the loss: the factor times the sum of all squared weights."""
    return factor * sum(float(np.square(kernel, dtype=np.float64).sum()) for kernel in kernels)


# --- Schedules --------------------------------------------------------------------------------------------------------


def step_rows(losses: Array, rates: Array, steps_per_epoch: int) -> pd.DataFrame:
    """Rate and loss of up to MOST_POINTS steps.

    losses, rates: of each step that was made, (steps,). Returns columns step (from 0), epoch (from 1), loss, rate,
    and misread: what the schedule would have given at the number of the epoch (from 0) in place of the step's.
    """
    chosen = np.unique(np.linspace(0, len(losses) - 1, min(len(losses), MOST_POINTS)).astype(int))
    epoch = chosen // steps_per_epoch
    columns = {"loss": losses[chosen], "rate": rates[chosen], "misread": rates[epoch]}
    return pd.DataFrame({"step": chosen, "epoch": epoch + 1} | {n: v.astype(float) for n, v in columns.items()})


def rate_by_step(rows: pd.DataFrame, steps_per_epoch: int) -> alt.LayerChart | alt.FacetChart:
    """rows: as from `step_rows`. The schedule as it trained, and as it would be if it counted epochs; RATES tells them."""
    names = dict(zip(("rate", "misread"), RATES, strict=True))
    long = rows.rename(columns=names).melt(["step", "epoch"], list(RATES), "kind", "value")
    lines = (
        alt.Chart(long)
        .mark_line(interpolate="step-after", clip=True)
        .encode(
            x=_steps(rows, title=None),
            y=alt.Y("value:Q", title="learning rate", axis=_aligned(), scale=alt.Scale(zero=True)),
            color=alt.Color("kind:N", scale=alt.Scale(domain=list(RATES), range=list(RATES.values())), legend=None),
            strokeDash=alt.StrokeDash(
                "kind:N", scale=alt.Scale(domain=list(RATES), range=[[1, 0], [5, 4]]), legend=None
            ),
            tooltip=["step:Q", "epoch:Q", "kind:N", alt.Tooltip("value:Q", title="learning rate", format=".3~g")],
        )
    )
    return alt.layer(_ends(rows, steps_per_epoch), lines).properties(height=240, title="Learning rate, step by step")


def loss_by_step(rows: pd.DataFrame, steps_per_epoch: int) -> alt.LayerChart | alt.FacetChart:
    """rows: as from `step_rows`. Few outliers at the start may leave the picture."""
    found = rows[np.isfinite(rows["loss"])]
    highest = 1.1 * float(found["loss"].quantile(0.99)) if len(found) else 1.0
    line = (
        alt.Chart(found)
        .mark_line(color=theme.TRAIN, strokeWidth=1.2, clip=True)
        .encode(
            x=_steps(rows, title="step (one batch each)"),
            y=alt.Y("loss:Q", title="training loss", axis=_aligned(), scale=alt.Scale(domain=[0, highest])),
            tooltip=["step:Q", "epoch:Q", alt.Tooltip("loss:Q", format=".3f")],
        )
    )
    title = _title("Training loss of the same steps", "numbers at the top: epochs")
    layers = (_ends(rows, steps_per_epoch), line, _numbers(rows, steps_per_epoch))
    return alt.layer(*layers).properties(height=300, title=title)


def _steps(rows: pd.DataFrame, title: str | None) -> alt.X:
    axis = alt.Axis(format=",d", grid=False)
    return alt.X("step:Q", title=title, axis=axis, scale=alt.Scale(domain=[0, int(rows["step"].max())], nice=False))


def _aligned() -> alt.Axis:
    return alt.Axis(format=".3~g", tickCount=4, minExtent=ALIGNED, maxExtent=ALIGNED)


def _ends(rows: pd.DataFrame, steps_per_epoch: int) -> alt.Chart:
    """A thin line where an epoch ends; with many epochs only where some do."""
    number = int(rows["step"].max() + 1) // steps_per_epoch
    every = max(1, math.ceil(number / MOST_MARKS))
    ends = [{"step": n * steps_per_epoch, "epoch": n} for n in range(every, number, every)]
    return alt.Chart(alt.Data(values=ends)).mark_rule(color=theme.MUTED, opacity=0.35).encode(x="step:Q")


def _numbers(rows: pd.DataFrame, steps_per_epoch: int) -> alt.Chart:
    """Epochs' numbers in the middle of their steps, as many as there is room for."""
    number = math.ceil(int(rows["step"].max() + 1) / steps_per_epoch)
    every = max(1, math.ceil(number / MOST_NUMBERS))
    middles = [{"step": (n - 0.5) * steps_per_epoch, "epoch": n} for n in range(1, number + 1, every)]
    return (
        alt.Chart(alt.Data(values=middles))
        .mark_text(color=theme.MUTED, baseline="bottom", dy=-3, fontSize=11)
        .encode(x="step:Q", y=alt.value(0), text="epoch:N")
    )
