"""Table 1 of Glorot & Bengio (2010): its plan, how rates are chosen, what is bold, and the quick table in miniature."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fmnist_core.charts import table1_charts as pictures
from fmnist_core.cli import commands
from fmnist_core.cli.exit_codes import BAD_VALUE
from fmnist_core.data import dataset
from fmnist_core.data.dataset import Dataset
from fmnist_core.experiment import table1_plan
from fmnist_core.experiment.analysis_facts import Table1Facts
from fmnist_core.experiment.cost import cost
from fmnist_core.experiment.hyperparameters import Experiment, ExperimentError
from fmnist_core.experiment.recording import EpochRecord, Recorder, to_json_types
from fmnist_core.experiment.table1_plan import NORMALISED, ROWS, STANDARD, Measured, Row, choose, plan
from fmnist_core.findings.table1_ledger import Ledger, TableSoFar
from fmnist_core.findings.table1_result import available, result, sentences, text
from fmnist_core.jobs.table1_trainings import make_table1
from fmnist_core.learning import program, training

TINY = replace(plan(), units=8, epochs=1, batch_size=100, images=500, rates=(0.1, 1.0), seeds=2, search_seeds=1)
NAN = math.nan


@pytest.fixture(scope="module")
def sample() -> Dataset:
    return dataset.load("sample")


def measured(validation: float, test: float = 20.0, loss: float = 1.0) -> Measured:
    return Measured(validation, loss, test, 1.0)


# --- The plan -------------------------------------------------------------------------------------------------------


def test_every_network_is_the_papers() -> None:
    for row, (initialiser, activation) in zip(
        ROWS, ((i, a) for a in ("softsign", "tanh", "sigmoid") for i in (STANDARD, NORMALISED)), strict=True
    ):
        experiment = plan("full").experiment(row, 0.03, 4, 54_000)
        assert (experiment.initialiser, experiment.activation) == (initialiser, activation)
        assert experiment.hidden_widths == (1000,) * 5
        assert (experiment.optimiser, experiment.momentum, experiment.schedule) == ("sgd", 0.0, "constant")
        assert (experiment.batch_size, experiment.learning_rate, experiment.seed) == (10, 0.03, 4)
        assert (experiment.l2, experiment.dropout, experiment.batch_norm) == (0.0, 0.0, False)
        assert experiment.training_fraction == 1.0


def test_one_compiled_program_serves_all_rates_seeds_and_initialisers_of_an_activation() -> None:
    keys = {
        program.graph_key(plan().experiment(row, rate, seed, 54_000))
        for row in ROWS
        for rate in table1_plan.RATES
        for seed in range(5)
    }
    assert len(keys) == 3


@given(st.integers(2, 30), st.integers(1, 2))
def test_the_plan_counts_its_trainings(seeds: int, search_seeds: int) -> None:
    own = replace(plan(seeds=seeds), search_seeds=search_seeds)
    listed = {one for row in ROWS for one in (*own.searched(row), *own.confirmed(row, own.rates[0]))}
    assert len(listed) == own.trainings


def test_the_cost_is_that_of_its_trainings() -> None:
    each = cost(plan().experiment(ROWS[0], 0.1, 0, 54_000), 10_800).flops
    assert table1_plan.flops(plan(), 54_000) == pytest.approx(plan().trainings * each)
    table1_plan.check_budget(plan("full"), 54_000, 1e15)
    with pytest.raises(ExperimentError, match=r"needs .* operations, .* FMNIST_COMPUTE_BUDGET"):
        table1_plan.check_budget(plan("full", seeds=30), 54_000, 1e15)


def test_the_announcement_says_how_long() -> None:
    told = table1_plan.announced(plan("full"), 54_000)
    assert told.startswith(f"The full table trains {plan('full').trainings} networks of 5 x 1,000 units")
    assert f"{table1_plan.flops(plan('full'), 54_000):.1e}" in told


@pytest.mark.parametrize("seeds", [0, 1, 31, -3, "many", 2.5])
def test_a_wrong_number_of_seeds_is_named(seeds: object) -> None:
    with pytest.raises(ExperimentError, match=r"\(seeds\) is .*, but it must be a whole number from 2 to 30"):
        plan("quick", seeds)


def test_an_unknown_plan_is_named() -> None:
    with pytest.raises(ExperimentError, match=r"\(plan\) is 'slow', but it must be one of quick, full"):
        plan("slow")


def test_a_small_data_set_is_used_whole_and_more_often() -> None:
    full, sample = (plan().experiment(ROWS[0], 0.1, 0, available) for available in (54_000, 5_400))
    assert (full.training_fraction, full.epochs) == (0.2, plan().epochs)
    assert (sample.training_fraction, sample.epochs) == (1.0, 2 * plan().epochs)
    assert cost(full, 10_800).flops == cost(sample, 5_400).flops


# --- The learning rate ----------------------------------------------------------------------------------------------


def test_the_rate_with_the_lowest_mean_validation_error_is_chosen() -> None:
    found = {0.1: [measured(20), measured(30)], 0.3: [measured(22), measured(24)], 1.0: [measured(19), measured(40)]}
    assert choose(found) == 0.3


def test_a_rate_that_diverged_with_any_seed_is_never_chosen() -> None:
    gone = Measured(NAN, NAN, NAN, 1.0)
    assert choose({0.1: [measured(50)] * 2, 1.0: [measured(10), gone]}) == 0.1
    assert choose({0.1: [gone], 1.0: [gone]}) is None


def test_among_networks_that_all_guess_the_lower_loss_decides() -> None:
    assert (
        choose({0.1: [measured(90, loss=2.303)], 0.3: [measured(90, loss=2.302)], 1.0: [measured(90, loss=2.5)]}) == 0.3
    )


# --- The table ------------------------------------------------------------------------------------------------------

SPREAD = np.array([-0.3, 0.1, 0.2, -0.1, 0.1])


def made(errors: dict[Row, Any], data: Dataset) -> dict[str, Any]:
    """The table of these test errors, (5,) by row, every rate 0.1."""
    own = plan()
    found = {
        (row, 0.1, seed): measured(error, error) for row, held in errors.items() for seed, error in enumerate(held)
    }
    return result(own, data, found, dict.fromkeys(errors, 0.1))


def rows(table: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in table["rows"]}


def errors_like_the_papers() -> dict[Row, Any]:
    means = {
        "softsign": 19.27,
        "softsign N": 15.65,
        "tanh": 27.15,
        "tanh N": 15.60,
        "sigmoid": 82.61,
        "sigmoid N": 80.0,
    }
    rng = np.random.default_rng(1)
    return {row: means[row.name] + rng.permutation(SPREAD) for row in ROWS}


def test_differences_are_scipys_paired_t_test(sample: Dataset) -> None:
    errors = errors_like_the_papers()
    for test in made(errors, sample)["tests"]:
        normalised, standard = (errors[Row(test["activation"], one)] for one in (NORMALISED, STANDARD))
        oracle = stats.ttest_rel(normalised, standard)
        assert test["p"] == pytest.approx(oracle.pvalue)
        interval = oracle.confidence_interval(0.95)
        assert (test["low"], test["high"]) == pytest.approx((interval.low, interval.high))
        assert test["difference"] == pytest.approx((normalised - standard).mean())
        assert test["differs"] == (oracle.pvalue < 0.005)


def test_bold_rows_cannot_be_told_from_the_best_and_all_others_can(sample: Dataset) -> None:
    errors = errors_like_the_papers()
    table = made(errors, sample)
    best = min(errors, key=lambda row: errors[row].mean())
    for row in errors:
        p = 1.0 if row == best else stats.ttest_rel(errors[row], errors[best]).pvalue
        assert rows(table)[row.name]["bold"] == (p >= 0.005)
    assert {name for name, row in rows(table).items() if row["bold"]} >= {"tanh N", "softsign N"}
    assert not rows(table)["sigmoid"]["bold"]


def test_what_is_bold_is_said(sample: Dataset) -> None:
    errors = errors_like_the_papers()
    assert sentences(made(errors, sample))[3] == (
        "In bold: tanh N has the lowest mean test error; "
        "softsign N cannot be distinguished from it with 5 seeds (p ≥ 0.005)."
    )
    errors[Row("softsign", STANDARD)] = errors[Row("softsign", NORMALISED)] + np.array([0.1, 0.0, -0.1, 0.2, 0.0])
    assert "softsign N and softsign cannot be distinguished" in sentences(made(errors, sample))[3]


def test_a_row_carries_the_papers_numbers(sample: Dataset) -> None:
    table = rows(made(errors_like_the_papers(), sample))
    assert table["tanh N"]["published"] == {
        "Shapeset-3x2": 15.60,
        "MNIST": 1.64,
        "CIFAR-10": 52.92,
        "Small ImageNet": 68.57,
    }
    assert table["sigmoid N"]["published"] is None


def test_diverged_trainings_are_left_out_and_counted(sample: Dataset) -> None:
    errors = errors_like_the_papers()
    errors[Row("tanh", STANDARD)] = np.array([27.0, NAN, 27.3, 26.9, 27.2])
    table = made(errors, sample)
    assert rows(table)["tanh"]["diverged"] == 1
    assert rows(table)["tanh"]["test_error"]["mean"] == pytest.approx(27.1)
    assert next(test for test in table["tests"] if test["activation"] == "tanh")["left_out"] == 1
    assert "tanh: 1 of the trainings diverged and are left out." in sentences(table)


def test_a_row_that_always_diverged_is_shown_as_such(sample: Dataset) -> None:
    errors = errors_like_the_papers()
    dead = Row("sigmoid", STANDARD)
    found = {(row, 0.1, s): measured(error, error) for row, held in errors.items() for s, error in enumerate(held)}
    table = result(plan(), sample, found, dict.fromkeys(errors, 0.1) | {dead: None})
    row = rows(table)["sigmoid"]
    assert (row["learning_rate"], row["diverged"], row["bold"], row["at_edge"]) == (None, 5, False, False)
    assert "sigmoid: training diverged with every learning rate." in sentences(table)
    assert any("too many trainings diverged" in told for told in sentences(table))
    assert "sigmoid" in text(table)


def test_the_sentences_follow_the_numbers(sample: Dataset) -> None:
    errors = errors_like_the_papers()
    errors[Row("softsign", NORMALISED)] = errors[Row("softsign", STANDARD)] + np.array([0.3, -0.3, 0.1, -0.2, 0.1])
    errors[Row("sigmoid", NORMALISED)] = errors[Row("sigmoid", STANDARD)] + np.array([3.0, 1.1, 2.9, 2.0, 3.1])
    told = sentences(made(errors, sample))
    assert told[0].startswith(
        "With softsign, there is no clear difference between normalised and standard initialisation"
    )
    assert told[1].startswith("With tanh, the normalised initialisation lowers the test error: −11.5")
    p = stats.ttest_1samp([3.0, 1.1, 2.9, 2.0, 3.1], 0).pvalue
    assert 0.001 < p < 0.005
    assert told[2].startswith("With sigmoid, the normalised initialisation raises the test error: +2.42")
    assert f"p = {p:.3g}" in told[2]


def test_few_seeds_tell_nothing_and_set_nothing_bold(sample: Dataset) -> None:
    two = replace(plan(), seeds=2)
    means = {row: 50.0 if row.initialiser == STANDARD else 17.0 for row in ROWS}
    found = {(row, 0.1, s): measured(error + s, error + s) for row, error in means.items() for s in range(2)}
    table = result(two, sample, found, dict.fromkeys(ROWS, 0.1))
    assert not any(row["bold"] for row in table["rows"]) and not any(test["differs"] for test in table["tests"])
    told = sentences(table)
    assert "With sigmoid, 2 seeds are too few to decide: −33.00 percentage points so far." in told
    assert not any("In bold" in one for one in told)
    assert pictures.seeds(table, "tanh").to_dict()["title"]["text"] == "tanh: 2 seeds are too few to decide"


def test_intervals_and_axis_end_at_0_and_100(sample: Dataset) -> None:
    two = replace(plan(), seeds=2)
    found = {(row, 0.1, s): measured(50 + 40 * s, 50 + 40 * s) for row in ROWS for s in range(2)}
    drawn = pictures.seeds(result(two, sample, found, dict.fromkeys(ROWS, 0.1)), "tanh").to_dict()
    assert {(mean["low"], mean["high"]) for mean in drawn["datasets"]["means"]} == {(0.0, 100.0)}
    assert drawn["layer"][0]["encoding"]["x"]["scale"]["domain"] == [0.0, 100.0]


def test_a_difference_within_the_papers_bound_is_called_that(sample: Dataset) -> None:
    errors = errors_like_the_papers()
    errors[Row("tanh", NORMALISED)] = errors[Row("tanh", STANDARD)] - np.array([4.0, 1.0, 2.9, 2.0, 3.1])
    assert 0.005 < stats.ttest_1samp([4.0, 1.0, 2.9, 2.0, 3.1], 0).pvalue < 0.05
    assert "With tanh, the initialisations differ, but not at the paper's level" in sentences(made(errors, sample))[1]


# --- The pictures ---------------------------------------------------------------------------------------------------


def cells(html: str) -> list[list[str]]:
    """The texts of each row's cells."""
    lines = re.findall(r"<tr.*?</tr>", html)
    return [
        [re.sub("<[^b/].*?>|</[^b].*?>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", line)] for line in lines
    ]


def test_the_picture_has_the_papers_rows_and_our_bold(sample: Dataset) -> None:
    table = made(errors_like_the_papers(), sample)
    shown = {cell[0]: cell[1:] for cell in cells(pictures.html(table))}
    assert shown["network"] == ["Fashion-MNIST (sample)", "rate", *table1_plan.DATA_SETS]
    assert shown["tanh"] == ["27.15 ± 0.20", "0.1", "27.15", "1.76", "55.90", "70.58"]
    assert shown["tanh N"][0] == "<b>15.60 ± 0.20</b>"
    assert shown["sigmoid N"][-4:] == ["–"] * 4


def test_the_picture_of_an_unfinished_table_has_dashes(sample: Dataset) -> None:
    errors = {row: held for row, held in errors_like_the_papers().items() if row.activation == "softsign"}
    shown = {cell[0]: cell[1:] for cell in cells(pictures.html(made(errors, sample)))}
    assert shown["softsign"][0].startswith("19.27")
    assert shown["tanh"][:2] == ["–", "–"]
    empty = pictures.seeds(made(errors, sample), "tanh").to_dict()
    assert "not comparable yet" in empty["title"]["text"]


def test_a_result_read_from_json_draws_as_well(sample: Dataset) -> None:
    errors = errors_like_the_papers() | {Row("sigmoid", STANDARD): np.full(5, NAN)}
    table = json.loads(json.dumps(to_json_types(made(errors, sample))))
    shown = {cell[0]: cell[1:] for cell in cells(pictures.html(table))}
    assert shown["sigmoid"][0] == "diverged"
    assert "not comparable yet" in pictures.seeds(table, "sigmoid").to_dict()["title"]["text"]
    assert sentences(table)


def test_the_dots_are_the_seeds(sample: Dataset) -> None:
    errors = errors_like_the_papers()
    drawn = pictures.seeds(made(errors, sample), "tanh").to_dict()
    assert drawn["title"]["text"] == "tanh: normalised is 11.6 points better"
    own = [dot["error"] for dot in drawn["datasets"]["dots"] if dot["initialisation"] == "normalised"]
    assert own == pytest.approx(list(errors[Row("tanh", NORMALISED)]))
    assert {mean["initialisation"] for mean in drawn["datasets"]["means"]} == {"standard", "normalised"}


# --- The making -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("table") / "new folder" / "table1.jsonl"


@pytest.fixture(scope="module")
def heard() -> list[tuple[float, str]]:
    return []


@pytest.fixture(scope="module")
def tiny(sample: Dataset, ledger: Path, heard: list[tuple[float, str]]) -> Table1Facts:
    return make_table1(TINY, sample, lambda done, what: heard.append((done, what)), ledger=Ledger(ledger))


class _Silent:
    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *values: None


def test_a_small_table_is_complete_and_told_as_it_goes(
    tiny: Table1Facts, heard: list[tuple[float, str]], sample: Dataset
) -> None:
    assert [row["name"] for row in tiny["rows"]] == [row.name for row in ROWS]
    assert not tiny["stopped"]
    assert tiny["protocol"]["training_images"] == pytest.approx(500, abs=10)
    assert (tiny["protocol"]["validation_images"], tiny["protocol"]["test_images"]) == (600, 1000)
    assert all(0 <= done <= 1 for done, _ in heard)
    assert heard[-1][0] == 1.0
    assert any("tanh N: learning rate 1, seed 0" in what for _, what in heard)
    json.dumps(tiny)


def test_a_cell_is_the_training_of_its_experiment(tiny: Table1Facts, sample: Dataset) -> None:
    row = next(row for row in tiny["rows"] if row["name"] == "tanh N")
    for seed, error in enumerate(row["test_error"]["seeds"]):
        experiment = TINY.experiment(Row("tanh", NORMALISED), row["learning_rate"], seed, available(sample))
        alone = training.train(experiment, sample, _Silent())
        assert error == pytest.approx(100 * (1 - alone.test_accuracy))


def test_the_same_table_again_trains_nothing(
    tiny: Table1Facts, sample: Dataset, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "train", None)
    again = make_table1(TINY, sample, ledger=Ledger(ledger))
    assert again["rows"] == tiny["rows"]
    assert TableSoFar(TINY, sample, Ledger(ledger)).facts()["rows"] == tiny["rows"]


def test_going_on_shares_out_what_was_missing_and_counts_all(
    tiny: Table1Facts, sample: Dataset, ledger: Path, tmp_path: Path
) -> None:
    half, lines = tmp_path / "half.jsonl", ledger.read_text().splitlines()
    half.write_text("\n".join(lines[:-2]) + "\n")
    before = len(TableSoFar(TINY, sample, Ledger(half)).finished)
    assert (
        len(TableSoFar(TINY, sample, Ledger(ledger)).finished) == TINY.trainings == len(lines)
        and before == len(lines) - 2
    )
    heard: list[tuple[float, str]] = []
    make_table1(TINY, sample, lambda share, what: heard.append((share, what)), ledger=Ledger(half))
    assert heard[0][0] <= 0.5 and heard[-1][0] == 1.0
    assert heard[0][1].startswith(f"{before} of {TINY.trainings} trainings; ")
    assert heard[-1][1].startswith(f"{TINY.trainings} of {TINY.trainings} trainings; ")
    assert table1_plan.announced(TINY, available(sample), before).startswith(
        f"{before} of {TINY.trainings} trainings are done"
    )


def test_a_torn_ledger_loses_its_torn_lines_only(tiny: Table1Facts, ledger: Path, tmp_path: Path) -> None:
    lines = ledger.read_text().splitlines()
    torn = tmp_path / "torn.jsonl"
    old = json.dumps(json.loads(lines[1]) | {"versions": {"tensorflow": "1.0"}})
    torn.write_text("\n".join([lines[0], old, "[]", "{}", "null", '{"run": 3', lines[2][:40]]))
    held = Ledger(torn)
    assert held.find(json.loads(lines[0])["run"]) is not None
    assert held.find(json.loads(lines[1])["run"]) is None
    assert held.find(json.loads(lines[2])["run"]) is None


def test_a_stop_keeps_what_is_complete(tiny: Table1Facts, sample: Dataset, ledger: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.jsonl"
    kept = ledger.read_text().splitlines()[: TINY.trainings // 3]  # softsign's two rows
    half.write_text("\n".join(kept) + "\n")
    found = TableSoFar(TINY, sample, Ledger(half)).facts()
    assert found["stopped"]
    assert [row["test_error"] for row in found["rows"]] == [row["test_error"] for row in tiny["rows"][:2]]
    assert [test["activation"] for test in found["tests"]] == ["softsign"]


def test_a_stop_during_a_training_is_heard(sample: Dataset) -> None:
    asked = itertools.count()
    found = make_table1(TINY, sample, should_stop=lambda: next(asked) >= 3)
    assert found["stopped"]
    assert found["rows"] == []


def test_diverging_rates_are_not_chosen(sample: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(experiment: Experiment, data: Dataset, recorder: Recorder, should_stop: Callable[[], bool]) -> Any:
        """Good at first with the high rate, and then not a number."""
        gone = experiment.learning_rate == 1.0
        recorder.epoch(EpochRecord(0, 2.3, 0.1, 2.3, 0.1, 0.1, NAN, 1.0, 0.0))
        recorder.epoch(EpochRecord(1, 0.5, 0.8, 0.5, 0.95 if gone else 0.8, 0.1, 1.0, 1.0, 1.0))
        recorder.epoch(EpochRecord(2, NAN, 0.1, NAN if gone else 0.6, 0.1, 0.1, NAN, NAN, 1.0))
        return SimpleNamespace(stopped=False, best_epoch=1, test_accuracy=0.99 if gone else 0.75, seconds=2.0)

    monkeypatch.setattr(training, "train", train)
    found = make_table1(TINY, sample)
    assert [row["learning_rate"] for row in found["rows"]] == [0.1] * 6
    assert [row["test_error"]["mean"] for row in found["rows"]] == [pytest.approx(25.0)] * 6
    assert [row["validation_error"] for row in found["rows"]] == [pytest.approx(20.0)] * 6
    assert found["training_seconds"] == 2.0 * TINY.trainings


def test_an_error_in_a_training_comes_out(sample: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(*arguments: Any) -> Any:
        raise MemoryError("no room")

    monkeypatch.setattr(training, "train", train)
    with pytest.raises(MemoryError, match="no room"):
        make_table1(TINY, sample)


# --- The command ----------------------------------------------------------------------------------------------------


def test_the_command_refuses_bad_values(capsys: pytest.CaptureFixture[str]) -> None:
    for seeds in ("1", "many", "-2"):
        assert commands.main(["table1", f"--seeds={seeds}", "--data", "sample"]) == BAD_VALUE
    assert "(seeds) is 'many'" in capsys.readouterr().err


def test_the_command_prints_one_json_object(
    tiny: Table1Facts, ledger: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FMNIST_RUNS", str(ledger.parent))
    monkeypatch.setattr(table1_plan, "plan", lambda name, seeds: TINY)
    assert commands.main(["table1", "--quick", "--data", "sample", "--json", "-"]) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert told["rows"] == tiny["rows"]
    assert set(told) >= {"protocol", "rows", "tests", "seconds", "versions", "data", "stopped"}
    assert "about 1 min on this machine" in err  # of TINY


def test_the_command_prints_a_table(
    tiny: Table1Facts, ledger: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FMNIST_RUNS", str(ledger.parent))
    monkeypatch.setattr(table1_plan, "plan", lambda name, seeds: TINY)
    assert commands.main(["table1", "--data", "sample"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[1:7]] == [row.name for row in ROWS]
    assert lines[4].split()[-4:] == ["15.60", "1.64", "52.92", "68.57"]
