"""Studies: whose turn it is, what is left, and the tables of what they gave."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fmnist_core.cli.commands import main
from fmnist_core.data import dataset
from fmnist_core.engine.job import STUDY, Job
from fmnist_core.engine.job_queue import DRAIN_SECONDS, RETRY_SECONDS, JobQueue, Workers
from fmnist_core.engine.running_studies import Studies
from fmnist_core.engine.service import Engine
from fmnist_core.errors import LabError
from fmnist_core.experiment.hyperparameters import Experiment, run_id
from fmnist_core.experiment.study import Study
from fmnist_core.findings import run_tables, statistics
from fmnist_core.settings import settings
from fmnist_core.store.run import Run
from fmnist_core.store.run_store import RunStore
from tests.support.engine_waits import TINY, shot, until
from tests.support.stored_runs import store_run

SMALL = TINY.model_copy(update={"epochs": 1, "training_fraction": 0.1})
STUDY_OF_FOUR = Study.of({"base": SMALL, "axes": [{"field": "dropout", "values": (0.0, 0.5)}], "seeds": 2})


def store() -> RunStore:
    return RunStore(settings().runs, settings().runs_budget)


def job(name: str) -> Job:
    return Job("kind", name, {}, (TINY,), key=f"{name}-key")


ONE = {"w": 2}  # a worker that has two threads
MANY = {f"w{number}": 1 for number in range(9)}


def take(queue: JobQueue, threads: dict[str, int] = MANY) -> Job:
    """The next job, for one of these workers."""
    workers = Workers(1)
    workers.update(threads)
    return take_with(queue, workers)


# --- Whose turn it is -------------------------------------------------------------------------------------------------


def test_people_go_before_studies_and_studies_take_turns() -> None:
    queue = JobQueue()
    for name in ("a1", "a2", "a3"):
        queue.join(job(name), STUDY + "a")
    for name in ("b1", "b2"):
        queue.join(job(name), STUDY + "b")
    queue.add(job("person"), "ann")
    assert queue.place(queue.trainings[-1], {"w": 1}) == 0, "nobody's training is before this one"
    assert [take(queue).name for _ in range(6)] == ["person", "a1", "b1", "a2", "b2", "a3"]


def test_a_person_who_asks_for_a_study_s_job_moves_it_to_the_front() -> None:
    queue = JobQueue()
    for name in ("a1", "a2"):
        queue.join(job(name), STUDY + "a")
    queue.add(job("a2"), "ann")
    assert len(queue.trainings) == 2 and take(queue).name == "a2"


def test_only_light_jobs_of_studies_share_a_worker() -> None:
    queue = JobQueue()
    for name in ("a1", "a2", "a3"):
        queue.join(job(name), STUDY + "a")
    assert queue.startable(ONE) == 2
    take(queue, ONE)
    assert queue.startable(ONE) == 1, "a second one beside it"
    queue.add(job("person"), "ann")
    assert queue.startable(ONE) == 1, "a person need not wait for the end of a study's run"
    take(queue, ONE)
    assert queue.startable(ONE) == 0, "but then has the worker for that and nothing else"
    queue.end(queue.running["a1-key"], "done")
    assert queue.startable(ONE) == 0
    queue.end(queue.running["person-key"], "done")
    assert queue.startable(ONE) == 2
    heavy = JobQueue()
    for seed in (0, 1):
        wide = Job("kind", f"{seed}", {}, (Experiment(units=2048, seed=seed),))
        heavy.join(wide, STUDY + "b")
    assert heavy.startable(ONE) == 1
    take(heavy, ONE)
    assert heavy.startable(ONE) == 0


def test_a_long_analysis_does_not_keep_a_stale_worker_from_its_next_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    queue, workers, now = JobQueue(), Workers(1), 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    workers.update(ONE)
    for name, kind in (("table", "table"), ("map", "map")):
        queue.join(Job("function", name, {}, kind=kind, key=name), "ann")  # type: ignore[arg-type]
    queue.add(job("first"), "ann")
    queue.add(job("second"), "bob")
    queue.add(job("third"), "cleo")
    first = take_with(queue, workers)
    assert first.name == "first" and take_with(queue, workers).name == "table"
    map_job = take_with(queue, workers)
    queue.end(map_job, "done")
    workers.retire("w")
    queue.end(first, "done")
    assert queue.take(workers, {}) is None and workers.restarts_due(["w"]) == [], "it is emptied first"
    now += DRAIN_SECONDS + 1
    second = take_with(queue, workers)
    assert second.name == "second" and queue.take(workers, {}) is None, "but not for the hours that a table takes"
    queue.end(queue.running["table"], "done")
    queue.end(second, "done")
    assert workers.restarts_due([]) == ["w"] and queue.take(workers, {}) is None


def test_a_restart_that_failed_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    workers, now = Workers(1), 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    workers.update(ONE)
    workers.retire("w")
    assert workers.restarts_due([]) == ["w"] and workers.restarts_due([]) == []
    workers.restart_failed("w")
    assert workers.restarts_due([]) == []
    now += RETRY_SECONDS + 1
    assert workers.restarts_due([]) == ["w"]
    workers.update({"v": 2})
    workers.restart_failed("w")
    assert workers.retiring == {} and workers.restarts_due([]) == [], "it is gone"


def take_with(queue: JobQueue, workers: Workers) -> Job:
    job = queue.take(workers, {})
    assert job
    return job


def begun(queue: JobQueue, stored: set[str] = frozenset()) -> Studies:  # type: ignore[assignment]
    studies = Studies(queue)
    studies.begin(STUDY_OF_FOUR, "sample", [job(name) for name in "abcd"], stored, "ann")
    return studies


def test_a_study_ends_with_its_last_job_and_names_what_failed() -> None:
    queue = JobQueue()
    studies = begun(queue, stored={"a"})
    digest = STUDY_OF_FOUR.digest
    assert [held.name for held in queue.trainings] == ["b", "c", "d"]
    queue.end(take(queue), "done")
    queue.end(take(queue), "failed", "It broke.")
    shot = studies.snapshot(digest, lambda job: job)  # type: ignore[arg-type, return-value]
    assert shot and (shot.state, shot.done, shot.failed) == ("running", ("a", "b"), {"c": "It broke."})
    queue.end(take(queue), "done")
    shot = studies.snapshot(digest, lambda job: job)  # type: ignore[arg-type, return-value]
    assert shot and (shot.state, shot.done) == ("done", ("a", "b", "d")) and studies.of("ann") is None


def test_one_active_study_per_session_and_equal_studies_are_shared() -> None:
    queue = JobQueue()
    studies = begun(queue)
    other = Study.of({"base": SMALL, "seeds": 5})
    with pytest.raises(LabError, match="is still running; stop it first"):
        studies.begin(other, "sample", [job("z")], set(), "ann")
    studies.begin(STUDY_OF_FOUR, "sample", [job(name) for name in "abcd"], set(), "bob")
    assert len(queue.trainings) == 4 and studies.of("bob") == STUDY_OF_FOUR


# --- With workers -----------------------------------------------------------------------------------------------------


@pytest.mark.engine
def test_a_study_trains_gives_way_stops_and_goes_on(engine: Engine) -> None:
    digest = STUDY_OF_FOUR.digest
    names = [run_id(experiment, "sample") for _, experiment in STUDY_OF_FOUR.experiments()]
    slow = Study.of(dict(STUDY_OF_FOUR) | {"base": SMALL.model_copy(update={"epochs": 200, "batch_size": 8})})

    engine.submit_study(slow, "s")
    until(lambda: (held := engine.study(slow.digest)) and held.current and held.current[0].epoch >= 1, "its first run")
    own = engine.submit(SMALL, "s")
    assert shot(engine, own).place == 1, "before the study's other three"
    engine.stop_study(slow.digest)
    until(lambda: not shot(engine, own).active, "the single training")
    held = engine.study(slow.digest)
    assert held and held.state == "stopped" and held.done == () and engine.active_study("s") is None

    engine.submit_study(STUDY_OF_FOUR, "s")
    until(lambda: (held := engine.study(digest)) and held.state == "done", "the study's end")
    held = engine.study(digest)
    assert held and held.done == tuple(names) and not held.failed
    found = run_tables.of_study(STUDY_OF_FOUR, "sample", store().find)
    assert [(one.model, one.seed) for one in found] == [
        ("Dropout 0", 0), ("Dropout 0.5", 0), ("Dropout 0", 1), ("Dropout 0.5", 1)
    ]  # fmt: skip
    trained = {name: store().find(name).created for name in names}  # type: ignore[union-attr]
    engine.submit_study(STUDY_OF_FOUR, "t")
    again = engine.study(digest)
    assert again and again.state == "done", "nothing is trained twice"
    assert {name: store().find(name).created for name in names} == trained  # type: ignore[union-attr]


def test_a_study_over_the_budget_is_refused_with_its_cost(surroundings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    idle = Engine()
    examples = 540
    study = Study.of(dict(STUDY_OF_FOUR) | {"base": SMALL.changed(seed=40)})  # none of which is stored
    one = study.flops(lambda experiment: examples)
    monkeypatch.setenv("FMNIST_COMPUTE_BUDGET", str(one / 2))
    with pytest.raises(LabError, match=r"2\.0 times what this server allows .*FMNIST_COMPUTE_BUDGET"):
        idle.submit_study(study, "s")
    assert idle.active_study("s") is None


# --- Tables -----------------------------------------------------------------------------------------------------------


def stored(
    folder: Path, experiment: Experiment, accuracy: float, loss: float, data: str = "full", penalty: float = 0.0
) -> Run:
    """A run as a training leaves it."""
    last = {3: ({"output/bias": np.zeros(10, np.float32)}, np.full((10, 10), 0.1, np.float32))}
    return store_run(
        folder,
        experiment,
        [2.3, 0.6, 0.4, 0.5],
        snapshots=last,
        data_name=data,
        test_loss=loss,
        test_accuracy=accuracy,
        test_penalty=penalty,
        best_epoch=2,
        seconds=1.5,
    )


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    settings_of: list[dict[str, float]] = [{}, {"seed": 1}, {"dropout": 0.3}, {"dropout": 0.3, "seed": 1}]
    figures = [(0.89, 0.37), (0.88, 0.39), (0.86, 0.32), (0.85, 0.34)]
    return [stored(tmp_path, Experiment.of(s), *f) for s, f in zip(settings_of, figures, strict=True)]


def test_runs_are_grouped_by_all_but_the_seed(runs: list[Run]) -> None:
    found = run_tables.of_runs(runs)
    assert [(one.model, one.seed) for one in found] == [
        ("Base network", 0), ("Base network", 1), ("Dropout", 0), ("Dropout", 1)
    ]  # fmt: skip
    assert run_tables.differing(found) == ["dropout"] and run_tables.uneven(found) == ""


def test_histories_count_steps_and_seconds_from_the_start(runs: list[Run]) -> None:
    rows = run_tables.history(run_tables.of_runs(runs))
    own = rows[rows["run_id"] == runs[0].run_id]
    assert list(own["epoch"]) == [1, 2, 3] and list(own["step"]) == [7, 14, 21]
    assert list(own["seconds"]) == [0.5, 1.0, 1.5] and set(rows["model"]) == {"Base network", "Dropout"}


def test_the_result_is_the_one_scipy_gives(runs: list[Run]) -> None:
    from scipy.stats import ttest_rel

    found = run_tables.result(run_tables.of_runs(runs), "Base network")
    base, dropout = found["models"]
    assert base["name"] == "Base network" and base["seeds"] == [0, 1]
    assert base["test_accuracy"] == pytest.approx({"mean": 0.885, "std": math.sqrt(2) * 0.005})
    assert dropout["test_loss"]["mean"] == pytest.approx(0.33)
    loss, accuracy = found["comparisons"]
    assert (loss["measure"], accuracy["measure"]) == ("test_loss", "test_accuracy")
    assert loss["difference"] == pytest.approx(-0.05) and loss["comparisons"] == 2
    noisy = [{0: 0.37, 1: 0.41, 2: 0.36}, {0: 0.33, 1: 0.35, 2: 0.34}]
    models = {name: {s: {"test_loss": v} for s, v in held.items()} for name, held in zip("ab", noisy, strict=True)}
    one = statistics.compare("a", models, ["test_loss"])
    assert one[0].p == pytest.approx(ttest_rel(list(noisy[1].values()), list(noisy[0].values())).pvalue)


def test_a_table_has_what_differs_and_numbers_stay_numbers(runs: list[Run]) -> None:
    table = run_tables.table(run_tables.of_runs(runs))
    assert list(table.columns) == [
        "run_id", "model", "seed", "dropout", "test_loss", "test_accuracy", "seconds", "best_val_loss"
    ]  # fmt: skip
    assert pd.api.types.is_float_dtype(table["dropout"]) and set(table["best_val_loss"]) == {0.4}


def test_mixed_data_and_equal_names_are_told_apart(tmp_path: Path) -> None:
    found = run_tables.of_runs(
        [stored(tmp_path, Experiment(), 0.8, 0.5), stored(tmp_path, Experiment(), 0.7, 0.6, "sample")]
    )
    assert run_tables.models(found) == ["Base network", "Base network (sample)"]
    assert "some on the sample" in run_tables.uneven(found)


# --- The command line -------------------------------------------------------------------------------------------------


def test_the_study_command_prints_the_contract_and_reuses_runs(
    surroundings: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FMNIST_RUNS", str(tmp_path / "runs"))
    arguments = ["study", "--preset", "notebook", "--seeds", "2", "--epochs", "1", "--training-fraction", "0.02"]
    assert main([*arguments, "--json", "-"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [model["name"] for model in printed["models"]] == [
        "Base network", "Dropout", "Batch normalisation", "L2 penalty", "Learning-rate schedule"
    ]  # fmt: skip
    for model in printed["models"]:
        assert all(set(model[key]) == {"mean", "std"} for key in ("test_accuracy", "test_loss", "seconds"))
    assert len(printed["comparisons"]) == 8
    created = [run.created for run in RunStore(settings().runs, 10**9).runs()]
    assert len(created) == 10
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert "over 2 seeds" in text and "Base network" in text
    assert [run.created for run in RunStore(settings().runs, 10**9).runs()] == created


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--preset", "nothing"], "'nothing'"),
        (["--seeds", "0"], "seeds"),
        (["--seeds", "many"], "'many'"),
        (["--file", "/no/such/file"], "/no/such/file"),
        (["--epochs", "0"], "Epochs (epochs) is 0"),
        (["--epochs", "1"], "FMNIST_COMPUTE_BUDGET"),
    ],
)
def test_a_wrong_study_is_one_sentence_and_exit_code_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FMNIST_COMPUTE_BUDGET", "1e9")
    assert main(["study", *arguments]) == 2
    said = capsys.readouterr().err.strip()
    assert words in said and "\n" not in said


def test_a_study_file_is_read(tmp_path: Path, surroundings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMNIST_RUNS", str(tmp_path / "runs"))
    (tmp_path / "study.json").write_text(STUDY_OF_FOUR.to_short_json())
    assert main(["study", "--file", str(tmp_path / "study.json"), "--json", str(tmp_path / "out.json")]) == 0
    result: dict[str, Any] = json.loads((tmp_path / "out.json").read_text())
    assert [model["name"] for model in result["models"]] == ["Dropout 0", "Dropout 0.5"]
    assert dataset.load().name == "sample"


@pytest.mark.parametrize("change", [{"l2": 0.01}, {"label_smoothing": 0.1}])
def test_where_only_some_have_a_penalty_the_cross_entropy_is_compared(change: dict[str, Any], tmp_path: Path) -> None:
    """A loss with an L2 penalty in it, or against smoothed targets, says nothing about the answers."""
    runs = [
        stored(tmp_path, Experiment(epochs=3), 0.89, 0.37),
        stored(tmp_path, Experiment.of({"epochs": 3} | change), 0.85, 0.52, penalty=0.1),
    ]
    [term] = runs[1].experiment.loss_terms
    assert run_tables.history(run_tables.of_runs(runs))["loss_terms"].unique().tolist() == ["", term]
    found = run_tables.of_runs(runs)
    assert run_tables.compared(found) == ("test_cross_entropy", "test_accuracy")
    values = {model: held[0]["test_cross_entropy"] for model, held in run_tables.measures(found).items()}
    assert list(values.values()) == [pytest.approx(0.37), pytest.approx(0.42)]


def test_equal_widths_are_told_as_layers_and_units(tmp_path: Path) -> None:
    pair = [stored(tmp_path, Experiment(units=units, epochs=3), 0.8, 0.5) for units in (16, 64)]
    assert run_tables.differing(run_tables.of_runs(pair)) == ["units"]
    pair += [stored(tmp_path, Experiment(widths=(32, 16), epochs=3), 0.8, 0.5)]
    assert run_tables.differing(run_tables.of_runs(pair)) == ["widths"]
