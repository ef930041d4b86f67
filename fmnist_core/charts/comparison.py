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
from fmnist_core.charts.theme import Layered
from fmnist_core.experiment.hyperparameters import FIELDS
from fmnist_core.experiment.recording import to_json_types

AXES = {"epoch": "epoch", "step": "training steps", "seconds": "training time (seconds)"}
# Title, unit, format of the axis, format of the tooltip.
MEASURES = {
    "loss": ("Loss: lower is better", "cross-entropy", "~g", ".4f"),
    "accuracy": ("Accuracy: higher is better", "share of correct predictions", "~%", ".2%"),
}
VALIDATION, TRAINING = theme.VALIDATION_NAME, theme.TRAIN_NAME
WIDTHS, RIM = {VALIDATION: 2.5, TRAINING: 1.75}, 3.5  # Of lines, and how much wider one is for each that lies on it.
# Losses above 3, worse than a guess (ln 10), and above 6 times the median lie outside: they would flatten the rest.
HIGH, TIMES_MEDIAN = 3.0, 6.0
WIDE = 99  # Positive values that span more than this, from two orders on, get a logarithmic axis.
L2 = FIELDS["l2"].in_loss
CHANGE = f"The {L2} falls within an epoch, which pulls the line down."
HEIGHT, LINE = 420, 18  # Pixels: a picture with titles, two lines of legend and axis; a further line of the legend.


def curves(
    rows: pd.DataFrame,
    measure: str,
    models: Sequence[str],
    x: str = "epoch",
    each: bool = False,
    end: float | None = None,
    height: int = HEIGHT,
) -> Layered:
    """Curves of "loss" or "accuracy": validation solid, with a band of one standard deviation, and training dashed.

    rows: as from `tables.history`; a column loss_terms tells what each loss has beside the cross-entropy. models: those to show, in the order
    of their colours. x: "epoch", "step" or "seconds". each: the runs' own
    validation curves, too, as thin lines. end: right end of the axis, where it is known before the training ends.
    """
    title, unit, labels, figures = MEASURES[measure]
    if measure == "loss":
        unit = " + ".join([unit, *loss_terms(rows, models)])
    means = _means(rows, {VALIDATION: f"val_{measure}", TRAINING: measure}, models, x)
    top = _top(means["mean"])
    y = {"title": unit, "axis": alt.Axis(format=labels), "scale": _scale(top, 0.0)}
    data = {"means": means} | ({"runs": points(rows, f"val_{measure}", models, x)} if each else {})
    heading = theme.titled(title, _how_to_read(means, models, top, each))
    return _picture(data, models, x_axis(x, end), y, figures, top).properties(
        height=_tall(height, models), title=heading
    )


def gap(
    rows: pd.DataFrame, models: Sequence[str], x: str = "epoch", end: float | None = None, height: int = HEIGHT
) -> Layered:
    """Generalisation gap: validation loss minus training loss of each run, as the mean over the seeds.

    An L2 penalty is in both, but not the same: in validation loss that of the epoch's end, in training loss the mean
    over its steps. No history holds the latter, so it cannot be taken out, and the picture says so.
    """
    means = _means(rows.assign(gap=rows["val_loss"] - rows["loss"]), {VALIDATION: "gap"}, models, x)
    top = _top(means["mean"])
    y = {"title": "validation loss − training loss", "axis": alt.Axis(format="~g"), "scale": _scale(top, -HIGH)}
    data = {"means": means, "zero": pd.DataFrame({"mean": [0.0]})}
    lines = [*_how_to_read(means, models, top), *[CHANGE] * (L2 in loss_terms(rows, models))]
    heading = theme.titled("Generalisation gap: the higher above 0, the more overfitting", lines)
    return _picture(data, models, x_axis(x, end), y, "+.4f", top).properties(
        height=_tall(height, models), title=heading
    )


def loss_terms(rows: pd.DataFrame, models: Sequence[str]) -> list[str]:
    """What the losses of these models hold beside the cross-entropy, if rows tell it in a column loss_terms."""
    own: Iterable[str] = rows["loss_terms"][rows["model"].isin(models)].unique() if "loss_terms" in rows else []
    return list(dict.fromkeys(term for terms in own for term in terms.split(" + ") if term))


def rates(
    rows: pd.DataFrame, models: Sequence[str], x: str = "step", end: float | None = None, height: int = 300
) -> Layered:
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
    heading = theme.titled("Learning rate: how far each step moves the weights", shared)
    return _picture({"means": means}, models, x_axis(x, end), y, ".3~g").properties(
        height=_tall(height, models), title=heading
    )


def points(rows: pd.DataFrame, column: str, models: Sequence[str], x: str = "epoch") -> pd.DataFrame:
    """The finite values of a column, models in the order given. Columns: model, run_id, seed, epoch, x, mean (the value)."""
    order = {model: index for index, model in enumerate(models)}
    kept = rows[rows["model"].isin(models) & (rows["epoch"] > 0) & np.isfinite(rows[column].astype(float))]
    values = kept[["model", "run_id", "seed", "epoch"]].assign(x=kept[x].astype(float), mean=kept[column].astype(float))
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


def _picture(
    data: Mapping[str, pd.DataFrame],
    models: Sequence[str],
    x: alt.X,
    y: dict[str, Any],
    figures: str,
    top: float | None = None,
) -> Layered:
    """All layers over the training; each shows where its data set has rows.

    data: "means" as from `_means`; perhaps "runs" as from `points`, and "zero". y: options of the vertical axis.
    figures: format of the values in the tooltip. top: of the picture, where something lies above.
    """
    means = data["means"]
    inside = means[(means["split"] == VALIDATION) & (means["mean"] <= (math.inf if top is None else top))]
    ends = inside.groupby("model", sort=False).tail(1)
    tables = {"zero": means.head(0), "bands": inside[inside["seeds"] > 1], "runs": means.head(0), "ends": ends, **data}
    picked = alt.selection_point(name="model", fields=["model"], bind="legend", toggle="true")
    picture = alt.layer(*_layers(models, x, y, picked), _tips(x, y, picked, figures))
    picture.datasets = {name: records(table) for name, table in tables.items()}
    return picture


def _layers(
    models: Sequence[str], x: alt.X, y: dict[str, Any], picked: alt.Parameter
) -> list[alt.Chart | alt.LayerChart]:
    """Zero line, bands, single runs, means and their last points, back to front. The legend's clicks bring models out."""
    value = alt.Y("mean:Q", **y)
    dashes = alt.Scale(domain=list(WIDTHS), range=[[1, 0], [6, 4]])

    def drawn(name: str, on: float, off: float) -> alt.Chart:
        strength = alt.when(picked).then(alt.value(on)).otherwise(alt.value(off))
        return alt.Chart(alt.NamedData(name)).encode(x=x, y=value, color=theme.by_model(models), opacity=strength)

    return [
        alt.Chart(alt.NamedData("zero")).mark_rule(color=theme.MUTED, strokeWidth=1.5).encode(y=value),
        # The first layer with the legend has to have the selection, or the legend takes no clicks.
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
    ]


def _tips(x: alt.X, y: dict[str, Any], picked: alt.Parameter, figures: str) -> alt.Chart:
    """Unseen dots on the means, large enough to point at, of the models that are not faded."""
    spread = f"isValid(datum.deviation) ? '± ' + format(datum.deviation, '{figures.lstrip('+')}') : 'one seed'"
    return (
        alt.Chart(alt.NamedData("means"))
        .transform_filter(picked)
        .transform_calculate(spread=spread)
        .mark_point(filled=True, size=150, opacity=0, clip=True)
        .encode(
            x=x,
            y=alt.Y("mean:Q", **y),
            tooltip=[
                alt.Tooltip("model:N"),
                alt.Tooltip("split:N", title="images"),
                alt.Tooltip("epoch:Q"),
                alt.Tooltip("mean:Q", title="mean over seeds", format=figures),
                alt.Tooltip("spread:N", title="standard deviation"),
                alt.Tooltip("seeds:Q"),
            ],
        )
    )


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


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows in JSON types: what is not finite is null."""
    rows: list[dict[str, Any]] = to_json_types(table.rename(columns=str).to_dict("records"))
    return rows
