"""Home's parts: the three ways in, and the latest runs."""

from __future__ import annotations

from typing import Any

import streamlit as st

from fmnist_core import wording
from fmnist_core.experiment import PRESETS, Experiment, run_id
from fmnist_core.runs.run import Run
from fmnist_core.ui import compare_view, controls, engine, estimate, reading
from fmnist_core.ui.text import escaped

LATEST = 12
# The order in which the notebook trains its models; Glorot's initialisation is the base network's own.
PATH = ("base", "dropout", "batch-norm", "l2", "lr-schedule", "standard")
# What the notebook does with its trained models, and what it leaves out.
AFTER: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    (compare_view.PAGE, "Compare the five, seed by seed", "stacked_line_chart", {}),
    ("pages/Inspect.py", "Look at its mistakes", "search", {}),
    ("pages/Embeddings.py", "Map its output layer with t-SNE", "bubble_chart", {"points": "3000"}),
    ("pages/Embeddings.py", "Every layer with UMAP, over training", "bubble_chart", {"part": "grid", "method": "umap"}),
    ("pages/Initialisation.py", "How to begin: Glorot & Bengio", "start", {}),
)
WIDTHS = (5, 2, 2, 2, 3)


def notebook_path(data_name: str) -> None:
    """The classic exercise, step by step, each step with its result once it is there."""
    st.subheader("Follow the path")
    st.markdown(
        "The classic exercise in order: look at the data, train a base network, then change one thing at a time."
    )
    st.page_link("pages/Data.py", label="Look at the data", icon=":material/grid_view:")
    for name in PATH:
        preset = PRESETS[name]
        run = engine.stored(run_id(preset.experiment, data_name))
        done = run is not None and run.complete
        label = f"{preset.title}: {reading.tested(run.metrics, 'test_accuracy')}" if run and done else preset.title
        icon = ":material/check_circle:" if done else ":material/radio_button_unchecked:"
        st.page_link(
            controls.PAGE, label=label, icon=icon, query_params=preset.experiment.query(), help=preset.description
        )
    for page, label, icon, query in AFTER:
        st.page_link(page, label=label, icon=f":material/{icon}:", query_params=query)
    st.caption("The number beside a finished step is its accuracy on the test images.")


def free_play() -> None:
    """Questions that a few controls answer."""
    st.subheader("Play")
    st.markdown("Every setting has a control, and the page's address always holds them all. Six places to start from:")
    ideas: dict[str, tuple[str, dict[str, Any]]] = {
        "No hidden layers": ("How far does a network get that only weighs pixels?", {"layers": 0, "epochs": 5}),
        "Only 16 units": ("How small can a network be and still tell clothes apart?", {"units": 16, "epochs": 10}),
        "A rate too high": (
            "What do the curves look like when each step is too long?",
            {"learning_rate": 0.1, "epochs": 5},
        ),
        "Deep sigmoid layers": (
            "Why do six sigmoid layers hardly begin to learn?",
            {"layers": 6, "units": 128, "activation": "sigmoid", "epochs": 5},
        ),
        "Wrong labels": ("What is learned when 40 % of the labels are wrong?", {"label_noise": 0.4, "epochs": 10}),
        "Few images": ("How much do 1 % of the images teach?", {"training_fraction": 0.01, "epochs": 50}),
    }
    for label, (question, values) in ideas.items():
        query = Experiment.of(values).query()
        st.page_link(controls.PAGE, label=label, icon=":material/arrow_forward:", query_params=query, help=question)


def teach() -> None:
    """How a class uses one server."""
    st.subheader("Teach a class")
    st.markdown(
        "- Everybody opens **this page's address**; nothing is installed on their machines.\n"
        "- Prepare a network on page Train and **share the address** of that page: it opens with the same settings.\n"
        "- Students who press Train on the **same settings watch the same run**; it is trained once. Different settings"
        " wait in line, and everyone sees their place.\n"
        "- A finished run opens at once for everybody, so train what you will show **before the lesson**.\n"
        "- Page **Compare** trains several networks from several seeds, and tells which differences are more than chance.\n"
        "- For the projector: F11 fills the screen, Ctrl and + enlarge it; light or dark follows the computer's setting."
    )


def runs() -> None:
    """The latest runs, newest first, each a link to its result."""
    st.subheader("Runs so far")
    for sentence in engine.store().damaged():
        st.warning(sentence)
    found = engine.store().runs()
    if active := engine.mine():
        query = active.experiment.query()
        label = f"Under way: {wording.name(active.experiment)}"
        st.page_link(controls.PAGE, label=label, icon=":material/visibility:", query_params=query)
    if not found:
        st.info("No network has been trained here yet. Open page Train and press Train: the base network is set.")
        return
    for column, text in zip(
        st.columns(WIDTHS), ("Network", "Test accuracy", "Test loss", "Time", "Trained"), strict=True
    ):
        column.caption(text)
    for run in found[:LATEST]:
        _row(run)
    if len(found) > LATEST:
        label = wording.counted(len(found) - LATEST, "older run")
        st.page_link(compare_view.PAGE, label=label, icon=":material/history:", query_params={"runs": ""})


def _row(run: Run) -> None:
    name, accuracy, loss, took, when = st.columns(WIDTHS, vertical_alignment="center")
    stopped = "" if run.complete else f" (stopped after {wording.counted(run.metrics['epochs_done'], 'epoch')})"
    sample = " · sample" if run.data_name == "sample" else ""
    label = f"{escaped(run.name) or wording.name(run.experiment)}{stopped}{sample}"
    name.page_link(controls.PAGE, label=label, query_params=run.experiment.query())
    accuracy.markdown(reading.tested(run.metrics, "test_accuracy"))
    loss.markdown(reading.tested(run.metrics, "test_loss"))
    took.markdown(estimate.words(run.metrics["seconds"]))
    when.markdown(f"{run.created.astimezone():%d %b %Y, %H:%M}")
