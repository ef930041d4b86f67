"""Disks that are full, read-only, gone or too small for the budget: one sentence each, and nothing is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fmnist_core.cli import train_commands
from fmnist_core.cli.commands import main
from fmnist_core.data import dataset
from fmnist_core.engine.service import Engine
from fmnist_core.errors import LabError
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.study import Study
from fmnist_core.store.result_store import Results, name_of
from fmnist_core.store.room import stored_bytes
from fmnist_core.store.run_store import RunStore, StoreError, configured_store
from fmnist_core.store.run_writer import RunWriter
from fmnist_core.ui.shared import server
from tests.support.screens import opened, plain, pressed, texts
from tests.support.stored_runs import Snapshots, store_run

ROOT = Path(__file__).parents[2]
TINY = Experiment(units=8, layers=1, epochs=1)
LARGE = {"layers": "3", "units": "1024", "epochs": "16"}
RESULT = name_of("map", {})
REFUSED = r"cannot be written \(.*\); free some space or set FMNIST_RUNS"


def mounted(folder: Path, *options: str) -> None:
    """Mount a small disk of memory. Skips, where that is not allowed."""
    folder.mkdir(exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB."""
    folder = tmp_path / "disk"
    mounted(folder, "-o", "size=1m")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_refused_at_the_start(small_disk: Path) -> None:
    with pytest.raises(StoreError, match="MB left, but this run needs about"):
        RunWriter(RunStore(small_disk, 10**9), Experiment(), "sample", "x")
    assert not list(small_disk.glob(".staging/*"))


@pytest.mark.parametrize(
    "write",
    [
        lambda writer: writer.snapshot(1, {"a": np.zeros(10**6, np.float32)}, np.zeros((5, 10), np.float32)),
        lambda writer: writer.snapshot(1, {}, np.zeros((100_000, 10), np.float32)),
        lambda writer: (writer.steps(1, np.zeros(10**6, np.float32)), writer.commit({"stopped": False})),
    ],
    ids=["weights", "probabilities", "end"],
)
def test_a_disk_that_fills_up_is_one_sentence(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[RunWriter], Any]
) -> None:
    monkeypatch.setattr("fmnist_core.store.run_writer.stored_bytes", lambda experiment, data_name: 0)
    store = RunStore(small_disk, 10**9)
    writer = RunWriter(store, TINY, "sample", "x")
    with pytest.raises(StoreError, match=r"No space left on device\); free some space or set FMNIST_RUNS"):
        write(writer)
    assert not list(small_disk.glob(".staging/*")) and store.runs() == []


def test_words_and_results_on_a_full_disk(small_disk: Path) -> None:
    store = RunStore(small_disk, 10**9)
    shutil.copytree(
        store_run(small_disk.parent / "runs", TINY, snapshots={}, data_name="sample").path, small_disk / "r"
    )
    (small_disk / "r").rename(small_disk / f"{TINY.digest}-sample")
    (run,) = store.runs()
    store.keep(run.run_id, True)
    files = sorted(small_disk.rglob("*"))
    (small_disk / "filler").write_bytes(bytes(shutil.disk_usage(small_disk).free))
    with pytest.raises(StoreError, match=REFUSED):
        store.annotate(run.run_id, note="x" * 300)
    with pytest.raises(StoreError, match=REFUSED):
        Results(store).write(run.run_id, RESULT, {}, {"points": np.zeros(9999, np.float32)})
    (small_disk / "filler").unlink()
    (found,) = store.runs()
    assert found.kept and not found.note
    assert {*small_disk.rglob("*")} - {*files} <= {found.path / "derived"}


LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.store.run_store import RunStore, StoreError
from fmnist_core.store.run_writer import RunWriter
writer = RunWriter(RunStore(Path(sys.argv[1]), 10**9), Experiment(units=8, layers=1, epochs=1), "sample", "x")
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    writer.snapshot(1, {"a": np.zeros(10**6, np.float32)}, np.zeros((5, 10), np.float32))
except StoreError as error:
    print(error)
"""


def test_a_limit_of_the_file_size_is_one_sentence(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "cannot be written (File too large); free some space" in ended.stdout
    assert not list(tmp_path.glob(".staging/*"))


@pytest.mark.usefixtures("no_workers")
def test_a_read_only_store_is_read_and_refuses_in_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    mounted(folder)
    try:
        run = store_run(folder, TINY)
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        store = RunStore(folder, 10**9)
        assert store.runs() and store.find(run.run_id) and store.problems() == []
        for write in (
            lambda: store.keep(run.run_id, True),
            lambda: store.delete(run.run_id),
            lambda: store.evict(),
            lambda: RunWriter(store, TINY, "sample", "x"),
            lambda: Results(store).write(run.run_id, RESULT, {}, {}),
        ):
            with pytest.raises(StoreError, match=r"cannot be written \(Read-only file system\)"):
                write()
        assert "0.890" in texts(opened("app.py")) + texts(opened("pages/Train.py", **TINY.query()))
        app = pressed(opened("pages/Compare.py", runs=run.run_id), "Delete 1 chosen run")
        assert "cannot be written (Read-only file system)" in texts(app)
    finally:
        subprocess.run(["umount", "-l", folder], check=False)


@pytest.mark.usefixtures("no_workers")
@pytest.mark.parametrize("instead", ["nothing", "a file"])
def test_a_store_that_is_gone_is_an_empty_one(tmp_path: Path, instead: str) -> None:
    run = store_run(tmp_path / "runs", TINY)
    for page, query in (("app.py", {}), ("pages/Compare.py", {"runs": run.run_id}), ("pages/Inspect.py", {})):
        opened(page, **query)
        shutil.move(tmp_path / "runs", tmp_path / "elsewhere")
        if instead == "a file":
            (tmp_path / "runs").write_text("")
        opened(page, **query)  # without an exception
        if instead == "a file":
            (tmp_path / "runs").unlink()
        shutil.rmtree(tmp_path / "runs", ignore_errors=True)
        shutil.move(tmp_path / "elsewhere", tmp_path / "runs")
    assert RunStore(tmp_path / "runs", 10**9).find(run.run_id)


# --- The budget -------------------------------------------------------------------------------------------------------


def test_the_command_line_refuses_a_run_that_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FMNIST_RUNS", str(tmp_path))
    monkeypatch.setenv("FMNIST_RUNS_BUDGET", "200e6")
    runs = [store_run(tmp_path, TINY.changed(seed=seed), data_name="sample", snapshots={}) for seed in range(3)]
    flags = [word for name, value in LARGE.items() for word in (f"--{name}", value)]
    assert main(["train", "--data", "sample", *flags]) == 2
    said = capsys.readouterr().err
    assert "would need about 234 of the 200 MB" in said and "at most half, 100 MB" in said and said.count("\n") == 1
    assert {run.run_id for run in RunStore(tmp_path, 10**9).runs()} == {run.run_id for run in runs}
    assert main(["study", "--data", "sample", "--units", "1024", "--epochs", "5"]) == 2
    said = capsys.readouterr().err
    assert "runs would need about" in said and said.count("\n") == 1


@pytest.mark.usefixtures("no_workers")
def test_a_finished_study_is_never_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study, name = Study.of({"base": TINY.changed(units=1024, layers=3, epochs=20), "seeds": 2}), dataset.load().name
    for _, experiment in study.experiments():
        store_run(tmp_path / "runs", experiment, snapshots={}, data_name=name)
    monkeypatch.setenv("FMNIST_RUNS_BUDGET", "11e6")
    monkeypatch.setenv("FMNIST_COMPUTE_BUDGET", "1e9")
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(total=10**9))
    engine = Engine()
    engine.submit_study(study, "s")
    found = engine.study(study.digest)
    assert found and found.state == "done" and len(found.done) == 2
    file = tmp_path / "study.json"
    file.write_text(study.to_json())
    assert main(["study", "--file", str(file)]) == 0
    assert "0.890" in capsys.readouterr().out
    with pytest.raises(LabError, match="FMNIST_COMPUTE_BUDGET"):
        engine.submit_study(Study.of(dict(study) | {"seeds": 3}), "s")


def test_stored_runs_count_with_their_size_when_others_join_them(tmp_path: Path) -> None:
    large = TINY.changed(units=1024, layers=3, epochs=16)
    store_run(tmp_path, large, snapshots={}, data_name="sample")
    told = RunStore(tmp_path, 200_000_000).room_for([large, TINY], "sample")
    assert told.needed == stored_bytes(TINY, "sample") and told.removed == ()


@pytest.mark.usefixtures("no_workers")
@pytest.mark.parametrize("asked", ["a study", "a race", "the command line"])
def test_what_is_asked_for_and_stored_is_the_last_to_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], asked: str
) -> None:
    study, name = Study.of({"base": TINY, "seeds": 2}), dataset.load().name
    experiments = [experiment for _, experiment in study.experiments()]
    probabilities: Snapshots = {1: ({}, np.ones((120_000, 10), np.float32) / 10)}
    stored = [experiments[0], TINY.changed(seed=77), TINY.changed(seed=78)]  # the first one was opened least
    runs = [store_run(tmp_path / "runs", each, snapshots=probabilities) for each in stored]
    for age, run in enumerate(reversed(runs)):
        os.utime(run.path, (1_000_000_000 - age, 1_000_000_000 - age))
    needed = stored_bytes(experiments[1], name)
    budget = needed + int(2.5 * sum(runs[0].provenance["files"].values()))
    monkeypatch.setenv("FMNIST_RUNS_BUDGET", str(budget))
    told = configured_store().room_for(experiments, name)
    if asked == "a study":
        Engine().submit_study(study, "s")
    elif asked == "a race":
        Engine().submit_race(experiments, "s")
    else:
        train_commands._make_room(experiments, name)
        assert runs[1].run_id in capsys.readouterr().err
    assert list(told.removed) == [runs[1].run_id] == RunStore(tmp_path / "runs", budget - needed).evict()


@pytest.mark.usefixtures("no_workers")
def test_pages_say_what_will_make_room_and_refuse_what_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FMNIST_RUNS_BUDGET", "200e6")
    server.store.clear()
    app = opened("pages/Train.py", **LARGE)
    assert "may take at most half, 100 MB" in texts(app)
    app = pressed(app, "Train")
    assert any("may take at most half, 100 MB" in plain(error.value) for error in app.error)
    assert server.engine().active(server.session()) is None

    monkeypatch.setenv("FMNIST_RUNS_BUDGET", "11e6")
    server.store.clear()
    name = dataset.load().name
    probabilities: Snapshots = {1: ({}, np.ones((30_000, 10), np.float32) / 10)}  # 1.2 MB
    for seed in range(7):
        store_run(tmp_path / "runs", TINY.changed(seed=seed), snapshots=probabilities)
    new = Experiment(units=64, layers=1, epochs=5)
    told = server.store().room_for([new], name)
    assert len(told.removed) > 1
    assert told.sentence() in texts(opened("pages/Train.py", **new.query()))
