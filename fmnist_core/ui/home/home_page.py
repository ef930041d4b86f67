"""Home: what this is, three ways in, and the runs so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

import streamlit as st

from fmnist_core.data import dataset
from fmnist_core.experiment import wording
from fmnist_core.experiment.hyperparameters import Experiment, run_id
from fmnist_core.experiment.presets import PRESETS
from fmnist_core.findings import run_sentences, run_tables
from fmnist_core.findings.statistics import PLUS_MINUS
from fmnist_core.store.run import Run
from fmnist_core.ui.shared import estimate, frame, pages, reader_time, server, store_notices
from fmnist_core.ui.shared.markdown import escaped
from fmnist_core.ui.shared.pages import Page

LATEST = 8  # of single runs, and of networks with several
LONGEST = 38  # characters of a link, so that it fits a narrow page
# The order in which the notebook trains its models; Glorot's initialisation is the base network's own.
PATH = ("base", "dropout", "batch-norm", "l2", "lr-schedule", "standard")
# What the notebook does with its trained models, and what it leaves out.
AFTER: tuple[tuple[Page, str, dict[str, str]], ...] = (
    (Page.COMPARE, "Compare the five, seed by seed", {}),
    (Page.INSPECT, "See its mistakes", {}),
    (Page.EMBEDDINGS, "Map its output layer with t-SNE", {"points": "3000"}),
    (Page.EMBEDDINGS, "Every layer with UMAP", {"part": "grid", "method": "umap"}),
    (Page.INITIALISATION, "How to initialise: Glorot & Bengio", {}),
)
# Settings of page Train, and the question that they answer.
IDEAS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("No hidden layers", "How far does a network get by weighting pixels alone?", {"layers": 0, "epochs": 5}),
    ("Only 16 units", "How small can a network be and still distinguish clothes?", {"units": 16, "epochs": 10}),
    (
        "A rate too high",
        "What do the curves look like when each step is too large?",
        {"learning_rate": 0.1, "epochs": 5},
    ),
    (
        "Deep sigmoid layers",
        "Why do six sigmoid layers barely learn?",
        {"layers": 6, "units": 128, "activation": "sigmoid", "epochs": 5},
    ),
    ("Wrong labels", "What does it learn when 40 % of the labels are wrong?", {"label_noise": 0.4, "epochs": 10}),
    ("Few images", "How much can it learn from 1 % of the images?", {"training_fraction": 0.01, "epochs": 50}),
)
TEACH = (
    "- Everybody opens **this page's address**; nothing is installed on their machines.\n- Set up a network"
    " on page Train and **share the address** of that page: it opens with the same settings.\n- Students who"
    " press Train on the **same settings watch the same run**; it is trained once. Different settings wait in"
    " the queue, and everyone sees their position.\n- A finished run opens at once for everybody, so train"
    " what you want to show **before the lesson**.\n- Page **Compare** trains several networks from several"
    " seeds, and shows which differences are larger than chance.\n- For the projector: F11 fills the screen,"
    " Ctrl and + enlarge it; light or dark follows the computer's setting."
)
WIDTHS = (5, 2, 2)


def show() -> None:
    """The whole page."""
    pages.open_meant(st.context.url or "")
    with frame.page(Page.HOME):
        st.title("Fashion-MNIST Lab")
        data = dataset.load()
        images = len(data.train_images) + len(data.test_images)
        st.markdown(
            "Watch neural networks learn. Set the layers, press Train, and see a dense network learn"
            f" from {images:,} pictures of clothes, live, on this machine."
        )
        notebook, play = st.columns(2, gap="medium")
        with notebook.container(border=True, height="stretch"):
            _notebook_path(data.name)
        with play.container(border=True, height="stretch"):
            st.header("Play")
            st.markdown(
                "Every setting has a control, and the page's address always contains them all. Six places to start"
                " from:"
            )
            for label, question, values in IDEAS:
                pages.link(Page.TRAIN, label, Experiment.of(values).query(), "arrow_forward", question)
        with st.container(border=True):
            st.header("Teach a class")
            st.markdown(TEACH)
        _runs()


def _notebook_path(data_name: str) -> None:
    """The classic exercise, step by step, each step with its result once it is there."""
    st.header("Follow the path")
    st.markdown(
        "The classic exercise in order: look at the data, train a base network, then change one thing at a time."
    )
    pages.link(Page.DATA, "Look at the data")
    for preset in map(PRESETS.__getitem__, PATH):
        run = server.stored(run_id(preset.experiment, data_name))
        label, symbol = preset.title, "radio_button_unchecked"
        if run and run.complete:
            label, symbol = f"{label}: {run_sentences.tested(run.metrics, 'test_accuracy')}", "check_circle"
        pages.link(Page.TRAIN, label, preset.experiment.query(), symbol, preset.description)
    for page, label, query in AFTER:
        pages.link(page, label, query)
    st.caption("The number beside a finished step is its test accuracy.")


# --- Runs so far ------------------------------------------------------------------------------------------------------


def _runs() -> None:
    """The latest runs, newest first, each a link to its result; runs that differ in the seed alone share a line."""
    st.header("Runs so far")
    runs, problems = server.store().listing()
    store_notices.show(problems)
    if active := server.mine():
        label = f"Training now: {wording.name(active.experiment)}"
        pages.link(Page.TRAIN, label, active.experiment.query(), "visibility")
    if not runs:
        st.info(
            "No network has been trained here yet. Open page Train and press Train: the base network is already set."
        )
        return
    networks = by_network(runs)
    single = [seeds for seeds in networks if len(seeds) == 1]
    several = [seeds for seeds in networks if len(seeds) > 1]
    for heading, group in (("Network", single), ("Network, several seeds", several)):
        if group:
            for column, text in zip(st.columns(WIDTHS), (heading, "Test accuracy", "Trained"), strict=True):
                column.caption(text)
        for seeds in group[:LATEST]:
            _line(seeds)
    if older := len(single[LATEST:]) + sum(map(len, several[LATEST:])):
        pages.link(Page.COMPARE, wording.counted(older, "older run"), {"runs": ""}, "history")


def by_network(runs: Sequence[Run]) -> list[list[Run]]:
    """The complete runs of each network together, a stopped one by itself; in the order in which they come."""
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        key = run_tables.network_of(run) if run.complete else (run.run_id,)
        groups.setdefault(key, []).append(run)
    return list(groups.values())


def _line(runs: Sequence[Run]) -> None:
    """A link to one network's runs, the newest first, and their figures.

    A link takes one line and no more: what it has no room for stands under it.
    """
    run, several = runs[0], len(runs) > 1
    if several:
        page, query = Page.COMPARE, {"runs": ".".join(run.run_id for run in runs[: pages.MOST_COMPARED])}
        name = run.name or wording.name(run.experiment, leave_out=("seed",))
        facts = [wording.counted(len(runs), "seed"), f"test loss {_measured(runs, 'test_loss')}"]
    else:
        page, query = Page.TRAIN, run.experiment.query()
        name = run.name or wording.name(run.experiment)
        facts = [] if run.complete else [f"stopped after {wording.counted(run.metrics['epochs_done'], 'epoch')}"]
        facts += [f"test loss {_measured(runs, 'test_loss')}", estimate.words(run.metrics["seconds"])]
    label, remainder = in_two(name, LONGEST)
    network, accuracy, trained = st.columns(WIDTHS)
    with network.container(gap=None):
        pages.link(page, escaped(label), query, symbol=None)
        sample = "sample" if run.data_name == "sample" else ""
        st.caption(" · ".join(filter(None, [escaped(remainder), sample, *facts])))
    accuracy.markdown(_measured(runs, "test_accuracy"))
    trained.caption(reader_time.words(run.created))


def _measured(runs: Sequence[Run], measure: str) -> str:
    """Of one run, or mean ± standard deviation (without `statistics.summary`: scipy's import takes half a second)."""
    if len(runs) == 1:
        return run_sentences.tested(runs[0].metrics, measure)
    if not all(math.isfinite(run.metrics["test_loss"]) for run in runs):
        return "diverged"
    values = [run.metrics[measure] for run in runs]
    return f"{fmean(values):.3f}{PLUS_MINUS}{stdev(values):.3f}"


def in_two(text: str, longest: int) -> tuple[str, str]:
    """The text's start, of at most `longest` characters, and what follows: parted at a comma or space, if any."""
    if len(text) <= longest:
        return text, ""
    for mark in (", ", " "):
        index = text.rfind(mark, 0, longest + len(mark))
        if index > 0:
            return text[:index], text[index + len(mark) :]
    return text[:longest], text[longest:]
