"""What waits or runs when a server ends goes on in the next one, once; what cannot go on is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fmnist_core.data import dataset
from fmnist_core.engine.job import Job
from fmnist_core.engine.kept_requests import FOLDER
from fmnist_core.engine.service import Engine, race_name
from fmnist_core.errors import LabError
from fmnist_core.experiment.hyperparameters import run_id
from fmnist_core.experiment.study import Study
from fmnist_core.settings import settings
from fmnist_core.store.run_store import RunStore
from tests.support.engine_waits import TINY, shot, until
from tests.support.stored_runs import store_run

ROOT = Path(__file__).parents[2]
OTHER = TINY.model_copy(update={"seed": 1})
STUDY = Study.of(
    {"base": TINY.model_copy(update={"epochs": 1}), "axes": [{"field": "dropout", "values": (0.0, 0.5)}], "seeds": 2}
)
RESTARTED = "The server was restarted; this training started again."
WAITS = "The server was restarted; this training is in the queue again."


@pytest.fixture
def start(surroundings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Engine]]:
    """Starts a server's engine on a store of this test; it has no workers, so that everything stays where it is."""
    monkeypatch.setenv("FMNIST_RUNS", str(tmp_path / "runs"))
    started: list[Engine] = []

    def start() -> Engine:
        engine = Engine(keep=True)
        monkeypatch.setattr(engine._dispatcher, "start", lambda: None)
        engine.start()
        started.append(engine)
        return engine

    yield start
    for engine in started:
        engine.close()


def files() -> list[str]:
    return sorted(path.name.split(".")[1] for path in (settings().runs / FOLDER).iterdir())


def die(engine: Engine) -> None:
    """As by SIGKILL: the lock is free, the file is as it was."""
    kept = engine._kept
    assert kept
    engine._kept = None
    kept._lock.release()


def run(engine: Engine, name: str) -> Job:
    """A worker takes a job that waits."""
    with engine._lock:
        job = engine._queue.find(name)
        assert job
        engine._queue.trainings.remove(job)
        engine._queue.running[job.key] = job
        engine._queue.on_change()
    return job


def test_what_waits_or_runs_goes_on_in_the_next_server(start: Callable[[], Engine]) -> None:
    first = start()
    running, waiting = first.submit(TINY, "ann"), first.submit(OTHER, "bob")
    first.submit(TINY, "cleo")
    race = first.submit_race([TINY, OTHER], "dan")
    first.submit_study(STUDY, "eve")
    run(first, running)
    first.close()
    second = start()
    assert (second.active("ann"), second.active("cleo"), second.active("bob")) == (running, running, waiting)
    assert second.active("dan") == race == race_name([TINY, OTHER])
    assert second.active_study("eve") == STUDY
    study = second.study(STUDY.digest)
    assert study and study.state == "running" and len(study.names) == 4
    assert shot(second, running).notice == RESTARTED and shot(second, running).watchers == 2
    assert shot(second, waiting).notice == shot(second, race).notice == WAITS
    with pytest.raises(LabError, match="still running"):
        second.submit(TINY.model_copy(update={"seed": 2}), "ann")


def test_nothing_goes_on_that_has_ended(start: Callable[[], Engine]) -> None:
    first = start()
    stopped, failed, done = (first.submit(TINY.model_copy(update={"seed": seed}), str(seed)) for seed in range(3))
    first.submit_study(STUDY, "eve")
    assert first.stop(stopped, "0")
    with first._lock:
        first._queue.end(run(first, failed), "failed", "It broke.")
    store_run(RunStore(settings().runs, settings().runs_budget), TINY.model_copy(update={"seed": 2}))
    first.stop_study(STUDY.digest)
    die(first)  # before it heard of the last one's end
    second = start()
    assert [second.active(session) for session in "012"] == [None] * 3 and second.active_study("eve") is None
    assert second.snapshot(done) is None and run_id(TINY.model_copy(update={"seed": 2}), "sample") == done
    die(second)
    assert "json" not in files()


def test_two_servers_on_one_store_never_take_the_same(start: Callable[[], Engine]) -> None:
    first = start()
    name = first.submit(TINY, "ann")
    second = start()
    assert second.active("ann") is None, "the first one lives"
    die(first)
    third, fourth = start(), start()
    assert third.active("ann") == name and fourth.active("ann") is None


@pytest.mark.parametrize("in_study", [False, True])
def test_a_training_that_took_the_server_down_twice_is_not_tried_again(
    start: Callable[[], Engine], in_study: bool
) -> None:
    engine = start()
    name = run_id(STUDY.experiments()[0][1] if in_study else TINY, "sample")
    engine.submit_study(STUDY, "eve") if in_study else engine.submit(TINY, "ann")
    other = engine.submit(OTHER, "bob")
    for _ in range(2):
        assert shot(engine, name).active
        run(engine, name)
        die(engine)
        engine = start()
    assert shot(engine, name).state == "failed" and "ended 2 times during this training" in shot(engine, name).error
    assert engine.active("bob") == other and engine.active("ann") is None
    if in_study:
        study = engine.study(STUDY.digest)
        assert study and study.state == "running" and list(study.failed) == [name]
    else:
        engine.submit(TINY, "ann")  # a person may try
        assert engine.active("ann") == name


def test_orderly_restarts_are_no_fault_of_a_training(start: Callable[[], Engine]) -> None:
    engine = start()
    name = engine.submit(TINY, "ann")
    for _ in range(4):
        run(engine, name)
        engine.close()
        engine = start()
        assert shot(engine, name).notice == RESTARTED


def test_a_training_that_has_ended_or_is_asked_for_again_starts_without_a_count(start: Callable[[], Engine]) -> None:
    engine = start()
    name = engine.submit(TINY, "ann")
    run(engine, name)
    die(engine)
    engine = start()
    with engine._lock:
        engine._queue.end(run(engine, name), "done")  # well, the second time
    engine.submit(TINY, "ann")
    for _ in range(2):
        assert shot(engine, name).active
        run(engine, name)
        die(engine)
        engine = start()
    assert shot(engine, name).state == "failed"
    engine.submit(TINY, "ann")  # a person tries
    run(engine, name)
    engine.close()
    assert start().active("ann") == name


def test_a_training_that_is_being_stopped_does_not_go_on(
    start: Callable[[], Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start()
    name = first.submit(TINY, "gone")
    first.submit(TINY, "ann")
    monkeypatch.setattr(first, "_alive", lambda session: session != "gone")
    monkeypatch.setattr(first._dispatcher, "stop", lambda job: None)  # the worker has not heard of it
    run(first, name)
    assert first.stop(name, "ann")
    die(first)
    second = start()
    assert second.snapshot(name) is None and second.active("gone") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99}', '{"format": 1, "requests": 3}', "\xff", "null"])
def test_a_queue_that_cannot_be_read_is_kept_aside(
    start: Callable[[], Engine], caplog: pytest.LogCaptureFixture, text: str
) -> None:
    folder = settings().runs / FOLDER
    folder.mkdir(parents=True)
    (folder / "0123.json").write_bytes(text.encode("latin-1"))
    engine = start()
    assert engine.status().queue_length == 0
    assert (folder / "0123.unreadable").read_bytes() == text.encode("latin-1")
    [record] = caplog.records
    assert record.message.startswith("The queue of the last server cannot be read (") and record.exc_info is None


def test_a_request_that_is_refused_today_has_failed_with_the_reason(
    start: Callable[[], Engine], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = start()
    name, race = first.submit(TINY, "ann"), first.submit_race([TINY, OTHER], "dan")
    first.submit_study(STUDY, "eve")
    first.close()
    monkeypatch.setenv("FMNIST_COMPUTE_BUDGET", "1e6")
    second = start()
    assert [second.active(session) for session in ("ann", "dan", "eve")] == [None] * 3
    for each in (name, race):
        assert shot(second, each).state == "failed" and shot(second, each).error.startswith("This training needs")
    study = second.study(STUDY.digest)
    assert study and study.state == "done" and set(study.failed) == set(study.names)
    assert "After the restart, a train was not taken up again: This training needs" in caplog.text


def test_the_queue_outlives_a_start_without_the_data(
    start: Callable[[], Engine], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = start()
    name = first.submit(TINY, "ann")
    first.close()
    monkeypatch.setenv("FMNIST_DATA", str(tmp_path / "not mounted"))
    assert start().status().queue_length == 0 and files().count("json") == 1
    assert "goes on after a restart with the data" in caplog.text
    monkeypatch.delenv("FMNIST_DATA")
    assert start().active("ann") == name


def test_what_was_asked_for_on_other_data_is_trained_on_them_or_has_failed(
    start: Callable[[], Engine], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(dataset.split_of.cache_clear)  # it remembers this small data set as the full one
    first = start()
    name = first.submit(TINY, "ann")
    first.submit_study(STUDY, "eve")
    first.close()
    full = replace(dataset.load("sample"), name="full")
    sample = dataset.load
    with monkeypatch.context() as patch:
        patch.setattr(dataset, "load", lambda name=None: sample(name) if name == "sample" else full)
        second = start()
        assert second.active("ann") == name == run_id(TINY, "sample")
        study = second.study(STUDY.digest)
        assert study and study.names[0] == run_id(STUDY.experiments()[0][1], "sample")
        lost = second.submit(OTHER, "bob")
        second.close()
    third = start()  # the full data set is gone again
    assert third.active("ann") == name and third.active_study("eve") == STUDY
    assert lost == run_id(OTHER, "full") and shot(third, lost).state == "failed"
    assert "download the data set on page Data" in shot(third, lost).error


@pytest.mark.parametrize(
    "broken",
    [
        {"what": "train", "texts": [], "sessions": ["bob"]},
        {"what": "train", "texts": [5], "sessions": ["bob"]},
        {"what": "train", "texts": ['{"depth": 3}'], "sessions": ["bob"]},
        {"what": "race", "texts": [OTHER.to_json(), OTHER.to_json()], "sessions": ["bob"]},
        {"what": "sweep", "texts": [OTHER.to_json()], "sessions": ["bob"]},
        {"what": "study", "texts": ["[]"], "sessions": ["bob"]},
        7,
    ],
)
def test_a_request_that_is_not_known_is_named_and_kept_aside(
    start: Callable[[], Engine], caplog: pytest.LogCaptureFixture, broken: object
) -> None:
    folder = settings().runs / FOLDER
    folder.mkdir(parents=True)
    known = {"what": "train", "texts": [TINY.to_json()], "sessions": ["ann"]}  # as of versions that kept no data set
    values = {"format": 1, "requests": [broken, known], "running": [], "ended": {}, "orderly": True}
    (folder / "0123.json").write_text(json.dumps(values))
    engine = start()
    assert engine.active("ann") == run_id(TINY, "sample") and engine.active("bob") is None
    assert engine.status().queue_length == 1
    assert json.loads((folder / "0123.unreadable").read_text()) == values and not (folder / "0123.json").exists()
    [record] = caplog.records
    assert record.message.startswith("After the restart, a request was not taken up again: ")


def test_a_queue_that_cannot_be_written_is_told_once(
    start: Callable[[], Engine], caplog: pytest.LogCaptureFixture
) -> None:
    settings().runs.mkdir()
    (settings().runs / FOLDER).write_text("in the way")
    engine = start()
    for seed in range(3):
        engine.submit(TINY.model_copy(update={"seed": seed}), str(seed))
    assert engine.active("1") and caplog.text.count("The queue cannot be kept in") == 1


SERVER = """
import sys
from pathlib import Path
from fmnist_core.data import dataset
from fmnist_core.engine.service import Engine
from fmnist_core.experiment.hyperparameters import Experiment
dataset.DEBIAN_FOLDER = Path("/nowhere")
engine = Engine(warm_up=False, keep=True)
engine.start()
name = engine.submit(Experiment.from_json(sys.argv[1]), "ann")
while engine.snapshot(name).state in ("queued", "starting"):
    pass
print(name, flush=True)
sys.stdin.read()
"""


@pytest.mark.engine
def test_a_killed_server_s_training_goes_on_in_the_next(
    surroundings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FMNIST_RUNS", str(tmp_path / "runs"))
    experiment = TINY.model_copy(update={"epochs": 30, "batch_size": 16})
    command = [sys.executable, "-c", SERVER, experiment.to_json()]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as server:
        assert server.stdout
        name = server.stdout.readline().strip()
        os.kill(server.pid, signal.SIGKILL)
    engine = Engine(warm_up=False, keep=True)
    engine.start()
    assert engine.active("ann") == name == run_id(experiment, dataset.load().name)
    until(lambda: not shot(engine, name).active, "its end")
    assert (shot(engine, name).state, shot(engine, name).notice) == ("done", RESTARTED)
    engine.close()
    assert files() == []
