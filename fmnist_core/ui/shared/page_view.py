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

from fmnist_core.errors import LabError
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


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One part of a view. label, help: of its control. implies: parts that follow where an address has this one."""

    default: Any
    label: str = ""
    help: str | None = None
    implies: Mapping[str, Any] = field(default_factory=dict)

    def read(self, name: str, text: str) -> Any:
        """The value of a URL parameter. Raises: LabError."""
        raise NotImplementedError

    def write(self, value: Any) -> str:
        """The URL parameter of a value; `read` gives the value back."""
        if isinstance(value, bool):
            return "true" if value else "false"
        return f"{value:g}" if isinstance(value, float) else str(value)

    def value(self, shown: Any) -> Any:
        """The value that its control shows."""
        return shown

    def draw(self, start: Any, **kwargs: Any) -> None:
        """The control. kwargs: of Streamlit's function, the key and the callback among them."""
        raise NotImplementedError

    def check(self, name: str, value: Any) -> Any:
        """The value, if an address may have it: limits hold on the server too. Raises: LabError."""
        return value if value == self.default else self.read(name, self.write(value))


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
                problems.append(f"There is no setting {name[:80]!r} on page {cls.page.title}; it is ignored.")
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


# --- Declarations -----------------------------------------------------------------------------------------------------


def declared(setting: Setting) -> Any:
    """A field of a view."""
    return field(default=setting.default, metadata={"setting": setting})


def choice(words: Mapping[Any, str], label: str, default: Any = None, **kwargs: Any) -> Any:
    """One of a few values, all on the screen; by default the first. kwargs: as in Choice."""
    start = next(iter(words)) if default is None else default
    return declared(Choice(words=words, label=label, default=start, **kwargs))


def whole(
    low: int, high: int | Callable[[], int], default: int | None = None, *, optional: bool = False, **kwargs: Any
) -> Any:
    """A whole number; by default the lowest, or where optional None. kwargs: as in Number."""
    start = default if default is not None or optional else low
    return declared(Number(kind=int, low=low, high=high, default=start, **kwargs))


def number(low: float, high: float, default: float, label: str, **kwargs: Any) -> Any:
    """A number on a slider. kwargs: as in Number."""
    options = {"step": 0.01, "slider": True, **kwargs}
    return declared(Number(kind=float, low=low, high=high, default=default, label=label, **options))


def flag(label: str, **kwargs: Any) -> Any:
    """Yes or no; by default no."""
    return declared(Flag(label=label, **{"default": False, **kwargs}))


def several(words: Mapping[Any, str], default: tuple[Any, ...], label: str, **kwargs: Any) -> Any:
    """Different values out of a list. kwargs: as in Several."""
    return declared(Several(words=words, default=default, label=label, **kwargs))


def hyperparameter(name: str, default: Any = None, **kwargs: Any) -> Any:
    """A value of one of Experiment's hyperparameters, whose declaration it follows where kwargs say nothing else."""
    known = FIELDS[name]
    start = known.default if default is None else default
    return declared(OfExperiment(field=known, default=start, **{"label": known.title, "help": known.help, **kwargs}))


def text(
    read: Callable[[str, str], Any],
    default: Any = None,
    write: Callable[[Any], str] = str,
    implies: Mapping[str, Any] | None = None,
) -> Any:
    """Whatever else an address can have. read: the value of a name and a text; raises LabError."""
    return declared(Text(reads=read, writes=write, default=default, implies=implies or {}))


def of_experiment(name: str) -> OfExperiment:
    """The declaration of a hyperparameter, as page Train has it."""
    setting: OfExperiment = hyperparameter(name).metadata["setting"]
    return setting


def pattern(expression: str, allowed: str, default: Any = "") -> Any:
    """A text that the regular expression matches. allowed: what it must be, in words."""

    def read(name: str, text: str) -> str:
        if not re.fullmatch(expression, text):
            raise ViewError(f"{name} is {text[:80]!r}, but it must be {allowed}.")
        return text

    return declared(Text(reads=read, writes=str, default=default))


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


# --- Kinds ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Choice(Setting):
    """One of a few values. words: what each is called. heading: whether the label is shown."""

    words: Mapping[Any, str]
    heading: bool = True

    def read(self, name: str, text: str) -> Any:
        return _one_of(name, text, {self.write(value): value for value in self.words})

    def draw(self, start: Any, **kwargs: Any) -> None:
        options = {"label": self.label, "options": list(self.words), "default": start, "help": self.help, **kwargs}
        options.setdefault("label_visibility", "visible" if self.heading else "collapsed")
        st.segmented_control(format_func=self.words.__getitem__, required=True, **options)


def plain(value: float) -> str:
    """A number for a reader of a slider."""
    return wording.number(value) if isinstance(value, float) else f"{value:,}"


@dataclass(frozen=True, kw_only=True)
class Number(Setting):
    """A number. usual: the positions of its slider, which without them moves by `step`. form: how it shows a position.
    slider: a number field otherwise.
    """

    kind: type[int] | type[float]
    low: float
    high: float | Callable[[], int]
    step: float = 1
    usual: tuple[float, ...] = ()
    form: Callable[[Any], str] = plain
    slider: bool = False

    @property
    def most(self) -> float:
        """The highest value."""
        return self.high() if callable(self.high) else self.high

    def read(self, name: str, text: str) -> Any:
        return _number(name, text, self.kind, self.low, self.most)

    def draw(self, start: Any, **kwargs: Any) -> None:
        options = {"label": self.label, "help": self.help, "value": start, **kwargs}
        if self.usual:
            usual = sorted({*map(self.kind, options.pop("usual", self.usual)), start})
            st.select_slider(options=usual, **{"format_func": self.form, **options})
            return
        bounds = {"min_value": self.kind(self.low), "max_value": self.kind(self.most), "step": self.kind(self.step)}
        (st.slider if self.slider else st.number_input)(**bounds | options)


@dataclass(frozen=True, kw_only=True)
class Flag(Setting):
    """Yes or no."""

    def read(self, name: str, text: str) -> bool:
        return bool(_one_of(name, text, {"true": True, "false": False}))

    def draw(self, start: Any, **kwargs: Any) -> None:
        st.toggle(**{"label": self.label, "value": start, "help": self.help, **kwargs})


@dataclass(frozen=True, kw_only=True)
class Several(Setting):
    """Different values out of a list. allowed: what an address must have, in words. joint: what stands between two
    there. empty: how it says none, if it may. most: how many may be chosen.
    """

    words: Mapping[Any, str]
    allowed: str
    joint: str = "."
    empty: str | None = None
    most: int | None = None

    def read(self, name: str, text: str) -> tuple[Any, ...]:
        known = {str(value): value for value in self.words}
        if text == self.empty:
            return ()
        names = text.split(self.joint)
        if self.most:
            for each in names:
                _one_of(name, each, known)
        repeated = self.most is not None and (len(set(names)) < len(names) or len(names) > self.most)
        if repeated or not all(each in known for each in names):
            raise ViewError(f"{name} is {text[:80]!r}, but it must be {self.allowed}.")
        values = dict.fromkeys(known[each] for each in names)
        return tuple(values if self.most else sorted(values))

    def value(self, shown: Any) -> tuple[Any, ...]:
        return tuple(shown or ())

    def check(self, name: str, value: Any) -> Any:
        if not value and self.empty is None:
            raise ViewError(f"{self.label}: at least one is needed.")
        return super().check(name, value)

    def write(self, value: tuple[Any, ...]) -> str:
        return self.joint.join(map(str, value)) or self.empty or ""

    def draw(self, start: Any, **kwargs: Any) -> None:
        options = {"default": list(start), "format_func": self.words.__getitem__, "help": self.help, **kwargs}
        if self.most:
            st.multiselect(self.label, list(self.words), max_selections=self.most, **options)
        else:
            st.pills(self.label, list(self.words), selection_mode="multi", **options)


@dataclass(frozen=True, kw_only=True)
class Text(Setting):
    """Whatever else an address can have; a page draws its control itself."""

    reads: Callable[[str, str], Any]
    writes: Callable[[Any], str]

    def read(self, name: str, text: str) -> Any:
        return self.reads(name, text)

    def write(self, value: Any) -> str:
        return self.writes(value)

    def check(self, name: str, value: Any) -> Any:
        return None if value is None else super().check(name, value)


@dataclass(frozen=True, kw_only=True)
class OfExperiment(Setting):
    """One of Experiment's hyperparameters. low, usual, form: as in Number, where other than declared."""

    field: Hyperparameter
    low: int | None = None
    usual: tuple[Any, ...] = ()
    form: Callable[[Any], str] = plain

    def read(self, name: str, text: str) -> Any:
        if self.low is not None:
            return self._number().read(name, text)
        return getattr(Experiment.parse({self.field.name: text}), self.field.name)

    def write(self, value: Any) -> str:
        return self.field.write(value)

    def value(self, shown: Any) -> Any:
        return self.field.read(shown or "") if self.field.kind == "widths" else shown

    def draw(self, start: Any, **kwargs: Any) -> None:
        field, options = self.field, {"label": self.label, "help": self.help, **kwargs}
        if field.kind == "bool":
            st.toggle(value=start, **options)
        elif field.kind == "choice":
            names = field.choices
            st.selectbox(options=names, index=names.index(start), **{"format_func": wording.choice, **options})
        elif field.kind == "widths":
            st.text_input(value=field.write(start), placeholder="such as 512-256-128", **options)
        else:
            number = self._number()
            if number.slider and not number.usual:
                options.setdefault("format", "%d" if number.kind is int else "%.3g")
            number.draw(start, **options)

    def _number(self) -> Number:
        """A numeric hyperparameter."""
        field = self.field
        low, high, step = field.low or 0 if self.low is None else self.low, field.high or 0, field.step or 1
        return Number(
            default=self.default,
            kind=int if field.kind == "int" else float,
            low=low,
            high=high,
            step=step,
            usual=self.usual or (positions(field) if field.log else ()),
            form=self.form,
            slider=(high - low) / step <= MOST_POSITIONS,
        )


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
        raise ViewError(f"{name} is {text[:80]!r}, but it must be one of {', '.join(allowed)}.")
    return allowed[text]


def _number(name: str, text: str, kind: type[int] | type[float], low: float, high: float) -> float:
    """A number within bounds, written as addresses have it: int() also takes "1_0", " 5", and other scripts' digits."""
    whole = kind is int
    form = rf"[0-9]{{1,{MOST_DIGITS}}}" if whole else r"(?=.{1,20}$)[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?"
    value = kind(text) if re.fullmatch(form, text) else low - 1
    if not low <= value <= high:
        bounds = f"a whole number from {low:,} to {high:,}" if whole else f"a number from {low:g} to {high:g}"
        raise ViewError(f"{name} is {text[:80]!r}, but it must be {bounds}.")
    return value
