"""The progress panel: it polls while something runs, draws it, offers to stop it, and redraws the page at its end.

And what a training that is under way tells: its state in words, its figures, its history so far.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

import pandas as pd
import streamlit as st

from fmnist_core.engine.service import Snapshot
from fmnist_core.experiment.recording import EpochRecord
from fmnist_core.ui.components.visibility.hidden_tab import hidden
from fmnist_core.ui.shared import markdown, server

T = TypeVar("T")
HIDDEN = 10.0  # seconds between two looks of a tab that nobody sees
SETTLED = 5.0  # seconds that a tab keeps its interval at least
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


def watch(read: Callable[[], T | None], draw: Callable[[T], None], period: float, name: str) -> None:
    """Draw the state every `period` seconds until it is None, which it is at the end; then the page is drawn again.

    Where many watch, the looks are further apart, and in a tab that nobody sees. name: what is watched, once on a page.
    """
    with st.container(gap=None):
        # Outside the fragment: one within another is lost where the outer one is drawn again at the wrong moment, and
        # the inner one's looks go nowhere from then on. A tab that is hidden or shown draws the page again.
        planned = HIDDEN if hidden(f"hidden {name}") else period
        interval = server.watchers().interval(server.tab(), planned)
        st.fragment(_look, run_every=interval)(read, draw, planned, interval, time.monotonic())


def _look(
    read: Callable[[], T | None], draw: Callable[[T], None], planned: float, interval: float, since: float
) -> None:
    """One look. interval, since: how often, and from when on, this tab looks."""
    server.session()  # tells the engine that this tab is there
    state = read()
    wanted = server.watchers().interval(server.tab(), planned)
    if state is None or (wanted != interval and time.monotonic() - since > SETTLED):
        st.rerun()
    else:
        draw(state)


def bar(
    fraction: float, text: str, stop: Callable[..., None], *args: Any, key: str = "stop", notices: Iterable[str] = ()
) -> None:
    """A bar from 0 to 1 with its text, the button Stop beside it, and what else a person should know below.

    stop, args: the button's callback. key: the button's. Empty notices are left out.
    """
    progress, button = st.columns([5, 1], vertical_alignment="center")
    progress.progress(min(fraction, 1.0), text=text)
    button.button("Stop", icon=":material/stop:", key=key, on_click=stop, args=args, width="stretch")
    for notice in filter(None, notices):
        markdown.info(notice)


# --- A training -----------------------------------------------------------------------------------------------------


def last_epoch(snapshot: Snapshot) -> EpochRecord | None:
    """The latest trained epoch; epoch 0, before training, is none."""
    return next((record for record in reversed(snapshot.history) if record.epoch), None)


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
    bar(min(map(share, snapshots)), sentence(first), server.stop, first.run_id, notices=notices)


def metrics(figures: Mapping[str, str]) -> None:
    """Figures by label, side by side as far as there is room: a narrow page takes more lines, and cuts no label."""
    with st.container(horizontal=True):
        for label, figure in figures.items():
            st.metric(label, figure, width=FIGURE)


def frame(records: Sequence[EpochRecord]) -> pd.DataFrame:
    """Records as a table with EpochRecord's columns, also when there are none yet."""
    return pd.DataFrame([asdict(record) for record in records], columns=COLUMNS)
