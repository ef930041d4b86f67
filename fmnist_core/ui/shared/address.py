"""A page's view and its URL: the view lives in the session's state and is mirrored to the address.

The address is read when the page is opened, when a link is followed and when the browser goes back; a move of a control
wins over an address that has not caught up yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import streamlit as st

from fmnist_core.errors import LabError

WHOLE = 9  # digits of a whole number in an address, at most


class ViewError(LabError):
    """A URL parameter cannot be used; the text names it, its value and what is allowed."""


class Viewed(Protocol):
    """A page's view: a frozen dataclass."""

    def query(self) -> dict[str, str]:
        """What differs from the defaults, as URL parameters."""


V = TypeVar("V", bound=Viewed)


class Address(Generic[V]):
    """One page's view, kept in the session.

    page: the page's script, as the menu names it. read: a view from URL parameters, and one sentence for each that
    could not be used.
    """

    def __init__(self, page: str, read: Callable[[Mapping[str, str]], tuple[V, list[str]]]) -> None:
        self.page = page
        self._read = read

    def current(self) -> tuple[V, list[str]]:
        """The view in force, and one sentence for each URL parameter that could not be used."""
        state = st.session_state
        state["page"] = short(self.page)
        now = st.query_params.to_dict()
        moved = state.pop(self._name("moved"), False)
        opened = self._name("view") not in state or (now != state.get(f"url {self.page}") and not moved)
        if opened:
            state[self._name("view")], state[self._name("problems")] = self._read(now)
            self.remount()
        view: V = state[self._name("view")]
        query = view.query() if opened or moved else now
        if now != query:
            st.query_params.from_dict(query)
        state[f"url {self.page}"] = query
        return view, state[self._name("problems")]

    def settle(self, **values: Any) -> None:
        """Set parts that the address left open, from the page itself. The address follows with the next change: every
        write is an entry in the browser's history, and one that nobody asked for would be in the way back.
        """
        st.session_state[self._name("view")] = replace(self.view(), **values)  # type: ignore[type-var]

    def view(self) -> V:
        """The view as it is, for callbacks."""
        state = st.session_state
        held: V = state[self._name("view")] if self._name("view") in state else self._read({})[0]
        return held

    def change(self, **values: Any) -> None:
        """Set parts of the view from a callback."""
        st.session_state[self._name("view")] = replace(self.view(), **values)  # type: ignore[type-var]
        self.stay()

    def set(self, **values: Any) -> None:
        """As `change`, from elsewhere than the controls, which shall show it."""
        self.change(**values)
        self.remount()

    def stay(self, *problems: str) -> None:
        """What a callback does is no way to another view, whatever the address says. problems: sentences to show."""
        st.session_state[self._name("moved")], st.session_state[self._name("problems")] = True, list(problems)

    def refuse(self, sentence: str) -> None:
        """Say why a change was not taken; the controls show what holds."""
        self.stay(sentence)
        self.remount()

    def take(self, name: str, widget: str) -> None:
        """A control was moved: its value becomes a part of the view.

        The browser's word is checked as an address's is: limits hold on the server too. One that has not drawn the
        latest controls yet reports the value of an earlier one: that is no move.
        """
        if widget.rsplit(" ", 1)[1] != self.key(name).rsplit(" ", 1)[1]:
            self.stay()
            return
        value = st.session_state[widget]
        try:
            changed = replace(self.view(), **{name: tuple(value) if isinstance(value, list) else value})  # type: ignore[type-var]
            checked, problems = self._read(changed.query())
        except LabError as error:
            checked, problems = self.view(), [str(error)]
        if problems:
            self.refuse(f"{problems[0]} It is unchanged.")
            return
        st.session_state[self._name("view")] = checked
        self.stay()

    # Widgets

    def key(self, name: str) -> str:
        """A widget's key that is new whenever the view was set from elsewhere, so that the widget shows it."""
        return self._name(f"{name} {st.session_state.setdefault(self._name('mounts'), 0)}")

    def mounted(self, name: str, value: Any) -> tuple[str, Any]:
        """A widget's key, and the value it starts with: the same until it leaves the screen, so that it keeps the focus.

        The value is not set through the session's state: a browser that draws a widget only after the next rerun has
        begun would miss it, and send the widget's lowest value as if a person had chosen it.
        """
        state = st.session_state
        widget = self.key(name)
        starts = state.setdefault(self._name("starts"), {})
        if widget not in state:
            starts[widget] = value
        return widget, starts[widget]

    def remount(self) -> None:
        """Let every control show the view anew."""
        st.session_state[self._name("mounts")] = st.session_state.get(self._name("mounts"), 0) + 1
        st.session_state[self._name("starts")] = {}

    def control(self, name: str, value: Any) -> tuple[Any, dict[str, Any]]:
        """The value a widget starts with, and its key and callback: what each control of a part of the view needs."""
        widget, start = self.mounted(name, value)
        return start, {"key": widget, "on_change": self.take, "args": (name, widget)}

    def segments(self, label: str, name: str, words: Mapping[Any, str], value: Any, shown: bool = False) -> None:
        """A choice among a few values of one part of the view. words: what each value is called."""
        start, rest = self.control(name, value)
        st.segmented_control(
            label,
            list(words),
            default=start,
            format_func=words.__getitem__,
            required=True,
            label_visibility="visible" if shown else "collapsed",
            **rest,
        )

    def _name(self, what: str) -> str:
        return f"{short(self.page)} {what}"


def short(page: str) -> str:
    """How a page begins its names in the session's state: "compare" for pages/Compare.py."""
    return Path(page).stem.lower()


def stay() -> None:
    """As `Address.stay`, for the page that is open: for callbacks that serve several pages."""
    st.session_state[f"{st.session_state.get('page')} moved"] = True


# --- Reading parameters ------------------------------------------------------------------------------------------------


def read_all(
    texts: Mapping[str, str],
    default: V,
    read: Callable[[str, str], Mapping[str, Any]],
    written: Callable[[Any], str] | None = None,
) -> tuple[V, list[str]]:
    """A view from URL parameters; what is wrong is left at its default and named in the list.

    read: the parts of the view that follow from one parameter's name and text; it raises LabError. written: a default
    value as the sentences tell it.
    """
    known = {field.name for field in fields(default)}  # type: ignore[arg-type]
    good: dict[str, Any] = {}
    problems = []
    for name, text in texts.items():
        try:
            good |= read(name, text)
        except LabError as error:
            if name in known:
                value = f", {written(getattr(default, name))}," if written else ""
                problems.append(f"{error} The default{value} is used.")
            else:
                problems.append(str(error))
    return replace(default, **good), problems  # type: ignore[type-var]


def changed(view: Viewed, written: Callable[[Any], str]) -> dict[str, str]:
    """What of a view differs from the defaults, as URL parameters: what `Viewed.query` is for most views."""
    default = type(view)()
    names = [field.name for field in fields(view)]  # type: ignore[arg-type]
    return {name: written(getattr(view, name)) for name in names if getattr(view, name) != getattr(default, name)}


def unknown(name: str, page: str) -> ViewError:
    """There is no parameter of this name."""
    return ViewError(f"There is no setting {name[:80]!r} on page {page}; it is ignored.")


def one_of(name: str, text: str, allowed: tuple[str, ...]) -> str:
    """A word among those allowed. Raises: ViewError."""
    if text not in allowed:
        raise ViewError(f"{name} is {text[:80]!r}, but it must be one of {', '.join(allowed)}.")
    return text


def whole(name: str, text: str, low: int, high: int) -> int:
    """A whole number within bounds. Raises: ViewError."""
    # Python's int() also takes "1_0", " 5" and digits of other scripts; a URL is written one way only.
    value = int(text) if text.isascii() and text.isdigit() and len(text) <= WHOLE else low - 1
    if not low <= value <= high:
        raise ViewError(f"{name} is {text[:80]!r}, but it must be a whole number from {low:,} to {high:,}.")
    return value


def decimal(name: str, text: str, low: float, high: float) -> float:
    """A number within bounds. Raises: ViewError."""
    try:
        value = float(text) if text.isascii() and len(text) <= 20 and "_" not in text else float("nan")
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise ViewError(f"{name} is {text[:80]!r}, but it must be between {low:g} and {high:g}.")
    return value
