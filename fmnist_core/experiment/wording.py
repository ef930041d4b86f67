"""Experiments in words: choices, settings, and what tells one experiment from another. For screens and for studies."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

from fmnist_core.experiment.activations import ACTIVATIONS
from fmnist_core.experiment.hyperparameters import FIELDS, Experiment
from fmnist_core.experiment.initialisers import INITIALISERS
from fmnist_core.experiment.optimisers import OPTIMISERS
from fmnist_core.experiment.presets import PRESETS

# The choices whose plain words would be wrong; any other shows with its underscores as spaces.
LABELS = {row.name: row.label for table in (ACTIVATIONS, INITIALISERS, OPTIMISERS) for row in table.values()}

# Characters that are not seen but have an effect where they stand: Unicode's controls, formats, and halves of pairs; of
# the formats two join letters and parts of emojis. Fillers look like spaces.
CONTROLS, FORMATS, JOINERS = ("Cc", "Zl", "Zp"), ("Cf", "Cs"), "\u200c\u200d"
FILLERS = "\u115f\u1160\u2800\u3164\uffa0"


def one_line(text: str, longest: int) -> str:
    """What a person typed, as one line of at most so many characters, without those that are not seen."""
    kept = []
    for letter in text[: 2 * longest]:
        category = unicodedata.category(letter)
        if category in CONTROLS or letter in FILLERS:
            kept.append(" ")
        elif category not in FORMATS or letter in JOINERS:
            kept.append(letter)
    line = re.sub(" +", " ", "".join(kept)).strip(JOINERS + " ")
    return line if len(line) <= longest and len(text) <= 2 * longest else line[: longest - 1].rstrip() + "…"


def choice(value: str) -> str:
    """A choice as a reader would say it: "leaky ReLU", "Glorot uniform"."""
    return LABELS.get(value) or value.replace("_", " ")


def value(name: str, setting: Any) -> str:
    """A hyperparameter's value without its title."""
    field = FIELDS[name]
    return choice(setting) if field.kind == "choice" else field.write(setting)


def setting(name: str, setting: Any) -> str:
    """A hyperparameter with its value: "Dropout 0.3", "Activation ReLU", "No batch normalisation"."""
    field = FIELDS[name]
    if field.kind == "bool":
        return field.title if setting else f"No {inside(field.title)}"
    if field.kind == "widths" and setting is None:
        return "Same width for each layer"
    return f"{field.title} {value(name, setting)}"


def settings(values: Mapping[str, Any]) -> str:
    """Several settings (at least one) in one line, as the start of a sentence."""
    first, *others = (setting(name, value) for name, value in values.items())
    return ", ".join([first, *map(inside, others)])


def name(experiment: Experiment, leave_out: Collection[str] = ()) -> str:
    """A few words that tell an experiment: its preset, or what differs from the base network and has an effect."""
    return _name(experiment, frozenset(leave_out))


@lru_cache(maxsize=10_000)  # pages name every stored run
def _name(experiment: Experiment, leave_out: frozenset[str]) -> str:
    for preset in PRESETS.values():
        if preset.experiment == experiment:
            return preset.title
    changed = [FIELDS[field] for field in experiment.query() if field not in leave_out]
    values = {field.name: getattr(experiment, field.name) for field in changed if field.relevant(experiment)}
    return settings(values) if values else PRESETS["base"].title


def counted(number: int, word: str) -> str:
    """ "1 epoch", "2,000 epochs"."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def number(value: object) -> str:
    """1e-05 as 0.00001: the reader of a table thinks in plain numbers."""
    return re.sub(r"0+$", "", f"{value:.8f}").rstrip(".") if isinstance(value, float) else str(value)


def percent(share: float, digits: int = 0) -> str:
    """ "33 %" for 0.33."""
    return f"{100 * share:.{digits}f} %"


def signed(value: float, digits: int) -> str:
    """ "+1.20", or "−0.50" with a real minus sign."""
    return f"{value:+.{digits}f}".replace("-", "−")


def listed(parts: Sequence[str], word: str = "and") -> str:
    """ "a", "a and b", "a, b and c"."""
    return f" {word} ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def inside(text: str) -> str:
    """A title, ready to stand inside a sentence; "L2 penalty" keeps its capital."""
    return text[0].lower() + text[1:] if text[1:2].islower() else text
