"""Train: set the hyperparameters, press Train, watch the network learn, read what it got."""

from __future__ import annotations

import streamlit as st

from fmnist_core.charts import learning_rate_curve, network_diagram
from fmnist_core.data import dataset
from fmnist_core.engine.service import Snapshot
from fmnist_core.experiment import wording
from fmnist_core.experiment.cost import Cost, cost, training_images
from fmnist_core.experiment.hyperparameters import Experiment, run_id
from fmnist_core.experiment.schedule import learning_rates
from fmnist_core.ui.shared import estimate, frame, markdown, progress, server
from fmnist_core.ui.shared.pages import Page
from fmnist_core.ui.train import experiment_controls, live_training, output_explained, training_results
from fmnist_core.ui.train.experiment_controls import STATE

PERIOD = 1.0  # seconds between two looks at a training elsewhere


def plan_of(experiment: Experiment, data: dataset.Dataset) -> tuple[Cost, int]:
    """The cost, and the number of training images after the split."""
    examples = training_images(experiment, data.name)
    return cost(experiment, examples), examples


def picture(experiment: Experiment, plan: Cost) -> None:
    st.html(network_diagram.html(plan.layers, wording.choice(experiment.activation), experiment.dropout))


def before(experiment: Experiment, plan: Cost, examples: int, busy: bool) -> None:
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
        f"**{plan.parameters:,}** parameters · **{examples:,}** training images · **{plan.steps_per_epoch * experiment.epochs:,}**"
        f" steps · about **{estimate.words(estimate.seconds(experiment, examples))}** on this machine"
    )
    picture(experiment, plan)
    if experiment.schedule != "constant" or experiment.warmup_steps:
        st.altair_chart(
            learning_rate_curve.chart(learning_rates(experiment, plan.steps_per_epoch), plan.steps_per_epoch),
            key="schedule",
        )
    output_explained.reading_aid(experiment)


def _mine(identity: str) -> Snapshot | None:
    """The training that this session has under way, as long as it is that one."""
    mine = server.mine()
    return mine if mine is not None and mine.run_id == identity else None


def elsewhere(training: Snapshot) -> None:
    """The way back to the training that this session has under way."""
    experiment = training.experiment
    text, link = st.columns([3, 1], vertical_alignment="center")
    text.info(f"Your training is running: {wording.name(experiment)}.")
    if link.button("Watch it", icon=":material/visibility:", on_click=STATE.open, args=(experiment,)):
        st.rerun()


def current_state(experiment: Experiment, data: dataset.Dataset) -> None:
    """The state this experiment is in: running, finished, failed, or not yet trained."""
    plan, examples = plan_of(experiment, data)
    identity = run_id(experiment, data.name)
    st.markdown(f"**{wording.name(experiment)}**")
    if refusal := server.refusal():
        markdown.error(refusal)
    if (other := server.mine()) and other.run_id != identity:
        progress.watch(lambda: _mine(other.run_id), elsewhere, PERIOD)
    if server.running(identity):
        live_training.show(identity)
    elif run := server.stored(identity):
        if notice := server.notice(identity):
            st.info(notice)
        training_results.show(run)
    else:
        if broken := server.failed(identity):
            markdown.error(f"The last training of this network failed: {broken.error}")
        before(experiment, plan, examples, busy=other is not None)
        return
    with st.expander(f"The network: {plan.parameters:,} parameters"):
        picture(experiment, plan)
        output_explained.reading_aid(experiment)


def show() -> None:
    """The whole page."""
    with frame.page(Page.TRAIN):
        experiment = STATE.current()
        st.title("Train a network")
        with st.sidebar:
            experiment_controls.show(experiment)
        STATE.show_problems()
        current_state(experiment, dataset.load())
