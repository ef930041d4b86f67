"""A page's view, declared: each setting once, with its bounds or choices, its words, and its part of the address.

    @dataclass(frozen=True)
    class View(PageView):
        page = Page.DATA
        split: str = choice({"training": "Training", "test": "Test"}, "Images from")
        seed: int = whole(0, 9_999, label="Seed")

Reading a view from an address, writing it to one, checking it and drawing its controls follow from that.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import streamlit as st

from fmnist_core.errors import LabError, quoted, unknown
from fmnist_core.experiment import wording
from fmnist_core.experiment.hyperparameters import FIELDS, HIGH_LAYERS, Experiment, Hyperparameter
from fmnist_core.experiment.layer_names import OUTPUT, hidden_name
from fmnist_core.store.run_store import RUN_ID
from fmnist_core.ui.shared.pages import Page

MOST_DIGITS = 9  # of a whole number in an address
MOST_POSITIONS = 400  # A slider with more positions cannot be set by hand; a number field can.
MOST_QUOTED = 40  # characters of a default value that a sentence names


class ViewError(LabError):
    """A URL parameter cannot be used; the text names it, its value and what is allowed."""


@dataclass(frozen=True)
class Setting:
    """One part of a view.

    read: the value of a URL parameter, given its name and text; raises LabError. write: the text of a value, which
    `read` reads back. draw: its control, given the value it starts with, and arguments of Streamlit's function, the key
    and the callback among them. value: the value that its control shows. optional: whether None is a value. implies:
    parts that follow where an address has this one.
    """

    default: Any
    read: Callable[[str, str], Any]
    draw: Callable[..., object]
    write: Callable[[Any], str] = lambda value: f"{value:g}" if isinstance(value, float) else str(value)
    value: Callable[[Any], Any] = lambda shown: shown
    optional: bool = False
    implies: Mapping[str, Any] = field(default_factory=dict)

    def check(self, name: str, value: Any) -> Any:
        """The value, if an address may have it: limits hold on the server too. Raises: LabError."""
        if value == self.default or (value is None and self.optional):
            return value
        return self.read(name, self.write(value))


class PageView:
    """What a page shows: a frozen dataclass whose fields are declared by the functions below."""

    page: ClassVar[Page]

    @classmethod
    def settings(cls) -> dict[str, Setting]:
        """The declarations, by name."""
        return {each.name: each.metadata["setting"] for each in dataclasses.fields(cls)}  # type: ignore[arg-type]

    def query(self) -> dict[str, str]:
        """What differs from the defaults, as URL parameters; `from_query` reads them back."""
        return {
            name: setting.write(value)
            for name, setting in self.settings().items()
            if (value := getattr(self, name)) not in (None, setting.default)
        }

    @classmethod
    def from_query(cls, texts: Mapping[str, str]) -> tuple[Self, list[str]]:
        """A view from URL parameters; what is wrong is left at its default and named in the list."""
        settings = cls.settings()
        values: dict[str, Any] = {}
        problems = []
        for name, text in texts.items():
            if name not in settings:
                problems.append(f"{unknown('setting', name, settings, f' on page {cls.page.title}')} It is ignored.")
                continue
            setting = settings[name]
            try:
                values |= {**setting.implies, name: setting.read(name, text)}
            except LabError as error:
                default = "" if setting.default is None else setting.write(setting.default)
                quoted = f", {default}," if 0 < len(default) < MOST_QUOTED else ""
                problems.append(f"{error} The default{quoted} is used.")
        return replace(cls(), **values), problems  # type: ignore[type-var]

    def changed(self, **values: Any) -> Self:
        """The view with other values for some of its settings. Raises: LabError."""
        checked = {name: self.setting(name).check(name, value) for name, value in values.items()}
        return replace(self, **checked)  # type: ignore[type-var]

    @classmethod
    def setting(cls, name: str) -> Setting:
        """One declaration."""
        return cls.settings()[name]


# --- Declarations: fields of a view -----------------------------------------------------------------------------------


def declared(setting: Setting) -> Any:
    """A field of a view."""
    return field(default=setting.default, metadata={"setting": setting})


def choice(words: Mapping[Any, str], label: str, default: Any = None, heading: bool = True) -> Any:
    """One of a few values, all on the screen. words: what each is called; by default the first is chosen.

    heading: whether the label is shown.
    """
    start = next(iter(words)) if default is None else default
    known = {str(value): value for value in words}

    def draw(start: Any, **kwargs: Any) -> None:
        options = {"label": label, "label_visibility": "visible" if heading else "collapsed", **kwargs}
        st.segmented_control(
            options=list(words), default=start, format_func=words.__getitem__, required=True, **options
        )

    return declared(Setting(start, lambda name, text: _one_of(name, text, known), draw))


def whole(
    low: int, high: int | Callable[[], int], default: int | None = None, *, optional: bool = False, **kwargs: Any
) -> Any:
    """A whole number; by default the lowest, or where optional None. kwargs: as in `numeric`."""
    start = default if default is not None or optional else low
    return declared(numeric(int, low, high, start, **kwargs))


def number(low: float, high: float, default: float, label: str, **kwargs: Any) -> Any:
    """A number on a slider. kwargs: as in `numeric`."""
    return declared(numeric(float, low, high, default, label=label, **{"step": 0.01, "slider": True, **kwargs}))


def flag(label: str, help: str | None = None) -> Any:
    """Yes or no; by default no."""
    words = {"true": True, "false": False}

    def draw(start: bool, **kwargs: Any) -> None:
        st.toggle(**{"label": label, "value": start, "help": help, **kwargs})

    return declared(Setting(False, lambda name, text: _one_of(name, text, words), draw, lambda on: str(on).lower()))


def several(
    words: Mapping[Any, str],
    default: tuple[Any, ...],
    label: str,
    *,
    allowed: str,
    joint: str = ".",
    empty: str | None = None,
    most: int | None = None,
    help: str | None = None,
) -> Any:
    """Different values out of a list. allowed: what an address must have, in words. joint: what stands between two
    there. empty: how it says none, if it may. most: how many may be chosen.
    """
    known = {str(value): value for value in words}

    def read(name: str, text: str) -> tuple[Any, ...]:
        names = [] if text == empty else text.split(joint)
        if most:
            for each in names:
                _one_of(name, each, known)
        too_many = most is not None and (len(set(names)) < len(names) or len(names) > most)
        if too_many or not known.keys() >= set(names):
            raise ViewError(f"{name} is {quoted(text)}, but it must be {allowed}.")
        values = dict.fromkeys(known[each] for each in names)
        return tuple(values if most else sorted(values))

    def write(values: tuple[Any, ...]) -> str:
        if not values and empty is None:
            raise ViewError(f"{label}: at least one is needed.")
        return joint.join(map(str, values)) or empty or ""

    def draw(start: tuple[Any, ...], **kwargs: Any) -> None:
        options = {"default": list(start), "format_func": words.__getitem__, "help": help, **kwargs}
        if most:
            st.multiselect(label, list(words), max_selections=most, **options)
        else:
            st.pills(label, list(words), selection_mode="multi", **options)

    return declared(Setting(default, read, draw, write, lambda shown: tuple(shown or ())))


def hyperparameter(name: str, default: Any = None, **kwargs: Any) -> Any:
    """A value of one of Experiment's hyperparameters. kwargs: as in `of_experiment`."""
    return declared(of_experiment(name, default, **kwargs))


def text(
    read: Callable[[str, str], Any],
    default: Any = None,
    write: Callable[[Any], str] = str,
    implies: Mapping[str, Any] | None = None,
) -> Any:
    """Whatever else an address can have; a page draws its control itself. As in Setting."""

    def draw(*args: Any, **kwargs: Any) -> None:
        raise NotImplementedError

    return declared(Setting(default, read, draw, write, optional=True, implies=implies or {}))


def pattern(expression: str, allowed: str, default: Any = "") -> Any:
    """A text that the regular expression matches. allowed: what it must be, in words."""

    def read(name: str, text: str) -> str:
        if not re.fullmatch(expression, text):
            raise ViewError(f"{name} is {quoted(text)}, but it must be {allowed}.")
        return text

    return text(read, default)


def run() -> Any:
    """The name of a stored run; "" for the one that was looked at or trained last."""
    return pattern(RUN_ID.pattern, "the id of a stored run, such as 3f9a1c0b5d7e2468")


def epoch() -> Any:
    """An epoch; None for the last one."""
    return whole(0, 100_000, label="Epoch", optional=True)


def layer(default: str, *others: str) -> Any:
    """The name of a layer that has weights, or one of `others`."""
    names = (*others, *map(hidden_name, range(1, HIGH_LAYERS + 1)), OUTPUT)
    examples = ", ".join((*others, hidden_name(1), hidden_name(2)))
    return pattern("|".join(names), f"{examples}, ..., or {OUTPUT}", default)


# --- Numbers and hyperparameters --------------------------------------------------------------------------------------


def plain(value: float) -> str:
    """A number for a reader of a slider."""
    return wording.number(value) if isinstance(value, float) else f"{value:,}"


def numeric(
    kind: type[int] | type[float],
    low: float,
    high: float | Callable[[], int],
    default: float | None,
    *,
    label: str = "",
    help: str | None = None,
    step: float = 1,
    usual: tuple[float, ...] = (),
    form: Callable[[Any], str] = plain,
    slider: bool = False,
) -> Setting:
    """A number. usual: the positions of its slider, which without them moves by `step`. form: how it shows a position.
    slider: a number field otherwise.
    """

    def most() -> float:
        return high() if callable(high) else high

    def draw(start: Any, **kwargs: Any) -> None:
        options = {"label": label, "help": help, "value": start, **kwargs}
        if usual:
            positions = sorted({*map(kind, options.pop("usual", usual)), start})
            st.select_slider(options=positions, **{"format_func": form, **options})
            return
        bounds = {"min_value": kind(low), "max_value": kind(most()), "step": kind(step)}
        (st.slider if slider else st.number_input)(**bounds | options)

    return Setting(default, lambda name, text: _number(name, text, kind, low, most()), draw)


def of_experiment(
    name: str,
    default: Any = None,
    *,
    low: int = 0,
    usual: tuple[Any, ...] = (),
    form: Callable[[Any], str] = plain,
    label: str = "",
    help: str | None = None,
) -> Setting:
    """One of Experiment's hyperparameters, as declared there where no argument says otherwise; see `numeric`."""
    known = FIELDS[name]
    default = known.default if default is None else default
    label, help = label or known.title, help or known.help
    kind, step = int if known.kind == "int" else float, known.step or 1
    least, high = low or known.low or 0, known.high or 0
    usual = usual or (positions(known) if known.log else ())
    slider = (high - least) / step <= MOST_POSITIONS
    on_scale = numeric(kind, least, high, default, step=step, usual=usual, form=form, slider=slider)

    def read(_: str, text: str) -> Any:
        return getattr(Experiment.parse({name: text}), name)

    def draw(start: Any, **kwargs: Any) -> None:
        options = {"label": label, "help": help, **kwargs}
        if known.kind == "bool":
            st.toggle(value=start, **options)
        elif known.kind == "choice":
            index = known.choices.index(start)
            st.selectbox(options=known.choices, index=index, **{"format_func": wording.choice, **options})
        elif known.kind == "widths":
            st.text_input(value=known.write(start), placeholder="such as 512-256-128", **options)
        else:
            if slider and not usual:
                options.setdefault("format", "%d" if kind is int else "%.3g")
            on_scale.draw(start, **options)

    def value(shown: Any) -> Any:
        return known.read(shown or "") if known.kind == "widths" else shown

    return Setting(default, on_scale.read if low else read, draw, known.write, value)


def positions(field: Hyperparameter) -> tuple[float, ...]:
    """Positions of a logarithmic slider: powers of two up to a power of two, else 1, 2, 5, 10, ..."""
    low, high = field.low or 0, field.high or 0
    if field.kind == "int" and int(high) & (int(high) - 1) == 0:
        steps = [float(2**power) for power in range(int(high).bit_length())]
    else:
        steps = [float(f"{digit}e{power}") for power in range(-9, 10) for digit in (1, 2, 5)]
    return tuple(value for value in (*steps, low, high, field.default) if low <= value <= high)


# --- Reading a text ---------------------------------------------------------------------------------------------------


def _one_of(name: str, text: str, allowed: Mapping[str, Any]) -> Any:
    if text not in allowed:
        raise ViewError(f"{name} is {quoted(text)}, but it must be one of {', '.join(allowed)}.")
    return allowed[text]


def _number(name: str, text: str, kind: type[int] | type[float], low: float, high: float) -> float:
    """A number within bounds, written as addresses have it: int() also takes "1_0", " 5", and other scripts' digits."""
    whole = kind is int
    form = rf"[0-9]{{1,{MOST_DIGITS}}}" if whole else r"(?=.{1,20}$)[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?"
    value = kind(text) if re.fullmatch(form, text) else low - 1
    if not low <= value <= high:
        bounds = f"a whole number from {low:,} to {high:,}" if whole else f"a number from {low:g} to {high:g}"
        raise ViewError(f"{name} is {quoted(text)}, but it must be {bounds}.")
    return value
