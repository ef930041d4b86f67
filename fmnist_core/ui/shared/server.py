"""The one engine and the one run store of this server, and what a browser session asks of them."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from fmnist_core.engine.analyses import Analysis
from fmnist_core.engine.service import AnalysisSnapshot, Engine, Snapshot, StudySnapshot, race_name
from fmnist_core.errors import LabError
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.study import Study
from fmnist_core.store.result_store import Results
from fmnist_core.store.run import Run
from fmnist_core.store.run_store import RunStore, configured_store
from fmnist_core.ui.shared import memory
from fmnist_core.ui.shared import session as remembered
from fmnist_core.ui.shared.watchers import Watchers

TAB = "tab "  # begins the name of a tab


@st.cache_resource(show_spinner=False)
def engine() -> Engine:
    """The engine; started once per server, warming up in the background."""
    engine = Engine(alive=_alive, keep=True)
    engine.start()
    atexit.register(engine.close)
    return engine


def wake() -> None:
    """Start the engine with the server's first page, once that page is drawn: the worker warms up while one reads."""
    engine()
    memory.keep_flat()


def _alive(name: str) -> bool:
    """Whether a person has a tab that is connected; or whether that one tab is, which asked for an analysis."""
    if name.startswith(TAB):
        return _connected(name.removeprefix(TAB))
    return any(map(_connected, tuple(_tabs().get(name, ()))))


def _connected(tab: str) -> bool:
    return runtime.exists() and runtime.get_instance().is_active_session(tab)


@st.cache_resource(show_spinner=False)
def _tabs() -> dict[str, set[str]]:
    """Each person's tabs, by Streamlit's name of their session: a reloaded page is another one."""
    return {}


@st.cache_resource(show_spinner=False)
def watchers() -> Watchers:
    """The tabs that look at something live."""
    return Watchers()


@st.cache_resource(show_spinner=False)
def store() -> RunStore:
    """The run store."""
    return configured_store()


def session() -> str:
    """This person's name at the engine: of the browser where its cookie tells it, so that a reload changes nothing;
    else of the tab.
    """
    context = get_script_run_ctx()
    tab = context.session_id if context else ""
    name = _browser(st.context.cookies.get("_streamlit_xsrf", "")) or tab
    tabs = _tabs()
    if name not in tabs:  # somebody new: time to forget those who have left
        for person in [each for each in tuple(tabs) if not _alive(each)]:
            tabs.pop(person, None)
    tabs[name] = {tab, *filter(_connected, tabs.get(name, ()))}
    return name


def tab() -> str:
    """This tab's name at the engine. Analyses are a tab's: two maps in two tabs do not replace each other."""
    context = get_script_run_ctx()
    return TAB + (context.session_id if context else "")


def _browser(cookie: str) -> str:
    """The token in Streamlit's cookie against forged requests ("2|mask|masked token|time"), one for each browser."""
    try:
        _, mask, masked, _ = cookie.split("|")
        key, text = bytes.fromhex(mask), bytes.fromhex(masked)
        return bytes(byte ^ key[index % len(key)] for index, byte in enumerate(text)).hex()
    except (ValueError, ZeroDivisionError):
        return ""


def running(run_id: str) -> Snapshot | None:
    """The snapshot of a run that waits or trains, whoever started it; None otherwise."""
    snapshot = engine().snapshot(run_id)
    return snapshot if snapshot is not None and snapshot.active else None


def mine() -> Snapshot | None:
    """The snapshot of the training that this session asked for and that has not ended."""
    run_id = engine().active(session())
    return running(run_id) if run_id else None


def notice(run_id: str) -> str:
    """What happened to a run of this server that a person should know, or ""."""
    snapshot = engine().snapshot(run_id)
    return snapshot.notice if snapshot else ""


def failed(run_id: str) -> Snapshot | None:
    """The snapshot of a run whose last training broke."""
    snapshot = engine().snapshot(run_id)
    return snapshot if snapshot is not None and snapshot.state == "failed" else None


def stored(run_id: str) -> Run | None:
    """The run in the store, whole or stopped."""
    return store().find(run_id)


def opened(run_id: str) -> Run | None:
    """As `stored`, for a person who looks at this run: it is the last to make room for others."""
    run = stored(run_id)
    if run:
        store().touch(run_id)
    return run


def set_aside(run_id: str) -> None:
    """Move a damaged run out of the way. Meant as a button's callback."""
    _ask(lambda: store().set_aside(run_id))


def put_back(name: str) -> None:
    """Bring back a run that was set aside. Meant as a button's callback."""
    _ask(lambda: store().put_back(name))


def bring_back(run_ids: Sequence[str]) -> None:
    """Bring back runs that were deleted. Meant as a button's callback."""
    for run_id in run_ids:
        _ask(partial(store().undelete, run_id))


def submit(experiment: Experiment) -> None:
    """Ask for a training; a refusal is kept for the page to show. Meant as a button's callback."""
    remembered.GOES_ON.set("")
    _ask(lambda: engine().submit(experiment, session()))


def submit_study(study: Study) -> None:
    """Ask for a study's runs; as `submit`."""
    _ask(lambda: engine().submit_study(study, session()))


def submit_race(experiments: Sequence[Experiment]) -> None:
    """Ask for a race; as `submit`."""
    _ask(lambda: engine().submit_race(experiments, session()))


def results() -> Results:
    """The results of analyses."""
    return Results(store())


def submit_analysis(analysis: Analysis[Any]) -> None:
    """Ask for an analysis; this tab's earlier one of the same kind is left."""
    engine().submit_analysis(analysis, tab())


def stop_analysis(name: str) -> None:
    """Leave an analysis; it ends unless another tab wants it, too."""
    engine().stop(name, tab())


def analysis(name: str) -> AnalysisSnapshot | None:
    """An analysis of this server as it is now; None when it was not asked for, or long ago."""
    return engine().analysis(name)


def _ask(request: Callable[[], object]) -> None:
    remembered.REFUSED.set("")
    try:
        request()
    except LabError as error:
        remembered.REFUSED.set(str(error))


def race(experiments: Sequence[Experiment]) -> tuple[Snapshot, ...]:
    """The race of these experiments as it is now, lane by lane."""
    return engine().race(race_name(experiments))


def study(digest: str) -> StudySnapshot | None:
    """A study of this server as it is now."""
    return engine().study(digest)


def my_study() -> Study | None:
    """The study that this session asked for and that has not ended."""
    return engine().active_study(session())


def stop_study(digest: str) -> None:
    """End a study. Meant as a button's callback."""
    engine().stop_study(digest)


def stop(run_id: str) -> None:
    """Leave a training; it ends unless somebody else asked for it. Meant as a button's callback."""
    remembered.GOES_ON.set("" if engine().stop(run_id, session()) else run_id)


def goes_on(run_id: str) -> str:
    """Why a training goes on that this session wanted to stop, or ""."""
    if remembered.GOES_ON.get() != run_id:
        return ""
    return "Someone else is waiting for this training too, so it continues."


def refusal() -> str:
    """Why the last press of Train was refused, once."""
    return remembered.REFUSED.pop()
