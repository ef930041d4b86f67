"""The notebook's comparison with seeds: Glorot against standard initialisation, and what its time means."""

from __future__ import annotations

import streamlit as st

from fmnist_core.data import dataset
from fmnist_core.experiment import wording
from fmnist_core.experiment.cost import cost, training_images
from fmnist_core.experiment.study import STUDIES, Study
from fmnist_core.findings import run_tables, statistics
from fmnist_core.findings.run_tables import Trained
from fmnist_core.findings.statistics import PLUS_MINUS, Summary, spread
from fmnist_core.ui.initialisation.initialisation_view import View, view_button
from fmnist_core.ui.shared import pages, server, study_progress
from fmnist_core.ui.shared.markdown import table
from fmnist_core.ui.shared.pages import Page

SAME, DEEP = STUDIES["initialisation"], STUDIES["initialisation-deep"]
NOTEBOOK = (
    "| The notebook, one seed | Test loss | Test accuracy | Time |\n| --- | --: | --: | --: |\n"
    "| Glorot uniform | 0.384 | 0.894 | 127 s |\n| Standard uniform | 0.379 | 0.890 | 143 s |"
)


def show() -> None:
    """The whole part."""
    st.markdown(
        "The notebook trained its network, two ReLU layers of 512 units with Adam, once from each of the two"
        " initialisations, and concluded that there is a difference:"
    )
    st.markdown(NOTEBOOK)
    st.markdown(
        "One seed cannot distinguish a difference from chance. Here are both networks, each with the same seeds."
    )
    data = dataset.load()
    trained = study_progress.show(SAME, data)
    if trained:
        results(trained)
        _link("All curves and the files of this comparison, on page Compare", SAME)
    st.header("Why there is no difference in time")
    _time(trained, data.name)
    st.header("What makes a difference")
    st.markdown(
        "Two layers are too few for a factor to accumulate, ReLU networks lack He et al.'s factor of 2 with"
        " both, and Adam divides each gradient by its own size, so that small ones count as much as large ones."
        " With **more layers**, **tanh or sigmoid**, and **plain SGD**, the initialisation begins to matter:"
    )
    deep = run_tables.of_study(DEEP, data.name, server.stored)
    if deep:
        st.markdown(f"**{DEEP.title}**")
        results(deep)
    with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
        _link("Five tanh layers with SGD, over 5 seeds, on page Compare", DEEP)
        view_button("Watch it in the layers", ":material/visibility:", View(part="training"))


def results(trained: list[Trained]) -> None:
    """Table and sentences of a comparison of two or more models."""
    lines = run_tables.lines(trained)
    rows = [
        [line.model, str(len(line.seeds)), spread(line.test_loss), spread(line.test_accuracy), _seconds(line.seconds)]
        for line in lines
    ]
    table(["Network", "Seeds", "Test loss", "Test accuracy", "Time"], rows)
    comparisons = statistics.compare(lines[0].model, run_tables.measures(trained), run_tables.compared(trained))
    st.markdown("\n".join(f"- {text}" for text in statistics.sentences(comparisons)))
    note = "The table: mean ± standard deviation over the seeds; a single seed has none."
    if any(comparison.differs for comparison in comparisons):
        note += f" The sentences: {statistics.footnote(comparisons)}"
    st.caption(note)


def _seconds(time: Summary) -> str:
    return f"{time.mean:.1f}" + (" s" if time.n < 2 else f"{PLUS_MINUS}{time.std:.1f} s")


def _link(label: str, study: Study) -> None:
    pages.link(Page.COMPARE, label, {"study": study.to_short_json()})


# --- Time -------------------------------------------------------------------------------------------------------------


def _time(trained: list[Trained], data_name: str) -> None:
    """The same arithmetic, and what was measured."""
    needed = {cost(v.experiment, training_images(v.experiment, data_name)).flops for v in SAME.variants()}
    same = "exactly as many" if len(needed) == 1 else "about as many"
    st.markdown(
        f"A training of this network needs {max(needed):.2e} floating-point operations with one initialisation and"
        f" {same} with the other: the initial weights are different numbers, and a processor multiplies any"
        " numbers at the same speed. The notebook's 127 s and 143 s are single measurements on a shared"
        f" machine.{time_sentence(trained)}"
    )


def time_sentence(trained: list[Trained]) -> str:
    """The paired difference of the measured seconds, a sentence to go on with; "" without two seeds of both."""
    runs: dict[str, dict[int, dict[str, float]]] = {}
    for member in trained:
        runs.setdefault(member.model, {})[member.seed] = {"seconds": float(member.run.metrics["seconds"])}
    if len(runs) != 2:
        return ""
    first = next(iter(runs))
    [time] = statistics.compare(first, runs, ["seconds"])
    if time.n < 2:
        return ""
    more = "more" if time.difference > 0 else "less"
    reason = "since the arithmetic is the same, this is due to the machine, not to the initialisation"
    return (
        f" Measured here over {time.n} seeds, {time.name} takes {abs(time.difference):.1f} s {more} than {first} on"
        f" average (95 % interval {wording.signed(time.low, 1)} to {wording.signed(time.high, 1)} s):"
        f" {reason if time.differs else 'no difference beyond the noise'}."
    )
