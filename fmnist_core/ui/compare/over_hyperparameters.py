"""A comparison against the hyperparameters: heat map, parallel coordinates, scatter; a click leads to the runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from fmnist_core.charts import hyperparameter_grid, parallel_coordinates
from fmnist_core.experiment import wording
from fmnist_core.experiment.hyperparameters import FIELDS
from fmnist_core.findings import run_sentences, run_tables
from fmnist_core.findings.run_tables import Trained
from fmnist_core.store.run import Run
from fmnist_core.ui.compare.compare_view import MEASURES, STATE, View
from fmnist_core.ui.shared import chart_view, expander, markdown, pages, server
from fmnist_core.ui.shared.pages import Page
from fmnist_core.ui.shared.per_run import per_run


def show(trained: list[Trained], view: View) -> None:
    """One that differs: scatter; two: heat map, where they are crossed; more: parallel coordinates."""
    fields = run_tables.differing(trained)
    if not fields or (view.study is not None and view.study.presets):
        return
    st.header("Against the hyperparameters")
    STATE.draw("measure")
    table = _table_of(*((member.model, member.run) for member in trained))
    titles = {name: FIELDS[name].title for name in fields} | MEASURES
    if view.study is not None and len(view.study.axes) == 2 and len(fields) == 2:
        chart = hyperparameter_grid.heat_map(table, fields[0], fields[1], view.measure, titles)
        event = chart_view.show(chart, key=f"compare cells {view.measure}", on_select="rerun")
        if cells := event.selection.get("cell"):
            _links(_runs_of(table, cells[0]))
        else:
            st.caption("Click a cell to see its runs, or choose it below the table.")
        expander.show("As a table", "as a table", lambda: _as_table(table, fields, view.measure))
        return
    field = fields[0]
    if len(fields) > 1:
        chart = parallel_coordinates.chart(table, fields, view.measure, titles)
        _clicked(chart_view.show(chart, key=f"compare lines {view.measure}", on_select="rerun"))
        field = st.selectbox("Against", fields, format_func=titles.__getitem__, width=320, key="compare field")
    chart = hyperparameter_grid.scatter(table, field, view.measure, run_tables.models(trained), titles)
    _clicked(chart_view.show(chart, key=f"compare dots {field} {view.measure}", on_select="rerun"))


@per_run(max_entries=20, shared=True)
def _table_of(*runs: tuple[str, Run]) -> pd.DataFrame:
    """A row for each run, with the names of their models."""
    return run_tables.table([Trained(model, run) for model, run in runs])


def _runs_of(table: pd.DataFrame, cell: Mapping[str, Any]) -> list[str]:
    """Ids of the runs with these values."""
    return list(table["run_id"][np.logical_and.reduce([table[name] == value for name, value in cell.items()])])


def _as_table(table: pd.DataFrame, fields: list[str], measure: str) -> None:
    """The heat map's figures, and a way to each cell's runs, for whoever uses no mouse."""
    x, y = fields
    x_title, y_title = FIELDS[x].title, FIELDS[y].title
    cells = {(row[x], row[y]): row for row in hyperparameter_grid.over_runs(table, fields, measure).to_dict("records")}
    across, down = hyperparameter_grid.distinct(table[x]), hyperparameter_grid.distinct(table[y])
    heads = [y_title, *(f"{x_title} {cell(value)}" for value in across)]
    rows = [[cell(value), *(_figure(cells.get((other, value))) for other in across)] for value in down]
    markdown.table(heads, rows, "l")
    st.caption(f"{MEASURES[measure]}: mean ± standard deviation over the runs.")
    names = {f"{x_title} {cell(a)}, {wording.inside(y_title)} {cell(b)}": {x: a, y: b} for a, b in cells}
    chosen = st.selectbox("Runs of", names, None, placeholder="Choose a cell", width=420)
    if chosen:
        _links(_runs_of(table, names[chosen]))


def _figure(cell: Mapping[Any, Any] | None) -> str:
    """Of the heat map's cell, with its spread where there is one."""
    if cell is None:
        return "–"
    text = f"{cell['figure']} {cell['spread']}" if cell["runs"] > 1 else str(cell["figure"])
    return text.replace(" %", "\u00a0%").replace("± ", "±\u00a0")  # a narrow cell breaks before ± only


def cell(value: Any) -> str:
    """A setting, as from `run_tables.plain`, in a table's cell."""
    return ("yes" if value else "no") if isinstance(value, bool) else wording.number(value)


def _clicked(event: Any) -> None:
    if points := event.selection.get("run"):
        _links([str(point.get("run_id")) for point in points])
    else:
        st.caption("Click a run to open it.")


def _links(run_ids: list[str]) -> None:
    for run in filter(None, map(server.stored, run_ids)):
        name = wording.name(run.experiment, leave_out=("seed",))
        # The name last: a link takes one line, and a narrow page cuts off its end.
        label = f"Seed {run.experiment.seed}, {run_sentences.tested(run.metrics, 'test_accuracy')}: {name}"
        pages.link(Page.TRAIN, label, run.experiment.query(), "arrow_forward")
