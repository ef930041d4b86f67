"""During training: the compared initialisers, trained with the same seed and batches, and what their layers do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from fmnist_core.charts import layers_in_training as charts
from fmnist_core.data import dataset
from fmnist_core.data.dataset import Dataset
from fmnist_core.experiment import wording
from fmnist_core.experiment.activations import ACTIVATIONS
from fmnist_core.experiment.hyperparameters import FIELDS
from fmnist_core.experiment.layer_names import layer_title
from fmnist_core.experiment.study import STUDIES, Axis, Study
from fmnist_core.findings import layers_over_epochs as measures
from fmnist_core.findings.run_tables import Trained, models
from fmnist_core.store.run import Run
from fmnist_core.ui.initialisation.initialisation_view import (
    CARD,
    STATE,
    TRAINED_SETTINGS,
    View,
    trained,
    training,
    view_button,
)
from fmnist_core.ui.shared import chart_view, markdown, pages, study_progress
from fmnist_core.ui.shared.pages import Page
from fmnist_core.ui.shared.per_run import per_run

LOSSES = (2.0, 1.5, 1.0, 0.8, 0.6, 0.5, 0.4, 0.3)
ROOM = 1.15
ICON = ":material/science:"
FIGURE_2 = STUDIES["initialisation-sigmoid"].base


def controls() -> None:
    """The sidebar: which network is trained, from which initial weights."""
    for name in (*TRAINED_SETTINGS[:3], "initialisers", *TRAINED_SETTINGS[3:]):
        STATE.draw(name)


def study_of(view: View) -> Study:
    """One network for each initialiser, all else equal. Raises: StudyError."""
    layers = wording.counted(view.trained_layers, f"{wording.choice(view.trained_activation)} layer")
    name = f"{layers} of {view.trained_units:,} units, SGD with learning rate {view.learning_rate:g}"
    axes = (Axis(field="initialiser", values=view.initialisers),)
    return Study.of({"name": name, "base": trained(view), "axes": axes, "seeds": 1})


def show(view: View) -> None:
    """The whole part."""
    st.markdown(
        "The network from the sidebar, with the same images in the same order for each; only the initial weights"
        " differ. Plain SGD, as in the paper: Adam compensates for small gradients and hides much of the effect."
    )
    live = (view.layers, view.units, view.activation)
    if live != (view.trained_layers, view.trained_units, view.trained_activation):
        layers = wording.counted(view.layers, f"{wording.choice(view.activation)} layer")
        label = f"Use the network of the live part: {layers} of {view.units:,} units"
        as_live: dict[str, Any] = dict(zip(TRAINED_SETTINGS, live, strict=False))
        view_button(label, ":material/content_copy:", replace(view, **as_live))
    data = dataset.load()
    study = study_of(view)
    runs = study_progress.show(study, data)
    if not runs:
        _examples(data.name)
        return
    _losses([Trained(short(member.model), member.run) for member in runs])
    tables = {short(member.model): _over(member.run, data) for member in runs}
    activation = ACTIVATIONS[view.trained_activation]
    # About a mean of 0, the deviation says all, as in figure 3.
    _activations(tables, activation.odd and activation.bounded)
    _gradients(tables)
    _examples(data.name)
    more = study.model_copy(update={"seeds": 5})
    label = "One seed may be chance: compare them over 5 seeds on page Compare"
    pages.link(Page.COMPARE, label, {"study": more.to_short_json()})


@per_run(max_entries=40, spinner="Looking into the layers …")
def _over(run: Run, data: Dataset) -> pd.DataFrame:
    """The measures of a run's layers at each checkpointed epoch."""
    return measures.over_epochs(run, *measures.batch(data))


def _examples(data_name: str) -> None:
    """Two settings worth a look."""
    # Few images make short epochs, in which saturation shows; of the sample, a share would be too few to learn from.
    whole = FIGURE_2 if data_name == "full" else FIGURE_2.model_copy(update={"training_fraction": 1.0})
    with st.container(horizontal=True, gap="medium"):
        view_button("As the paper's figure 3: tanh", ICON, View(part="training"))
        view_button("As the paper's figure 2: the last of four sigmoid layers saturates", ICON, training(whole))


# --- What happened ----------------------------------------------------------------------------------------------------


def short(model: str) -> str:
    """The initialiser alone: "Initialiser Glorot uniform" begins each name of the study."""
    name = model.removeprefix(f"{FIELDS['initialiser'].title} ")
    return name[0].upper() + name[1:]


def _losses(trained: list[Trained]) -> None:
    st.header("How fast they learn")
    names = models(trained)
    learned, target, wide = _progress(*((member.model, member.run) for member in trained))
    chart_view.show(charts.losses(learned, names, target), key="initialisation losses")
    st.markdown("\n".join(f"- {_learned(member, target)}" for member in trained))
    if wide.empty:
        return
    lines = [[f"{loss:g}", *(_steps_text(steps[name]) for name in names)] for loss, steps in wide.iterrows()]
    markdown.table(["Steps to a loss of", *names], lines, "r")
    st.caption(
        f"When the mean training loss of {measures.WINDOW} consecutive steps first reaches it; it may rise again."
        " One seed."
    )


@per_run(max_entries=20, shared=True)
def _progress(*runs: tuple[str, Run]) -> tuple[pd.DataFrame, float | None, pd.DataFrame]:
    """The loss curves of runs, with the names of their models; the loss that all reach; the steps to each of LOSSES, a
    column for each model.
    """
    trained = [Trained(model, run) for model, run in runs]
    lowest, rows = measures.reached_by_all(trained), measures.convergence(trained, LOSSES)
    wide = rows.pivot_table(index="loss", columns="model", values="step", sort=False, dropna=False).dropna(how="all")
    return measures.loss_curves(trained), None if pd.isna(lowest) else lowest, wide


def _learned(member: Trained, target: float | None) -> str:
    """How soon a network reaches the loss that all reach, and its accuracy at the end."""
    steps = None if target is None else measures.steps_to(member.run.step_losses, target)
    reached = ":"
    if steps:
        window = min(measures.WINDOW, len(member.run.step_losses))  # the first mean is there only after all of it
        when = f"within the first {window} steps" if steps <= window else f"at step {steps:,}"
        reached = (
            f": the mean loss of {window} steps first reaches {target:.2f}, the lowest loss that all of them reach,"
            f" {when};"
        )
    accuracy = wording.percent(member.run.metrics["test_accuracy"], 1)
    return f"**{member.model}**{reached} it ends with a test accuracy of {accuracy}."


def _steps_text(steps: float) -> str:
    if pd.isna(steps):
        return "never"
    return f"the first {measures.WINDOW}" if steps <= measures.WINDOW else f"{steps:,.0f}"


def _activations(tables: dict[str, pd.DataFrame], about_zero: bool) -> None:
    """Figure 3 where activations lie about 0, else figure 2; all models on one axis."""
    st.header("Activations over training")
    domain = _domain(list(tables.values()), about_zero)
    draw = charts.spreads if about_zero else charts.activations
    _side_by_side("activations", {name: draw(rows, name, domain) for name, rows in tables.items()})
    st.markdown("\n".join(f"- {text}" for name, rows in tables.items() for text in saturation(name, rows)))
    figure = "figure 3: flat lines near 1 are" if about_zero else "figure 2: a mean near an end of the range is"
    st.caption(
        f"On the same {measures.IMAGES} test images after each epoch, as the paper's {figure} a saturated layer,"
        " which passes almost no gradient. Click a layer in the legend to highlight it."
    )


def _side_by_side(figure: str, drawn: dict[str, Any]) -> None:
    with st.container(horizontal=True, gap="medium"):
        for name, chart in drawn.items():
            with st.container(width=CARD):
                chart_view.show(chart, key=f"initialisation {figure} {name}")


def _domain(tables: list[pd.DataFrame], about_zero: bool) -> tuple[float, float] | None:
    """Of all values that are drawn, the band of one deviation about the mean included."""
    spread = charts.span(tables, ("activation_std", "activation_high"))
    if about_zero or spread is None:
        return spread
    wide = [table.pivot_table(index=["epoch", "layer"], columns="measure", values="value") for table in tables]
    low = min(float((rows["activation_mean"] - rows["activation_std"]).min()) for rows in wide)
    high = max(float((rows["activation_mean"] + rows["activation_std"]).max()) for rows in wide)
    return min(low, spread[0]), max(high, spread[1])


def saturation(model: str, rows: pd.DataFrame) -> list[str]:
    """The layer and epoch with the largest saturated share, where there is any worth a word."""
    shares = rows[rows["measure"] == "saturated"].dropna()
    if shares.empty or shares["value"].max() < 0.05:
        return []
    worst = shares.nlargest(1, "value").iloc[0]
    when = "before training" if worst["epoch"] == 0 else f"after epoch {worst['epoch']}"
    final = shares[(shares["layer"] == worst["layer"]) & (shares["epoch"] == shares["epoch"].max())].iloc[0]
    later = ""
    if final["epoch"] != worst["epoch"]:
        later = f"; after epoch {final['epoch']}, {wording.percent(final['value'])}"
    share, layer = wording.percent(worst["value"]), layer_title(worst["layer"])
    return [f"**{model}**: {when}, {share} of the activations in {layer} are saturated{later}."]


def _gradients(tables: dict[str, pd.DataFrame]) -> None:
    st.header("Gradients over training")
    domain = charts.span(list(tables.values()), ("gradient_std",))
    # A little room on a logarithmic axis, or the dots at its ends would be cut in half.
    positive = (domain[0] / ROOM, domain[1] * ROOM) if domain and domain[0] > 0 else None
    title = "standard deviation of ∂Cost/∂s"
    drawn = {name: charts.measure(rows, "gradient_std", name, title, positive) for name, rows in tables.items()}
    _side_by_side("gradients", drawn)
    st.caption(
        "The axis is logarithmic. Lines far apart: the loss is much more sensitive to some layers than to others."
    )
