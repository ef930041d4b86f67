"""The job engine with real worker processes: order, queue, sharing, stop, deaths, memory, two apps on one store."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import psutil
import pytest

from fmnist_core.engine import cluster
from fmnist_core.engine.analyses import Analysis
from fmnist_core.engine.cluster import Cluster
from fmnist_core.engine.job import JOBS, MOST_POINTS, WARM_UP, AnalysisKind, Job, JobProgress, LossCurve
from fmnist_core.engine.remote import function_of
from fmnist_core.engine.service import Engine
from fmnist_core.errors import LabError
from fmnist_core.experiment.hyperparameters import Experiment, run_id
from fmnist_core.experiment.recording import (
    EpochRecord,
    Event,
    Fraction,
    JobContext,
    Phase,
    Progress,
    Started,
    from_message,
    to_message,
)
from fmnist_core.experiment.study import Study
from fmnist_core.settings import LEAST_MEMORY, settings
from fmnist_core.store.run_store import RunStore
from tests.support.engine_waits import PATIENCE, TINY, shot, until

ROOT = Path(__file__).parents[2]
GONE: set[str] = set()  # sessions whose browser is closed
STEPS, WAIT, FAIL, ALLOCATE, GROW = (
    f"tests.engine.worker_jobs:{name}" for name in ("steps", "wait", "fail", "allocate", "grow")
)


def state(engine: Engine, name: str) -> str:
    return str(shot(engine, name).state)


def ended(engine: Engine, name: str) -> Any:
    until(lambda: not shot(engine, name).active, f"the end of {name}, now {shot(engine, name)}")
    return shot(engine, name)


def steps(engine: Engine, name: str, epochs: int, session: str = "s") -> None:
    engine.submit_job(STEPS, name, {"epochs": epochs}, [Experiment(epochs=epochs)], session)


def analyse(engine: Engine, name: str, file: Path, kind: AnalysisKind, session: str = "s") -> None:
    params = {"file": str(file)}
    engine.submit_analysis(Analysis("tests.engine.worker_jobs:analyse", kind, "", name, params, "A test"), session)


def worker_process(engine: Engine) -> int:
    """The engine's one worker process."""
    until(lambda: engine._dispatcher._cluster, "the connection to the workers")
    cluster = engine._dispatcher._cluster
    assert cluster
    [pid] = cluster.client.run(os.getpid).values()
    return int(pid)


@pytest.fixture(scope="module")
def light_engine(engine: Engine) -> Iterator[Engine]:
    """With the least memory and without TensorFlow; the other one warms up while this one is tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FMNIST_WORKER_MEMORY", str(LEAST_MEMORY))
        made = Engine(warm_up=False, alive=lambda session: session not in GONE)
    made.start()
    yield made
    made.close()


def store() -> RunStore:
    return RunStore(settings().runs, settings().runs_budget)


# Without workers


def test_the_app_process_stays_light() -> None:
    """Neither the engine nor the live events may pull the large packages into the app."""
    code = (
        "import sys, fmnist_core.engine.service, fmnist_core.jobs.train_runs, fmnist_core.engine.remote;"
        "print([n for n in ('tensorflow', 'keras', 'sklearn', 'scipy', 'umap') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", JOBS)
def test_each_job_is_a_function_of_params_and_context(name: str) -> None:
    hints = get_type_hints(function_of(JOBS[name]))
    assert list(hints) == ["params", "context", "return"]
    assert (hints["params"], hints["context"], hints["return"]) == (Mapping[str, Any], JobContext, bool)


def test_the_warm_up_takes_what_tells_its_end() -> None:
    assert get_type_hints(function_of(WARM_UP)) == {"on_warm": Callable[[], None], "return": type(None)}


@pytest.mark.parametrize(
    "event",
    [
        Started("tls://127.0.0.1:1"),
        Phase("training"),
        Progress(1, 2, 3, ((1, 0.5), (2, 0.25)), 0.5, 100.0),
        EpochRecord(1, 0.5, 0.5, 0.5, 0.5, 0.001, 1.0, 2.0, 0.1),
        Fraction(0.5, "halfway"),
    ],
)
def test_an_event_is_the_same_at_the_other_end(event: Event) -> None:
    message = {"job": "key", "lane": 1, **to_message(event)}
    assert from_message(json.loads(json.dumps(message))) == event


def test_a_long_curve_is_thinned_evenly() -> None:
    curve = LossCurve()
    curve.extend((step, 1.0) for step in range(1, 100_001))
    distances = {b[0] - a[0] for a, b in zip(curve.points, curve.points[1:], strict=False)}
    assert MOST_POINTS / 2 <= len(curve.points) <= MOST_POINTS
    assert len(distances) == 1 and curve.points[0] == (1, 1.0)


def test_the_time_left_follows_the_pace() -> None:
    progress = JobProgress(epochs=4)
    progress.add(Progress(1, 10, 100, (), 0, 1), now=5.0)
    assert progress.seconds_left(5.0) is None
    progress.add(Progress(1, 60, 100, (), 0, 1), now=6.0)
    assert progress.seconds_left(6.0) == pytest.approx(340 / 50)
    assert progress.seconds_left(6.5) == pytest.approx(340 / 50 - 0.5)


def test_an_analysis_that_is_to_stop_says_so_until_it_has() -> None:
    """Table 1 looks at the wish between two chunks of its trainings."""
    job = Job("module:function", "table", {}, kind="table")
    job.add(Fraction(0.5, "halfway"), 0, 0.0)
    assert job.analysis_snapshot(0, 0.0).doing == "halfway"
    job.stopping = True
    assert job.analysis_snapshot(0, 0.0).doing == "stopping"


def test_events_are_few_but_no_epoch_is_dropped() -> None:
    sent: list[Event] = []
    events = JobContext(lambda event, lane: sent.append(event))
    for step in range(1, 1001):
        events.progress(Progress(1, step, 1000, ((step, 0.5),), 0.5, 1.0))
    for epoch in range(1, 51):
        events.epoch(EpochRecord(epoch, 1, 1, 1, 1, 1, 1, 1, 1))
    assert [event.epoch for event in sent if isinstance(event, EpochRecord)] == list(range(1, 51))
    signs = [event for event in sent if isinstance(event, Progress)]
    assert len(signs) <= 3 and signs[-1].step == 1000
    assert max(len(sign.losses) for sign in signs) <= 50


def test_a_training_over_the_budget_is_refused(surroundings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMNIST_COMPUTE_BUDGET", "1e6")
    idle = Engine()
    with pytest.raises(LabError, match="FMNIST_COMPUTE_BUDGET"):
        idle.submit(TINY, "s")
    assert idle.active("s") is None


def test_one_active_training_per_session(surroundings: Path) -> None:
    idle = Engine()
    first = idle.submit(TINY, "s")
    assert idle.submit(TINY, "s") == first
    with pytest.raises(LabError, match=re.escape("training of the network 784-8-10 (2 epochs) is still running")):
        idle.submit(TINY.model_copy(update={"seed": 1}), "s")
    assert idle.active("s") == first
    idle.stop(first, "s")
    assert idle.active("s") is None and state(idle, first) == "stopped"
    idle.submit(TINY.model_copy(update={"seed": 1}), "s")


@pytest.mark.parametrize("what", ["training", "race", "study"])
def test_a_network_too_large_for_a_worker_is_refused_at_the_press(
    surroundings: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Its worker would be killed, and its neighbours' jobs with it."""
    monkeypatch.setenv("FMNIST_RUNS_BUDGET", "1e12")
    large = Experiment(layers=20, units=2048, epochs=1, training_fraction=0.01)
    idle = Engine()
    asks: dict[str, Callable[[], object]] = {
        "training": lambda: idle.submit(large, "s"),
        "race": lambda: idle.submit_race([large, TINY], "s"),
        "study": lambda: idle.submit_study(Study.of({"base": large, "seeds": 2}), "s"),
    }
    with pytest.raises(LabError, match=r"need about \d\.\d\d GB .* can use 1\.73 of its 1\.83 GB; choose fewer"):
        asks[what]()
    assert idle.active("s") is None and idle.active_study("s") is None
    idle.submit(Experiment(layers=4, units=2048, epochs=1, training_fraction=0.01), "s")


# With workers

engine_test = pytest.mark.engine


@engine_test
def test_progress_comes_in_order(light_engine: Engine) -> None:
    steps(light_engine, "order", 6)
    seen = [shot(light_engine, "order")]

    def over() -> bool:
        now = shot(light_engine, "order")
        seen.extend([now] if now != seen[-1] else [])
        return not now.active

    until(over, "the end")
    states = list(dict.fromkeys(snapshot.state for snapshot in seen))
    assert states[0] == "starting" and states[-1] == "done"
    assert "training" in states
    assert [snapshot.step for snapshot in seen] == sorted(snapshot.step for snapshot in seen)
    assert len({snapshot.epoch for snapshot in seen}) >= 5, "several signs of life"
    last = seen[-1]
    assert [record.epoch for record in last.history] == [1, 2, 3, 4, 5, 6]
    assert last.step == 120 and last.error == last.notice == "" and last.seconds_left is not None


@engine_test
def test_the_place_in_the_queue_is_exact(light_engine: Engine, tmp_path: Path) -> None:
    names = ["q0", "q1", "q2", "q3"]
    for name in names:
        light_engine.submit_job(WAIT, name, {"file": str(tmp_path / name)}, [TINY], name)
    assert [shot(light_engine, name).place for name in names] == [0, 1, 2, 3]
    assert [state(light_engine, name) for name in names] == ["starting", "queued", "queued", "queued"]
    assert light_engine.status().queue_length in (3, 4)
    light_engine.stop("q1", "q1")
    assert state(light_engine, "q1") == "stopped" and shot(light_engine, "q2").place == 1
    (tmp_path / "q0").touch()
    assert ended(light_engine, "q0").state == "done"
    until(lambda: shot(light_engine, "q2").place == 0 and shot(light_engine, "q3").place == 1, "the queue to move")
    for name in ("q2", "q3"):
        (tmp_path / name).touch()
        assert ended(light_engine, name).state == "done"


@engine_test
def test_an_analysis_runs_beside_a_training(light_engine: Engine, tmp_path: Path) -> None:
    steps(light_engine, "long", 200)
    until(lambda: shot(light_engine, "long").step, "the training's first step")
    analyse(light_engine, "map-1", tmp_path / "one", "map")
    until(lambda: state(light_engine, "map-1") == "working", "the analysis")
    found = shot(light_engine, "map-1")
    assert (found.fraction, found.doing, found.active) == (0.5, "halfway", True)
    assert shot(light_engine, "long").active and light_engine.active("s") == "long"
    # One of each sort at a time in a worker: another person's map waits, a measure does not.
    analyse(light_engine, "map-2", tmp_path / "two", "map", "t")
    analyse(light_engine, "measure-1", tmp_path / "two", "measure", "t")
    until(lambda: state(light_engine, "measure-1") == "working", "the measure")
    assert (state(light_engine, "map-2"), shot(light_engine, "map-2").place) == ("queued", 1)
    (tmp_path / "one").touch()
    assert ended(light_engine, "map-1").state == "done"
    until(lambda: state(light_engine, "map-2") == "working", "the second map")
    (tmp_path / "two").touch()
    assert ended(light_engine, "map-2").state == ended(light_engine, "measure-1").state == "done"
    light_engine.stop("long", "s")
    ended(light_engine, "long")


@engine_test
def test_a_new_analysis_takes_the_place_of_the_sessions_last(light_engine: Engine, tmp_path: Path) -> None:
    analyse(light_engine, "map-3", tmp_path / "never", "map")
    until(lambda: state(light_engine, "map-3") == "working", "the analysis")
    analyse(light_engine, "map-3", tmp_path / "never", "map", "t")  # another person wants it, too
    analyse(light_engine, "map-4", tmp_path / "never", "map")
    assert shot(light_engine, "map-3").active
    analyse(light_engine, "map-5", tmp_path / "never", "map", "t")
    assert ended(light_engine, "map-3").state == "stopped"
    for name, session in (("map-4", "s"), ("map-5", "t")):
        assert light_engine.stop(name, session)
        assert ended(light_engine, name).state == "stopped"


@engine_test
def test_an_analysis_that_nobody_waits_for_makes_room(
    light_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    analyse(light_engine, "map-6", tmp_path / "never", "map", "gone")
    until(lambda: state(light_engine, "map-6") == "working", "the analysis")
    monkeypatch.setattr(light_engine, "_alive", lambda session: session != "gone")
    analyse(light_engine, "map-7", tmp_path / "never", "map", "here")
    assert ended(light_engine, "map-6").state == "stopped"
    until(lambda: state(light_engine, "map-7") == "working", "the next one")
    light_engine.stop("map-7", "here")
    assert ended(light_engine, "map-7").state == "stopped"


@engine_test
def test_a_shared_job_goes_on_while_somebody_wants_it(light_engine: Engine, tmp_path: Path) -> None:
    for session in ("ann", "bob", "cleo"):
        light_engine.submit_job(WAIT, "shared", {"file": str(tmp_path / "go")}, [TINY], session)
    assert shot(light_engine, "shared").watchers == 3 and light_engine.active("bob") == "shared"
    assert not light_engine.stop("shared", "ann"), "it goes on"
    assert shot(light_engine, "shared").active and light_engine.active("ann") is None
    GONE.add("cleo")
    assert light_engine.stop("shared", "bob")
    assert shot(light_engine, "shared").watchers == 0
    assert ended(light_engine, "shared").state == "stopped", "a closed browser does not count"


@engine_test
@pytest.mark.parametrize(
    ("clear", "sentence"), [(True, "The data set is damaged"), (False, "ZeroDivisionError: division")]
)
def test_an_exception_is_one_sentence(light_engine: Engine, clear: bool, sentence: str) -> None:
    light_engine.submit_job(FAIL, "fail", {"clear": clear}, [TINY], "s")
    failed = ended(light_engine, "fail")
    assert failed.state == "failed" and sentence in failed.error and "\n" not in failed.error
    steps(light_engine, "after failure", 1)
    assert ended(light_engine, "after failure").state == "done"


@engine_test
def test_an_analysis_without_a_readable_result_fails_in_a_sentence(light_engine: Engine, tmp_path: Path) -> None:
    """Its page would ask for it again and again: a worker of another version, or with another store."""
    (tmp_path / "now").touch()
    name = "map-0123456789abcdef"
    params = {"file": str(tmp_path / "now"), "run": "", "name": name}
    light_engine.submit_analysis(Analysis("tests.engine.worker_jobs:analyse", "map", "", name, params, "A test"), "s")
    failed = ended(light_engine, name)
    assert failed.state == "failed" and "no result that this server can read" in failed.error
    assert "\n" not in failed.error


@engine_test
def test_a_job_that_cannot_be_handed_over_fails_and_the_next_one_runs(light_engine: Engine) -> None:
    light_engine.submit_job(WAIT, "unsendable", {"file": threading.Lock()}, [TINY], "s")
    failed = ended(light_engine, "unsendable")
    assert failed.state == "failed" and failed.error.startswith("The engine could not hand this training to a worker: ")
    steps(light_engine, "sendable", 1)
    assert ended(light_engine, "sendable").state == "done"


@engine_test
def test_a_job_that_exceeds_the_memory_fails_clearly(light_engine: Engine) -> None:
    light_engine.submit_job(ALLOCATE, "greedy", {}, [TINY], "s")
    failed = ended(light_engine, "greedy")
    assert failed.state == "failed"
    assert "0.93 GiB" in failed.error and "FMNIST_WORKER_MEMORY" in failed.error and "fewer units" in failed.error
    assert (
        failed.notice
        == "The worker process ran out of memory before the first epoch and the training was started again."
    )
    steps(light_engine, "modest", 1)
    assert ended(light_engine, "modest").state == "done"


@engine_test
def test_a_grown_worker_is_replaced_before_the_next_job(light_engine: Engine) -> None:
    light_engine.submit_job(GROW, "grow", {"bytes": 760_000_000}, [TINY], "s")
    assert ended(light_engine, "grow").state == "done"
    steps(light_engine, "next", 1)
    assert ended(light_engine, "next").state == "done" and shot(light_engine, "next").notice == ""
    assert psutil.Process(worker_process(light_engine)).memory_info().rss < 300e6


@engine_test
def test_the_engine_comes_back_when_its_own_processes_die(light_engine: Engine) -> None:
    steps(light_engine, "long", 20)
    until(lambda: shot(light_engine, "long").epoch >= 2, "the second epoch")
    held = light_engine._dispatcher._cluster
    assert held and held._host
    held._host.kill()
    assert ended(light_engine, "long").state == "done"
    assert shot(light_engine, "long").notice == "The engine failed and the training was started again."


@engine_test
def test_an_error_that_the_engine_does_not_know_is_logged_and_told(
    light_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: Cluster) -> bool:
        raise ZeroDivisionError("a fault in the watch")

    with monkeypatch.context() as patch:
        patch.setattr(Cluster, "alive", fail)
        light_engine.submit_job(WAIT, "unlucky", {"file": str(tmp_path / "never")}, [TINY], "s")
        failed = ended(light_engine, "unlucky")
    sentence = "The engine failed unexpectedly (a fault in the watch); see the server's log."
    assert (failed.state, failed.error, light_engine.status().message) == ("failed", sentence, sentence)
    assert "Traceback" in caplog.text and "a fault in the watch" in caplog.text
    steps(light_engine, "after the fault", 1)
    assert ended(light_engine, "after the fault").state == "done"


@engine_test
def test_no_process_outlives_the_engine(surroundings: Path) -> None:
    before = set(psutil.Process().children(recursive=True))
    made = Engine(warm_up=False)
    made.start()
    steps(made, "running", 200)
    until(lambda: shot(made, "running").epoch >= 1, "a running job")
    started = set(psutil.Process().children(recursive=True)) - before
    assert len(started) >= 2
    made.close()
    until(lambda: all(not p.is_running() or p.status() == psutil.STATUS_ZOMBIE for p in started), "the end of all")


@engine_test
def test_an_engine_that_reaches_nobody_closes_at_once(surroundings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMNIST_ENGINE", "tcp://127.0.0.1:1")
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    made = Engine(warm_up=False)
    made.start()
    made.close()  # while it still tries
    assert not made._dispatcher._thread.is_alive()


ELSEWHERE = """
import sys
import threading
from distributed import LocalCluster
if __name__ == "__main__":
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1")
    print(cluster.scheduler_address, flush=True)
    sys.stdin.read()
"""


@engine_test
def test_workers_elsewhere_do_the_same(surroundings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Dask scheduler that others started, with two workers: two jobs run at a time."""
    script = tmp_path / "elsewhere.py"
    script.write_text(ELSEWHERE)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, script], stdin=pipe, stdout=pipe, text=True, env=environment) as host:
        assert host.stdin and host.stdout
        address = host.stdout.readline().strip()
        monkeypatch.setenv("FMNIST_ENGINE", address.removeprefix("tcp://"))  # Dask takes both
        made = Engine(warm_up=False)
        made.start()
        until(lambda: made.status().workers == 2, "both workers")
        for name in ("a", "b", "c"):
            made.submit_job(WAIT, name, {"file": str(tmp_path / name)}, [TINY], name)
        assert [shot(made, name).place for name in "abc"] == [0, 0, 1]
        for name in "bac":
            (tmp_path / name).touch()
            assert ended(made, name).state == "done"
        made.close()
        assert host.poll() is None, "it is not ours to end"
        host.stdin.close()


@engine_test
def test_a_training_is_stored_and_not_repeated(engine: Engine) -> None:
    name = engine.submit(TINY, "s")
    assert name == run_id(TINY, "sample")
    assert engine.submit(TINY, "t") == name and shot(engine, name).watchers == 2
    assert ended(engine, name).state == "done", shot(engine, name)
    assert [record.epoch for record in shot(engine, name).history] == [0, 1, 2]
    run = store().find(name)
    assert run and run.complete and repr(run.records) == repr(shot(engine, name).history)
    assert (run.path / "model.keras").is_file() and list(run.path.glob("tensorboard/*"))
    engine.submit(TINY, "s")
    assert engine.active("s") is None


@engine_test
def test_a_stopped_training_keeps_its_part_and_can_be_trained_anew(engine: Engine) -> None:
    long = TINY.model_copy(update={"epochs": 200, "batch_size": 16})
    name = engine.submit(long, "s")
    until(lambda: shot(engine, name).epoch >= 3, "the third epoch")
    at_request = shot(engine, name).epoch
    engine.stop(name, "s")
    assert ended(engine, name).state == "stopped"
    run = store().find(name)
    assert run and not run.complete and 2 <= run.metrics["epochs_done"] < 200
    assert run.metrics["epochs_done"] <= at_request + 50, "about two seconds of such epochs"
    engine.submit(long, "s")
    assert engine.active("s") == name
    engine.stop(name, "s")
    assert ended(engine, name).state == "stopped"


@engine_test
def test_a_killed_worker_is_replaced_and_the_training_repeated(engine: Engine) -> None:
    experiment = TINY.model_copy(update={"epochs": 20, "batch_size": 16})
    victim = worker_process(engine)
    name = engine.submit(experiment, "s")
    until(lambda: shot(engine, name).epoch >= 3, "the third epoch")
    os.kill(victim, signal.SIGKILL)
    until(lambda: shot(engine, name).notice, "the notice")
    notice = shot(engine, name).notice
    assert notice.startswith("The worker process died at epoch ") and notice.endswith("was started again.")
    assert ended(engine, name).state == "done" and shot(engine, name).notice == notice
    assert [record.epoch for record in shot(engine, name).history] == list(range(21))
    run = store().find(name)
    assert run and run.complete


SECOND_APP = """
import sys, time
from pathlib import Path
from typing import Any, get_type_hints
from fmnist_core.data import dataset
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.engine import cluster
from fmnist_core.engine.service import Engine
dataset.DEBIAN_FOLDER = Path("/nowhere")
engine = Engine()
engine.start()
print("ready", flush=True)
name = engine.submit(Experiment.from_json(sys.argv[1]), "other app")
while (shot := engine.snapshot(name)) and shot.active:
    time.sleep(0.05)
print(f"{shot.state} {shot.error}" if shot else "done")  # stored before it could ask
engine.close()
"""


@engine_test
def test_two_apps_share_one_store(engine: Engine) -> None:
    experiment = TINY.model_copy(update={"seed": 7, "epochs": 1})
    other = subprocess.Popen(
        [sys.executable, "-c", SECOND_APP, experiment.to_json()], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout and other.stdout.readline() == "ready\n"
    name = engine.submit(experiment, "s")
    assert ended(engine, name).state == "done"
    printed, _ = other.communicate(timeout=PATIENCE)
    assert printed.strip() == "done"
    run = store().find(name)
    assert run and run.complete and store().problems() == []
    assert not list((settings().runs / ".staging").glob("*"))
