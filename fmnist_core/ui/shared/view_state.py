"""A page's view in the session, mirrored to its address, and the controls that change it.

The view is the truth, and the address follows it. The address is read only where the browser went to it: when the page
is opened, when a link is followed, when it goes back or forward (`session.arrive` tells). Any other rerun may come from
a browser that has not received the latest address yet.

In the same way a browser that has not drawn the latest controls yet may report the value of an earlier one. Each
control has a key with a number, a new one whenever it must show another value than it does; what comes from an earlier
key is no move.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Generic, Protocol, Self, TypeVar

import streamlit as st

from fmnist_core.errors import LabError
from fmnist_core.ui.shared import markdown, session
from fmnist_core.ui.shared.page_view import Setting
from fmnist_core.ui.shared.pages import Page
from fmnist_core.ui.shared.session import Control, PageState

MOST_PROBLEMS = 5  # sentences about an address
# What newsletters, learning platforms, networks and advertisements add to a link; it is no setting of a page.
TRACKING = re.compile(
    r"utm_\w+|(fb|g|dc|y|tw|tt|wick)clid|msclkid|gclsrc|[gw]braid|igsh(id)?|li_fat_id|mc_[ce]id|mkt_tok|_g[al]"
    r"|_hs\w+|hsa_\w+|oly_\w+|vero_\w+|wt_mc|s_cid|cmpid|ref|ref_src|ref_url|referrer",
    re.IGNORECASE,
)


class View(Protocol):
    """What a page shows, immutable: a PageView or an Experiment."""

    def query(self) -> dict[str, str]:
        """What differs from the defaults, as URL parameters."""

    @classmethod
    def from_query(cls, texts: Mapping[str, str]) -> tuple[Self, list[str]]:
        """A view from URL parameters, and a sentence for each that could not be used."""

    def changed(self, **values: Any) -> Self:
        """The view with other values. Raises: LabError."""


V = TypeVar("V", bound=View)
NUMBERS = 4  # of keys for a control, one after the other: Streamlit keeps what it knows of each for the whole session


class ViewState(Generic[V]):
    """One page's view. setting: the declaration of one of its parts."""

    def __init__(self, page: Page, view: type[V], setting: Callable[[str], Setting]) -> None:
        self.page, self._view, self._setting = page, view, setting

    def current(self) -> V:
        """The view in force. To be called once, at the head of the page: reads the address, or brings it up to date."""
        state = session.STATE.get(self.page)
        shown = st.query_params.to_dict()
        now = {name: text for name, text in shown.items() if not TRACKING.fullmatch(name)}
        assumed: dict[str, Any] = {}
        if session.FOLLOWED.pop() or state is None:
            view, problems = self._view.from_query(now)
            if state:  # the way back to an address shows what it showed
                assumed = {name: value for name, value in state.assumed.items() if name not in now}
            state = PageState(view, problems, counts=state.counts if state else {})
            session.STATE.set(state, self.page)
        # Every write is an entry in the browser's history: none for what the page itself filled in.
        if state.mirrored is not state.view:
            state.query = state.view.query()
            state.mirrored = state.view
        if shown != state.query:
            st.query_params.from_dict(state.query)
        self.assume(**assumed)
        current: V = state.view
        return current

    @property
    def view(self) -> V:
        """The view as it is, for callbacks."""
        view: V = self._state().view
        return view

    def shown(self, name: str, read: Callable[[Any], Any] = lambda shown: shown) -> Any:
        """What a control shows, by `read`; None where there is none."""
        drawn = self._state().controls.get(name)
        return None if drawn is None else read(session.widget(drawn.key))

    def show_problems(self) -> None:
        """One sentence for each part of the address, or move of a control, that could not be used."""
        problems = self._state().problems
        for problem in problems[:MOST_PROBLEMS]:
            markdown.warning(problem)
        if len(problems) > MOST_PROBLEMS:
            st.caption(f"And {len(problems) - MOST_PROBLEMS} more settings of this address could not be used.")

    # Changes

    def change(self, **values: Any) -> None:
        """Set parts of the view; what cannot be used is named and not taken."""
        with self.attempt():
            self._set(self.view.changed(**values))

    def open(self, view: V) -> None:
        """Go to another view as a whole; every control is drawn anew."""
        state = self._state()
        state.view, state.problems = view, []
        state.controls.clear()

    def assume(self, **values: Any) -> None:
        """Set parts that the address left open, from the page itself. The address follows with the next change."""
        state = self._state()
        state.assumed |= {name: value for name, value in values.items() if name not in state.query}
        followed = state.mirrored is state.view
        state.view = state.view.changed(**values)
        if followed:
            state.mirrored = state.view

    def refuse(self, sentence: str) -> None:
        """Say why something was not done; the controls show what is in force."""
        state = self._state()
        state.problems = [sentence]
        state.controls.clear()

    @contextmanager
    def attempt(self, after: str = "It is unchanged.") -> Iterator[None]:
        """A LabError in the block becomes a sentence on the page, and `after` with it."""
        try:
            yield
        except LabError as error:
            self.refuse(f"{error} {after}".rstrip())

    def _set(self, view: V) -> None:
        """Take another view; controls that show something else are drawn anew, but for the one that is moving."""
        state = self._state()
        for name in state.controls.keys() - {state.taking}:
            if getattr(view, name, None) != getattr(state.view, name, None):
                del state.controls[name]
        state.view, state.problems = view, []

    def _state(self) -> PageState:
        state = session.STATE.get(self.page)
        if state is None:
            state = PageState(self._view.from_query({})[0])
            session.STATE.set(state, self.page)
        return state

    # Controls

    def draw(self, name: str, value: Any = None, **kwargs: Any) -> None:
        """The control of a part of the view, as it is declared. value: what it shows, where not the view's own."""
        shown = getattr(self.view, name) if value is None else value
        start, widget = self.control(name, shown, read=self._setting(name).value)
        self._setting(name).draw(start, **widget | kwargs)

    def select(self, name: str, label: str, options: Sequence[Any], value: Any, **kwargs: Any) -> None:
        """A box to choose one of options. value: what it shows; None: its placeholder. kwargs: `take`, Streamlit's."""
        start, widget = self.control(name, value, kwargs.pop("take", None))
        start = start if start in options else value
        st.selectbox(label, options, None if start is None else options.index(start), **widget | kwargs)

    def control(
        self,
        name: str,
        value: Any,
        take: Callable[[Any], None] | None = None,
        read: Callable[[Any], Any] = lambda shown: shown,
    ) -> tuple[Any, dict[str, Any]]:
        """The value a widget starts with, and its key and callback. value: what it is to show.

        take: what a move of it does, given its value; by default the part `name` of the view is set. read: the value
        that the widget shows. The start stays the same until the widget leaves the screen, so that it keeps the focus.
        It is not set through the session's state: a browser that draws a widget only after the next rerun has begun
        would miss it, and send the widget's lowest value as if a person had chosen it.
        """
        state = self._state()
        drawn = state.controls.get(name)
        # A widget stays that was drawn for this value, or has been moved to it.
        if not (drawn and session.drawn(drawn.key) and (drawn.value == value or self.shown(name, read) == value)):
            drawn = state.controls[name] = Control(self._new_key(state, name), value, value)
        drawn.value = value
        return drawn.start, {"key": drawn.key, "on_change": self._moved, "args": (name, drawn.key, take)}

    def _new_key(self, state: PageState, name: str) -> str:
        """The next key for a control that is not on the screen, nor was a moment ago in a run that did not end."""
        for _ in range(NUMBERS):
            state.counts[name] = (state.counts.get(name, 0) + 1) % NUMBERS
            key = f"{self.page.name.lower()} {name} {state.counts[name]}"
            if not session.drawn(key):
                break
        return key

    def _moved(self, name: str, key: str, take: Callable[[Any], None] | None) -> None:
        state = self._state()
        drawn = state.controls.get(name)
        if drawn is None or drawn.key != key:
            return
        state.taking = name
        try:
            with self.attempt():
                if take is None:
                    self._set(self.view.changed(**{name: self._setting(name).value(session.widget(key))}))
                else:
                    take(session.widget(key))
        finally:
            state.taking = ""


def view_of(page: Page) -> Any:
    """The view that a page has in this session, None where it was not opened yet."""
    state = session.STATE.get(page)
    return None if state is None else state.view


def carried(page: Page) -> Mapping[str, str]:
    """The URL parameters that a page last had in this session: the menu leads back to where one was, and to the run
    that was looked at last.
    """
    state = session.STATE.get(page)
    query = {} if state is None else state.query
    run = session.RUN.get()
    return {**query, "run": run} if run and page.needs == "run" else query
