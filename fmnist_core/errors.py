"""The bases of all errors that a person is meant to read, and the reasons in them."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

MOST_QUOTED = 80  # characters of what somebody typed
MOST_NAMED = 8  # names that a sentence lists; more are no help


class LabError(Exception):
    """An error whose text is one clear sentence: what is wrong, with the value, and what to do about it."""


class BadValueError(LabError):
    """A setting, given by a person, has a value that cannot be used."""


def quoted(text: str) -> str:
    """What somebody typed, in quotation marks, cut where it is long."""
    return repr(text[:MOST_QUOTED])


def unknown(what: str, name: str, known: Collection[str], where: str = "") -> str:
    """That there is no such thing, as a sentence, and the known one that was probably meant; of
    few, all. what: "preset". where: " on page Data".
    """
    near = get_close_matches(name.lower().replace("-", "_"), known, 1)
    if near:
        help_with_it = f"; did you mean {near[0]}?"
    else:
        help_with_it = f"; the known ones are {', '.join(known)}." if len(known) <= MOST_NAMED else "."
    return f"There is no {what} {quoted(name)}{where}{help_with_it}"


def reason_of(error: BaseException) -> str:
    """Why something failed, as part of a sentence: what the system says, else the error's first line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).split("\n")[0][:200] or type(error).__name__
