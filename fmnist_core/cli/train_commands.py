"""The commands that train: `presets`, `train`, `study` and `table1`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from fmnist_core.cli import flags
from fmnist_core.cli.interrupts import ends_at_once
from fmnist_core.cli.output import ProgressBar, versions, write
from fmnist_core.data import dataset
from fmnist_core.errors import reason_of
from fmnist_core.experiment.cost import check_budget, check_memory, training_images
from fmnist_core.experiment.hyperparameters import Experiment, ExperimentError, run_id
from fmnist_core.experiment.presets import PRESETS
from fmnist_core.experiment.study import STUDIES, Study, StudyError
from fmnist_core.experiment.study import check_budget as check_study
from fmnist_core.findings import health, statistics
from fmnist_core.settings import check_runs_folder, settings

if TYPE_CHECKING:
    from fmnist_core.findings.run_tables import Trained
    from fmnist_core.store.run import Run

LARGEST_STUDY = 1_000_000  # bytes of its file


def print_presets(arguments: argparse.Namespace) -> None:
    """Print each preset's name, what it is, and the settings that differ from the base network."""
    for preset in PRESETS.values():
        differs = " ".join(f"--{n.replace('_', '-')} {v}" for n, v in preset.experiment.query().items())
        print(f"{preset.name:12} {preset.description} {differs}".rstrip())


# --- train ------------------------------------------------------------------------------------------------------------


def add_train(parser: argparse.ArgumentParser) -> None:
    """The flags of `train`."""
    parser.add_argument("--preset", metavar="NAME", help="start from a ready-made experiment: " + ", ".join(PRESETS))
    flags.add_hyperparameters(parser)
    parser.add_argument("--again", action="store_true", help="train anew where the store has this run already")
    flags.add_data(parser)
    flags.add_json(parser)


def experiment_of(arguments: argparse.Namespace) -> Experiment:
    """The experiment that preset and flags describe. Raises: ExperimentError."""
    preset = arguments.preset
    if preset is not None and preset not in PRESETS:
        raise ExperimentError(f"Preset (preset) is {preset!r}, but it must be one of {', '.join(PRESETS)}.")
    base = PRESETS[preset].experiment.query() if preset else {}
    return Experiment.parse(base | flags.hyperparameters(arguments))


def train(arguments: argparse.Namespace) -> None:
    """Train in this process, store the run, print the result; a run that the store has already is not trained again."""
    experiment = experiment_of(arguments)
    data = dataset.load(arguments.data)
    run = None if arguments.again else _stored(experiment, data.name)
    if run:
        print(f"Run {run.run_id} is stored already; --again trains it anew.", file=sys.stderr)
    else:
        examples = training_images(experiment, data.name)
        check_budget(experiment, examples, settings().compute_budget)
        check_memory(experiment, psutil.virtual_memory().total, in_worker=False)
        if lone := health.batches_of_one(experiment, examples):
            batch_size = health.larger_batches(examples)["batch_size"]
            print(f"{lone} Choose --batch-size {batch_size}.", file=sys.stderr)
        check_runs_folder()
        _make_room([experiment], data.name)
        from fmnist_core.jobs.train_runs import train_and_store

        _import_tensorflow()
        run = train_and_store(experiment, data.name, listener=ProgressBar(experiment.epochs))
    result = {
        "digest": experiment.digest,
        "experiment": experiment.canonical(),
        "test_loss": run.metrics["test_loss"],
        "test_accuracy": run.metrics["test_accuracy"],
        "seconds": run.metrics["seconds"],
        "history": _history(run),
        "versions": versions() | run.provenance["versions"],
        "data": run.provenance["data"],
    }
    test = f"Test accuracy {result['test_accuracy']:.4f}, test loss {result['test_loss']:.4f}"
    write(result, arguments.json, lambda: f"{test}, {result['seconds']:.1f} s; run {run.run_id}.")


def _import_tensorflow() -> None:
    """The slow part of the first training."""
    with ends_at_once():
        import fmnist_core.learning.training  # noqa: F401


def _stored(experiment: Experiment, data_name: str) -> Run | None:
    """The complete run of an experiment, where the store has it."""
    from fmnist_core.store.run_store import configured_store

    run = configured_store().verified(run_id(experiment, data_name))
    return run if run and run.complete else None


def _make_room(experiments: Sequence[Experiment], data_name: str) -> None:
    """Say which runs will be removed to make room for these. Raises: StoreError, where they cannot be stored."""
    from fmnist_core.store.run_store import configured_store

    store = configured_store()
    room = store.room_for(experiments, data_name)
    for experiment in experiments:  # what is asked for is the last to go
        store.touch(run_id(experiment, data_name))
    if room.removed:
        print(f"{room.sentence()} They are: {', '.join(room.removed)}.", file=sys.stderr)


def _history(run: Run) -> list[dict[str, float]]:
    """The contract's rows: trained epochs only (epoch 0 is the untrained network)."""
    columns = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")
    return [{name: getattr(record, name) for name in columns} for record in run.records if record.epoch]


# --- study ------------------------------------------------------------------------------------------------------------


def add_study(parser: argparse.ArgumentParser) -> None:
    """The flags of `study`."""
    parser.add_argument("--preset", metavar="NAME", help="a ready-made study: " + ", ".join(STUDIES))
    parser.add_argument("--file", metavar="FILE", help="a study's definition as JSON, as page Compare saves it")
    parser.add_argument("--seeds", metavar="N", help="seeds for each network, 1 to 30")
    flags.add_hyperparameters(parser)
    flags.add_data(parser)
    flags.add_json(parser)


def study_of(arguments: argparse.Namespace) -> Study:
    """The study that preset or file, and flags, describe. Raises: StudyError, ExperimentError."""
    preset, file = arguments.preset, arguments.file
    if preset is not None and preset not in STUDIES:
        raise StudyError(f"Preset (preset) is {preset!r}, but it must be one of {', '.join(STUDIES)}.")
    if preset and file:
        raise StudyError(f"Both a preset ({preset}) and a file ({file}) are given; choose one of them.")
    study = _read_study(file) if file else STUDIES[preset or "notebook"]
    base = Experiment.parse(study.base.query() | flags.hyperparameters(arguments))
    values: dict[str, Any] = dict(study) | {"base": base}
    if arguments.seeds is not None:
        values["seeds"] = flags.count(arguments.seeds)
    return Study.of(values)


def _read_study(name: str) -> Study:
    try:
        return Study.from_json(_content(Path(name)))
    except (OSError, ValueError) as error:  # a name may hold what no file's name can
        raise StudyError(f"The study's file {name[:200]} cannot be read ({reason_of(error)}); name another.") from None


def _content(path: Path) -> bytes:
    """A study's file, which is small. Raises: OSError, ValueError."""
    if path.exists() and not path.is_file():
        raise ValueError("it is not a file")
    with path.open("rb") as file:
        content = file.read(LARGEST_STUDY + 1)
    if len(content) > LARGEST_STUDY:
        raise ValueError("it is too large for a study")
    return content


def train_study(arguments: argparse.Namespace) -> None:
    """Train what the store does not have of a study, in this process, and print the comparison."""
    from fmnist_core.findings import run_tables
    from fmnist_core.jobs.train_runs import train_and_store, train_many

    study = study_of(arguments)
    data = dataset.load(arguments.data)
    stored = cache(lambda experiment: _stored(experiment, data.name))

    def images(experiment: Experiment) -> int:
        return 0 if stored(experiment) else training_images(experiment, data.name)

    check_study(study, images, settings().compute_budget)
    variants = study.experiments()
    experiments = [experiment for _, experiment in variants]
    if missing := [experiment for experiment in experiments if not stored(experiment)]:
        for experiment in missing:
            check_memory(experiment, psutil.virtual_memory().total, in_worker=False)
        check_runs_folder()
        _make_room(experiments, data.name)
    titles = {
        experiment: f"{number}/{len(variants)} {variant.name}, seed {experiment.seed}"
        for number, (variant, experiment) in enumerate(variants, start=1)
    }

    def train(experiment: Experiment, on_fraction: object, should_stop: Callable[[], bool]) -> Run:
        _import_tensorflow()
        bar = ProgressBar(experiment.epochs, titles[experiment])
        return train_and_store(experiment, data.name, bar, should_stop)

    runs = train_many(experiments, lambda each: stored(each) or _stored(each, data.name), train)
    assert runs  # nobody stops them
    trained = [run_tables.Trained(variant.name, run) for (variant, _), run in zip(variants, runs, strict=True)]
    write(run_tables.result(trained, trained[0].model), arguments.json, lambda: _comparison(trained))


def _comparison(trained: Sequence[Trained]) -> str:
    """The comparison as text: the table in the notebook's form, then what differs from the first model."""
    from fmnist_core.findings import run_tables

    rows = [f"{'':32} {'test loss':>16} {'test accuracy':>16} {'seconds':>8}"]
    for line in run_tables.lines(trained):
        loss, accuracy = (
            statistics.spread(value).replace("\u00a0", " ") for value in (line.test_loss, line.test_accuracy)
        )
        rows.append(f"{line.model[:32]:32} {loss:>16} {accuracy:>16} {line.seconds.mean:8.1f}")
    differences = statistics.compare(trained[0].model, run_tables.measures(trained), run_tables.compared(trained))
    intervals = [difference for difference in differences if difference.n > 1]
    notes = [statistics.footnote(differences)] if intervals else []
    return "\n".join([*rows, *statistics.sentences(differences), *notes])


# --- table1 -----------------------------------------------------------------------------------------------------------


def add_table1(parser: argparse.ArgumentParser) -> None:
    """The flags of `table1`."""
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", dest="plan", action="store_const", const="quick", help="narrow networks: minutes")
    size.add_argument("--full", dest="plan", action="store_const", const="full", help="the paper's 1,000 units: hours")
    parser.add_argument("--seeds", metavar="N", default="5", help="trainings for each row, 2 to 30")
    flags.add_data(parser)
    flags.add_json(parser)
    parser.set_defaults(plan="quick")


def train_table1(arguments: argparse.Namespace) -> None:
    """Make table 1 of Glorot & Bengio (2010) in this process, or go on with it, and print it."""
    from fmnist_core.experiment import table1_plan
    from fmnist_core.findings.table1_ledger import Ledger, ledger_path
    from fmnist_core.findings.table1_result import available, sentences, text
    from fmnist_core.jobs.table1_trainings import make_table1

    plan = table1_plan.plan(arguments.plan, flags.count(arguments.seeds))
    data = dataset.load(arguments.data)
    table1_plan.check_budget(plan, available(data), settings().compute_budget)
    check_runs_folder()
    _import_tensorflow()
    print(table1_plan.announced(plan, available(data)), file=sys.stderr)
    result = make_table1(plan, data, ProgressBar(plan.epochs).fraction, ledger=Ledger(ledger_path()))
    write(result, arguments.json, lambda: "\n".join([text(result), *sentences(result)]))
