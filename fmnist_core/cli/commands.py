"""The command line: `doctor` (is all well?), `presets`, and `init`, `train`, `study` and `table1` without a browser.

Exit codes are a contract: 0 all well, 1 the training failed, 2 a bad value, 3 data missing or damaged.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import fields
from importlib import metadata
from pathlib import Path
from typing import Any

from fmnist_core import __version__
from fmnist_core.data import dataset
from fmnist_core.errors import LabError
from fmnist_core.experiment.cost import check_budget
from fmnist_core.experiment.hyperparameters import FIELDS, Experiment, ExperimentError, run_id
from fmnist_core.experiment.initial_networks import InitialisationError
from fmnist_core.experiment.presets import PRESETS
from fmnist_core.experiment.recording import EpochRecord, Progress, finite
from fmnist_core.experiment.study import STUDIES, Study, StudyError
from fmnist_core.experiment.study import check_budget as check_study
from fmnist_core.findings import statistics
from fmnist_core.findings.map_request import MapRequest, RequestError
from fmnist_core.settings import settings

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
    except (ExperimentError, InitialisationError, RequestError, StudyError) as error:
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
    _common(train_parser)
    train_parser.set_defaults(command=train)
    study_parser = commands.add_parser("study", help="train several networks with several seeds and compare them")
    study_parser.add_argument("--preset", metavar="NAME", help="a ready-made study: " + ", ".join(STUDIES))
    study_parser.add_argument("--file", metavar="FILE", help="a study's definition as JSON, as page Compare saves it")
    study_parser.add_argument("--seeds", metavar="N", help="seeds of each network, 1 to 30")
    _common(study_parser)
    study_parser.set_defaults(command=study)
    _embed_parser(commands.add_parser("embed", help="map what a layer of a stored run makes of images"))
    _init_parser(commands.add_parser("init", help="measure networks before training, as Glorot & Bengio (2010) do"))
    table1_parser = commands.add_parser("table1", help="table 1 of Glorot & Bengio (2010) on Fashion-MNIST")
    size = table1_parser.add_mutually_exclusive_group()
    size.add_argument("--quick", dest="plan", action="store_const", const="quick", help="narrow networks: minutes")
    size.add_argument("--full", dest="plan", action="store_const", const="full", help="the paper's 1,000 units: hours")
    table1_parser.add_argument("--seeds", metavar="N", default="5", help="trainings of each row, 2 to 30")
    _data_and_json(table1_parser)
    table1_parser.set_defaults(command=table1, plan="quick")
    return parser


def _embed_parser(parser: argparse.ArgumentParser) -> None:
    """The flags of `embed`: one for each part of a MapRequest, and the epoch."""
    parser.add_argument("--run", required=True, metavar="DIGEST", help="a stored run, as `train` names it")
    parser.add_argument("--epoch", metavar="N", help="a recorded epoch, 0 before training; the last one by default")
    for field in fields(MapRequest):
        if field.name not in ("run", "epochs"):
            parser.add_argument(f"--{field.name.replace('_', '-')}", metavar="VALUE", help=f"default: {field.default}")
    parser.add_argument("--json", metavar="FILE", help="write the result as one JSON object; - is standard output")
    parser.set_defaults(command=embed)


def _init_parser(parser: argparse.ArgumentParser) -> None:
    """The flags of `init`; the defaults are the paper's network."""
    for name, default in {"layers": "5", "units": "1000", "activation": "tanh", "seed": "0"}.items():
        told = f"{FIELDS[name].title}: {FIELDS[name].allowed}; default: {default}"
        parser.add_argument(f"--{name}", metavar="VALUE", default=default, help=told)
    both, names = "standard_uniform,glorot_uniform", ", ".join(FIELDS["initialiser"].choices)
    parser.add_argument("--initialisers", metavar="NAMES", default=both, help=f"1 to 4, with commas: {names}")
    parser.add_argument("--gain", metavar="VALUE", default="1", help="what all weights are multiplied by; default: 1")
    _data_and_json(parser)
    parser.set_defaults(command=init)


def _common(parser: argparse.ArgumentParser) -> None:
    """The flags of every command that trains."""
    for name, field in FIELDS.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}", dest=name, metavar="VALUE", help=f"{field.title}: {field.allowed}"
        )
    _data_and_json(parser)


def _data_and_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", choices=("full", "sample"), help="which data set; the fullest one found by default")
    parser.add_argument("--json", metavar="FILE", help="write the result as one JSON object; - is standard output")


def presets(chosen: argparse.Namespace) -> int:
    """Print each preset's name, what it is, and the settings that differ from the base network."""
    for preset in PRESETS.values():
        differs = " ".join(f"--{n.replace('_', '-')} {v}" for n, v in preset.experiment.query().items())
        print(f"{preset.name:12} {preset.description} {differs}".rstrip())
    return 0


def doctor(chosen: argparse.Namespace) -> int:
    """Print versions, the data set in use and whether a worker starts and answers."""
    from fmnist_core.engine.service import check

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
    from fmnist_core.jobs.train_runs import train_and_store

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


def study_of(chosen: argparse.Namespace) -> Study:
    """The study that preset or file, and flags, describe. Raises: StudyError, ExperimentError."""
    if chosen.preset is not None and chosen.preset not in STUDIES:
        raise StudyError(f"Preset (preset) is {chosen.preset!r}, but it must be one of {', '.join(STUDIES)}.")
    if chosen.preset and chosen.file:
        raise StudyError(f"Both a preset ({chosen.preset}) and a file ({chosen.file}) are given; take one of them.")
    base = _read_study(chosen.file) if chosen.file else STUDIES[chosen.preset or "notebook"]
    own = {name: getattr(chosen, name) for name in FIELDS if getattr(chosen, name) is not None}
    values: dict[str, Any] = dict(base) | {"base": Experiment.parse(base.base.query() | own)}
    if chosen.seeds is not None:
        values["seeds"] = int(chosen.seeds) if chosen.seeds.isdecimal() else chosen.seeds
    return Study.of(values)


def _read_study(name: str) -> Study:
    try:
        return Study.from_json(Path(name).read_bytes())
    except OSError as error:
        raise StudyError(f"The study's file {name} cannot be read ({error.strerror}); name another one.") from None


def study(chosen: argparse.Namespace) -> int:
    """Train what the store does not have of a study, in this process, and print the comparison."""
    from fmnist_core.engine.service import train_examples
    from fmnist_core.findings import run_tables
    from fmnist_core.jobs.train_runs import train_and_store
    from fmnist_core.store.run_store import RunStore

    wanted = study_of(chosen)
    data = dataset.load(chosen.data)
    check_study(wanted, lambda experiment: train_examples(experiment, data.name), settings().compute_budget)
    store = RunStore(settings().runs, settings().runs_budget)
    runs = wanted.experiments()
    trained = []
    for number, (variant, experiment) in enumerate(runs, start=1):
        stored = store.find(run_id(experiment, data.name))
        told = f"{number}/{len(runs)} {variant.name}, seed {experiment.seed}"
        if stored is None or not stored.complete:
            stored = train_and_store(experiment, data.name, watch=_Bar(experiment.epochs, told))
        trained.append(run_tables.Trained(variant.name, stored))
    result = run_tables.result(trained, trained[0].model)
    _write(result, chosen.json, lambda: _told(trained))
    return 0


def _told(trained: Any) -> str:
    """The comparison as text: the table in the notebook's form, then what differs from the first model."""
    from fmnist_core.findings import run_tables

    rows = [f"{'':32} {'test loss':>16} {'test accuracy':>16} {'seconds':>8}"]
    for line in run_tables.lines(trained):
        figures = (f"{held.mean:.3f} ± {held.std:.3f}" for held in (line.test_loss, line.test_accuracy))
        rows.append(f"{line.model[:32]:32} {next(figures):>16} {next(figures):>16} {line.seconds.mean:8.1f}")
    found = statistics.compare(trained[0].model, run_tables.measures(trained), run_tables.compared(trained))
    names = dict.fromkeys(one.name for one in found)
    rows += [statistics.sentence([one for one in found if one.name == name]) for name in names]
    return "\n".join([*rows, statistics.footnote(found)])


def table1(chosen: argparse.Namespace) -> int:
    """Make table 1 of Glorot & Bengio (2010) in this process, or go on with it, and print it."""
    from fmnist_core.experiment import table1_plan as paper
    from fmnist_core.findings.table1_result import available, sentences, text
    from fmnist_core.jobs import table1_trainings as maker

    plan = paper.plan(chosen.plan, int(chosen.seeds) if chosen.seeds.isdecimal() else chosen.seeds)
    data = dataset.load(chosen.data)
    paper.check_budget(plan, available(data), settings().compute_budget)
    print(paper.announced(plan, available(data)), file=sys.stderr)
    result = maker.run(plan, data, _Bar(plan.epochs).share, ledger=maker.Ledger(settings().runs / maker.LEDGER))
    _write(result, chosen.json, lambda: "\n".join([text(result), *sentences(result)]))
    return 0


def embed(chosen: argparse.Namespace) -> int:
    """Map what a layer of a stored run makes of images, in this process, and print how far to trust the map."""
    from fmnist_core.jobs import layer_maps

    bar = _Bar(1)
    made = layer_maps.make(map_request(chosen), lambda done, text, points: bar.share(done, text))
    assert made is not None  # nobody stops it
    facts, arrays = made
    frame = facts["frames"][0]
    result = {
        "points": arrays["points"].shape[1],
        "seconds": facts["seconds"],
        "kl_divergence": frame["kl"],
        "trustworthiness": frame["trustworthiness"],
        "knn_accuracy": {"layer": frame["knn_layer"], "map": frame["knn_map"]},
    }
    told = f"{result['points']:,} points in {facts['seconds']:.1f} s: trustworthiness {frame['trustworthiness']:.3f}"
    votes = f"nearest-neighbour accuracy {frame['knn_layer']:.3f} in the layer, {frame['knn_map']:.3f} in the map."
    _write(result, chosen.json, lambda: f"{told}, {votes}")
    return 0


def map_request(chosen: argparse.Namespace) -> MapRequest:
    """The map that the flags describe. Raises: RequestError."""
    from fmnist_core.jobs import layer_maps

    run = layer_maps.stored(chosen.run)
    values: dict[str, Any] = {"run": run.run_id}
    for field in fields(MapRequest):
        text = getattr(chosen, field.name, None)
        if field.name not in values and text is not None:
            values[field.name] = _as(type(field.default), field.name, text)
    values["epochs"] = (run.epochs[-1] if chosen.epoch is None else _as(int, "epoch", chosen.epoch),)
    return MapRequest(**values)


def _as(kind: type, name: str, text: str) -> Any:
    """A flag's text as a number, or as it is. Raises: RequestError."""
    try:
        return kind(text)
    except ValueError:
        word = "a whole number" if kind is int else "a number"
        raise RequestError(f"{name} is {text[:40]!r}, but it must be {word}.") from None


def init(chosen: argparse.Namespace) -> int:
    """Measure networks before training in this process, and print the measures of each layer."""
    from fmnist_core.experiment.initial_networks import requested
    from fmnist_core.findings.layers_over_epochs import batch

    own = {name: FIELDS[name].read(getattr(chosen, name)) for name in ("layers", "units", "activation", "seed")}
    names = chosen.initialisers.split(",")
    gains = [_as(float, "gain", chosen.gain)] * len(names)
    requested(**own, initialisers=names, gains=gains)  # before the slow imports
    data = dataset.load(chosen.data)
    images, labels = batch(data)
    from fmnist_core.learning.initial_measures import measure

    found = measure(**own, initialisers=names, images=images, labels=labels, gains=gains)
    networks = {network["initialiser"]: network for network in found["networks"]}
    result = {name: found[name] for name in (*own, "images", "seconds")} | {
        "gain": gains[0],
        "initialisers": {name: _by_layer(network) for name, network in networks.items()},
        "breakdown": {name: network["breakdown"] for name, network in networks.items()},
        "versions": _versions(),
        "data": {"name": data.name, "source": data.source},
    }
    _write(result, chosen.json, lambda: _measures(result["initialisers"]))
    return 0


def _by_layer(network: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["layer"]: {name: row[name] for name in row if name != "layer"} for row in network["summary"]}


def _measures(networks: dict[str, Any]) -> str:
    """The measures as a table; a dash where there is no finite number."""
    heads = next(iter(next(iter(networks.values())).values()))
    lines = [f"{'':28}" + "".join(f"{head:>22}" for head in heads)]
    for name, layers in networks.items():
        for layer, row in layers.items():
            cells = ("–" if value is None else f"{value:.4g}" for value in row.values())
            lines.append(f"{name + ' ' + layer:28}" + "".join(f"{cell:>22}" for cell in cells))
    return "\n".join(lines)


def _history(run: Any) -> list[dict[str, float]]:
    """The contract's rows: trained epochs only (epoch 0 is the untrained network)."""
    columns = ["loss", "accuracy", "val_loss", "val_accuracy"]
    rows = run.history.loc[1:, columns].astype(float)
    return [{"epoch": int(epoch), **row} for epoch, row in zip(rows.index, rows.to_dict("records"), strict=True)]


def _report(result: dict[str, Any], target: str | None, run: str) -> None:
    summary = f"Test accuracy {result['test_accuracy']:.4f}, test loss {result['test_loss']:.4f}, {result['seconds']:.1f} s; run {run}."
    _write(result, target, lambda: summary)


def _write(result: dict[str, Any], target: str | None, summary: Callable[[], str]) -> None:
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    if target == "-":
        print(json.dumps(finite(result), allow_nan=False))
        return
    print(summary())
    if target:
        Path(target).write_text(json.dumps(finite(result), indent=1, allow_nan=False), encoding="utf-8")


class _Bar:
    """A progress line on a terminal; silent where standard error is a file."""

    def __init__(self, epochs: int, title: str = "") -> None:
        self.epochs = epochs
        self.title = f"{title}: " if title else ""
        self.shown = sys.stderr.isatty()

    def phase(self, name: str) -> None:
        self._line(f"{self.title}{name} ...")

    def progress(self, progress: Progress) -> None:
        done = progress.step / (self.epochs * progress.steps_per_epoch)
        bar = "#" * int(30 * done)
        self._line(
            f"{self.title}[{bar:30}] epoch {progress.epoch}/{self.epochs}  {progress.examples_per_second:,.0f} images/s"
        )

    def epoch(self, record: EpochRecord) -> None:
        if self.shown and record.epoch and not self.title:
            numbers = f"loss {record.loss:.4f}  accuracy {record.accuracy:.4f}"
            print(
                f"\r\x1b[Kepoch {record.epoch:3}  {numbers}  validation {record.val_loss:.4f} {record.val_accuracy:.4f}",
                file=sys.stderr,
            )

    def share(self, done: float, text: str) -> None:
        """The share done of something that has no steps of its own."""
        self._line(f"[{'#' * int(30 * done):30}] {text}")

    def _line(self, text: str) -> None:
        if self.shown:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
