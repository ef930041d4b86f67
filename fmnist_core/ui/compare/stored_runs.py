"""The store's runs as a table: search, filter, choose; name, note, keep; delete with undo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from fmnist_core.experiment import wording
from fmnist_core.experiment.hyperparameters import FIELDS
from fmnist_core.findings import run_tables
from fmnist_core.findings.run_tables import Trained
from fmnist_core.store.run import LONGEST_NAME, LONGEST_NOTE, Run
from fmnist_core.ui.compare.compare_view import STATE, View
from fmnist_core.ui.shared import deleted_runs, markdown, reader_time, server, session, store_notices

TYPED = {"name": LONGEST_NAME, "note": LONGEST_NOTE}  # characters
EDITABLE = ("chosen", "name", "note", "kept")
# What the table shows besides: all columns at once would not fit a narrow page, and scroll sideways.
ALWAYS = ("chosen", "network", "seed")
PARTS = {
    "Results": ("accuracy", "loss"),
    "Training": ("seconds", "epochs", "trained"),
    "Names and notes": ("name", "note", "kept"),
}
ROW = 66  # pixels of a row: a long name goes on over three lines, which Streamlit grants to rows above 4 rem only
FILTERS = tuple(name for name in FIELDS if name not in ("layers", "units"))


def show(view: View) -> list[Trained]:
    """The table; returns the chosen runs, in the store's order."""
    runs, problems = server.store().listing()
    store_notices.show(problems)
    if refusal := server.refusal():
        markdown.error(refusal)
    store_notices.damaged_runs(problems)
    _undo()
    _missing(view, runs)
    if not runs:
        st.info("No network has been trained here yet: train one on page Train, or start a study on the left.")
        return []
    visible = _filtered(runs)
    if visible:
        _table(visible, view)
    else:
        st.info("No run matches; change the search or the filter.")
    chosen = [run for run in runs if run.run_id in view.runs]
    _actions(chosen, hidden=len({*chosen} - {*visible}))
    return run_tables.of_runs(chosen)


def _missing(view: View, runs: Sequence[Run]) -> None:
    missing = deleted_runs.notice([name for name in view.runs if name not in {run.run_id for run in runs}])
    if missing:
        markdown.warning(
            f"Runs of this link that this store cannot show: {', '.join(missing[:3])}{' …' if missing[3:] else ''}."
        )


def _filtered(runs: Sequence[Run]) -> list[Run]:
    """Runs whose words contain the search, and whose setting is one of the chosen values."""
    search, field, values = st.columns([3, 2, 3])
    text = search.text_input("Search", placeholder="a word in the network, the name or the note", key="compare search")
    name = field.selectbox(
        "Filter by", FILTERS, None, format_func=lambda name: FIELDS[name].title, key="compare filter", placeholder="any"
    )
    words = {run: f"{run.name} {run.note} {wording.name(run.experiment)} {run.data_name}" for run in runs if text}
    matching = [run for run in runs if text.lower() in words.get(run, "").lower()]
    if name:
        settings = {run: run_tables.plain(run.experiment, name) for run in runs}
        chosen = values.multiselect("Values", sorted(set(settings.values()), key=str), key=f"compare filter {name}")
        matching = [run for run in matching if not chosen or settings[run] in chosen]
    return matching


def _table(runs: Sequence[Run], view: View) -> None:
    """An editor whose changes go to the store at once. Its key holds the rows: changes are told by row number."""
    part = st.segmented_control(
        "Columns", list(PARTS), default="Results", required=True, label_visibility="collapsed", key="compare columns"
    )
    columns = {name: column for name, column in _columns(view).items() if name in (*ALWAYS, *PARTS[part])}
    rows = pd.DataFrame({name: [cell(run) for run in runs] for name, (_, cell) in columns.items()})
    ids = [run.run_id for run in runs]
    _, widget = STATE.control(f"runs {part} {hash(tuple(ids))}", None, partial(_edit, ids))
    st.data_editor(
        rows,
        hide_index=True,
        height=min(38 + ROW * len(rows), 460),
        row_height=ROW,
        column_config={name: config for name, (config, _) in columns.items()},
        disabled=[name for name in columns if name not in EDITABLE],
        **widget,
    )
    st.caption(
        f"{wording.counted(len(runs), 'run')}; tick those to compare. Click a heading to sort; edit names and"
        " notes in the table. Kept runs stay when the store runs out of space."
    )


def _columns(view: View) -> dict[str, tuple[Any, Callable[[Run], Any]]]:
    """Each column as Streamlit has it, and a run's cell in it."""
    config = st.column_config
    return {
        "chosen": (config.CheckboxColumn("Show", width=72), lambda run: run.run_id in view.runs),
        "network": (config.TextColumn("Network", width=185), _network),
        "seed": (config.NumberColumn("Seed", width=52, format="%d"), lambda run: run.experiment.seed),
        "accuracy": (config.NumberColumn("Test accuracy", format="%.3f"), lambda run: run.metrics["test_accuracy"]),
        "loss": (config.NumberColumn("Test loss", format="%.3f"), lambda run: run.metrics["test_loss"]),
        "seconds": (config.NumberColumn("Time (s)", width=68, format="%.0f"), lambda run: run.metrics["seconds"]),
        "epochs": (config.NumberColumn("Epochs", width=60), lambda run: run.metrics["epochs_done"]),
        "trained": (
            config.DatetimeColumn(reader_time.label("Trained"), format="D MMM YYYY, HH:mm"),
            lambda run: reader_time.local(run.created),
        ),
        "name": (config.TextColumn("Name", max_chars=LONGEST_NAME), lambda run: run.name),
        "note": (config.TextColumn("Note", max_chars=LONGEST_NOTE), lambda run: run.note),
        "kept": (config.CheckboxColumn("Keep"), lambda run: run.kept),
    }


def _network(run: Run) -> str:
    sample = "" if run.data_name == "full" else f" · {run.data_name}"
    return f"{wording.name(run.experiment, leave_out=('seed',))}{sample}{'' if run.complete else ' · stopped'}"


def _edit(ids: Sequence[str], edits: dict[str, Any]) -> None:
    """Changes of rows: the choice goes to the view, the others to the store."""
    for index, changes in edits["edited_rows"].items():
        run_id = ids[int(index)]
        if "chosen" in changes:
            chosen = [name for name in STATE.view.runs if name != run_id] + [run_id] * bool(changes["chosen"])
            STATE.change(runs=tuple(chosen))
        if "kept" in changes:
            with STATE.attempt(""):
                server.store().keep(run_id, bool(changes["kept"]))
        words = {key: wording.one_line(str(changes[key] or ""), most) for key, most in TYPED.items() if key in changes}
        if words:
            with STATE.attempt(""):
                server.store().annotate(run_id, **words)


# --- Delete and undo ------------------------------------------------------------------------------------------------


def _actions(chosen: Sequence[Run], hidden: int) -> None:
    if not chosen:
        st.info("Tick two or more runs above to see them side by side.")
        return
    kept = any(run.kept for run in chosen)
    with st.container(horizontal=True):
        st.button("Choose none", type="tertiary", on_click=STATE.change, kwargs={"runs": ()}, key="compare none")
        st.button(
            f"Delete {wording.counted(len(chosen), 'chosen run')}"
            + (f" ({hidden} hidden by the search)" * (hidden > 0)),
            type="tertiary",
            icon=":material/delete:",
            on_click=_delete,
            args=([run.run_id for run in chosen],),
            disabled=kept,
            help="One of them is a kept run: untick Keep first." if kept else "They can be restored for a week.",
            key="compare delete",
        )


def _delete(ids: list[str]) -> None:
    STATE.change(runs=())
    session.DELETED.set([])
    with STATE.attempt(""):
        for run_id in ids:
            server.store().delete(run_id)
            session.DELETED.set([*session.DELETED.get(), run_id])


def _undo() -> None:
    deleted = session.DELETED.get()
    if not deleted:
        return
    text, button = st.columns([5, 1], vertical_alignment="center")
    text.info(f"Deleted {wording.counted(len(deleted), 'run')}.")
    button.button("Undo", icon=":material/undo:", on_click=_restore, key="compare undo", width="stretch")


def _restore() -> None:
    deleted = session.DELETED.pop()
    with STATE.attempt(""):
        for run_id in deleted:
            server.store().undelete(run_id)
        STATE.change(runs=tuple(deleted))
