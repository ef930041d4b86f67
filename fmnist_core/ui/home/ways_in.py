"""Home's parts: the three ways in, and the latest runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

import streamlit as st

from fmnist_core.experiment import wording
from fmnist_core.experiment.hyperparameters import Experiment, run_id
from fmnist_core.experiment.presets import PRESETS
from fmnist_core.findings import run_sentences, run_tables
from fmnist_core.findings.statistics import PLUS_MINUS
from fmnist_core.store.run import Run
from fmnist_core.ui.shared import estimate, markdown, pages, server
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
WIDTHS = (5, 2, 2)


def notebook_path(data_name: str) -> None:
    """The classic exercise, step by step, each step with its result once it is there."""
    st.subheader("Follow the path")
    st.markdown(
        "The classic exercise in order: look at the data, train a base network, then change one thing at a time."
    )
    pages.link(Page.DATA, "Look at the data")
    for name in PATH:
        preset = PRESETS[name]
        run = server.stored(run_id(preset.experiment, data_name))
        done = run is not None and run.complete
        label = (
            f"{preset.title}: {run_sentences.tested(run.metrics, 'test_accuracy')}" if run and done else preset.title
        )
        symbol = "check_circle" if done else "radio_button_unchecked"
        pages.link(Page.TRAIN, label, preset.experiment.query(), symbol, preset.description)
    for page, label, query in AFTER:
        pages.link(page, label, query)
    st.caption("The number beside a finished step is its test accuracy.")


def free_play() -> None:
    """Questions that a few controls answer."""
    st.subheader("Play")
    st.markdown(
        "Every setting has a control, and the page's address always contains them all. Six places to start from:"
    )
    ideas: dict[str, tuple[str, dict[str, Any]]] = {
        "No hidden layers": ("How far does a network get by weighting pixels alone?", {"layers": 0, "epochs": 5}),
        "Only 16 units": ("How small can a network be and still distinguish clothes?", {"units": 16, "epochs": 10}),
        "A rate too high": (
            "What do the curves look like when each step is too large?",
            {"learning_rate": 0.1, "epochs": 5},
        ),
        "Deep sigmoid layers": (
            "Why do six sigmoid layers barely learn?",
            {"layers": 6, "units": 128, "activation": "sigmoid", "epochs": 5},
        ),
        "Wrong labels": ("What does it learn when 40 % of the labels are wrong?", {"label_noise": 0.4, "epochs": 10}),
        "Few images": ("How much can it learn from 1 % of the images?", {"training_fraction": 0.01, "epochs": 50}),
    }
    for label, (question, values) in ideas.items():
        query = Experiment.of(values).query()
        pages.link(Page.TRAIN, label, query, "arrow_forward", question)


def teach() -> None:
    """How a class uses one server."""
    st.subheader("Teach a class")
    st.markdown(
        "- Everybody opens **this page's address**; nothing is installed on their machines.\n- Set up a network"
        " on page Train and **share the address** of that page: it opens with the same settings.\n- Students who"
        " press Train on the **same settings watch the same run**; it is trained once. Different settings wait in"
        " the queue, and everyone sees their position.\n- A finished run opens at once for everybody, so train"
        " what you want to show **before the lesson**.\n- Page **Compare** trains several networks from several"
        " seeds, and shows which differences are larger than chance.\n- For the projector: F11 fills the screen,"
        " Ctrl and + enlarge it; light or dark follows the computer's setting."
    )


def runs() -> None:
    """The latest runs, newest first, each a link to its result; runs that differ in the seed alone share a line."""
    st.subheader("Runs so far")
    for sentence in server.store().damaged():
        markdown.warning(sentence)
    found = server.store().runs()
    if active := server.mine():
        query = active.experiment.query()
        label = f"Training now: {wording.name(active.experiment)}"
        pages.link(Page.TRAIN, label, query, "visibility")
    if not found:
        st.info(
            "No network has been trained here yet. Open page Train and press Train: the base network is already set."
        )
        return
    networks = by_network(found)
    single = [own[0] for own in networks if len(own) == 1]
    several = [own for own in networks if len(own) > 1]
    if single:
        _heads("Network")
        for run in single[:LATEST]:
            _row(run)
    if several:
        _heads("Network, several seeds")
        for own in several[:LATEST]:
            _seeds(own)
    older = len(single[LATEST:]) + sum(map(len, several[LATEST:]))
    if older:
        label = wording.counted(older, "older run")
        pages.link(Page.COMPARE, label, {"runs": ""}, "history")


def by_network(found: Sequence[Run]) -> list[list[Run]]:
    """The complete runs of each network together, a stopped one by itself; in the order in which they come."""
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in found:
        key = run_tables.network_of(run) if run.complete else (run.run_id,)
        groups.setdefault(key, []).append(run)
    return list(groups.values())


def _heads(network: str) -> None:
    for column, text in zip(st.columns(WIDTHS), (network, "Test accuracy", "Trained"), strict=True):
        column.caption(text)


def _row(run: Run) -> None:
    name, accuracy = run.name or wording.name(run.experiment), run_sentences.tested(run.metrics, "test_accuracy")
    told = [] if run.complete else [f"stopped after {wording.counted(run.metrics['epochs_done'], 'epoch')}"]
    told += [f"test loss {run_sentences.tested(run.metrics, 'test_loss')}", estimate.words(run.metrics["seconds"])]
    _line(name, Page.TRAIN, run.experiment.query(), accuracy, told, run)


def _seeds(own: Sequence[Run]) -> None:
    """One network's runs, the newest first."""
    last = own[0]
    name = last.name or wording.name(last.experiment, leave_out=("seed",))
    told = [wording.counted(len(own), "seed"), f"test loss {_over_seeds(own, 'test_loss')}"]
    query = {"runs": ".".join(run.run_id for run in own[: pages.MOST_COMPARED])}
    _line(name, Page.COMPARE, query, _over_seeds(own, "test_accuracy"), told, last)


def _over_seeds(own: Sequence[Run], measure: str) -> str:
    """Mean ± standard deviation. (`statistics.summary` has them too, but takes scipy's half a second to import.)"""
    if not all(math.isfinite(run.metrics["test_loss"]) for run in own):
        return "diverged"
    values = [run.metrics[measure] for run in own]
    return f"{fmean(values):.3f}{PLUS_MINUS}{stdev(values):.3f}"


def _line(name: str, page: Page, query: Mapping[str, str], accuracy: str, told: list[str], run: Run) -> None:
    """A link and its figures. A link takes one line and no more: what it has no room for stands under it."""
    network, figure, when = st.columns(WIDTHS)
    label, rest = in_two(name, LONGEST)
    sample = ["sample"] if run.data_name == "sample" else []
    with network.container(gap=None):
        pages.link(page, escaped(label), query, symbol=None)
        st.caption(" · ".join([*([escaped(rest)] if rest else []), *sample, *told]))
    figure.markdown(accuracy)
    when.caption(f"{run.created.astimezone():%d %b %Y, %H:%M}")


def in_two(text: str, longest: int) -> tuple[str, str]:
    """The text's start, of at most so many characters, and its rest: parted at a comma, else at a space, where it can be."""
    if len(text) <= longest:
        return text, ""
    for mark in (", ", " "):
        place = text.rfind(mark, 0, longest + len(mark))
        if place > 0:
            return text[:place], text[place + len(mark) :]
    return text[:longest], text[longest:]
