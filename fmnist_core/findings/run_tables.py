"""Stored runs as tables: grouped into models (one network, several seeds), ready for charts and statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

import pandas as pd

from fmnist_core.experiment import wording
from fmnist_core.experiment.hyperparameters import FIELDS, Experiment, run_id
from fmnist_core.experiment.study import Study
from fmnist_core.findings.statistics import Runs, Summary, compare, summary
from fmnist_core.store.run import Run

MEASURES = ("test_loss", "test_accuracy")
PLAIN = ("test_cross_entropy", "test_accuracy")  # where the losses hold other terms beside it, or others of them


@dataclass(frozen=True)
class Trained:
    """One run of a comparison. model: the name that it shares with the runs of its other seeds."""

    model: str
    run: Run

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.run.experiment.seed


def of_study(study: Study, data_name: str, find: Callable[[str], Run | None]) -> list[Trained]:
    """The study's stored, complete runs, in its order."""
    runs = ((variant.name, find(run_id(experiment, data_name))) for variant, experiment in study.experiments())
    return [Trained(name, run) for name, run in runs if run is not None and run.complete]


def of_runs(runs: Iterable[Run]) -> list[Trained]:
    """Runs grouped by all settings but the seed, in the order given; a group is named by its settings.

    Networks that would have one name (trained on different data, say) get numbers.
    """
    names: dict[tuple[str, str], str] = {}
    result = []
    for run in runs:
        key = network_of(run)
        if key not in names:
            name = model_name(run)
            numbered = (f"{name} ({number})" for number in count(2))
            names[key] = next(unused for unused in chain([name], numbered) if unused not in names.values())
        result.append(Trained(names[key], run))
    return result


def network_of(run: Run) -> tuple[str, str]:
    """Equal for runs that share everything apart from the seed."""
    return run.experiment.model_copy(update={"seed": 0}).digest, run.data_name


def model_name(run: Run) -> str:
    """The name a person gave the run, or its settings in words, the seed left out."""
    name = run.name or wording.name(run.experiment.model_copy(update={"seed": FIELDS["seed"].default}))
    return name if run.data_name == "full" else f"{name} ({run.data_name})"


def models(trained: Sequence[Trained]) -> list[str]:
    """The names of the models, in the order of their first run."""
    return list(dict.fromkeys(member.model for member in trained))


def history(trained: Sequence[Trained]) -> pd.DataFrame:
    """One row per run and trained epoch: model, seed, run_id, epoch, step, seconds (since the start), the measures."""
    tables = []
    for member in trained:
        rows = member.run.history.reset_index()
        rows = rows[rows["epoch"] > 0]
        steps = rows["epoch"] * member.run.metrics["steps_per_epoch"]
        named: dict[str, Any] = {"model": member.model, "seed": member.seed, "run_id": member.run.run_id, "step": steps}
        named["loss_terms"] = " + ".join(member.run.experiment.loss_terms)
        tables.append(rows.assign(**named, seconds=rows["seconds"].cumsum()))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def measures(trained: Sequence[Trained]) -> Runs:
    """The measures of each model and seed, as `statistics.compare` takes them.

    Losses with different terms in them (`Experiment.loss_terms`) are no measure of the networks: there it is the
    cross-entropy alone.
    """
    by_model: dict[str, dict[int, dict[str, float]]] = {}
    names = compared(trained)
    for member in trained:
        by_model.setdefault(member.model, {})[member.seed] = {name: _measure(member.run, name) for name in names}
    return by_model


def compared(trained: Sequence[Trained]) -> tuple[str, str]:
    """The names of the measures that `measures` has."""
    terms = [member.run.experiment.loss_terms for member in trained]
    return MEASURES if all(other == terms[0] for other in terms) else PLAIN


def _measure(run: Run, name: str) -> float:
    if name == "test_cross_entropy":
        return float(run.metrics["test_loss"]) - float(run.metrics.get("test_penalty", 0.0))
    return float(run.metrics[name])


@dataclass(frozen=True)
class Line:
    """One model in the summary: its seeds, and each measure over them."""

    model: str
    seeds: tuple[int, ...]
    test_loss: Summary
    test_accuracy: Summary
    seconds: Summary


def lines(trained: Sequence[Trained]) -> list[Line]:
    """The summary in the notebook's form: model, test loss, test accuracy, time; over the seeds."""
    result = []
    for name in models(trained):
        members = [member for member in trained if member.model == name]
        values = {key: summary(float(member.run.metrics[key]) for member in members) for key in (*MEASURES, "seconds")}
        result.append(Line(name, tuple(member.seed for member in members), **values))
    return result


def differing(trained: Sequence[Trained]) -> list[str]:
    """The hyperparameters in which the runs differ, the seed left out; by what has an effect."""
    experiments = [member.run.experiment for member in trained]
    uniform = all(experiment.widths is None for experiment in experiments)
    left_out = ("seed", "widths") if uniform else ("seed", "layers", "units")
    fields = [name for name in FIELDS if name not in left_out]
    return [name for name in fields if len({_effect(experiment, name) for experiment in experiments}) > 1]


def _effect(experiment: Experiment, name: str) -> str:
    if name == "widths":
        return str(experiment.hidden_widths)
    value = getattr(experiment, name) if FIELDS[name].relevant(experiment) else getattr(Experiment(), name)
    return str(value)  # what has no effect counts as the default: no difference from one that is off


def table(trained: Sequence[Trained]) -> pd.DataFrame:
    """One row per run: run_id, model, seed, every hyperparameter that differs, and the measures."""
    fields, rows = differing(trained), []
    for member in trained:
        run = member.run
        row = {"run_id": run.run_id, "model": member.model, "seed": member.seed}
        row |= {name: plain(run.experiment, name) for name in fields}
        row |= {name: float(run.metrics[name]) for name in (*MEASURES, "seconds")}
        rows.append(row | {"best_val_loss": run.history["val_loss"].get(run.metrics["best_epoch"])})
    return pd.DataFrame(rows)


def plain(experiment: Experiment, name: str) -> Any:
    """A setting as a table's cell: a number or bool as it is, others, and what has no effect, in words."""
    if name == "widths":
        return "-".join(map(str, experiment.hidden_widths)) or "none"
    if not FIELDS[name].relevant(experiment):
        return "no effect"
    value = getattr(experiment, name)
    return value if isinstance(value, bool | int | float) else wording.value(name, value)


def uneven(trained: Sequence[Trained]) -> str:
    """Why these runs cannot be compared fairly, one sentence, or ""."""
    if len({member.run.data_name for member in trained}) > 1:
        return "Some of these runs were trained on the full data set and some on the sample: their test images differ."
    fractions = sorted({member.run.experiment.validation_fraction for member in trained})
    if len(fractions) > 1:
        listed = wording.listed([f"{fraction:g}" for fraction in fractions])
        return f"These runs used different validation fractions ({listed}): their curves are not comparable."
    return ""


def result(trained: Sequence[Trained], baseline: str) -> dict[str, Any]:
    """The summary and the comparisons with the baseline, in JSON types."""
    rows = [
        {"name": line.model, "seeds": list(line.seeds)}
        | {key: {"mean": getattr(line, key).mean, "std": getattr(line, key).std} for key in (*MEASURES, "seconds")}
        for line in lines(trained)
    ]
    comparisons = [
        vars(comparison) | {"differs": comparison.differs}
        for comparison in compare(baseline, measures(trained), compared(trained))
    ]
    return {"models": rows, "comparisons": comparisons}
