"""What the commands print: one JSON object or a few lines of text, and a progress bar on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from fmnist_core.experiment.recording import EpochRecord, Progress, to_json_types

PACKAGES = (
    *("streamlit", "tensorflow", "keras", "numpy", "pandas", "altair", "scikit-learn", "umap-learn", "openTSNE"),
    *("pydantic", "distributed", "pyarrow"),
)


def versions() -> dict[str, str]:
    """The installed version of each package that results depend on."""
    return {name: metadata.version(name) for name in PACKAGES}


def write(result: Mapping[str, Any], target: str | None, summary: Callable[[], str]) -> None:
    """Print the summary, and write the result as JSON to a file; to standard output alone where the target is "-"."""
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    if target == "-":
        print(json.dumps(to_json_types(result), allow_nan=False))
        return
    print(summary())
    if target:
        Path(target).write_text(json.dumps(to_json_types(result), indent=1, allow_nan=False), encoding="utf-8")


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
