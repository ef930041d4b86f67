"""Processes that are killed, stopped or cannot be had: nothing of them stays, and people are told in one sentence."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from fmnist_core.cli.exit_codes import FAILED
from fmnist_core.engine import cluster, scratch
from fmnist_core.engine.service import Engine
from fmnist_core.experiment.hyperparameters import Experiment
from tests.engine.test_service import STEPS
from tests.support.engine_waits import shot, until

SHARED = "/dev/" + "shm"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The system's place for temporary files, and a store, of this test alone."""
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("FMNIST_RUNS", str(tmp_path / "runs"))
    yield place
    tempfile.tempdir = None


def host(engine: Engine) -> psutil.Process:
    """The program that has the engine's workers."""
    cluster = engine._dispatcher._cluster
    assert cluster and cluster._host
    return psutil.Process(cluster._host.pid)


def semaphores(process: psutil.Process) -> set[str]:
    """The files of /dev/shm that it has, by name."""
    return set(re.findall(rf"{SHARED}/sem\.\S+", Path(f"/proc/{process.pid}/maps").read_text()))


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_the_folder_of_a_killed_process_is_removed_by_the_next(temporary: Path) -> None:
    code = (
        "import time\nfrom fmnist_core.engine.scratch import scratch_folder\n"
        "with scratch_folder() as folder:\n    print(folder, flush=True)\n    time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        folder = Path(process.stdout.readline().strip())
        (folder / "file").touch()
        scratch.sweep()
        assert (folder / "file").exists(), "its process lives"
        process.kill()
    with scratch.scratch_folder() as own:
        assert list(temporary.iterdir()) == [Path(own), Path(f"{own}.lock")] or not folder.exists()
    assert not list(temporary.iterdir())


@pytest.mark.engine
@pytest.mark.parametrize("end", ["close", "kill"])
def test_an_engine_leaves_nothing_whatever_ends_it(temporary: Path, tmp_path: Path, end: str) -> None:
    """In the middle of a job; "kill": its host is killed."""
    engine = Engine(warm_up=False)
    engine.start()
    unfinished = tmp_path / "unfinished"
    params = {"file": str(unfinished)}
    engine.submit_job("tests.engine.worker_jobs:scribble", "scribble", params, [Experiment(epochs=200)], "s")
    until(lambda: shot(engine, "scribble").step, "the first step")
    top = host(engine)
    processes, held = top.children(recursive=True), semaphores(top)
    [folder] = temporary.glob("fashion-mnist-lab-*[!k]")
    assert len(held) >= 6 and list(folder.glob("left-behind-*")) and not list(temporary.glob("left-behind-*"))
    [worker] = [process for process in processes if process.nice() > top.nice()]
    assert "spawn_main" in " ".join(worker.cmdline()), "the worker makes room for the app"
    if end == "kill":
        engine._dispatcher._closed = True  # it would start another one
        top.kill()
    engine.close()
    until(lambda: all(map(gone, processes)), "the end of its processes")
    assert not [path for path in held if Path(path).exists()] and not list(temporary.iterdir())
    assert end == "kill" or not unfinished.exists(), "the job ended in order"


@pytest.fixture
def mute() -> Iterator[str]:
    """The address of a server that takes connections and says nothing, as one of another protocol."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("nonsense", "it must be an address such as tcp://192.0.2.1:8786"),
        ("tcp://127.0.0.1:many", "it must be an address such as tcp://192.0.2.1:8786"),
        ("http://127.0.0.1:1", "it must be an address such as tcp://192.0.2.1:8786"),
        ("tcp://127.0.0.1:1", "Connection refused"),
        ("127.0.0.1:1", "Connection refused"),
        ("ws://localhost:1", "Connection refused"),
        ("tls://127.0.0.1:1", "tls:// needs certificates in Dask's configuration (distributed.comm.tls)"),
        ("mute", "what answers there is no Dask scheduler"),
    ],
)
def test_an_engine_that_cannot_be_reached_is_one_sentence(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, mute: str, address: str, reason: str
) -> None:
    monkeypatch.setattr(cluster, "ANSWER_SECONDS", 0.2)
    address = mute if address == "mute" else address
    monkeypatch.setenv("FMNIST_ENGINE", address)
    engine = Engine(warm_up=False)
    engine.start()
    engine.submit_job(STEPS, "nowhere", {"epochs": 1}, [Experiment(epochs=1)], "s")
    until(lambda: not shot(engine, "nowhere").active, "its end")
    sentence = f"The engine at {address} (FMNIST_ENGINE) cannot be reached: {reason}."
    assert (shot(engine, "nowhere").state, shot(engine, "nowhere").error) == ("failed", sentence)
    assert not engine.status().ready and engine.status().message == sentence
    engine.close()


@pytest.mark.engine
@pytest.mark.parametrize(
    ("option", "reason"), [("size=4k", "No space left on device"), ("ro", "Read-only file system")]
)
def test_without_shared_memory_the_cause_is_one_sentence(temporary: Path, option: str, reason: str) -> None:
    def elsewhere(command: str) -> subprocess.CompletedProcess[str]:
        line = f"mount -t tmpfs -o {option} tmpfs {SHARED} && exec {command}"
        return subprocess.run(["unshare", "--mount", "sh", "-c", line], cwd=ROOT, capture_output=True, text=True)

    if shutil.which("unshare") is None or elsewhere("true").returncode:
        pytest.skip("this user may not mount anything")
    done = elsewhere(f"{sys.executable} -m fmnist_core doctor")
    problem = (
        f"Processes cannot share memory ({reason}); mount {SHARED} with some free space (of a container: --shm-size)."
    )
    assert done.returncode == FAILED
    assert done.stderr.splitlines() == [f"Shared memory: {problem}", f"Engine: The engine did not start: {problem}"]


APP = """
import sys
from fmnist_core.engine.service import Engine
from fmnist_core.experiment.hyperparameters import Experiment
engine = Engine(warm_up=False)
engine.start()
engine.submit_job(sys.argv[1], "steps", {"epochs": 500}, [Experiment(epochs=200)], "s")
while not engine.snapshot("steps").step:
    pass
print(engine._dispatcher._cluster._host.pid, flush=True)
sys.stdin.read()
engine.close()
"""


@pytest.mark.engine
@pytest.mark.parametrize("end", [signal.SIGKILL, None])
def test_the_end_of_an_app_with_a_training_is_silent_and_complete(temporary: Path, end: int | None) -> None:
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", APP, STEPS]
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as app:
        assert app.stdin and app.stdout and app.stderr
        top = psutil.Process(int(app.stdout.readline()))
        processes = [top, *top.children(recursive=True)]
        if end:
            os.kill(app.pid, end)
        app.stdin.close()
        until(lambda: all(map(gone, processes)), "the end of its processes")
        assert app.stderr.read() == ""
    assert not list(temporary.iterdir())


@pytest.mark.engine
def test_stopped_processes_are_replaced_and_the_training_goes_on(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """First the worker, then the host: nobody else would notice, and everybody would wait for ever."""
    monkeypatch.setattr(cluster, "WATCH_SECONDS", 0.05)
    monkeypatch.setattr(cluster, "STOPPED_SECONDS", 0.2)
    engine = Engine(warm_up=False)
    engine.start()
    engine.submit_job(STEPS, "steps", {"epochs": 30}, [Experiment(epochs=30)], "s")
    until(lambda: shot(engine, "steps").epoch, "the first epoch")
    [worker] = [process for process in host(engine).children() if process.nice() > host(engine).nice()]
    worker.suspend()
    until(lambda: shot(engine, "steps").notice and shot(engine, "steps").epoch, "the second start")
    assert shot(engine, "steps").notice.startswith("The worker process died at epoch ")
    host(engine).suspend()
    until(lambda: "engine failed" in shot(engine, "steps").notice and shot(engine, "steps").epoch, "the third start")
    assert caplog.text.count("was stopped by a signal (SIGSTOP) and is replaced.") == 2
    until(lambda: shot(engine, "steps").state == "done", "its end")
    engine.close()
