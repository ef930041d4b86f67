"""Flags that several commands share, and how their texts are read."""

from __future__ import annotations

import argparse
from typing import Any, TypeVar

from fmnist_core.errors import BadValueError
from fmnist_core.experiment.hyperparameters import FIELDS

LONGEST = 40  # characters of a wrong text that a sentence repeats
N = TypeVar("N", int, float)


def add_hyperparameters(parser: argparse.ArgumentParser) -> None:
    """A flag for each hyperparameter."""
    for name, field in FIELDS.items():
        text = f"{field.title}: {field.allowed}"
        parser.add_argument(f"--{name.replace('_', '-')}", dest=name, metavar="VALUE", help=text)


def hyperparameters(arguments: argparse.Namespace) -> dict[str, str]:
    """The texts of the hyperparameters that were given."""
    return {name: getattr(arguments, name) for name in FIELDS if getattr(arguments, name) is not None}


def add_data(parser: argparse.ArgumentParser) -> None:
    """The flag that chooses the data set."""
    parser.add_argument("--data", choices=("full", "sample"), help="which data set; the fullest one found by default")


def add_json(parser: argparse.ArgumentParser) -> None:
    """The flag that asks for the result as JSON."""
    parser.add_argument("--json", metavar="FILE", help="write the result as one JSON object; - is standard output")


def number(kind: type[N], name: str, text: str) -> N:
    """A flag's text as a number. Raises: BadValueError."""
    try:
        return kind(text)
    except ValueError:
        words = "a whole number" if kind is int else "a number"
        raise BadValueError(f"{name} is {text[:LONGEST]!r}, but it must be {words}.") from None


def count(text: str) -> Any:
    """A whole number from a text; any other text as it is, cut, for validation to name it."""
    try:
        return int(text)
    except ValueError:  # no number, or one of more digits than Python reads
        return text[:LONGEST]
