"""The command line: `doctor` (is all well?), `presets`, and `train` without a browser.

Exit codes are a contract: 0 all well, 1 the training failed, 2 a bad value, 3 data missing or damaged.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from fmnist_core import __version__, dataset
from fmnist_core.cost import check_budget
from fmnist_core.experiment import FIELDS, PRESETS, Experiment, ExperimentError, run_id
from fmnist_core.recording import EpochRecord, Progress
from fmnist_core.settings import LabError, settings

PACKAGES = (
    "streamlit tensorflow keras numpy pandas altair scikit-learn umap-learn openTSNE pydantic distributed pyarrow"
)
BAD_VALUE, BAD_DATA, FAILED = 2, 3, 1


def main(arguments: list[str]) -> int:
    """Run one command; returns the process' exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        return int(chosen.command(chosen))
    except dataset.DataError as error:
        return _refuse(str(error), BAD_DATA)
    except ExperimentError as error:
        return _refuse(str(error), BAD_VALUE)
    except LabError as error:
        return _refuse(str(error), FAILED)
    except KeyboardInterrupt:
        return _refuse("Stopped.", 130)


def _refuse(sentence: str, code: int) -> int:
    print(sentence, file=sys.stderr)
    return code


class _Parser(argparse.ArgumentParser):
    """A parser whose error is one line, without the long usage text."""

    def error(self, message: str) -> Any:
        self.exit(BAD_VALUE, f"{self.prog}: {message}; --help lists what there is.\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m fmnist_core", description="Fashion-MNIST Lab without a browser.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    commands.add_parser("doctor", help="versions, data and an engine check").set_defaults(command=doctor)
    commands.add_parser("presets", help="the named experiments").set_defaults(command=presets)
    train_parser = commands.add_parser("train", help="train one network, store the run and print its result")
    train_parser.add_argument("--preset", metavar="NAME", help="start from a named experiment: " + ", ".join(PRESETS))
    for name, field in FIELDS.items():
        train_parser.add_argument(
            f"--{name.replace('_', '-')}", dest=name, metavar="VALUE", help=f"{field.title}: {field.allowed}"
        )
    train_parser.add_argument(
        "--data", choices=("full", "sample"), help="which data set; the fullest one found by default"
    )
    train_parser.add_argument(
        "--json", metavar="FILE", help="write the result as one JSON object; - is standard output"
    )
    train_parser.set_defaults(command=train)
    return parser


def presets(chosen: argparse.Namespace) -> int:
    """Print each preset's name, what it is, and the settings that differ from the base network."""
    for preset in PRESETS.values():
        differs = " ".join(f"--{n.replace('_', '-')} {v}" for n, v in preset.experiment.query().items())
        print(f"{preset.name:12} {preset.description} {differs}".rstrip())
    return 0


def doctor(chosen: argparse.Namespace) -> int:
    """Print versions, the data set in use and whether a worker starts and answers."""
    from fmnist_core.runs.engine import check

    print(
        f"Fashion-MNIST Lab {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    )
    print(", ".join(f"{name} {version}" for name, version in _versions().items()))
    data = dataset.load()
    print(f"Data: {data.source}: {len(data.train_images):,} training and {len(data.test_images):,} test images.")
    start = time.perf_counter()
    print(f"Engine: {check()} ({time.perf_counter() - start:.1f} s)")
    print(f"Runs: {settings().runs}")
    return 0


def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in PACKAGES.split()}


def experiment_of(chosen: argparse.Namespace) -> Experiment:
    """The experiment that preset and flags describe. Raises: ExperimentError."""
    if chosen.preset is not None and chosen.preset not in PRESETS:
        raise ExperimentError(f"Preset (preset) is {chosen.preset!r}, but it must be one of {', '.join(PRESETS)}.")
    base = PRESETS[chosen.preset].experiment.query() if chosen.preset else {}
    own = {name: getattr(chosen, name) for name in FIELDS if getattr(chosen, name) is not None}
    return Experiment.parse(base | own)


def train(chosen: argparse.Namespace) -> int:
    """Train in this process, store the run, print the result."""
    experiment = experiment_of(chosen)
    data = dataset.load(chosen.data)
    chosen_split = dataset.split(data.train_labels, experiment.validation_fraction, experiment.training_fraction)
    check_budget(experiment, len(chosen_split.train), settings().compute_budget)
    from fmnist_core.runs.worker import train_and_store

    run = train_and_store(experiment, data.name, watch=_Bar(experiment.epochs))
    result = {
        "digest": experiment.digest,
        "experiment": experiment.canonical(),
        "test_loss": run.metrics["test_loss"],
        "test_accuracy": run.metrics["test_accuracy"],
        "seconds": run.metrics["seconds"],
        "history": _history(run),
        "versions": _versions(),
        "data": {"name": data.name, "source": data.source},
    }
    _report(result, chosen.json, run_id(experiment, data.name))
    return 0


def _history(run: Any) -> list[dict[str, float]]:
    """The contract's rows: trained epochs only (epoch 0 is the untrained network)."""
    columns = ["loss", "accuracy", "val_loss", "val_accuracy"]
    rows = run.history.loc[1:, columns].astype(float)
    return [{"epoch": int(epoch), **row} for epoch, row in zip(rows.index, rows.to_dict("records"), strict=True)]


def _report(result: dict[str, Any], target: str | None, run: str) -> None:
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    summary = f"Test accuracy {result['test_accuracy']:.4f}, test loss {result['test_loss']:.4f}, {result['seconds']:.1f} s; run {run}."
    if target == "-":
        print(json.dumps(result))
        return
    print(summary)
    if target:
        Path(target).write_text(json.dumps(result, indent=1), encoding="utf-8")


class _Bar:
    """A progress line on a terminal; silent where standard error is a file."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.shown = sys.stderr.isatty()

    def phase(self, name: str) -> None:
        self._line(f"{name} ...")

    def progress(self, progress: Progress) -> None:
        done = progress.step / (self.epochs * progress.steps_per_epoch)
        bar = "#" * int(30 * done)
        self._line(f"[{bar:30}] epoch {progress.epoch}/{self.epochs}  {progress.examples_per_second:,.0f} images/s")

    def epoch(self, record: EpochRecord) -> None:
        if self.shown and record.epoch:
            numbers = f"loss {record.loss:.4f}  accuracy {record.accuracy:.4f}"
            print(
                f"\r\x1b[Kepoch {record.epoch:3}  {numbers}  validation {record.val_loss:.4f} {record.val_accuracy:.4f}",
                file=sys.stderr,
            )

    def _line(self, text: str) -> None:
        if self.shown:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
