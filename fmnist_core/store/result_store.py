"""Results of analyses: one file each, beside the run they were made from, or in the store's own folder.

A file is a NumPy archive without pickles: named arrays, and the facts as JSON text. It is written under another name
and renamed into place, so one that is there is whole; one that is damaged or of another version is computed again, and
then replaced. Results count in the store's budget.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from fmnist_core.errors import reason_of
from fmnist_core.experiment.recording import to_json_types
from fmnist_core.store import room, stored_files
from fmnist_core.store.run import Run, gone
from fmnist_core.store.run_store import DERIVED, LOOSE, RunStore, StoreError
from fmnist_core.store.stored_files import FileDamaged

log = logging.getLogger(__name__)
VERSION = 2
NAME = re.compile(r"[a-z0-9]+-[0-9a-f]{16}")
MOST_RESULTS = 200  # of one run, and of none
FACTS = "facts"
Facts = TypeVar("Facts")


@dataclass(frozen=True, eq=False)
class Result(Generic[Facts]):
    """A finished analysis. facts: JSON values, None where a number was not finite. arrays: by name."""

    name: str
    facts: Facts
    arrays: dict[str, NDArray[Any]]


def name_of(sort: str, request: Mapping[str, Any]) -> str:
    """The name of an analysis, the same for the same request. sort: a word such as "map"."""
    text = json.dumps(request, sort_keys=True, separators=(",", ":"))
    return f"{sort}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


class Results:
    """The results in one run store.

    run: the name of a run, or "" for a result that belongs to none.
    """

    def __init__(self, store: RunStore) -> None:
        self._store = store

    def find(self, run: str, name: str) -> Result[Any] | None:
        """A stored result; None where there is none that can be read."""
        path = self._path(run, name)
        try:
            arrays = stored_files.parsed(path, stored_files.archive)
            facts = stored_files.parsed(path, lambda _: json.loads(str(arrays.pop(FACTS))))
        except FileNotFoundError:
            return None
        except (OSError, FileDamaged) as error:
            log.warning("A stored result is computed again: %s", reason_of(error))
            return None
        if not isinstance(facts, dict) or facts.get("version") != VERSION:
            return None
        with suppress(OSError):
            os.utime(path)
        return Result(name, facts, arrays)

    def write(
        self,
        run: str,
        name: str,
        facts: Mapping[str, Any],
        arrays: Mapping[str, NDArray[Any]],
        made_from: Run | None = None,
    ) -> None:
        """Store a result. made_from: the run, opened before it was analysed.

        Raises:
            StoreError: it cannot be written.
            RunGone: the run was deleted or trained again since it was opened.
        """
        path = self._path(run, name)
        text = json.dumps(to_json_types({**facts, "version": VERSION}), allow_nan=False)
        with self._store.quiet():  # else a training could replace the run between the look and the writing
            if made_from:
                made_from.check_current()
            self._replace(path, {FACTS: np.array(text), **arrays})
        self.forget_view(run, name)
        self._thin(path.parent, run)
        with suppress(StoreError):  # the result is safe; the next one makes room
            self._store.evict(protect=run)

    def show(self, run: str, name: str, points: NDArray[np.float32]) -> None:
        """Let screens see an unfinished picture. A full disk is no reason to stop: the end will tell it."""
        with suppress(StoreError):
            self._replace(self._view(run, name), {"points": points})

    def seen(self, run: str, name: str) -> NDArray[np.float32] | None:
        """The unfinished picture of an analysis that is under way."""
        try:
            return stored_files.parsed(self._view(run, name), lambda path: stored_files.archive(path)["points"])
        except (OSError, FileDamaged):
            return None

    def forget_view(self, run: str, name: str) -> None:
        """Remove the unfinished picture."""
        with suppress(OSError):
            self._view(run, name).unlink()

    def _path(self, run: str, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise ValueError(f"{name[:80]!r} is not the name of a result")
        return (self._store.root / run / DERIVED if run else self._store.root / LOOSE) / f"{name}.npz"

    def _view(self, run: str, name: str) -> Path:
        return self._path(run, name).with_suffix(".view.npz")

    def _replace(self, path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
        try:
            path.parent.mkdir(parents=path.parent.name == LOOSE, exist_ok=True)  # a run that is gone stays gone
            handle, unfinished = tempfile.mkstemp(prefix=".aside-", dir=path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    np.savez(file, allow_pickle=False, **arrays)
                Path(unfinished).replace(path)
            finally:
                Path(unfinished).unlink(missing_ok=True)
        except OSError as error:
            if path.parent.name == DERIVED and not path.parent.parent.is_dir():
                raise StoreError(f"{gone(path.parent.parent)} The result of this analysis is not stored.") from error
            raise self._store.error(error) from error

    def _thin(self, folder: Path, run: str) -> None:
        """Keep the results of one run, or of none, to those that were looked at last."""
        results = sorted(room.results_in(folder, run), key=lambda item: item.used)
        for item in results[:-MOST_RESULTS]:
            item.remove()
