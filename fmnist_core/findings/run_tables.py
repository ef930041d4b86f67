"""Stored runs as tables: grouped into models (one network, several seeds), ready for charts and statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from fmnist_core.experiment import wording
from fmnist_core.experiment.hyperparameters import FIELDS, Experiment, run_id
from fmnist_core.experiment.study import Study
from fmnist_core.findings.statistics import Runs, Summary, compare, summary
from fmnist_core.store.run import Run

MEASURES = ("test_loss", "test_accuracy")
PLAIN = ("test_cross_entropy", "test_accuracy")  # where some networks have a penalty in their loss, and others do not


@dataclass(frozen=True)
class Trained:
    """One run as a member of a comparison. model: the name it shares with its other seeds."""

    model: str
    run: Run

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.run.experiment.seed


def of_study(study: Study, data_name: str, find: Callable[[str], Run | None]) -> list[Trained]:
    """The study's complete runs that are there, in its order."""
    found = ((variant.name, find(run_id(experiment, data_name))) for variant, experiment in study.experiments())
    return [Trained(name, run) for name, run in found if run is not None and run.complete]


def of_runs(runs: Iterable[Run]) -> list[Trained]:
    """Any runs, grouped by what they share apart from the seed, in the order given; a group is named by its settings.

    Networks that would have one name (trained on different data, say) get numbers.
    """
    names: dict[tuple[str, str], str] = {}
    found = []
    for run in runs:
        key = network_of(run)
        if key not in names:
            names[key] = _unused(model_name(run), names.values())
        found.append(Trained(names[key], run))
    return found


def network_of(run: Run) -> tuple[str, str]:
    """Equal for runs that share everything apart from the seed."""
    return run.experiment.model_copy(update={"seed": 0}).digest, run.data_name


def model_name(run: Run) -> str:
    """The name a person gave the run, or its settings in words, the seed left out."""
    own = run.name or wording.name(run.experiment.model_copy(update={"seed": FIELDS["seed"].default}))
    return own if run.data_name == "full" else f"{own} ({run.data_name})"


def _unused(name: str, taken: Iterable[str]) -> str:
    held = set(taken)
    number = 2
    unused = name
    while unused in held:
        unused, number = f"{name} ({number})", number + 1
    return unused


def models(trained: Sequence[Trained]) -> list[str]:
    """The names of the models, in the order of their first run."""
    return list(dict.fromkeys(one.model for one in trained))


def history(trained: Sequence[Trained]) -> pd.DataFrame:
    """One row per run and trained epoch: model, seed, run_id, epoch, step, seconds (since the start), the measures."""
    tables = []
    for one in trained:
        rows = one.run.history.reset_index()
        rows = rows[rows["epoch"] > 0]
        steps = rows["epoch"] * one.run.metrics["steps_per_epoch"]
        named: dict[str, Any] = {"model": one.model, "seed": one.seed, "run_id": one.run.run_id, "step": steps}
        named["l2"] = one.run.experiment.l2
        tables.append(rows.assign(**named, seconds=rows["seconds"].cumsum()))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def measures(trained: Sequence[Trained]) -> Runs:
    """What is compared of each model and seed, as `statistics.compare` wants it.

    Losses with different penalties in them are no measure of the networks: there it is the cross-entropy alone.
    """
    found: dict[str, dict[int, dict[str, float]]] = {}
    for one in trained:
        found.setdefault(one.model, {})[one.seed] = {name: _measure(one.run, name) for name in compared(trained)}
    return found


def compared(trained: Sequence[Trained]) -> tuple[str, str]:
    """The names of the measures that `measures` has."""
    return PLAIN if len({one.run.experiment.l2 for one in trained}) > 1 else MEASURES


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
    return [_line(name, [one for one in trained if one.model == name]) for name in models(trained)]


def _line(name: str, own: Sequence[Trained]) -> Line:
    values = {key: summary(float(one.run.metrics[key]) for one in own) for key in (*MEASURES, "seconds")}
    return Line(name, tuple(one.seed for one in own), **values)


def differing(trained: Sequence[Trained]) -> list[str]:
    """The hyperparameters in which the runs differ, the seed left out; by what has an effect."""
    experiments = [one.run.experiment for one in trained]
    uniform = all(experiment.widths is None for experiment in experiments)
    left_out = ("seed", "widths") if uniform else ("seed", "layers", "units")
    fields = [name for name in FIELDS if name not in left_out]
    return [name for name in fields if len({_effect(experiment, name) for experiment in experiments}) > 1]


def _effect(experiment: Experiment, name: str) -> str:
    if name == "widths":
        return str(experiment.hidden_widths)
    return str(getattr(experiment, name)) if FIELDS[name].relevant(experiment) else ""


def table(trained: Sequence[Trained]) -> pd.DataFrame:
    """One row per run: run_id, model, seed, every hyperparameter that differs, and the measures."""
    fields = differing(trained)
    return pd.DataFrame([_row(one, fields) for one in trained])


def _row(one: Trained, fields: Iterable[str]) -> dict[str, Any]:
    held = one.run.experiment
    settings = {name: plain(held, name) for name in fields}
    best = one.run.history["val_loss"].get(one.run.metrics["best_epoch"])
    facts = {name: float(one.run.metrics[name]) for name in (*MEASURES, "seconds")}
    return {"run_id": one.run.run_id, "model": one.model, "seed": one.seed} | settings | facts | {"best_val_loss": best}


def plain(experiment: Experiment, name: str) -> Any:
    """A setting as a table's cell: numbers stay numbers, the rest becomes words."""
    if name == "widths":
        return "-".join(map(str, experiment.hidden_widths)) or "none"
    held = getattr(experiment, name)
    return held if isinstance(held, bool | int | float) else wording.value(name, held)


def uneven(trained: Sequence[Trained]) -> str:
    """Why these runs cannot be compared fairly, one sentence, or ""."""
    if len({one.run.data_name for one in trained}) > 1:
        return "Some of these runs were trained on the full data set and some on the sample: their test images differ."
    shares = sorted({one.run.experiment.validation_fraction for one in trained})
    if len(shares) > 1:
        told = " and ".join(f"{share:g}" for share in shares)
        return f"These runs used different validation fractions ({told}): their curves are not comparable."
    return ""


def result(trained: Sequence[Trained], baseline: str) -> dict[str, Any]:
    """The summary and the comparisons with the baseline, in JSON types."""
    rows = [
        {"name": line.model, "seeds": list(line.seeds)}
        | {key: {"mean": getattr(line, key).mean, "std": getattr(line, key).std} for key in (*MEASURES, "seconds")}
        for line in lines(trained)
    ]
    found = [
        vars(comparison) | {"differs": comparison.differs}
        for comparison in compare(baseline, measures(trained), compared(trained))
    ]
    return {"models": rows, "comparisons": found}
