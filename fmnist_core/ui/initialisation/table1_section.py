"""Table 1 of Glorot & Bengio (2010) on Fashion-MNIST: its cost, its making, the table beside the paper's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from fmnist_core.charts import table1_charts as charts
from fmnist_core.data import dataset
from fmnist_core.data.dataset import Dataset
from fmnist_core.engine.analyses import table1_analysis
from fmnist_core.experiment import table1_plan, wording
from fmnist_core.experiment.analysis_facts import Table1Facts
from fmnist_core.experiment.recording import to_json_types
from fmnist_core.findings.table1_ledger import Ledger, TableSoFar, ledger_path
from fmnist_core.findings.table1_result import available, sentences
from fmnist_core.ui.initialisation.initialisation_view import STATE, View
from fmnist_core.ui.shared import analysis_panel, chart_view
from fmnist_core.ui.shared.downloads import csv_file, foot


def show(view: View) -> None:
    """The whole part."""
    st.markdown(
        "The paper's table 1: five hidden layers with softsign, tanh or sigmoid, from the standard or the"
        " normalised initialisation (N), trained by plain SGD in batches of 10, with the learning rate with the"
        " lowest validation error. Here on Fashion-MNIST, and with several seeds for each row, so that a"
        " difference can be distinguished from chance."
    )
    data = dataset.load()
    for column, name in zip(st.columns(2, gap="medium", vertical_alignment="bottom"), ("plan", "seeds"), strict=True):
        with column:
            STATE.draw(name)
    plan = table1_plan.plan(view.plan, view.seeds)
    _protocol(plan, data)
    key = (plan.name, plan.seeds, data.name)
    facts, done = _so_far(*key, _changed())
    if facts["stopped"]:

        def draw(_: object) -> None:
            st.html(charts.html(_so_far(*key, _changed())[0]))

        analysis, start = table1_analysis(plan, data), "Continue" if done else "Make the table"
        result = analysis_panel.result(analysis, at_once=False, draw=draw, start=start, caption=_announced(*key, done))
        if result is None:
            return
        facts = result.facts
    st.html(charts.html(facts))
    _sentences(facts)


def _protocol(plan: table1_plan.Plan, data: Dataset) -> None:
    """What this version does, beside what the paper did."""
    images = round(plan.fraction(available(data)) * available(data))
    st.caption(
        f"This version: {wording.counted(plan.units, 'unit')} a layer (the paper: 1,000), {images:,} training images,"
        f" {wording.counted(plan.passes(available(data)), 'epoch')}, batches of {plan.batch_size}, learning rates"
        f" {', '.join(f'{rate:g}' for rate in plan.rates)}, each tried with"
        f" {wording.counted(plan.search_seeds, 'seed')}. Finished trainings are kept: you can stop and continue later."
    )


@st.cache_data(show_spinner=False, max_entries=20)
def _announced(plan: str, seeds: int, data_name: str, done: int) -> str:
    """The cost; measured once, so that the sentence does not flicker."""
    return table1_plan.announced(table1_plan.plan(plan, seeds), available(dataset.load(data_name)), done)


def _changed() -> int:
    """When the last training of a table was noted."""
    try:
        return ledger_path().stat().st_mtime_ns
    except OSError:
        return 0


@st.cache_data(show_spinner=False, max_entries=10)
def _so_far(plan: str, seeds: int, data_name: str, changed: int) -> tuple[Table1Facts, int]:
    """What there is of the table, and how many of its trainings. changed: the state of the ledger it comes from."""
    table = TableSoFar(table1_plan.plan(plan, seeds), dataset.load(data_name), Ledger(ledger_path()))
    return table.facts(), len(table.finished)


def _sentences(facts: Mapping[str, Any]) -> None:
    """What the table says, the seeds behind the numbers, and the files."""
    st.markdown("\n".join(f"- {text}" for text in sentences(facts)))
    protocol = facts["protocol"]
    st.caption(
        "Ten classes: guessing gives an error of 90 %. Bold by the paper's rule: not different from the lowest"
        f" mean with p = {protocol['alpha']:g} (here a {protocol['test']}; nothing with fewer than"
        f" {table1_plan.TELLING_SEEDS} seeds). The paper's columns are as published; its errors are on other data"
        " sets, so compare rows with each other, not numbers across columns. It has no row for sigmoid N."
    )
    for activation in table1_plan.ACTIVATIONS:
        chart_view.show(charts.seeds(facts, activation), key=f"initialisation table1 {activation}")
    foot(
        f"{protocol['trainings']} trainings, {facts['training_seconds'] / 60:.0f} min one after the other.",
        csv_file(lambda: _by_seed(facts), "fashion-mnist-table1.csv"),
        ("Result (JSON)", lambda: _json(facts), "fashion-mnist-table1.json", "application/json"),
    )


def _json(facts: Mapping[str, Any]) -> bytes:
    return json.dumps(to_json_types(facts), indent=1, allow_nan=False).encode()


def _by_seed(facts: Mapping[str, Any]) -> pd.DataFrame:
    """One row a seed."""
    seeds, names = facts["protocol"]["seeds"], ("name", "activation", "initialisation", "learning_rate")
    rows = [
        {**{name: row[name] for name in names}, "seed": seed, "test_error": error}
        for row in facts["rows"]
        for seed, error in zip(seeds, row["test_error"]["seeds"], strict=True)
    ]
    return pd.DataFrame(rows)
