"""What a comparison shows and says: the table, the sentences, the curves, the hyperparameters, the files."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from fmnist_core.charts import comparison, overfitting_chart
from fmnist_core.data.dataset import Dataset
from fmnist_core.experiment import wording
from fmnist_core.experiment.hyperparameters import FIELDS
from fmnist_core.findings import run_tables, statistics
from fmnist_core.findings.run_tables import Trained
from fmnist_core.findings.statistics import PLUS_MINUS, Comparison, spread
from fmnist_core.store.run import Run
from fmnist_core.ui.compare import over_hyperparameters
from fmnist_core.ui.compare.compare_view import STATE, View, select
from fmnist_core.ui.shared import chart_view, estimate, expander, markdown, server
from fmnist_core.ui.shared.downloads import File, csv_file
from fmnist_core.ui.shared.markdown import escaped, table
from fmnist_core.ui.shared.per_run import per_run

FEW_SEEDS = 5


def show(trained: list[Trained], view: View, data: Dataset) -> None:
    """Everything about the runs that are there."""
    if warning := run_tables.uneven(trained):
        markdown.warning(warning)
    names = run_tables.models(trained)
    baseline = view.baseline if view.baseline in names else names[0]
    comparisons = statistics.compare(baseline, run_tables.measures(trained), run_tables.compared(trained))
    st.header("Results")
    if len(names) > 1:
        help_text = "The baseline that all others are compared with, seed by seed."
        select("Compare with", names, "baseline", baseline, width=320, help=help_text)
    _summary(trained, baseline)
    if len(names) > 1:
        _differences(trained, baseline, comparisons)
    _sentences(trained, comparisons, data)
    _differing(trained)
    st.header("Training curves")
    _curves(trained, view)
    over_hyperparameters.show(trained, view)


# --- The tables and what they say -----------------------------------------------------------------------------------


def _summary(trained: list[Trained], baseline: str) -> None:
    """The notebook's table. The differences have one of their own, so that both fit a narrow page."""
    rows = []
    for line in run_tables.lines(trained):
        name = f"**{escaped(line.model)}**" if line.model == baseline else escaped(line.model)
        figures = (spread(line.test_loss), spread(line.test_accuracy), estimate.words(line.seconds.mean))
        rows.append([name, str(len(line.seeds)), *figures])
    table(["Network", "Seeds", "Test loss", "Test accuracy", "Time"], rows)
    st.caption("Mean ± standard deviation over the seeds; a single seed has none. Bold: the baseline.")


def _differences(trained: list[Trained], baseline: str, comparisons: list[Comparison]) -> None:
    """Each network against the baseline."""
    measures = run_tables.compared(trained)
    by_key = {(comparison.name, comparison.measure): comparison for comparison in comparisons}
    others = [name for name in run_tables.models(trained) if name != baseline]
    rows = [[escaped(name), *(_difference(by_key.get((name, measure))) for measure in measures)] for name in others]
    titles = [name.replace("cross_entropy", "cross-entropy").replace("_", " ").capitalize() for name in measures]
    table([f"Against {escaped(baseline)}", *titles], rows)
    caption = "Mean difference over the common seeds ± half of its interval; bold: beyond the noise."
    if measures == run_tables.PLAIN:
        terms = dict.fromkeys(term for member in trained for term in member.run.experiment.loss_terms)
        caption += (
            f" Cross-entropy: the test loss without the {wording.listed([*terms])}, which says nothing about the"
            " predictions."
        )
    st.caption(caption)


def _difference(comparison: Comparison | None) -> str:
    """Difference with its interval; bold where it is beyond the noise."""
    if comparison is None:
        return "baseline"
    if not np.isfinite(comparison.difference):
        return "–"
    if comparison.n < 2:
        return f"{comparison.difference:+.3f}"
    text = f"{comparison.difference:+.3f}{PLUS_MINUS}{(comparison.high - comparison.low) / 2:.3f}"
    return f"**{text}**" if comparison.differs else text


def _sentences(trained: list[Trained], comparisons: list[Comparison], data: Dataset) -> None:
    sentences = statistics.sentences(comparisons)
    if pair := _single_pair(trained, data):
        sentences.append(pair)
    st.markdown("\n".join(f"- {escaped(text)}" for text in sentences))
    note = statistics.footnote([comparison for comparison in comparisons if comparison.n > 1])
    if 1 < max((comparison.n for comparison in comparisons), default=0) < FEW_SEEDS:
        note += " With so few seeds only large differences exceed the noise: five or more show smaller ones."
    if note:
        st.caption(note)


def _single_pair(trained: list[Trained], data: Dataset) -> str:
    """Two single runs on the same test images: McNemar's test."""
    if len(trained) != 2 or any(member.run.data_name != data.name or not member.run.epochs for member in trained):
        return ""
    names = [member.model for member in trained]
    if names[0] == names[1]:
        names = [f"seed {member.seed}" for member in trained]
    test = statistics.mcnemar(*(_correct(member.run, data) for member in trained))
    return statistics.mcnemar_sentence(names[0], names[1], test)


def _correct(run: Run, data: Dataset) -> NDArray[np.bool_]:
    """Which test images a run's final network classifies correctly, bool (n_test,)."""
    final = run.metrics["best_epoch"] if run.experiment.patience else run.epochs[-1]
    epoch = final if final in run.epochs else run.epochs[-1]
    correct: NDArray[np.bool_] = run.probabilities(epoch).argmax(1) == data.test_labels
    return correct


def _differing(trained: list[Trained]) -> None:
    """Only the hyperparameters in which the networks differ."""
    fields = run_tables.differing(trained)
    if not fields:
        return
    titles = [FIELDS[field].title for field in fields]

    def values() -> None:
        experiments = {member.model: member.run.experiment for member in reversed(trained)}
        settings = {name: [run_tables.plain(experiments[name], field) for field in fields] for name in experiments}
        names = run_tables.models(trained)
        table(
            ["Network", *titles],
            [[escaped(name), *map(over_hyperparameters.cell, settings[name])] for name in names],
            "l",
        )
        st.caption("All other hyperparameters are equal.")

    expander.show(f"The networks differ in: {', '.join(map(wording.inside, titles))}", "differing", values)


# --- Curves ---------------------------------------------------------------------------------------------------------


def _curves(trained: list[Trained], view: View) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        for name in ("curve", "x", "each"):
            STATE.draw(name)
    rows, models = _history(trained), run_tables.models(trained)
    if view.curve in ("loss", "accuracy"):
        chart = comparison.curves(rows, view.curve, models, view.x, view.each)
    else:
        chart = (comparison.gap if view.curve == "gap" else comparison.rates)(rows, models, view.x)
    chart_view.show(chart, key=f"compare {view.curve} {view.x}")
    chart_view.show(overfitting_chart.chart(rows, models), key="compare overfitting")


def _history(trained: list[Trained]) -> pd.DataFrame:
    return _history_of(*((member.model, member.run) for member in trained))


@per_run(max_entries=20, shared=True)
def _history_of(*runs: tuple[str, Run]) -> pd.DataFrame:
    """The curves of runs with the names of their models."""
    return run_tables.history([Trained(model, run) for model, run in runs])


# --- Files ----------------------------------------------------------------------------------------------------------


def files(trained: list[Trained], view: View, data: Dataset) -> list[File]:
    """What can be taken away: one row per run, one row per epoch, and the study itself."""
    study = view.study

    # As stored when the button is pressed: while the page is drawn again with further results, the button below them is
    # still that of the drawing before.
    def stored() -> list[Trained]:
        return run_tables.of_study(study, data.name, server.stored) if study else trained

    offered = [
        csv_file(lambda: run_tables.table(stored()), "fashion-mnist-comparison.csv"),
        csv_file(lambda: _history(stored()), "fashion-mnist-histories.csv", "Histories (CSV)"),
    ]
    if study:
        definition = study.to_short_json().encode()
        offered.append(("Definition (JSON)", lambda: definition, "fashion-mnist-study.json", "application/json"))
    return offered
