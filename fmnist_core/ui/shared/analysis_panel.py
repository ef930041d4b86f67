"""An analysis on a page: its result when it is there, else its progress, a way to stop it, and a way to start it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from fmnist_core.engine.analyses import Analysis, Facts
from fmnist_core.engine.service import AnalysisSnapshot
from fmnist_core.store.result_store import Result
from fmnist_core.ui.shared import estimate, markdown, progress, server, session

PERIOD = 0.3  # seconds between two looks
Draw = Callable[[NDArray[np.float32] | None], None]


def result(
    analysis: Analysis[Facts],
    *,
    at_once: bool = True,
    draw: Draw | None = None,
    start: str = "Compute",
    caption: str = "",
) -> Result[Facts] | None:
    """The result, or None after showing how far it is.

    at_once: whether it starts by itself, as what takes seconds may. draw: shows the unfinished picture, or what
    stands for it. start, caption: the words on the button that starts it, and beside it.
    """
    snapshot = server.analysis(analysis.name)  # before the look into the store: one that is done by now is there
    stored = server.results().find(analysis.run, analysis.name)
    if stored is not None:
        return stored
    active = snapshot is not None and snapshot.active
    failed = snapshot is not None and snapshot.state == "failed"
    if not active and not failed and at_once and analysis.name not in session.STOPPED.get():
        server.submit_analysis(analysis)
        active = True
    if active:
        _watch(analysis, draw)
        return None
    if failed and snapshot is not None:
        markdown.error(f"{analysis.title} failed: {snapshot.error}")
    _button(analysis, "Try again" if failed else start, caption)
    if draw is not None:
        draw(None)
    return None


def _button(analysis: Analysis[Any], label: str, caption: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.button(
            label,
            icon=":material/play_arrow:",
            key=f"start {analysis.name}",
            on_click=_start,
            args=(analysis,),
            type="primary",
        )
        if caption:
            st.caption(caption, width="stretch")


def _start(analysis: Analysis[Any]) -> None:
    session.STOPPED.set(session.STOPPED.get() - {analysis.name})
    server.submit_analysis(analysis)


def _stop(analysis: Analysis[Any]) -> None:
    session.STOPPED.set(session.STOPPED.get() | {analysis.name})
    server.stop_analysis(analysis.name)


def _watch(analysis: Analysis[Any], draw: Draw | None) -> None:
    def read() -> AnalysisSnapshot | None:
        snapshot = server.analysis(analysis.name)
        return snapshot if snapshot is not None and snapshot.active else None

    progress.watch(read, lambda snapshot: _draw(analysis, snapshot, draw), PERIOD, analysis.name)


def _draw(analysis: Analysis[Any], snapshot: AnalysisSnapshot, draw: Draw | None) -> None:
    if snapshot.state == "queued" and snapshot.place:
        others = "one analysis is" if snapshot.place == 1 else f"{snapshot.place} analyses are"
        doing = f"waiting: {others} before this one"
    else:
        doing = snapshot.doing or "a worker is starting"
    left = snapshot.seconds_left
    remaining = f" · about {estimate.words(left)} left" if left and left > 1 else ""
    text = f"{analysis.title}: {doing}{remaining}"
    progress.bar(snapshot.fraction, text, _stop, analysis, key=f"stop {analysis.name}", notices=(snapshot.notice,))
    if draw is not None:
        draw(server.results().seen(analysis.run, analysis.name))
