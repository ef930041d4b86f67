"""What a training that is under way tells: its state in words, its figures, its history so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import pandas as pd
import streamlit as st

from fmnist_core.engine.service import Snapshot
from fmnist_core.experiment.recording import EpochRecord
from fmnist_core.ui.shared import progress, server

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


def headline(*snapshots: Snapshot) -> None:
    """Progress, Stop and notices of a training, or of a race, whose lanes share one job."""
    first = snapshots[0]
    notices = (first.notice, server.goes_on(first.run_id))
    progress.bar(min(map(share, snapshots)), sentence(first), server.stop, first.run_id, notices=notices)


def metrics(figures: Mapping[str, str]) -> None:
    """Figures by label, side by side as far as there is room: a narrow page takes more lines, and cuts no label."""
    with st.container(horizontal=True):
        for label, figure in figures.items():
            st.metric(label, figure, width=FIGURE)


def frame(records: Sequence[EpochRecord]) -> pd.DataFrame:
    """Records as a table with EpochRecord's columns, also when there are none yet."""
    return pd.DataFrame([asdict(record) for record in records], columns=COLUMNS)
