"""The store's runs as a table: search, filter, choose; name, note, keep; delete with undo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from fmnist_core.experiment import wording
from fmnist_core.experiment.hyperparameters import FIELDS
from fmnist_core.findings import run_tables
from fmnist_core.findings.run_tables import Trained
from fmnist_core.store.run import Run
from fmnist_core.ui.compare.compare_view import STATE, View
from fmnist_core.ui.shared import markdown, server, session

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
    for sentence in server.store().damaged():
        markdown.warning(sentence)
    runs = server.store().runs()
    _undo()
    if not runs:
        st.info("No network has been trained here yet: train one on page Train, or start a study on the left.")
        return []
    shown = _filtered(runs)
    if shown:
        _table(shown, view)
    else:
        st.info("No run matches; change the search or the filter.")
    chosen = [run for run in runs if run.run_id in view.runs]
    _actions(chosen, view, {run.run_id for run in runs}, hidden=len({*chosen} - {*shown}))
    return run_tables.of_runs(chosen)


def _filtered(runs: Sequence[Run]) -> list[Run]:
    """Runs whose words contain the search, and whose setting is one of the wanted values."""
    search, field, values = st.columns([3, 2, 3])
    text = search.text_input("Search", placeholder="a word in the network, the name or the note", key="compare search")
    name = field.selectbox(
        "Filter by", FILTERS, None, format_func=lambda name: FIELDS[name].title, key="compare filter", placeholder="any"
    )
    found = [run for run in runs if text.lower() in _described(run).lower()]
    if name:
        held = {run.run_id: run_tables.plain(run.experiment, name) for run in runs}
        wanted = values.multiselect("Values", sorted(set(held.values()), key=str), key=f"compare filter {name}")
        found = [run for run in found if not wanted or held[run.run_id] in wanted]
    return found


def _described(run: Run) -> str:
    return f"{run.name} {run.note} {wording.name(run.experiment)} {run.data_name}"


def _table(runs: Sequence[Run], view: View) -> None:
    """An editor whose changes go to the store at once. Its key holds the rows: changes are told by row number."""
    part = st.segmented_control(
        "Columns", list(PARTS), default="Results", required=True, label_visibility="collapsed", key="compare columns"
    )
    shown = [*ALWAYS, *PARTS[part]]
    rows = pd.DataFrame([_row(run, view) for run in runs], columns=shown)
    names = [run.run_id for run in runs]
    _, rest = STATE.control(f"runs {part} {hash(tuple(names))}", None, lambda changes: _edited(changes, names))
    st.data_editor(
        rows,
        hide_index=True,
        height=min(38 + ROW * len(rows), 460),
        row_height=ROW,
        column_config=_columns(),
        disabled=[name for name in rows.columns if name not in EDITABLE],
        **rest,
    )
    st.caption(
        f"{wording.counted(len(runs), 'run')}; tick those to compare. Click a heading to sort; edit names and"
        " notes in the table. Kept runs stay when the store runs out of space."
    )


def _columns() -> dict[str, Any]:
    number = st.column_config.NumberColumn
    return {
        "chosen": st.column_config.CheckboxColumn("Show", width=72),
        "network": st.column_config.TextColumn("Network", width=185),
        "seed": st.column_config.NumberColumn("Seed", width=52, format="%d"),
        "accuracy": number("Test accuracy", format="%.3f"),
        "loss": number("Test loss", format="%.3f"),
        "seconds": number("Time (s)", width=68, format="%.0f"),
        "epochs": number("Epochs", width=60),
        "trained": st.column_config.DatetimeColumn("Trained", format="D MMM YYYY, HH:mm"),
        "name": st.column_config.TextColumn("Name", max_chars=80),
        "note": st.column_config.TextColumn("Note", max_chars=300),
        "kept": st.column_config.CheckboxColumn("Keep"),
    }


def _row(run: Run, view: View) -> dict[str, Any]:
    sample = "" if run.data_name == "full" else f" · {run.data_name}"
    stopped = "" if run.complete else " · stopped"
    return {
        "chosen": run.run_id in view.runs,
        "network": f"{wording.name(run.experiment, leave_out=('seed',))}{sample}{stopped}",
        "seed": run.experiment.seed,
        "accuracy": run.metrics["test_accuracy"],
        "loss": run.metrics["test_loss"],
        "seconds": run.metrics["seconds"],
        "epochs": run.metrics["epochs_done"],
        "trained": run.created.astimezone().replace(tzinfo=None),
        "name": run.name,
        "note": run.note,
        "kept": run.kept,
    }


def _edited(changes: dict[str, Any], identities: list[str]) -> None:
    for index, changed in changes["edited_rows"].items():
        _apply(identities[int(index)], changed)


def _apply(identity: str, changes: dict[str, Any]) -> None:
    """Changes of one row: the choice goes to the view, the rest to the store."""
    if "chosen" in changes:
        chosen = [name for name in STATE.view.runs if name != identity] + [identity] * bool(changes["chosen"])
        STATE.change(runs=tuple(chosen))
    if "kept" in changes:
        server.store().keep(identity, bool(changes["kept"]))
    words = {key: str(changes[key] or "")[:300] for key in ("name", "note") if key in changes}
    if words:
        server.store().annotate(identity, **words)


# --- Delete and undo ------------------------------------------------------------------------------------------------


def _actions(chosen: Sequence[Run], view: View, there: set[str], hidden: int) -> None:
    gone = [name for name in view.runs if name not in there]
    if gone:
        markdown.warning(f"{len(gone)} of the runs in this link are not in this store: {', '.join(gone[:3])}.")
    if not chosen:
        st.info("Tick two or more runs above to see them side by side.")
        return
    kept = [run for run in chosen if run.kept]
    with st.container(horizontal=True):
        st.button("Choose none", type="tertiary", on_click=STATE.change, kwargs={"runs": ()}, key="compare none")
        st.button(
            f"Delete {len(chosen)} chosen run{'' if len(chosen) == 1 else 's'}"
            + (f" ({hidden} hidden by the search)" if hidden else ""),
            type="tertiary",
            icon=":material/delete:",
            on_click=_delete,
            args=([run.run_id for run in chosen],),
            disabled=bool(kept),
            help="One of them is a kept run: untick Keep first." if kept else "They can be restored for a week.",
            key="compare delete",
        )


def _delete(identities: list[str]) -> None:
    STATE.change(runs=())
    session.DELETED.set([])
    with STATE.attempt(""):
        for identity in identities:
            server.store().delete(identity)
            session.DELETED.set([*session.DELETED.get(), identity])


def _undo() -> None:
    deleted = session.DELETED.get()
    if not deleted:
        return
    text, button = st.columns([5, 1], vertical_alignment="center")
    text.info(f"Deleted {len(deleted)} run{'' if len(deleted) == 1 else 's'}.")
    button.button("Undo", icon=":material/undo:", on_click=_bring_back, key="compare undo", width="stretch")


def _bring_back() -> None:
    deleted = session.DELETED.pop()
    with STATE.attempt(""):
        for identity in deleted:
            server.store().undelete(identity)
        STATE.change(runs=tuple(deleted))
