"""Everything that a browser session remembers: each entry of Streamlit's session state, declared once, with its type.

An entry may be kept once for the session, or once for each page, run, or whatever its name goes on with. Values of
widgets are read here too: their keys are made where they are drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit.runtime.scriptrunner import get_script_run_ctx

from fmnist_core.ui.shared.pages import Page

T = TypeVar("T")


class Entry(Generic[T]):
    """One thing that the session remembers. default: makes the value that holds until one is set."""

    def __init__(self, name: str, default: Callable[[], T]) -> None:
        self._name, self._default = name, default

    def get(self, *of: object) -> T:
        """The value. of: whose, for an entry that is kept for several."""
        name = self.key(*of)
        return st.session_state[name] if name in st.session_state else self._default()

    def set(self, value: T, *of: object) -> None:
        """Remember a value."""
        st.session_state[self.key(*of)] = value

    def pop(self, *of: object) -> T:
        """The value, which is then forgotten."""
        value = self.get(*of)
        st.session_state.pop(self.key(*of), None)
        return value

    def key(self, *of: object) -> str:
        """Its name in the session's state; also the key of a widget whose value is the entry's."""
        return " ".join([self._name, *(part.name.lower() if isinstance(part, Page) else str(part) for part in of)])


@dataclass
class Control:
    """A control of a page's view, as it was drawn last. start: the value it began with. value: what it was to show."""

    key: str
    start: Any
    value: Any


@dataclass(frozen=True)
class Expander:
    """What is closed at first, as it was drawn last. start: whether it was open when it came to the screen."""

    label: str = ""
    start: bool = False
    open: bool = False


@dataclass
class PageState:
    """A page's view, and what belongs to it.

    problems: sentences on what could not be used. query: the URL parameters that the address was given. mirrored: the
    view that they stand for. assumed: what the page itself filled in where the address left it open. controls: by name.
    counts: of how often each was drawn anew. taking: the control that is moving.
    """

    view: Any
    problems: list[str] = field(default_factory=list)
    query: Mapping[str, str] = field(default_factory=dict)
    mirrored: Any = None
    assumed: dict[str, Any] = field(default_factory=dict)
    controls: dict[str, Control] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    taking: str = ""


# The page that is open; whether the browser has just gone to an address (opened it, followed a link, gone back); and
# each page's view.
PAGE = Entry[Page | None]("page", lambda: None)
FOLLOWED = Entry("followed", bool)
STATE = Entry[PageState | None]("state of", lambda: None)

RUN = Entry("run", str)  # looked at last, on whichever page looks into a run
REFUSED = Entry("refused", str)  # why the last start of a training was refused
GOES_ON = Entry("goes on", str)  # the run that this session tried to stop, and others still watch
STOPPED = Entry[set[str]]("analyses stopped", set)  # names of those that this session stopped

EXPANDER = Entry("expander state", Expander)  # for each name
PLAYING = Entry("playing", bool)  # for each page: whether its epochs are played
SHOWN_SINCE = Entry("epoch shown since", float)  # for each page: time.monotonic()

LAST_STUDY = Entry[Any]("compare last study", lambda: None)  # its seeds, epochs and images go on with another kind
UPLOADS = Entry("compare uploads", int)  # studies loaded so far: the next uploader is a new one
UPLOAD = Entry[Any]("compare upload", lambda: None)  # for each of them: the file
DELETED = Entry[list[str]]("compare deleted", list)  # runs that can be brought back

MORE = Entry[tuple[Any, int]]("inspect more", lambda: (None, 0))  # which images, and how many of them are shown
MATRIX = Entry[Any]("inspect confusion", lambda: None)  # the confusion matrix' selection
SKETCH = Entry[NDArray[np.uint8] | None]("inspect sketch last", lambda: None)
SKETCHES = Entry("inspect sketch version", int)  # images put on the canvas so far
UPLOADED = Entry[Any]("inspect uploaded", lambda: None)  # the picture: its control forgets it when it leaves the screen

LASSO = Entry[tuple[Any, tuple[int, ...]]]("embeddings lasso", lambda: (None, ()))  # the map's images, and those taken
INITIAL = Entry("initialisation latest", str)  # the result that is on the screen

PRESET = Entry[str | None]("preset", lambda: None)  # of page Train: the one that was chosen
DROPOUT_STEP = Entry("dropout step", int)  # for each run
DROPOUT_IMAGE = Entry("dropout image", int)  # for each run


def arrive(page: Page) -> None:
    """Note which page is open, and whether the browser went to its address itself: only then is the address read.

    A rerun for any other reason may come from a browser that has not received the latest address yet.
    """
    context = get_script_run_ctx()
    if PAGE.get() is not page or (context is not None and context.is_history_navigation):
        FOLLOWED.set(True)
    PAGE.set(page)


def widget(key: str) -> Any:
    """The value of a widget, None where there is none of that key."""
    return st.session_state.get(key)


def drawn(key: str) -> bool:
    """Whether a widget of that key is on the screen."""
    return key in st.session_state
