"""The live view of a training: it looks at the engine's snapshot twice a second, and only while something runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd
import streamlit as st

from fmnist_core.charts import curves
from fmnist_core.recording import EpochRecord
from fmnist_core.runs.engine import Snapshot
from fmnist_core.ui import engine, estimate

PERIOD = 0.5  # seconds between two looks
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
    """The live view; when the run ends the page is drawn again, with its result."""
    _fragment(identity)


@st.fragment(run_every=PERIOD)
def _fragment(identity: str) -> None:
    engine.session()  # this tab is there
    snapshot = engine.running(identity)
    if snapshot is None:
        st.rerun()
        return
    _headline(snapshot)
    _figures(snapshot)
    _charts(snapshot)


def _headline(snapshot: Snapshot) -> None:
    text, button = st.columns([5, 1], vertical_alignment="center")
    text.progress(_share(snapshot), text=_sentence(snapshot))
    button.button("Stop", icon=":material/stop:", on_click=engine.stop, args=(snapshot.run_id,), width="stretch")
    if snapshot.notice:
        st.info(snapshot.notice)


def _share(snapshot: Snapshot) -> float:
    total = snapshot.steps_per_epoch * snapshot.experiment.epochs
    return min(snapshot.step / total, 1.0) if total else 0.0


def _sentence(snapshot: Snapshot) -> str:
    if snapshot.state == "queued" and snapshot.place:
        others = "one training is" if snapshot.place == 1 else f"{snapshot.place} trainings are"
        return f"Waiting: {others} before this one"
    watchers = f" · {snapshot.watchers} sessions watch this run" if snapshot.watchers > 1 else ""
    return STATES[snapshot.state] + watchers


def _figures(snapshot: Snapshot) -> None:
    last = snapshot.history[-1] if snapshot.history else None
    epoch, left, speed, train, validation = st.columns(5)
    epoch.metric("Epoch", f"{snapshot.epoch} of {snapshot.experiment.epochs}")
    left.metric("Time left", "–" if snapshot.seconds_left is None else estimate.words(snapshot.seconds_left))
    speed.metric("Images a second", f"{snapshot.examples_per_second:,.0f}" if snapshot.examples_per_second else "–")
    train.metric("Training accuracy", f"{snapshot.accuracy:.3f}" if snapshot.step else "–")
    validation.metric("Validation accuracy", f"{last.val_accuracy:.3f}" if last else "–")


def _charts(snapshot: Snapshot) -> None:
    history = frame(snapshot.history)
    per_epoch = max(snapshot.steps_per_epoch, 1)
    steps = [(step / per_epoch, loss) for step, loss in snapshot.step_losses]
    epochs = snapshot.experiment.epochs
    left, right = st.columns(2, gap="medium")
    left.altair_chart(curves.curve("loss", history, epochs, steps), key="live loss")
    right.altair_chart(curves.curve("accuracy", history, epochs), key="live accuracy")
    st.caption("Thin line: the loss of single training steps. Dots: after each epoch.")


def frame(records: Sequence[EpochRecord]) -> pd.DataFrame:
    """Records as a table with EpochRecord's columns, also when there are none yet."""
    return pd.DataFrame([asdict(record) for record in records], columns=COLUMNS)
