"""The finished trainings of table 1 as a table: errors over the seeds, differences, and what is bold.

Rows are compared by a paired t test over the seeds: whether a way of initialising is better, not whether two single
networks differ, is the question, and with the same seed two rows share the order of their batches.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fmnist_core.data.dataset import Dataset, split
from fmnist_core.experiment import wording
from fmnist_core.experiment.cost import training_images
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.table1_plan import (
    ACTIVATIONS,
    ALPHA,
    DATA_SETS,
    NORMALISED,
    PUBLISHED,
    STANDARD,
    TELLING_SEEDS,
    Measured,
    Plan,
    Row,
    Training,
)
from fmnist_core.findings import statistics

Found = Mapping[Training, Measured]
Errors = Mapping[Row, list[float]]  # test error of each seed


def available(data: Dataset) -> int:
    """Training images that are left after the validation split."""
    return training_images(Experiment(), data.name)


def result(plan: Plan, data: Dataset, measured: Found, rates: Mapping[Row, float | None]) -> dict[str, Any]:
    """The table in JSON types, with the rows that are complete.

    protocol: all settings. rows: activation, initialisation, initialiser, name, learning_rate (None where every rate
    diverged), at_edge (whether it is the grid's lowest or highest), validation_error (mean over the seeds), test_error
    (mean, std, low and high of its 95 % interval, seeds: one value each), diverged (how many), bold, published (by data
    set, or None). tests: per activation, normalised minus standard. Errors are in % of the images.
    """
    errors = {row: values for row, rate in rates.items() if (values := _errors(plan, row, rate, measured)) is not None}
    bold = _bold(errors)
    return {
        "protocol": _protocol(plan, data),
        "rows": [_row(plan, row, rates[row], values, measured, row in bold) for row, values in errors.items()],
        "tests": [_test(activation, errors) for activation in ACTIVATIONS if _pair(activation) <= set(errors)],
        "data": {"name": data.name, "source": data.source},
    }


def _errors(plan: Plan, row: Row, rate: float | None, measured: Found) -> list[float] | None:
    """The test error of each seed; None where a training is missing."""
    if rate is None:
        return [math.nan] * plan.seeds
    results = [measured.get((row, rate, seed)) for seed in range(plan.seeds)]
    return None if None in results else [result.test_error for result in results if result is not None]


def _bold(errors: Errors) -> set[Row]:
    """The row with the lowest mean, and those that cannot be told from it: all others are different from the best.

    None with fewer than TELLING_SEEDS seeds, with which almost no rows differ significantly.
    """
    means = {row: statistics.summary(values).mean for row, values in errors.items()}
    comparable = [row for row in errors if math.isfinite(means[row])]
    if not comparable or len(errors[comparable[0]]) < TELLING_SEEDS:
        return set()
    best = min(comparable, key=lambda row: means[row])
    return {row for row in comparable if row == best or not _compared(row, best, errors).p < ALPHA}


def _compared(row: Row, baseline: Row, errors: Errors) -> statistics.Comparison:
    runs = {each.name: {s: {"test_error": e} for s, e in enumerate(errors[each])} for each in (baseline, row)}
    [comparison] = statistics.compare(baseline.name, runs, ["test_error"])
    return comparison


def _pair(activation: str) -> set[Row]:
    return {Row(activation, STANDARD), Row(activation, NORMALISED)}


def _test(activation: str, errors: Errors) -> dict[str, Any]:
    comparison = _compared(Row(activation, NORMALISED), Row(activation, STANDARD), errors)
    fields = ("difference", "low", "high", "p", "n", "left_out")
    return (
        {"activation": activation}
        | {name: getattr(comparison, name) for name in fields}
        | {"differs": comparison.n >= TELLING_SEEDS and comparison.p < ALPHA}
    )


def _row(plan: Plan, row: Row, rate: float | None, errors: list[float], measured: Found, bold: bool) -> dict[str, Any]:
    summary = statistics.summary(errors)
    seeds = range(plan.seeds) if rate is not None else ()
    validation = statistics.summary(measured[row, rate, seed].validation_error for seed in seeds if rate is not None)
    published = PUBLISHED.get(row)
    return {
        "name": row.name,
        "activation": row.activation,
        "initialisation": row.initialisation,
        "initialiser": row.initialiser,
        "learning_rate": rate,
        "at_edge": rate in (min(plan.rates), max(plan.rates)),
        "validation_error": validation.mean,
        "test_error": {name: getattr(summary, name) for name in ("mean", "std", "low", "high")} | {"seeds": errors},
        "diverged": plan.seeds - summary.n,
        "bold": bold,
        "published": dict(zip(DATA_SETS, published, strict=True)) if published else None,
    }


def _protocol(plan: Plan, data: Dataset) -> dict[str, Any]:
    rows = split(data.train_labels, Experiment().validation_fraction, plan.fraction(available(data)))
    return {
        **{name: getattr(plan, name) for name in ("name", "layers", "units", "batch_size")},
        "epochs": plan.passes(available(data)),
        "optimiser": "sgd",
        "rates": list(plan.rates),
        "seeds": list(range(plan.seeds)),
        "search_seeds": list(range(plan.search_seeds)),
        "training_images": len(rows.train),
        "validation_images": len(rows.validation),
        "test_images": len(data.test_labels),
        "trainings": plan.trainings,
        "test": "paired t test over the seeds",
        "alpha": ALPHA,
    }


# --- In words -------------------------------------------------------------------------------------------------------


def sentences(result: Mapping[str, Any]) -> list[str]:
    """What the table shows: the two initialisations of each activation, what is bold, and what to doubt."""
    differences = [_test_sentence(test) for test in result["tests"]]
    return [*differences, *_best(result["rows"]), *(doubt for row in result["rows"] for doubt in _doubts(row))]


def text(result: Mapping[str, Any]) -> str:
    """The table for a terminal: bold rows have a star."""
    lines = [f"{'test error in %':14} {'Fashion-MNIST':>17} {'rate':>6}" + "".join(f"{name:>16}" for name in DATA_SETS)]
    for row in result["rows"]:
        error = row["test_error"]
        cell = f"{error['mean']:.2f} ± {error['std']:.2f}{'*' if row['bold'] else ' '}"
        rate = "" if row["learning_rate"] is None else f"{row['learning_rate']:g}"
        beside = "".join(f"{published:16.2f}" for published in (row["published"] or {}).values())
        lines.append(f"{row['name']:14} {cell:>18} {rate:>6}{beside}")
    return "\n".join(lines)


def _test_sentence(test: Mapping[str, Any]) -> str:
    activation, n, difference = test["activation"], test["n"], test["difference"]
    if n < 2:
        return f"With {activation}, too many trainings diverged to compare the initialisations."
    points = f"{wording.signed(difference, 2)} percentage points"
    if n < TELLING_SEEDS:
        return f"With {activation}, {n} seeds are too few to decide: {points} so far."
    interval = f"95 % interval {wording.signed(test['low'], 2)} to {wording.signed(test['high'], 2)}"
    p = "p < 0.001" if test["p"] < 0.001 else f"p = {test['p']:.3g}"
    numbers = f"{points} over {n} seeds ({interval}, {p})"
    if not test["p"] < statistics.ALPHA:
        no_difference = "there is no clear difference between normalised and standard initialisation"
        return f"With {activation}, {no_difference}: {numbers}."
    if not test["differs"]:
        return f"With {activation}, the initialisations differ, but not at the paper's level of p = {ALPHA}: {numbers}."
    verdict = "lowers" if difference < 0 else "raises"
    return f"With {activation}, the normalised initialisation {verdict} the test error: {numbers}."


def _best(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    bold = sorted((row for row in rows if row["bold"]), key=lambda row: row["test_error"]["mean"])
    if not bold:
        return []
    best, *others = (row["name"] for row in bold)
    seeds = len(bold[0]["test_error"]["seeds"])
    beside = (
        f"; {wording.listed(others)} cannot be distinguished from it with {seeds} seeds (p ≥ {ALPHA})" if others else ""
    )
    return [f"In bold: {best} has the lowest mean test error{beside}."]


def _doubts(row: Mapping[str, Any]) -> list[str]:
    """What may be wrong with a row."""
    if row["learning_rate"] is None:
        return [f"{row['name']}: training diverged with every learning rate."]
    doubts = []
    if row["at_edge"]:
        doubts.append(f"{row['name']}: the best learning rate, {row['learning_rate']:g}, is the last one tried.")
    if row["diverged"]:
        doubts.append(f"{row['name']}: {row['diverged']} of the trainings diverged and are left out.")
    return doubts
