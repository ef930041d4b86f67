"""During training: the compared initialisers trained with the same seed and batches, and what happens in their layers."""

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
from fmnist_core.ui.initialisation.initialisation_view import STATE, View, trained, training
from fmnist_core.ui.initialisation.page_parts import CARD, way
from fmnist_core.ui.shared import markdown, pages, study_progress
from fmnist_core.ui.shared.pages import Page
from fmnist_core.ui.shared.per_run import per_run

LOSSES = (2.0, 1.5, 1.0, 0.8, 0.6, 0.5, 0.4, 0.3)
ROOM = 1.15
ICON = ":material/science:"
FIGURE_2 = STUDIES["initialisation-sigmoid"].base


def controls(view: View) -> None:
    """The sidebar: which network is trained, from which initial weights."""
    for name in ("depth", "width", "function", "initialisers", "rate", "batch", "epochs", "share"):
        STATE.draw(name)


def study_of(view: View) -> Study:
    """One network for each initialiser, all else equal. Raises: StudyError."""
    layers = wording.counted(view.depth, f"{wording.choice(view.function)} layer")
    name = f"{layers} of {view.width:,} units, SGD with learning rate {view.rate:g}"
    return Study.of(
        {
            "name": name,
            "base": trained(view),
            "axes": (Axis(field="initialiser", values=view.initialisers),),
            "seeds": 1,
        }
    )


def show(view: View) -> None:
    """The whole part."""
    st.markdown(
        "The network from the sidebar, with the same images in the same order for each; only the initial weights"
        " differ. Plain SGD, as in the paper: Adam compensates for small gradients and hides much of the effect."
    )
    _as_live(view)
    data = dataset.load()
    study = study_of(view)
    runs = study_progress.show(study, data)
    if not runs:
        _examples(data.name)
        return
    _losses(runs)
    tables = {one.model: _over(one.run, data) for one in runs}
    activation = ACTIVATIONS[view.function]
    _activations(
        tables, activation.odd and activation.bounded
    )  # Their mean is 0: the deviation says all, as in figure 3.
    _gradients(tables)
    _examples(data.name)
    more = study.model_copy(update={"seeds": 5})
    label = "One seed may be chance: compare them over 5 seeds on page Compare"
    pages.link(Page.COMPARE, label, {"study": more.to_short_json()})


def _as_live(view: View) -> None:
    """This part has a network of its own, small enough to be trained; a way to the one that was looked at live."""
    shape: dict[str, Any] = {"depth": view.layers, "width": view.units, "function": view.activation}
    if any(getattr(view, name) != value for name, value in shape.items()):
        layers = wording.counted(view.layers, f"{wording.choice(view.activation)} layer")
        label = f"Use the network of the live part: {layers} of {view.units:,} units"
        way(label, ":material/content_copy:", replace(view, **shape))


@per_run(max_entries=40, spinner="Looking into the layers …")
def _over(run: Run, data: Dataset) -> pd.DataFrame:
    """The measures of a run's layers at each checkpointed epoch."""
    return measures.over_epochs(run, *measures.batch(data))


def _examples(data_name: str) -> None:
    """Two settings worth a look."""
    # Few images make short epochs, in which saturation shows; of the sample, a share would be too few to learn from.
    whole = FIGURE_2 if data_name == "full" else FIGURE_2.model_copy(update={"training_fraction": 1.0})
    with st.container(horizontal=True, gap="medium"):
        way("As the paper's figure 3: tanh", ICON, View(part="training"))
        way("As the paper's figure 2: the last of four sigmoid layers saturates", ICON, training(whole))


# --- What happened ----------------------------------------------------------------------------------------------------


def short(model: str) -> str:
    """The initialiser alone: "Initialiser Glorot uniform" begins each name of the study."""
    name = model.removeprefix(f"{FIELDS['initialiser'].title} ")
    return name[0].upper() + name[1:]


def _losses(trained: list[Trained]) -> None:
    st.header("How fast they learn")
    named = [Trained(short(one.model), one.run) for one in trained]
    target = measures.reached_by_all(named)
    shown = None if pd.isna(target) else target
    st.altair_chart(charts.losses(measures.loss_curves(named), models(named), shown), key="initialisation losses")
    st.markdown("\n".join(f"- {text}" for text in told(named, shown)))
    _steps(named)


def told(trained: list[Trained], target: float | None) -> list[str]:
    """How soon each reaches the loss that all reach, and who diverged."""
    found = []
    for one in trained:
        accuracy = one.run.metrics["test_accuracy"]
        steps = None if target is None else measures.steps_to(one.run.step_losses, target)
        reached = (
            f" first reaches {target:.2f}, the lowest loss that all of them reach, {_when(one, steps)};"
            if steps
            else ""
        )
        right = f" it ends with a test accuracy of {wording.percent(accuracy, 1)}"
        begin = f": the mean loss of {_window(one)} steps{reached}" if reached else ":"
        found.append(f"**{one.model}**{begin}{right}.")
    return found


def _when(one: Trained, steps: int) -> str:
    """When a smoothed loss was reached; the first mean is there only after a whole window of steps."""
    first = _window(one)
    return f"within the first {first} steps" if steps <= first else f"at step {steps:,}"


def _window(one: Trained) -> int:
    """How many steps a smoothed loss is the mean of."""
    return min(measures.WINDOW, len(one.run.step_losses))


def _steps(trained: list[Trained]) -> None:
    """Steps to given losses."""
    rows = measures.convergence(trained, LOSSES)
    wide = rows.pivot_table(index="loss", columns="model", values="step", sort=False, dropna=False).dropna(how="all")
    if wide.empty:
        return
    names = models(trained)
    lines = [[f"{loss:g}", *(_steps_text(steps[name]) for name in names)] for loss, steps in wide.iterrows()]
    markdown.table(["Steps to a loss of", *names], lines, "r")
    st.caption(
        f"When the mean training loss of {measures.WINDOW} consecutive steps first reaches it; it may rise again. One seed."
    )


def _steps_text(steps: float) -> str:
    if pd.isna(steps):
        return "never"
    return f"the first {measures.WINDOW}" if steps <= measures.WINDOW else f"{steps:,.0f}"


def _activations(tables: dict[str, pd.DataFrame], about_zero: bool) -> None:
    """Figure 3 where activations lie about 0, else figure 2; all models on one axis."""
    st.header("Activations over training")
    domain = _domain(list(tables.values()), about_zero)
    with st.container(horizontal=True, gap="medium"):
        for model, rows in tables.items():
            chart = (charts.spreads if about_zero else charts.activations)(rows, short(model), domain)
            with st.container(width=CARD):
                st.altair_chart(chart, key=f"initialisation activations {model}")
    st.markdown("\n".join(f"- {text}" for model, rows in tables.items() for text in saturation(short(model), rows)))
    figure = "figure 3: flat lines near 1 are" if about_zero else "figure 2: a mean near an end of the range is"
    st.caption(
        f"On the same {measures.IMAGES} test images after each epoch, as the paper's {figure} a saturated layer,"
        " which passes almost no gradient. Click a layer in the legend to highlight it."
    )


def _domain(tables: list[pd.DataFrame], about_zero: bool) -> tuple[float, float] | None:
    """Of all values that are drawn, the band of one deviation about the mean included."""
    spread = charts.span(tables, ("activation_std", "activation_high"))
    if about_zero or spread is None:
        return spread
    wide = [table.pivot_table(index=["epoch", "layer"], columns="measure", values="value") for table in tables]
    low = min(float((one["activation_mean"] - one["activation_std"]).min()) for one in wide)
    high = max(float((one["activation_mean"] + one["activation_std"]).max()) for one in wide)
    return min(low, spread[0]), max(high, spread[1])


def saturation(model: str, rows: pd.DataFrame) -> list[str]:
    """The layer and epoch with the largest saturated share, where there is any worth a word."""
    held = rows[rows["measure"] == "saturated"].dropna()
    if held.empty or held["value"].max() < 0.05:
        return []
    worst = held.nlargest(1, "value").iloc[0]
    when = "before training" if worst["epoch"] == 0 else f"after epoch {worst['epoch']}"
    final = held[(held["layer"] == worst["layer"]) & (held["epoch"] == held["epoch"].max())].iloc[0]
    since = (
        "" if final["epoch"] == worst["epoch"] else f"; after epoch {final['epoch']}, {wording.percent(final['value'])}"
    )
    share, layer = wording.percent(worst["value"]), layer_title(worst["layer"])
    return [f"**{model}**: {when}, {share} of the activations in {layer} are saturated{since}."]


def _gradients(tables: dict[str, pd.DataFrame]) -> None:
    st.header("Gradients over training")
    domain = charts.span(list(tables.values()), ("gradient_std",))
    # A little room on a logarithmic axis, or the dots at its ends would be cut in half.
    positive = (domain[0] / ROOM, domain[1] * ROOM) if domain and domain[0] > 0 else None
    with st.container(horizontal=True, gap="medium"):
        for model, rows in tables.items():
            chart = charts.measure(rows, "gradient_std", short(model), "standard deviation of ∂Cost/∂s", positive)
            with st.container(width=CARD):
                st.altair_chart(chart, key=f"initialisation gradients {model}")
    st.caption(
        "The axis is logarithmic. Lines far apart: the loss is much more sensitive to some layers than to others."
    )
