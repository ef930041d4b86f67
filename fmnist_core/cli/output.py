"""What the commands print: one JSON object or a few lines of text, and a progress bar on a terminal."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from fmnist_core.errors import BadValueError, LabError, reason_of
from fmnist_core.experiment.recording import EpochRecord, Progress, to_json_types

PACKAGES = (
    *("streamlit", "tensorflow", "keras", "numpy", "pandas", "altair", "scikit-learn", "umap-learn", "openTSNE"),
    *("pydantic", "distributed", "pyarrow"),
)
LONGEST = 1000  # characters of a sentence; a value can have any number


class OutputError(LabError):
    """The result of a command could not be written to its file."""


def versions() -> dict[str, str]:
    """The installed version of each package that results depend on."""
    return {name: metadata.version(name) for name in PACKAGES}


def one_line(sentence: str) -> str:
    """A sentence for standard error that may repeat what a person gave: without line breaks and control characters."""
    text = "".join(letter if letter.isprintable() else " " for letter in sentence)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def check_target(target: str) -> None:
    """Try whether a result can be written to a file, before the work that it costs; "-" is standard output.

    Raises:
        BadValueError: it cannot.
    """
    if target == "-":
        return
    try:
        path = _place(target)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if _is_device(path):
            return
        aside, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.")
        os.close(aside)
        Path(name).unlink()
    except (OSError, ValueError) as error:
        problem = f"--json is {target[:200]!r}, but nothing can be written there ({reason_of(error)})"
        raise BadValueError(f"{problem}; name another file.") from None


def _place(target: str) -> Path:
    """Where a file is to be: behind a link, the file that the link names."""
    path = Path(target)
    return path if _is_device(path) else Path(os.path.realpath(path))


def _is_device(path: Path) -> bool:
    """Whether it is there but no file: a pipe or /dev/stdout, which cannot be replaced."""
    return path.exists() and not path.is_file()


def write(result: Mapping[str, Any], target: str | None, summary: Callable[[], str]) -> None:
    """Print the summary, and write the result as JSON to a file; to standard output alone where the target is "-".

    Raises:
        OutputError: the file cannot be written after all; standard output has the JSON object then.
    """
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    if target == "-":
        print(json.dumps(to_json_types(result), allow_nan=False))
        return
    if not target:
        print(summary())
        return
    text = json.dumps(to_json_types(result), indent=1, allow_nan=False)
    try:
        _write_whole(_place(target), text)
    except OSError as error:
        print(text)
        raise OutputError(f"{target} cannot be written ({reason_of(error)}); the result is printed instead.") from None
    print(summary())


def _write_whole(path: Path, text: str) -> None:
    """Write a file aside and rename it into place, so that a reader sees all of it or what was there before."""
    if _is_device(path):
        path.write_text(text, encoding="utf-8")
        return
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name[:40]}.") as folder:
        aside = Path(folder) / "result"  # with the permissions of a new file, which mkstemp's has not
        aside.write_text(text, encoding="utf-8")
        if path.exists():
            shutil.copymode(path, aside)
        aside.replace(path)


class ProgressBar:
    """A progress line on a terminal; silent where standard error is a file.

    epochs: of the training that is watched. title: begins each line, where several trainings follow each other.
    """

    def __init__(self, epochs: int, title: str = "") -> None:
        self.epochs = epochs
        self.title = f"{title}: " if title else ""
        self.shown = sys.stderr.isatty()

    def phase(self, name: str) -> None:
        """A training enters a phase."""
        self._line(f"{self.title}{name} ...")

    def progress(self, progress: Progress) -> None:
        """A training is on its way through an epoch."""
        bar = "#" * int(30 * progress.step / (self.epochs * progress.steps_per_epoch))
        speed = f"{progress.examples_per_second:,.0f} images/s"
        self._line(f"{self.title}[{bar:30}] epoch {progress.epoch}/{self.epochs}  {speed}")

    def epoch(self, record: EpochRecord) -> None:
        """An epoch is complete."""
        if self.shown and record.epoch and not self.title:
            training = f"loss {record.loss:.4f}  accuracy {record.accuracy:.4f}"
            validation = f"validation {record.val_loss:.4f} {record.val_accuracy:.4f}"
            print(f"\r\x1b[Kepoch {record.epoch:3}  {training}  {validation}", file=sys.stderr)

    def fraction(self, done: float, text: str) -> None:
        """How much is done (0 to 1) of something that has no steps of its own."""
        self._line(f"[{'#' * int(30 * done):30}] {text}")

    def _line(self, text: str) -> None:
        if self.shown:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
