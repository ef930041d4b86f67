"""Train: set the hyperparameters, press Train, watch the network learn, read what it got."""

from __future__ import annotations

import streamlit as st

from fmnist_core.charts import curves, network_diagram
from fmnist_core.data import dataset
from fmnist_core.engine.service import Snapshot
from fmnist_core.experiment import wording
from fmnist_core.experiment.cost import Cost, cost, training_images
from fmnist_core.experiment.hyperparameters import Experiment, run_id
from fmnist_core.experiment.schedule import learning_rates
from fmnist_core.findings import health
from fmnist_core.ui.shared import (
    chart_view,
    deleted_runs,
    estimate,
    expander,
    frame,
    markdown,
    progress,
    server,
    store_notices,
)
from fmnist_core.ui.shared.pages import Page
from fmnist_core.ui.train import experiment_controls, live_training, training_results
from fmnist_core.ui.train.experiment_controls import STATE

PERIOD = 1.0  # seconds between two looks at a training elsewhere
WIDTH = 245  # pixels: three beside each other on a wide page, two on a narrow one
SOFTMAX = (
    "Ten units, one for each class. The softmax turns their pre-activations $z_k$ into ten probabilities that"
    " add up to 1; the class with the largest is the network's prediction."
)
LOSS = (
    "Categorical cross-entropy: the mean over the images of the negative logarithm of the probability of the"
    " correct class. A confident correct prediction costs nearly 0, a random guess among ten classes $\\ln 10 ="
    " 2.30$, a confident wrong prediction more."
)
ACCURACY = (
    "The share of images whose most probable class is correct; guessing gives 0.10. Training minimises the loss,"
    " not the accuracy, which changes in jumps and has no gradient to follow."
)


def show() -> None:
    """The whole page."""
    with frame.page(Page.TRAIN):
        experiment = STATE.current()
        st.title("Train a network")
        with st.sidebar:
            experiment_controls.show(experiment)
        STATE.show_problems()
        _current_state(experiment, dataset.load())


def _current_state(experiment: Experiment, data: dataset.Dataset) -> None:
    """The state this experiment is in: running, finished, failed, or not yet trained."""
    this_run, examples = run_id(experiment, data.name), training_images(experiment, data.name)
    plan = cost(experiment, examples)
    st.markdown(f"**{wording.name(experiment)}**")
    if lone := health.batches_of_one(experiment, examples):
        markdown.warning(f"{lone} Choose a batch size of {health.larger_batches(examples)['batch_size']}.")
    if refusal := server.refusal():
        markdown.error(refusal)
    if (other := server.mine()) and other.run_id != this_run:
        progress.watch(lambda: _mine(other.run_id), _elsewhere, PERIOD, other.run_id)
    if server.running(this_run):
        live_training.show(this_run)
    elif run := server.opened(this_run):
        if notice := server.notice(this_run):
            markdown.info(notice)
        training_results.show(run)
    else:
        if broken := server.failed(this_run):
            markdown.error(f"The last training of this network failed: {broken.error}")
        deleted_runs.notice([this_run])
        if problem := server.store().problem(this_run):
            markdown.warning(problem)
        _before(experiment, plan, examples, data.name, busy=other is not None)
        return

    def network() -> None:
        _diagram(experiment, plan)
        reading_aid(experiment)

    expander.show(f"The network: {plan.parameters:,} parameters", "network", network)


def _mine(started: str) -> Snapshot | None:
    """The training that this session has under way, as long as it is that run."""
    mine = server.mine()
    return mine if mine is not None and mine.run_id == started else None


def _elsewhere(training: Snapshot) -> None:
    """The way back to the training that this session has under way."""
    text, link = st.columns([3, 1], vertical_alignment="center")
    text.info(f"Your training is running: {wording.name(training.experiment)}.")
    if link.button("Watch it", icon=":material/visibility:", on_click=STATE.open, args=(training.experiment,)):
        st.rerun()


# --- Before training --------------------------------------------------------------------------------------------------


def _before(experiment: Experiment, plan: Cost, examples: int, data_name: str, busy: bool) -> None:
    """The network, what it will cost, and what its output, loss and metric mean. busy: something else is trained."""
    button, text = st.columns([1, 3], vertical_alignment="center")
    button.button(
        "Train",
        type="primary",
        icon=":material/play_arrow:",
        on_click=server.submit,
        args=(experiment,),
        disabled=busy,
        help="One training at a time: yours is still running." if busy else None,
        width="stretch",
    )
    text.markdown(
        f"**{plan.parameters:,}** parameters · **{examples:,}** training images ·"
        f" **{plan.steps_per_epoch * experiment.epochs:,}** steps · about"
        f" **{estimate.words(estimate.seconds(experiment, examples))}** on this machine"
    )
    store_notices.room([experiment], data_name)
    _diagram(experiment, plan)
    if experiment.schedule != "constant" or experiment.warmup_steps:
        rates = learning_rates(experiment, plan.steps_per_epoch)
        chart_view.show(curves.learning_rate(rates, plan.steps_per_epoch), key="schedule")
    reading_aid(experiment)


def _diagram(experiment: Experiment, plan: Cost) -> None:
    st.html(network_diagram.html(plan.layers, wording.choice(experiment.activation), experiment.dropout))


def reading_aid(experiment: Experiment) -> None:
    """What the output layer, the loss and the metric mean, side by side; their formulas are as high as each other."""
    smoothing, l2 = experiment.label_smoothing, experiment.l2
    loss, formula = LOSS, r"L = -\ln p_{\text{correct class}}"
    if l2:
        loss += f" The L2 penalty adds ${l2:g} \\sum w^2$ over the hidden weights."
    if smoothing:
        formula = r"L = -\sum_{k=1}^{10} y_k \ln p_k"
        loss += (
            f" With label smoothing, the correct class has the target $y_k = {1 - 0.9 * smoothing:g}$ and each other"
            f" class {smoothing / 10:g}: to be quite sure costs, too."
        )
    parts = (
        ("Output layer: softmax", r"p_k = \frac{e^{z_k}}{\sum_{j=1}^{10} e^{z_j}}", SOFTMAX),
        ("Loss: cross-entropy", formula, loss),
        ("Metric: accuracy", r"A = \frac{n_{\text{correct}}}{n}", ACCURACY),
    )
    with st.container(horizontal=True, gap="medium"):
        for name, latex, text in parts:
            with st.container(width=WIDTH):
                st.markdown(f"**{name}**")
                with st.container(height=90, border=False, vertical_alignment="center"):
                    st.latex(latex)
                st.markdown(text)
