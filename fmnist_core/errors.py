"""The one base of all errors that a person is meant to read."""

from __future__ import annotations


class LabError(Exception):
    """An error whose text is one clear sentence: what is wrong, with the value, and what to do about it."""
