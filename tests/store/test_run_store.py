"""The run store: whole or absent, damaged runs set aside, bounded, shared by processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.recording import EpochRecord
from fmnist_core.store.run import Run, RunDamaged
from fmnist_core.store.run_store import RunStore, RunWriter, StoreError, stored_bytes
from tests.support.stored_runs import store_run

ROOT = Path(__file__).parents[2]
METRICS: dict[str, Any] = {
    "test_loss": 0.5,
    "test_accuracy": 0.8,
    "test_loss_std": 1.0,
    "seconds": 1.5,
    "compile_seconds": 2.0,
    "stopped": False,
    "best_epoch": 1,
    "epochs_done": 1,
    "steps_per_epoch": 7,
    "train_examples": 896,
    "confusion": [[1] * 10] * 10,
}
TINY = Experiment(units=8, layers=1, epochs=1)


def record(epoch: int) -> EpochRecord:
    return EpochRecord(epoch, 0.1 + epoch, 0.5, 0.25, 0.5, 0.001, float("nan") if epoch == 0 else 1 / 3, 2.0, 0.1)


def write(store: RunStore, experiment: Experiment = TINY, **metrics: Any) -> Run:
    probabilities = np.ones((5, 10), np.float32)
    snapshots = {epoch: ({"hidden_1/kernel": np.full((784, 8), epoch, np.float32)}, probabilities) for epoch in (0, 1)}
    records, steps = [record(epoch) for epoch in (0, 1)], np.arange(7, dtype=np.float32)
    return store_run(
        store, experiment, records=records, snapshots=snapshots, steps=steps, data_name="sample", **METRICS | metrics
    )


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs", 10**9)


def test_what_is_written_is_read_back(store: RunStore) -> None:
    run = write(store)
    assert run.experiment == TINY and run.data_name == "sample" and run.complete
    assert run.metrics == METRICS
    assert repr(run.records) == repr((record(0), record(1)))  # repr: nan is not equal to itself
    assert list(run.history.index) == [0, 1]
    np.testing.assert_array_equal(run.step_losses, np.arange(7, dtype=np.float32))
    assert run.epochs == (0, 1)
    assert run.weights(1)["hidden_1/kernel"].max() == 1
    assert run.probabilities(0).shape == (5, 10)
    assert run.provenance["versions"]["tensorflow"]
    assert [found.run_id for found in store.runs()] == [run.run_id]


def test_a_diverged_run_is_standard_json(store: RunStore) -> None:
    run = write(store, test_loss=float("nan"))
    assert "NaN" not in (run.path / "metrics.json").read_text()
    assert np.isnan(run.metrics["test_loss"])


def test_nothing_is_visible_before_commit_or_after_abandon(store: RunStore) -> None:
    writer = RunWriter(store, TINY, "sample", "x")
    writer.epoch(record(0))
    assert store.runs() == [] and store.find(writer.run_id) is None
    writer.abandon()
    assert not writer.folder.exists()


@pytest.mark.parametrize("name", ["metrics.json", "experiment.json", "history.csv", "snapshots/epoch-001.npz"])
@pytest.mark.parametrize("damage", ["truncated", "missing"])
def test_a_damaged_run_is_set_aside_and_reported(store: RunStore, name: str, damage: str) -> None:
    run = write(store)
    file = run.path / name
    if damage == "truncated":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    else:
        file.unlink()
    assert store.find(run.run_id) is None
    (sentence,) = store.damaged()
    assert run.run_id in sentence and name in sentence + "experiment.json metrics.json"
    assert store.runs() == []
    assert write(store).run_id == run.run_id


def test_damage_found_late_is_one_sentence(store: RunStore) -> None:
    run = write(store)
    file = run.path / "snapshots/epoch-001.npz"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF  # same size: only the checksum tells
    file.write_bytes(content)
    with pytest.raises(RunDamaged, match="moved out of the way, train it again"):
        run.weights(1)
    assert len(store.damaged()) == 1


def test_a_training_replaces_a_damaged_run_at_once(store: RunStore) -> None:
    run = write(store)
    (run.path / "metrics.json").write_text("{")
    start = time.monotonic()
    assert write(store).complete  # nobody opened the damaged one before
    assert time.monotonic() - start < 30  # half of the time after which a writer gives the lock up
    (sentence,) = store.damaged()
    assert run.run_id in sentence


def test_readers_never_set_aside_a_run_that_was_just_trained_again(store: RunStore) -> None:
    ended = threading.Event()
    run = write(store, stopped=True)

    def read() -> None:
        while not ended.is_set():
            store.find(run.run_id)
            store.runs()

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(20):
            store.delete(run.run_id)
            assert not write(store, stopped=True).complete
            assert write(store).complete
    finally:
        ended.set()
        for reader in readers:
            reader.join()
    assert store.damaged() == []
    assert not list((store.root / ".staging").iterdir())


def test_a_run_that_was_opened_before_it_was_trained_again_says_so(store: RunStore) -> None:
    opened = write(store, stopped=True)
    again = store_run(store, TINY, records=[record(0), record(1)], snapshots={}, data_name="sample", **METRICS)
    with pytest.raises(RunDamaged, match="trained again meanwhile; open this page again"):
        opened.weights(1)  # which the new one does not have
    found = store.find(again.run_id)
    assert found and found.complete and store.damaged() == []


def test_a_pickle_is_not_loaded(store: RunStore, tmp_path: Path) -> None:
    run = write(store)
    np.save(run.path / "probabilities/epoch-001.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(RunDamaged):
        run.probabilities(1)


def test_delete_and_undelete(store: RunStore) -> None:
    run = write(store)
    store.annotate(run.run_id, name="first")
    store.delete(run.run_id)
    assert store.find(run.run_id) is None
    store.undelete(run.run_id)
    found = store.find(run.run_id)
    assert found and found.name == "first"
    with pytest.raises(StoreError, match="no longer in the trash"):
        store.undelete(run.run_id)


def test_names_notes_and_kept_survive_a_new_training(store: RunStore) -> None:
    run = write(store, stopped=True)
    store.annotate(run.run_id, name="mine", note="look")
    store.keep(run.run_id, True)
    found = write(store)
    assert (found.name, found.note, found.kept) == ("mine", "look", True)


def test_a_stopped_run_does_not_replace_a_complete_one(store: RunStore) -> None:
    write(store)
    assert write(store, stopped=True).complete


def test_eviction_takes_the_least_recently_opened_and_spares_kept_runs(tmp_path: Path) -> None:
    store = RunStore(tmp_path, 10**9)
    runs = [write(store, TINY.model_copy(update={"seed": seed})) for seed in range(4)]
    for age, run in enumerate(reversed(runs)):
        os.utime(run.path, (1_000_000_000 - age, 1_000_000_000 - age))
    store.keep(runs[0].run_id, True)
    os.utime(runs[0].path, (0, 0))
    store.find(runs[1].run_id)
    size = sum(runs[0].provenance["files"].values())
    store.budget = 3 * size + size // 2
    assert store.evict() == [runs[2].run_id]
    assert {run.run_id for run in store.runs()} == {runs[0].run_id, runs[1].run_id, runs[3].run_id}


def test_trash_goes_before_runs(tmp_path: Path) -> None:
    store = RunStore(tmp_path, 10**9)
    runs = [write(store, TINY.model_copy(update={"seed": seed})) for seed in range(3)]
    store.delete(runs[2].run_id)
    store.budget = int(2.5 * sum(runs[0].provenance["files"].values()))
    assert store.evict() == []
    assert len(store.runs()) == 2


def test_a_crashed_writer_leaves_nothing_behind(store: RunStore) -> None:
    script = f"""
import os
from pathlib import Path
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.store.run_store import RunStore, RunWriter
RunWriter(RunStore(Path({str(store.root)!r}), 10**9), Experiment(units=8, layers=1, epochs=1), "sample", "x")
os._exit(9)
"""
    subprocess.run([sys.executable, "-c", script], check=False, cwd=ROOT)
    assert list((store.root / ".staging").iterdir())
    store.evict()
    assert not list((store.root / ".staging").iterdir())


def test_two_processes_write_the_same_runs(store: RunStore) -> None:
    script = f"""
from pathlib import Path
import numpy as np
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.store.run_store import RunStore
from tests.support.stored_runs import store_run
store = RunStore(Path({str(store.root)!r}), 10**9)
for turn in range(15):
    experiment = Experiment(units=8, layers=1, epochs=1, seed=turn % 3)
    run = store_run(store, experiment, steps=np.arange(7, dtype=np.float32), data_name="sample")
    assert run.step_losses.sum() == 21
    store.annotate(run.run_id, note=str(turn))
"""
    processes = [subprocess.Popen([sys.executable, "-c", script], cwd=ROOT) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert len(store.runs()) == 3 and store.damaged() == []


@pytest.mark.parametrize("run_id", ["../etc", "", "0123456789abcdeg", ".lock", "0123456789abcdef/.."])
def test_a_name_that_is_no_run_finds_nothing(store: RunStore, run_id: str) -> None:
    write(store)
    assert store.find(run_id) is None


def test_a_store_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    store = RunStore(file / "runs", 10**9)
    with pytest.raises(StoreError, match=r"cannot be written \(.*\); free some space or set FMNIST_RUNS"):
        RunWriter(store, TINY, "sample", "x")
    assert store.runs() == [] and store.find("0" * 16) is None


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True)
    if made.returncode:
        pytest.skip("needs the right to mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_refused_at_the_start(small_disk: Path) -> None:
    with pytest.raises(StoreError, match="MB left, but this run needs about"):
        RunWriter(RunStore(small_disk, 10**9), Experiment(), "sample", "x")


def test_a_disk_that_fills_up_is_one_sentence(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fmnist_core.store.run_store.stored_bytes", lambda experiment: 0)
    store = RunStore(small_disk, 10**9)
    writer = RunWriter(store, TINY, "sample", "x")
    with pytest.raises(StoreError, match="free some space or set FMNIST_RUNS"):
        writer.snapshot(1, {"a": np.zeros(10**6, np.float32)}, np.zeros((5, 10), np.float32))
    assert not writer.folder.exists() and store.runs() == []


def test_the_estimate_of_the_size_covers_the_weights() -> None:
    assert stored_bytes(Experiment()) > 21 * 4 * 669_706


def test_files_are_plain(store: RunStore) -> None:
    run = write(store)
    assert json.loads((run.path / "experiment.json").read_text())["units"] == 8
    assert (run.path / "history.csv").read_text().startswith("epoch,loss,accuracy,val_loss,val_accuracy,")


def test_one_array_is_read_without_the_others(store: RunStore) -> None:
    writer = RunWriter(store, TINY, "sample", "x")
    rng = np.random.default_rng(0)
    weights = {name: rng.normal(size=(40, 5)).astype(np.float32) for name in ("hidden_1/kernel", "output/kernel")}
    writer.snapshot(0, weights, np.ones((5, 10), np.float32))
    writer.commit(METRICS)
    run = store.find(writer.run_id)
    assert run and run.tensor_names == ("hidden_1/kernel", "output/kernel")
    np.testing.assert_array_equal(run.tensor(0, "output/kernel"), weights["output/kernel"])
    # The other one is damaged, which only a reader of it notices.
    path = run.path / "snapshots" / "epoch-000.npz"
    content = bytearray(path.read_bytes())
    start = content.find(weights["hidden_1/kernel"].tobytes())
    assert start > 0
    content[start : start + 100] = bytes(100)
    path.write_bytes(bytes(content))
    np.testing.assert_array_equal(run.tensor(0, "output/kernel"), weights["output/kernel"])
    with pytest.raises(RunDamaged, match="epoch-000"):
        run.tensor(0, "hidden_1/kernel")
