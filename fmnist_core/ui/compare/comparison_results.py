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
from fmnist_core.findings.run_tables import Line, Trained
from fmnist_core.findings.statistics import PLUS_MINUS, Comparison, spread
from fmnist_core.store.run import Run
from fmnist_core.ui.compare import over_hyperparameters
from fmnist_core.ui.compare.compare_view import STATE, View
from fmnist_core.ui.shared import estimate, markdown
from fmnist_core.ui.shared.downloads import csv_file, foot
from fmnist_core.ui.shared.markdown import escaped, table
from fmnist_core.ui.shared.per_run import per_run

FEW_SEEDS = 5


def show(trained: list[Trained], view: View, data: Dataset) -> None:
    """Everything about the runs that are there."""
    if warning := run_tables.uneven(trained):
        markdown.warning(warning)
    baseline = _baseline(trained, view)
    found = statistics.compare(baseline, run_tables.measures(trained), run_tables.compared(trained))
    st.header("Results")
    _table(trained, baseline, found)
    _sentences(trained, found, data)
    _differing(trained)
    st.header("Training curves")
    _curves(trained, view)
    over_hyperparameters.show(trained, view)


def _baseline(trained: list[Trained], view: View) -> str:
    names = run_tables.models(trained)
    return view.baseline if view.baseline in names else names[0]


def _choose_baseline(trained: list[Trained], baseline: str) -> None:
    names = run_tables.models(trained)
    if len(names) < 2:
        return
    start, rest = STATE.control("baseline", baseline)
    st.selectbox(
        "Compare with",
        names,
        names.index(start) if start in names else 0,
        width=320,
        help="The baseline that all others are compared with, seed by seed.",
        **rest,
    )


# --- The table and what it says -------------------------------------------------------------------------------------


def _table(trained: list[Trained], baseline: str, found: list[Comparison]) -> None:
    """The notebook's table; and each network against the baseline in one of its own, so that both fit a narrow page."""
    _choose_baseline(trained, baseline)
    lines = run_tables.lines(trained)
    rows = [
        [_name(line, baseline), str(len(line.seeds)), spread(line.test_loss), spread(line.test_accuracy)]
        for line in lines
    ]
    rows = [[*row, estimate.words(line.seconds.mean)] for row, line in zip(rows, lines, strict=True)]
    table(["Network", "Seeds", "Test loss", "Test accuracy", "Time"], rows)
    st.caption("Mean ± standard deviation over the seeds; a single seed has none. Bold: the baseline.")
    if len(lines) > 1:
        _against(lines, baseline, found, trained)


def _against(lines: list[Line], baseline: str, found: list[Comparison], trained: list[Trained]) -> None:
    """Differences from the baseline."""
    names = run_tables.compared(trained)
    rows = []
    for line in lines:
        own = {one.measure: one for one in found if one.name == line.model}
        if line.model != baseline:
            rows.append([escaped(line.model), *(_difference(own.get(measure)) for measure in names)])
    told = [name.replace("cross_entropy", "cross-entropy").replace("_", " ").capitalize() for name in names]
    table([f"Against {escaped(baseline)}", *told], rows)
    text = "Mean difference over the common seeds ± half of its interval; bold: beyond the noise."
    if names == run_tables.PLAIN:
        terms = dict.fromkeys(term for one in trained for term in one.run.experiment.loss_terms)
        text += f" Cross-entropy: the test loss without the {wording.listed([*terms])}, which says nothing about the predictions."
    st.caption(text)


def _name(line: Line, baseline: str) -> str:
    return f"**{escaped(line.model)}**" if line.model == baseline else escaped(line.model)


def _difference(one: Comparison | None) -> str:
    """Difference with its interval; bold where it is beyond the noise."""
    if one is None:
        return "baseline"
    if not np.isfinite(one.difference):
        return "–"
    if one.n < 2:
        return f"{one.difference:+.3f}"
    text = f"{one.difference:+.3f}{PLUS_MINUS}{(one.high - one.low) / 2:.3f}"
    return f"**{text}**" if one.differs else text


def _sentences(trained: list[Trained], found: list[Comparison], data: Dataset) -> None:
    names = list(dict.fromkeys(one.name for one in found))
    told = [statistics.sentence([one for one in found if one.name == name]) for name in names]
    if pair := _single_pair(trained, data):
        told.append(pair)
    st.markdown("\n".join(f"- {escaped(text)}" for text in told))
    note = statistics.footnote([one for one in found if one.n > 1])
    if 1 < max((one.n for one in found), default=0) < FEW_SEEDS:
        note += " With so few seeds only large differences exceed the noise: five or more show smaller ones."
    if note:
        st.caption(note)


def _single_pair(trained: list[Trained], data: Dataset) -> str:
    """Two single runs on the same test images: McNemar's test."""
    if len(trained) != 2 or len({one.run.data_name for one in trained}) > 1:
        return ""
    if trained[0].run.data_name != data.name or any(not one.run.epochs for one in trained):
        return ""
    a, b = (_correct(one.run, data) for one in trained)
    names = [one.model for one in trained]
    if names[0] == names[1]:
        names = [f"seed {one.seed}" for one in trained]
    return statistics.mcnemar_sentence(names[0], names[1], statistics.mcnemar(a, b))


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
    first = {one.model: one for one in reversed(trained)}
    heads = ["Network", *(FIELDS[name].title for name in fields)]
    rows = [
        [
            escaped(name),
            *(over_hyperparameters.told(run_tables.plain(first[name].run.experiment, field)) for field in fields),
        ]
        for name in run_tables.models(trained)
    ]
    with st.expander(f"The networks differ in: {', '.join(wording.inside(FIELDS[name].title) for name in fields)}"):
        table(heads, rows, "l")
        st.caption("All other hyperparameters are equal.")


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
    st.altair_chart(chart, key=f"compare {view.curve} {view.x}")
    st.altair_chart(overfitting_chart.chart(rows, models), key="compare overfitting")


def _history(trained: list[Trained]) -> pd.DataFrame:
    return _history_of(*((one.model, one.run) for one in trained))


@per_run(max_entries=20)
def _history_of(*runs: tuple[str, Run]) -> pd.DataFrame:
    """The curves of runs with the names of their models."""
    return run_tables.history([Trained(model, run) for model, run in runs])


# --- Files ----------------------------------------------------------------------------------------------------------


def files(trained: list[Trained], view: View) -> None:
    """What can be taken away."""
    files = [
        csv_file(lambda: run_tables.table(trained), "fashion-mnist-comparison.csv"),
        csv_file(lambda: _history(trained), "fashion-mnist-histories.csv", "Histories (CSV)"),
    ]
    if view.study is not None:
        definition = view.study.to_short_json().encode()
        files.append(("Definition (JSON)", lambda: definition, "fashion-mnist-study.json", "application/json"))
    st.divider()
    foot(
        "Download: one row per run, one row per epoch, and the study itself, which can be loaded again. The menu"
        " of each chart saves it as PNG or SVG or shows its Vega-Lite specification.",
        *files,
    )
