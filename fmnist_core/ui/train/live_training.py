"""The live view of a training: it looks at the engine's snapshot twice a second, and only while something runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd
import streamlit as st

from fmnist_core.charts import curves, theme
from fmnist_core.engine.service import Snapshot
from fmnist_core.experiment.recording import EpochRecord
from fmnist_core.ui.shared import estimate, server

PERIOD = 0.5  # seconds between two looks
EAGER = 0.2  # until the first step is done: everybody waits for that one
FIGURE = 132  # pixels: the longest label
STATES = {
    "queued": "Waiting",
    "starting": "A worker is starting",
    "compiling": "Compiling the network for this machine",
    "training": "Training",
    "testing": "Testing on the test images",
    "saving": "Saving the run",
}
COLUMNS = list(EpochRecord.__dataclass_fields__)


def show(identity: str) -> None:
    """The live view; when the first step is done, and when the run ends, the page is drawn again."""
    snapshot = server.running(identity)
    begun = snapshot is not None and snapshot.step > 0
    st.fragment(_look, run_every=PERIOD if begun else EAGER)(identity, begun)


def _look(identity: str, begun: bool) -> None:
    server.session()  # this tab is there
    snapshot = server.running(identity)
    if snapshot is None or (snapshot.step > 0) is not begun:
        st.rerun()
        return
    _headline(snapshot)
    _figures(snapshot)
    _charts(snapshot)


def _headline(snapshot: Snapshot) -> None:
    text, button = st.columns([5, 1], vertical_alignment="center")
    text.progress(share(snapshot), text=sentence(snapshot))
    button.button("Stop", icon=":material/stop:", on_click=server.stop, args=(snapshot.run_id,), width="stretch")
    for told in filter(None, (snapshot.notice, server.goes_on(snapshot.run_id))):
        st.info(told)


def share(snapshot: Snapshot) -> float:
    """The part of a training's steps that is done."""
    total = snapshot.steps_per_epoch * snapshot.experiment.epochs
    return min(snapshot.step / total, 1.0) if total else 0.0


def sentence(snapshot: Snapshot) -> str:
    """What happens to a training now."""
    if snapshot.state == "queued" and snapshot.place:
        others = "one training is" if snapshot.place == 1 else f"{snapshot.place} trainings are"
        return f"Waiting: {others} before this one"
    watchers = f" · {snapshot.watchers} sessions watch this run" if snapshot.watchers > 1 else ""
    return STATES[snapshot.state] + watchers


def _figures(snapshot: Snapshot) -> None:
    last = next((record for record in reversed(snapshot.history) if record.epoch), None)  # epoch 0 is untrained
    speed = snapshot.examples_per_second
    metrics(
        {
            "Epoch": f"{snapshot.epoch} of {snapshot.experiment.epochs}",
            "Time left": "–" if snapshot.seconds_left is None else estimate.words(snapshot.seconds_left),
            "Images a second": f"{speed:,.0f}" if speed else "–",
            "Training accuracy": f"{snapshot.accuracy:.3f}" if snapshot.step else "–",
            "Validation accuracy": f"{last.val_accuracy:.3f}" if last else "–",
        }
    )


def metrics(figures: Mapping[str, str]) -> None:
    """Figures by label, side by side as far as there is room: a narrow page takes more lines, and cuts no label."""
    with st.container(horizontal=True):
        for label, figure in figures.items():
            st.metric(label, figure, width=FIGURE)


def _charts(snapshot: Snapshot) -> None:
    loss, accuracy = _pictures(snapshot.run_id, snapshot.step, len(snapshot.history), snapshot)
    left, right = st.columns(2, gap="medium")
    left.vega_lite_chart(loss, key="live loss")
    right.vega_lite_chart(accuracy, key="live accuracy")
    st.caption("Thin line: the loss of single training steps. Dots: after each epoch.")


@st.cache_data(show_spinner=False, max_entries=20)
def _pictures(run_id: str, step: int, epochs: int, _snapshot: Snapshot) -> tuple[dict[str, Any], dict[str, Any]]:
    """Loss and accuracy so far, drawn once for all who watch."""
    history = frame(_snapshot.history if step else ())  # the untrained network alone is no curve
    per_epoch = max(_snapshot.steps_per_epoch, 1)
    steps = [(step / per_epoch, loss) for step, loss in _snapshot.step_losses]
    end = _snapshot.experiment.epochs
    charts = (
        curves.curve("loss", history, end, steps, penalty=bool(_snapshot.experiment.l2)),
        curves.curve("accuracy", history, end),
    )
    return theme.specification(charts[0]), theme.specification(charts[1])


def frame(records: Sequence[EpochRecord]) -> pd.DataFrame:
    """Records as a table with EpochRecord's columns, also when there are none yet."""
    return pd.DataFrame([asdict(record) for record in records], columns=COLUMNS)
