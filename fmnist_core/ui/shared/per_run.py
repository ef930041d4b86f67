"""The one way to cache what is computed from a stored run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import streamlit as st

from fmnist_core.data.dataset import Dataset
from fmnist_core.store.run import Run

P = ParamSpec("P")
T = TypeVar("T")


def per_run(
    max_entries: int, spinner: str | bool = False, shared: bool = False
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Cache a function of one or more runs, for all sessions.

    A run is known by its name and the time of its training, for one that is trained again keeps its name; a data set by
    its name. As Streamlit has it, arguments whose names start with an underscore are not part of the key. shared: all
    callers get one object (Streamlit's `cache_resource`), as fits large arrays, which nobody may change; else copies.

    Calls raise RunDamaged, one sentence, where somebody has deleted a run, or trained it again, since it was opened.
    """
    cache: Any = st.cache_resource if shared else st.cache_data
    keys = {Run: lambda run: (run.run_id, run.created.isoformat()), Dataset: lambda data: data.name}

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def computed(*args: P.args, **kwargs: P.kwargs) -> T:
            for run in _runs([*args, *kwargs.values()]):
                run.check_current()
            return function(*args, **kwargs)

        cached: Callable[P, T] = cache(show_spinner=spinner, max_entries=max_entries, hash_funcs=keys)(computed)
        return cached

    return decorate


def _runs(values: Iterable[object]) -> Iterator[Run]:
    """The runs among arguments, and in the lists and tuples among them."""
    for value in values:
        if isinstance(value, Run):
            yield value
        elif isinstance(value, list | tuple):
            yield from _runs(value)
