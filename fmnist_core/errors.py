"""The bases of all errors that a person is meant to read, and the reasons in them."""

from __future__ import annotations


class LabError(Exception):
    """An error whose text is one clear sentence: what is wrong, with the value, and what to do about it."""


class BadValueError(LabError):
    """A setting, given by a person, has a value that cannot be used."""


def reason_of(error: BaseException) -> str:
    """Why something failed, as part of a sentence: what the system says, else the error's first line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).split("\n")[0][:200] or type(error).__name__
