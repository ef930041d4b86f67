"""Several models in one picture, each as the mean over its seeds: curves, generalisation gap, rates.

The table `rows` has one row per run and epoch: model (its name), seed, run_id, epoch, step and seconds (done by then),
loss, accuracy, val_loss, val_accuracy, learning_rate. Left out: the untrained network (epoch 0), because it dwarfs the
rest, and what is not finite. The data sets carry fixed names, so that a redraw updates the picture in place.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from fmnist_core.charts import theme
from fmnist_core.charts.specification import specified
from fmnist_core.charts.theme import tip
from fmnist_core.experiment.hyperparameters import FIELDS

AXES = {"epoch": "epoch", "step": "training steps", "seconds": "training time (seconds)"}
# Title, unit, format of the axis, format of the tooltip.
MEASURES = {
    "loss": ("Loss: lower is better", "cross-entropy", "~g", ".4f"),
    "accuracy": ("Accuracy: higher is better", "share of correct predictions", "~%", ".2%"),
}
VALIDATION, TRAINING = theme.VALIDATION_NAME, theme.TRAIN_NAME
WIDTHS, RIM = {VALIDATION: 2.5, TRAINING: 1.75}, 3.5  # Of lines, and how much wider for each line on top.
# Losses above 3, worse than a guess (ln 10), and above 6 times the median lie outside: they would flatten the rest.
HIGH, TIMES_MEDIAN = 3.0, 6.0
WIDE = 99  # Positive values that span more than this, from two orders on, get a logarithmic axis.
L2 = FIELDS["l2"].in_loss
CHANGE = f"The {L2} falls within an epoch, which pulls the line down."
HEIGHT, LINE = 420, 18  # Pixels: a picture with titles, two lines of legend and axis; a further line of the legend.


@specified
def curves(
    rows: pd.DataFrame,
    measure: str,
    models: Sequence[str],
    x: str = "epoch",
    each: bool = False,
    end: float | None = None,
    height: int = HEIGHT,
) -> alt.LayerChart:
    """Curves of "loss" or "accuracy": validation solid, with a band of one standard deviation, and training dashed.

    rows: as from `tables.history`; a column loss_terms tells what each loss has beside the cross-entropy. models: those
    to show, in the order of their colours. x: "epoch", "step" or "seconds". each: the runs' own validation curves, too,
    as thin lines. end: right end of the axis, where it is known before the training ends.
    """
    title, unit, labels, figures = MEASURES[measure]
    if measure == "loss":
        unit = " + ".join([unit, *loss_terms(rows, models)])
    means = _means(rows, {VALIDATION: f"val_{measure}", TRAINING: measure}, models, x)
    top = _top(means["mean"])
    y = {"title": unit, "axis": alt.Axis(format=labels), "scale": _scale(top, 0.0)}
    data = {"means": means} | ({"runs": points(rows, f"val_{measure}", models, x)} if each else {})
    picture, lines = _layers(models, x_axis(x, end), y, figures), _how_to_read(means, models, top, each)
    return theme.picture(picture, _tall(height, models), title, lines, _data(data, top))


@specified
def gap(
    rows: pd.DataFrame, models: Sequence[str], x: str = "epoch", end: float | None = None, height: int = HEIGHT
) -> alt.LayerChart:
    """Generalisation gap: validation loss minus training loss of each run, as the mean over the seeds.

    An L2 penalty is in both, but not the same: in validation loss that of the epoch's end, in training loss the mean
    over its steps. No history holds the latter, so it cannot be taken out, and the picture says so.
    """
    means = _means(rows.assign(gap=rows["val_loss"] - rows["loss"]), {VALIDATION: "gap"}, models, x)
    top = _top(means["mean"])
    y = {"title": "validation loss − training loss", "axis": alt.Axis(format="~g"), "scale": _scale(top, -HIGH)}
    data = {"means": means, "zero": pd.DataFrame({"mean": [0.0]})}
    lines = [*_how_to_read(means, models, top), *[CHANGE] * (L2 in loss_terms(rows, models))]
    title = "Generalisation gap: the higher above 0, the more overfitting"
    picture = _layers(models, x_axis(x, end), y, "+.4f")
    return theme.picture(picture, _tall(height, models), title, lines, _data(data, top))


def loss_terms(rows: pd.DataFrame, models: Sequence[str]) -> list[str]:
    """What the losses of these models hold beside the cross-entropy, if rows tell it in a column loss_terms."""
    columns: Iterable[str] = rows["loss_terms"][rows["model"].isin(models)].unique() if "loss_terms" in rows else []
    return list(dict.fromkeys(term for terms in columns for term in terms.split(" + ") if term))


@specified
def rates(
    rows: pd.DataFrame, models: Sequence[str], x: str = "step", end: float | None = None, height: int = 300
) -> alt.LayerChart:
    """The learning rate of each model, epoch by epoch. Where models share a rate, the lower lines show as rims."""
    means = _means(rows, {VALIDATION: "learning_rate"}, models, x)
    rates_of = {model: set(group["mean"].round(9)) for model, group in means.groupby("model", sort=False)}
    names = list(rates_of)
    above = {
        m: sum(not rates_of[m].isdisjoint(rates_of[n]) for n in names[index + 1 :]) for index, m in enumerate(names)
    }
    means["width"] += RIM * means["model"].map(above).astype(float)
    scale = alt.Scale(type="log" if spans(means["mean"]) else "linear", padding=10)
    y = {"title": "learning rate", "axis": alt.Axis(format="~g", tickCount=4), "scale": scale}
    shared = "Models with the same rate overlap." if any(above.values()) else ""
    title, data = "Learning rate: how far each step moves the weights", _data({"means": means}, None)
    picture = _layers(models, x_axis(x, end), y, ".3~g")
    return theme.picture(picture, _tall(height, models), title, shared, data)


def points(rows: pd.DataFrame, column: str, models: Sequence[str], x: str = "epoch") -> pd.DataFrame:
    """A column's finite values, models in their order. Columns: model, run_id, seed, epoch, x, mean (the value)."""
    order = {model: index for index, model in enumerate(models)}
    finite = rows[rows["model"].isin(models) & (rows["epoch"] > 0) & np.isfinite(rows[column].astype(float))]
    values = finite[["model", "run_id", "seed", "epoch"]]
    values = values.assign(x=finite[x].astype(float), mean=finite[column].astype(float))
    return values.sort_values(["model", "epoch"], key=lambda c: c.map(order) if c.name == "model" else c, kind="stable")


def over_seeds(rows: pd.DataFrame, column: str, models: Sequence[str], x: str = "epoch") -> pd.DataFrame:
    """Mean and spread of a column over the seeds, one row per model and epoch.

    Columns: model, epoch, x (mean over the seeds), mean, deviation (sample standard deviation; nan with one seed),
    seeds (how many count here), low, high (mean minus and plus deviation).
    """
    grouped = points(rows, column, models, x).groupby(["model", "epoch"], sort=False)
    table = grouped.agg(
        x=("x", "mean"), deviation=("mean", "std"), seeds=("mean", "size"), mean=("mean", "mean")
    ).reset_index()
    return table.assign(low=table["mean"] - table["deviation"], high=table["mean"] + table["deviation"])


def _means(rows: pd.DataFrame, columns: Mapping[str, str], models: Sequence[str], x: str) -> pd.DataFrame:
    """`over_seeds` of each column, with columns split (the images it is from) and width (of the line)."""
    tables = [over_seeds(rows, name, models, x).assign(split=s, width=WIDTHS[s]) for s, name in columns.items()]
    return pd.concat(tables, ignore_index=True)


def _data(tables: Mapping[str, pd.DataFrame], top: float | None) -> dict[str, pd.DataFrame]:
    """The data sets of `_layers`, from "means" as from `_means`, and perhaps "runs" as from `points`, and "zero".

    top: of the picture, where something lies above.
    """
    means = tables["means"]
    inside = means[(means["split"] == VALIDATION) & (means["mean"] <= (math.inf if top is None else top))]
    ends = inside.groupby("model", sort=False).tail(1)
    none = means.head(0)
    return {"zero": none, "bands": inside[inside["seeds"] > 1], "runs": none, "ends": ends, **tables}


def _layers(models: Sequence[str], x: alt.X, y: dict[str, Any], figures: str) -> list[Any]:
    """Zero line, bands, single runs, means and their last points: each shows where its data set has rows.

    y: options of the vertical axis. figures: format of the values in the tooltip.
    """
    picked = theme.legend_selection("model")
    value = alt.Y("mean:Q", **y)
    dashes = alt.Scale(domain=list(WIDTHS), range=[[1, 0], [6, 4]])
    spread = f"isValid(datum.deviation) ? '± ' + format(datum.deviation, '{figures.lstrip('+')}') : 'one seed'"

    def drawn(name: str, on: float, off: float) -> Any:
        opacity = theme.either(picked, on, off)
        return alt.Chart(alt.NamedData(name)).encode(x=x, y=value, color=theme.by_model(models), opacity=opacity)

    return [
        alt.Chart(alt.NamedData("zero")).mark_rule(color=theme.MUTED, strokeWidth=1.5).encode(y=value),
        drawn("bands", 0.18, 0.02)
        .mark_area(clip=True, tooltip=None)
        .encode(y=alt.Y("low:Q", **y), y2="high:Q")
        .add_params(picked),
        drawn("runs", 0.6, 0.05).mark_line(clip=True, tooltip=None, strokeWidth=1).encode(detail="run_id:N"),
        drawn("means", 1, 0.1)
        .mark_line(clip=True, tooltip=None)
        .encode(
            size=alt.Size("width:Q", scale=None, legend=None),
            strokeDash=alt.StrokeDash("split:N", scale=dashes, legend=None),
            order="epoch:Q",
        ),
        drawn("ends", 1, 0.1).mark_point(filled=True, size=45, tooltip=None),
        # Unseen dots on the means, large enough to point at, of the models that are not faded.
        alt.Chart(alt.NamedData("means"))
        .transform_filter(picked)
        .transform_calculate(spread=spread)
        .mark_point(filled=True, size=150, opacity=0, clip=True)
        .encode(
            x=x,
            y=value,
            tooltip=[
                tip("model:N"),
                tip("split:N", "images"),
                tip("epoch:Q"),
                tip("mean:Q", "mean over seeds", figures),
                tip("spread:N", "standard deviation"),
                tip("seeds:Q"),
            ],
        ),
    ]


def _how_to_read(means: pd.DataFrame, models: Sequence[str], top: float | None = None, each: bool = False) -> list[str]:
    """Two short lines: half a page cuts off longer ones."""
    most = int(means["seeds"].max()) if len(means) else 1
    lines = {
        "Solid: validation. Dashed: training.": means["split"].nunique() > 1,
        " Thin: single runs.": each,
        f" Above {top or 0:.3g}: not shown.": top is not None,
        "\n": True,
        f"Band: ± one standard deviation over {most} seeds. ": most > 1,
        "Click a name to highlight it.": len(models) > 1,
    }
    return "".join(line for line, shown in lines.items() if shown).strip().split("\n")


def _top(values: pd.Series) -> float | None:
    """The upper end of the axis, where some values would flatten the rest."""
    top = max(HIGH, TIMES_MEDIAN * float(values.median())) if len(values) else HIGH
    return top if (values > top).any() else None


def _tall(height: int, models: Sequence[str]) -> int:
    """A legend of many lines makes the picture taller: it must not eat the curves."""
    return height + LINE * max(0, math.ceil(len(models) / theme.legend_columns(models)) - 2)


def _scale(top: float | None, floor: float) -> alt.Scale:
    """With a fixed range where a top is needed: the band of what lies outside would reach far down."""
    return alt.Scale(zero=False) if top is None else alt.Scale(domain=[floor, top])


def x_axis(x: str, end: float | None = None, field: str = "x:Q") -> alt.X:
    """The axis over the training. x: one of AXES. end: its right end, where it is known."""
    axis = alt.Axis(format=",d", tickMinStep=1, grid=False)
    scale = alt.Scale(domainMin=0, domainMax=alt.Undefined if end is None else end, nice=False)
    return alt.X(field, title=AXES[x], axis=axis, scale=scale)


def spans(values: Iterable[float]) -> bool:
    """Whether positive values span so wide a range that they need a logarithmic axis."""
    numbers = list(values)
    return bool(numbers) and 0 < WIDE * min(numbers) < max(numbers)
