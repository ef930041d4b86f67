"""The bases of all errors that a person is meant to read."""

from __future__ import annotations


class LabError(Exception):
    """An error whose text is one clear sentence: what is wrong, with the value, and what to do about it."""


class BadValueError(LabError):
    """A setting, given by a person, has a value that cannot be used."""
