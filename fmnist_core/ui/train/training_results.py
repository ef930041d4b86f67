"""A finished run: what it got, how sure that is, how it went, its weights, and its files."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable

import pandas as pd
import streamlit as st

from fmnist_core.charts import curves
from fmnist_core.data.dataset import CLASSES
from fmnist_core.errors import LabError
from fmnist_core.experiment import wording
from fmnist_core.experiment.schedule import learning_rates
from fmnist_core.findings import evaluation, health, run_sentences
from fmnist_core.store.run import Run
from fmnist_core.ui.shared import chart_view, deleted_runs, estimate, expander, histogram_view, server
from fmnist_core.ui.shared.downloads import csv_file
from fmnist_core.ui.train.experiment_controls import STATE

MOST_STEPS = 600


def show(run: Run) -> None:
    """Everything about a stored run, top to bottom."""
    history, stopped = run.history.reset_index(), run.metrics["stopped"]
    if stopped:
        text, button = st.columns([5, 1], vertical_alignment="center")
        planned = wording.counted(run.experiment.epochs, "epoch")
        text.info(f"This run was stopped after {run.metrics['epochs_done']} of {planned}.")
        busy = server.mine() is not None
        button.button("Train in full", on_click=server.submit, args=(run.experiment,), disabled=busy, width="stretch")
    _figures(run, history)
    _curves(run, history)
    spoilt = health.spoilt(run.experiment, run.metrics["train_examples"])
    if not spoilt:  # page Train says what is wrong, and no loss says more
        st.markdown(run_sentences.overfitting(history))
    if math.isfinite(run.metrics["test_loss"]):
        st.markdown(run_sentences.confusion(run.metrics["confusion"], CLASSES))
    st.markdown("**What to try next**")
    steps = run_sentences.next_steps(run.experiment, history, stopped)
    if spoilt:
        change = health.larger_batches(run.metrics["train_examples"])
        steps = [(wording.settings(change), run.experiment.changed(**change))]
    for label, experiment in steps:
        st.button(label, icon=":material/arrow_forward:", type="tertiary", on_click=STATE.open, args=(experiment,))
    more = "Learning rate, gradients and weights over the epochs"
    expander.show(more, "over the epochs", lambda: _more(run, history))
    expander.show("Weights and biases over the epochs", "weights", lambda: _weights(run))
    _downloads(run)


def _figures(run: Run, history: pd.DataFrame) -> None:
    metrics, n = run.metrics, sum(map(sum, run.metrics["confusion"]))
    accuracy, loss, took, best = st.columns(4)
    accuracy.metric("Test accuracy", run_sentences.tested(metrics, "test_accuracy"))
    loss.metric("Test loss", run_sentences.tested(metrics, "test_loss"))
    if math.isfinite(metrics["test_loss"]):
        low, high = map(float, evaluation.wilson(metrics["test_accuracy"] * n, n))
        accuracy.caption(f"95 % interval {low:.3f} to {high:.3f}")
        low, high = run_sentences.mean_interval(metrics["test_loss"], metrics["test_loss_std"], n)
        loss.caption(f"95 % interval {low:.3f} to {high:.3f}")
        if metrics.get("test_penalty"):
            loss.caption(f"{metrics['test_penalty']:.3f} of it is the {wording.listed([*run.experiment.loss_terms])}")
    took.metric("Training time", estimate.words(metrics["seconds"]))
    took.caption(run_sentences.length(run.experiment, metrics, history))
    # Epoch 0 is the network before training: where it is the best one, no trained epoch has a validation loss.
    lowest = metrics["best_epoch"] or None
    best.metric("Lowest validation loss", f"{run.history['val_loss'].loc[lowest]:.3f}" if lowest else "–")
    if lowest:
        best.caption(f"after epoch {lowest}")
    st.caption(
        f"The test set is finite: {n:,} images, a sample of all possible ones. The intervals show how much that"
        " alone can change these values; runs that differ by less need more seeds to distinguish."
    )


def _curves(run: Run, history: pd.DataFrame) -> None:
    per_epoch, losses = run.metrics["steps_per_epoch"], run.step_losses
    stride = max(1, len(losses) // MOST_STEPS)
    steps = [((i + 1) / per_epoch, float(losses[i])) for i in range(0, len(losses), stride)]
    epochs = max(math.ceil(len(losses) / per_epoch), 1)
    best = run.metrics["best_epoch"] or None
    loss = curves.curve("loss", history, epochs, steps, mark=best, terms=run.experiment.loss_terms)
    accuracy = curves.curve("accuracy", history, epochs, mark=best)
    left, right = st.columns(2, gap="medium")
    for column, name, chart in ((left, "loss", loss), (right, "accuracy", accuracy)):
        with column:
            chart_view.show(chart, key=name)
    lowest = " Dashed: where validation loss was lowest." if best else ""
    st.caption(f"Thin line: the loss of each training step.{lowest}")


def _more(run: Run, history: pd.DataFrame) -> None:
    per_epoch = run.metrics["steps_per_epoch"]
    if len(run.step_losses):
        rates = learning_rates(run.experiment, per_epoch)[: len(run.step_losses)]
        chart_view.show(curves.learning_rate(rates, per_epoch), key="rates")
    left, right = st.columns(2, gap="medium")
    clip_norm = run.experiment.clip_norm
    title = f"Gradient norm{' before clipping' if clip_norm else ''}, epoch mean"
    with left:
        chart_view.show(curves.norms(history, "gradient_norm", title, clip_norm), key="gradient norms")
    with right:
        chart_view.show(curves.norms(history, "weight_norm", "Norm of all weights"), key="weight norms")


def _weights(run: Run) -> None:
    if run.epochs:
        _histograms(run)
    else:
        st.caption("This run has no stored weights.")


@st.fragment
def _histograms(run: Run) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        title = {name: name.replace("/", " ") for name in run.tensor_names}
        tensor = st.selectbox("Layer", list(title), format_func=title.__getitem__, width=165)
        low, high = run.epochs[0], run.epochs[-1]
        first, last = st.slider("Epochs", low, high, (low, high), width=165) if low < high else (low, high)
        kinds = histogram_view.KINDS
        kind = st.segmented_control("View", kinds, format_func=kinds.__getitem__, default="ridges", required=True)
    try:
        rows = histogram_view.of_weights(run, tensor)
    except LabError as error:  # outside a page's first run nobody else shows it
        deleted_runs.error(error)
        return
    rows = rows[rows["epoch"].between(first, last)]
    caption = f"The values of {title[tensor]}, {histogram_view.SAMPLE}"
    file = f"fashion-mnist-{run.run_id}-{tensor.replace('/', '-')}"
    histogram_view.show(rows, str(kind), f"Distribution of {title[tensor]}", caption, file)


def _downloads(run: Run) -> None:
    st.markdown("**Download**")
    stem = f"fashion-mnist-{run.run_id}"
    files: tuple[tuple[str, Callable[[], bytes], str, str | None], ...] = (
        csv_file(run.history.reset_index, f"{stem}.csv", "History (CSV)"),
        ("Model (Keras)", lambda: run.file("model.keras"), f"{stem}.keras", None),
        ("TensorBoard logs (zip)", lambda: _zip(run, "tensorboard"), f"{stem}-tensorboard.zip", None),
    )
    for column, (label, content, name, kind) in zip(st.columns(3), files, strict=True):
        # The page is drawn again at a click: where somebody has deleted the run, it says so beside the failed download.
        column.download_button(label, content, name, kind, width="stretch")


def _zip(run: Run, folder: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in run.names(folder):
            archive.writestr(name, run.file(name))
    return buffer.getvalue()
