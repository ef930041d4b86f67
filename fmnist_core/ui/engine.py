"""The one engine and the one run store of this server, and what a browser session asks of them."""

from __future__ import annotations

import atexit
import math
import time
import uuid

import streamlit as st

from fmnist_core.experiment import Experiment
from fmnist_core.runs.engine import Engine, Snapshot
from fmnist_core.runs.run import Run
from fmnist_core.runs.store import RunStore
from fmnist_core.settings import LabError, settings

SESSION_SECONDS = 30  # A live view draws twice a second; a tab that has been silent this long has gone elsewhere.


@st.cache_resource(show_spinner=False)
def engine() -> Engine:
    """The engine; started once per server, warming up in the background."""
    made = Engine(alive=_alive)
    made.start()
    atexit.register(made.close)
    return made


def wake() -> None:
    """Start the engine with the server's first page, once that page is drawn: the worker warms up while one reads."""
    engine()


def _alive(name: str) -> bool:
    """Whether a session's browser tab was heard of lately."""
    return time.monotonic() - _seen().get(name, -math.inf) < SESSION_SECONDS


@st.cache_resource(show_spinner=False)
def _seen() -> dict[str, float]:
    """When each session last drew something."""
    return {}


@st.cache_resource(show_spinner=False)
def store() -> RunStore:
    """The run store."""
    return RunStore(settings().runs, settings().runs_budget)


def session() -> str:
    """This browser tab's name at the engine."""
    name: str = st.session_state.setdefault("session", uuid.uuid4().hex)
    _seen()[name] = time.monotonic()
    return name


def running(identity: str) -> Snapshot | None:
    """The snapshot of a run that waits or trains, whoever started it; None otherwise."""
    snapshot = engine().snapshot(identity)
    return snapshot if snapshot is not None and snapshot.active else None


def mine() -> Snapshot | None:
    """The snapshot of the training that this session asked for and that has not ended."""
    identity = engine().active(session())
    return running(identity) if identity else None


def notice(identity: str) -> str:
    """What happened to a run of this server that a person should know, or ""."""
    snapshot = engine().snapshot(identity)
    return snapshot.notice if snapshot else ""


def failed(identity: str) -> Snapshot | None:
    """The snapshot of a run whose last training broke."""
    snapshot = engine().snapshot(identity)
    return snapshot if snapshot is not None and snapshot.state == "failed" else None


def stored(identity: str) -> Run | None:
    """The run in the store, whole or stopped."""
    return store().find(identity)


def submit(experiment: Experiment) -> None:
    """Ask for a training; a refusal is kept for the page to show. Meant as a button's callback."""
    state = st.session_state
    state["moved"], state["refused"] = True, ""
    try:
        engine().submit(experiment, session())
    except LabError as error:
        state["refused"] = str(error)


def stop(identity: str) -> None:
    """Leave a training; it ends unless somebody else watches it."""
    engine().stop(identity, session())


def refusal() -> str:
    """Why the last press of Train was refused, once."""
    text: str = st.session_state.pop("refused", "")
    return text
