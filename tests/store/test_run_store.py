"""The run store: whole or absent, never taking what it cannot read, bounded, shared by processes."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.recording import EpochRecord
from fmnist_core.store.result_store import Results, name_of
from fmnist_core.store.room import stored_bytes
from fmnist_core.store.run import Run, RunDamaged, RunForeign, RunGone, RunUnreadable
from fmnist_core.store.run_store import NoRoomError, RunStore, StoreError
from fmnist_core.store.run_writer import RunWriter
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


def tree(root: Path) -> dict[str, bytes]:
    """Every file below a folder, but for locks."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def rewritten(run: Run, name: str, **changes: Any) -> None:
    """Other values in a JSON file of a run."""
    file = run.path / name
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize("name", ["metrics.json", "experiment.json", "history.csv", "snapshots/epoch-001.npz"])
@pytest.mark.parametrize("damage", ["truncated", "missing"])
def test_a_damaged_run_is_named_and_nothing_moves(store: RunStore, name: str, damage: str) -> None:
    run = write(store)
    file = run.path / name
    if damage == "truncated":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    else:
        file.unlink()
    before = tree(run.path)
    assert store.verified(run.run_id) is None and store.find(run.run_id) is None
    (problem,) = store.problems()
    assert isinstance(problem, RunDamaged) and isinstance(store.problem(run.run_id), RunDamaged)
    assert run.run_id in str(problem) and name in str(problem)
    assert store.runs() == [] and tree(run.path) == before
    assert write(store).run_id == run.run_id


def test_damage_found_late_is_one_sentence_and_known_from_then_on(store: RunStore) -> None:
    run = write(store)
    file = run.path / "snapshots/epoch-001.npz"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF  # same size: only the checksum tells
    file.write_bytes(content)
    assert len(store.runs()) == 1
    with pytest.raises(RunDamaged, match=r"is damaged \(snapshots/epoch-001.npz .*\); train it again, or set it aside"):
        run.weights(1)
    assert store.runs() == [] and len(store.problems()) == 1 and run.path.is_dir()
    assert write(store).weights(1) and store.problems() == []


def test_a_damaged_file_that_the_disk_no_longer_reads_is_one_sentence(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write(store)
    file, real = run.path / "snapshots/epoch-001.npz", Path.stat
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(RunDamaged):
        run.weights(1)

    def stat(path: Path, **options: Any) -> os.stat_result:
        if path == file:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return real(path, **options)

    monkeypatch.setattr(Path, "stat", stat)
    (problem,) = store.problems()
    assert isinstance(problem, RunUnreadable) and "cannot be read now (Input/output error)" in str(problem)
    with pytest.raises(RunUnreadable):
        run.weights(1)


def test_a_list_waits_at_most_once_for_a_writer_however_many_runs_are_damaged(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [write(store, TINY.changed(seed=seed)) for seed in range(3)]
    contents = [(run.path / "history.csv").read_bytes() for run in runs]
    for run in runs:
        (run.path / "history.csv").write_text("x")
    waits, quiet = [], store.quiet

    def counted(seconds: float) -> AbstractContextManager[None]:
        waits.append(seconds)
        return quiet(seconds)

    monkeypatch.setattr(store, "quiet", counted)
    assert len(store.problems()) == 3 and len(waits) == 1
    assert len(store.problems()) == 3 and store.problem(runs[0].run_id) and len(waits) == 1
    for run, content in zip(runs, contents, strict=True):
        (run.path / "history.csv").write_bytes(content)
    assert len(store.runs()) == 3
    (runs[0].path / "metrics.json").unlink()  # other damage than before
    assert len(store.problems()) == 1 and len(waits) == 2


def test_every_byte_of_a_table_counts(store: RunStore) -> None:
    run = write(store)
    file = run.path / "history.csv"
    file.write_text(file.read_text().replace("0.25", "0.26"))
    assert store.find(run.run_id) is None
    assert "history.csv has changed since it was written" in str(store.problem(run.run_id))


def test_a_damaged_run_is_set_aside_on_request_and_put_back(store: RunStore, caplog: pytest.LogCaptureFixture) -> None:
    run = write(store)
    store.keep(run.run_id, True)
    (run.path / "metrics.json").write_text("{")
    before = tree(run.path)
    store.set_aside(run.run_id)
    assert store.problems() == [] and not run.path.exists()
    assert run.run_id in caplog.text and "can be put back" in caplog.text
    (aside,) = store.set_aside_runs()
    assert aside.run_id == run.run_id and "metrics.json" in aside.reason
    store.budget = 0
    store.evict()  # a kept one stays
    store.put_back(aside.name)
    back = tree(run.path)
    assert back.pop("reason.txt") and back == before
    store.set_aside(run.run_id)
    store.budget = 10**9
    write(store)
    with pytest.raises(StoreError, match="was trained again meanwhile; delete that one first"):
        store.put_back(store.set_aside_runs()[0].name)
    with pytest.raises(StoreError, match="no longer among the damaged ones"):
        store.put_back(f"{run.run_id}.7")


def test_only_what_is_damaged_is_set_aside(store: RunStore) -> None:
    run = write(store)
    store.set_aside(run.run_id)
    assert store.find(run.run_id)
    rewritten(run, "experiment.json", format=2)
    with pytest.raises(StoreError, match="made by another version"):
        store.set_aside(run.run_id)
    assert run.path.is_dir() and store.set_aside_runs() == []


@pytest.mark.parametrize(
    ("name", "changes", "says"),
    [
        ("experiment.json", {"format": 2}, "its format is 2, not 1"),
        ("experiment.json", {"clip_value": 0.5}, "this one has no hyperparameter 'clip_value'"),
        ("experiment.json", {"activation": "swish++"}, "Activation"),
        ("experiment.json", {"units": 16}, "another digest"),
        ("metrics.json", {"test_accuracy": "high"}, "test_accuracy"),
        ("provenance.json", {"data": {"name": 7}}, "data.name"),
        ("provenance.json", {"created": "yesterday"}, "provenance.json"),
    ],
)
def test_a_run_of_another_version_stays_where_it_is(
    store: RunStore, name: str, changes: dict[str, Any], says: str
) -> None:
    run = write(store)
    rewritten(run, name, **changes)
    if name != "provenance.json":  # as that version would have written it
        rewritten(run, "provenance.json", files={}, checksums={})
    before = tree(store.root)
    assert store.find(run.run_id) is None and store.runs() == []
    (problem,) = store.problems()
    assert isinstance(problem, RunForeign) and says in str(problem) and "left where it is" in str(problem)
    store.budget = 0
    other = write(store, TINY.changed(seed=5))
    assert store.evict() == [other.run_id]  # which was opened last
    assert {path: content for path, content in tree(store.root).items() if path in before} == before


def test_nothing_is_trained_over_a_run_of_another_version(store: RunStore) -> None:
    run = write(store)
    rewritten(run, "experiment.json", clip_value=0.5)
    before = tree(run.path)
    with pytest.raises(StoreError, match="made by another version .* delete that run first or set FMNIST_RUNS"):
        RunWriter(store, TINY, "sample", "x")
    with pytest.raises(StoreError, match="made by another version"):
        store.room_for([TINY], "sample")
    staged, _ = store.staging(run.run_id)
    with pytest.raises(StoreError, match="made by another version"):
        store.commit(staged, run.run_id, complete=True)
    assert tree(run.path) == before
    store.delete(run.run_id)
    assert write(store).complete


def test_a_run_of_todays_format_opens_with_all_its_fields(store: RunStore) -> None:
    """Version 0.1 wrote every field into experiment.json, no format and no checksums."""
    run = write(store)
    (run.path / "experiment.json").write_text(TINY.to_json())
    provenance = json.loads((run.path / "provenance.json").read_text())
    del provenance["checksums"]
    provenance["files"]["experiment.json"] = len(TINY.to_json())
    (run.path / "provenance.json").write_text(json.dumps(provenance))
    found = store.find(run.run_id)
    assert found and found.experiment == TINY and found.probabilities(1).shape == (5, 10)


def test_a_hyperparameter_of_a_branch_is_no_obstacle_at_its_default(store: RunStore) -> None:
    run = write(store)
    written = json.loads((run.path / "experiment.json").read_text())
    assert written == {"format": 1, "units": 8, "layers": 1, "epochs": 1}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user, who may not read")
def test_a_run_that_cannot_be_read_now_stays_where_it_is(store: RunStore) -> None:
    run = write(store)
    (run.path / "metrics.json").chmod(0)
    before = sorted(path for path in store.root.rglob("*") if path.name != ".lock")
    script = f"""
import os
from pathlib import Path
from fmnist_core.store.run import RunUnreadable
from fmnist_core.store.run_store import RunStore
store = RunStore(Path({str(store.root)!r}), 10**9)
os.setuid(65534)
assert store.runs() == [] and store.find({run.run_id!r}) is None
(problem,) = store.problems()
assert isinstance(problem, RunUnreadable), repr(problem)
print(problem)
"""
    for folder in (store.root, *store.root.parents[:-1]):
        folder.chmod(folder.stat().st_mode | 0o555)
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "cannot be read now (Permission denied); it is left where it is, try again later" in ended.stdout
    assert sorted(path for path in store.root.rglob("*") if path.name != ".lock") == before
    (run.path / "metrics.json").chmod(0o644)
    assert store.find(run.run_id)


def test_an_error_of_the_disk_is_no_damage(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stale handle of a network drive, which no test can make."""
    run = write(store)

    def stale(path: Path) -> bytes:
        raise OSError(errno.ESTALE, "Stale file handle")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", stale)
        with pytest.raises(RunUnreadable, match="Stale file handle"):
            run.probabilities(1)
    assert run.probabilities(1).shape == (5, 10) and store.find(run.run_id)


def test_a_training_replaces_a_damaged_run_at_once(store: RunStore) -> None:
    run = write(store)
    store.annotate(run.run_id, name="mine")
    (run.path / "metrics.json").write_text("{")
    start = time.monotonic()
    again = write(store)  # nobody opened the damaged one before
    assert again.complete and again.name == "mine"
    assert time.monotonic() - start < 30  # half of the time after which a writer gives the lock up
    (aside,) = store.set_aside_runs()
    assert aside.run_id == run.run_id


READER = """
import sys
from pathlib import Path
from fmnist_core.store.run_store import RunStore
store = RunStore(Path(sys.argv[1]), 10**9)
print("ready", flush=True)
sys.stdin.readline()
for turn in range(int(sys.argv[3])):
    assert [run.run_id for run in store.runs()] == [sys.argv[2]], turn
    assert store.problems() == [] and store.find(sys.argv[2]) is not None, turn
"""


def test_readers_in_other_processes_never_miss_a_run_that_is_replaced(store: RunStore) -> None:
    run = write(store, stopped=True)
    command = [sys.executable, "-c", READER, str(store.root), run.run_id, "150"]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    readers = [subprocess.Popen(command, cwd=ROOT, **pipes) for _ in range(2)]
    assert [reader.stdout.readline() for reader in readers if reader.stdout] == ["ready\n"] * 2  # the barrier
    for reader in readers:
        assert reader.stdin
        reader.stdin.write("go\n")
        reader.stdin.flush()
    while any(reader.poll() is None for reader in readers):
        write(store)
    assert [reader.communicate()[1] for reader in readers] == ["", ""]
    assert store.problems() == [] and store.set_aside_runs() == []
    assert not list((store.root / ".staging").iterdir())


def test_a_writer_that_dies_while_it_replaces_a_run_loses_none(store: RunStore) -> None:
    run = write(store)
    (store.root / ".replaced").mkdir(exist_ok=True)
    run.path.rename(store.root / ".replaced" / run.run_id)  # its next step would have been the new one
    store.evict()
    assert store.find(run.run_id)
    shutil.copytree(run.path, store.root / ".replaced" / run.run_id)  # or it died after that
    store.delete(run.run_id)
    store.evict()
    assert store.find(run.run_id) is None and not list((store.root / ".replaced").iterdir())


def test_readers_never_set_aside_a_run_that_was_just_trained_again(store: RunStore) -> None:
    ended = threading.Event()
    run = write(store, stopped=True)
    problems = []

    def read() -> None:
        while not ended.is_set():
            store.find(run.run_id)
            problems.extend(store.problems())

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
    assert problems == [] and store.set_aside_runs() == []
    assert not list((store.root / ".staging").iterdir())


def test_a_run_that_was_opened_before_it_was_trained_again_says_so(store: RunStore) -> None:
    opened = write(store, stopped=True)
    again = store_run(store, TINY, records=[record(0), record(1)], snapshots={}, data_name="sample", **METRICS)
    with pytest.raises(RunGone, match="trained again meanwhile; open this page again"):
        opened.weights(1)  # which the new one does not have
    found = store.find(again.run_id)
    assert found and found.complete and store.problems() == []


@pytest.mark.parametrize(
    "use",
    [
        lambda run: run.weights(1),
        lambda run: run.tensor(1, "hidden_1/kernel"),
        lambda run: run.probabilities(1),
        lambda run: run.history,
        lambda run: run.step_losses,
        lambda run: run.epochs,
        lambda run: run.file("history.csv"),
        lambda run: run.check_current(),
    ],
)
def test_a_run_that_somebody_deleted_says_so(store: RunStore, use: Callable[[Run], Any]) -> None:
    run = write(store)
    store.delete(run.run_id)
    with pytest.raises(RunGone, match="was deleted by somebody on this server meanwhile; train it again"):
        use(run)
    store.undelete(run.run_id)
    use(run)
    shutil.rmtree(run.path)
    with pytest.raises(RunGone, match="was removed from this server to make room meanwhile"):
        use(replace(run))


def test_what_somebody_deleted_cannot_be_written_to(store: RunStore) -> None:
    run = write(store)
    store.delete(run.run_id)
    says = "no longer in the run store: somebody on this server deleted it"
    with pytest.raises(StoreError, match=says):
        store.keep(run.run_id, True)
    with pytest.raises(StoreError, match=says):
        store.delete(run.run_id)


def test_a_second_look_is_cheap(store: RunStore) -> None:
    """As a rerun of a page has it: a few looks at a folder, none of them at each of its files."""
    run = write(store)
    calls: list[object] = []
    sys.addaudithook(lambda event, arguments: calls.append(arguments) if event == "open" and counting else None)
    counting = True
    assert store.find(run.run_id)
    counting = False
    assert len(calls) <= 1  # user.json


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


def runs_of_age(store: RunStore, count: int) -> tuple[list[Run], int]:
    """Runs of which the first was opened last, and the bytes of one."""
    runs = [write(store, TINY.changed(seed=seed)) for seed in range(count)]
    for age, run in enumerate(runs):
        os.utime(run.path, (1_000_000_000 - age, 1_000_000_000 - age))
    return runs, sum(runs[0].provenance["files"].values())


def test_eviction_takes_the_least_recently_opened_and_spares_kept_runs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = RunStore(tmp_path, 10**9)
    runs, size = runs_of_age(store, 4)
    store.keep(runs[0].run_id, True)
    os.utime(runs[0].path, (0, 0))
    store.touch(runs[3].run_id)
    store.budget = 3 * size + size // 2
    assert store.evict() == [runs[2].run_id]
    assert {run.run_id for run in store.runs()} == {runs[0].run_id, runs[1].run_id, runs[3].run_id}
    assert runs[2].run_id in caplog.text and "make room" in caplog.text


def test_looking_at_a_list_is_not_opening(tmp_path: Path) -> None:
    store = RunStore(tmp_path, 10**9)
    runs, size = runs_of_age(store, 3)
    assert store.find(runs[2].run_id) and store.runs()
    store.budget = 2 * size + size // 2
    assert store.evict() == [runs[2].run_id]


def test_a_run_whose_users_words_cannot_be_read_counts_as_kept(tmp_path: Path) -> None:
    store = RunStore(tmp_path, 10**9)
    runs, _ = runs_of_age(store, 2)
    (runs[1].path / "user.json").write_text('{"kept": tru')
    store.budget = 0
    assert store.evict() == [runs[0].run_id]
    found = store.find(runs[1].run_id)
    assert found and found.kept and found.name == ""


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"name": "mine", "note": "look", "kept": "yes"}', ("mine", "new", True)),
        ('{"name": 7, "note": "look", "kept": true}', ("", "new", True)),
        ('{"name": "mi', ("", "new", True)),
    ],
)
def test_what_can_be_read_of_users_words_stays_and_the_rest_is_kept_beside(
    store: RunStore, content: str, expected: tuple[str, str, bool]
) -> None:
    run = write(store)
    (run.path / "user.json").write_text(content)
    store.annotate(run.run_id, note="new")
    for _ in range(2):
        found = store.find(run.run_id)
        assert found and (found.name, found.note, found.kept) == expected
        assert (run.path / "user.json.unread").read_text() == content
        write(store)  # trained again


def test_results_count_and_go_by_their_own_time(tmp_path: Path) -> None:
    store = RunStore(tmp_path, 10**9)
    results = Results(store)
    runs, size = runs_of_age(store, 2)
    points = np.zeros(size // 4, np.float32)
    names = [name_of("map", {"seed": seed}) for seed in range(3)]
    for name in names[:2]:
        results.write(runs[1].run_id, name, {}, {"points": points})
    old = runs[1].path / "derived" / f"{names[0]}.npz"
    os.utime(old, (0, 0))
    os.utime(runs[1].path)
    store.budget = int(3.5 * size)
    assert store.evict() == [] and not old.exists()
    assert results.find(runs[1].run_id, names[1])
    results.write(runs[1].run_id, names[2], {}, {"points": points})  # it makes room itself: the run opened least goes
    assert [run.run_id for run in store.runs()] == [runs[1].run_id]
    assert results.find(runs[1].run_id, names[1]) and results.find(runs[1].run_id, names[2])


# --- The room that a training needs -----------------------------------------------------------------------------------


def test_a_run_may_take_half_of_the_budget(store: RunStore) -> None:
    store.budget = 200_000_000
    with pytest.raises(NoRoomError, match="would need about 23. of the 200 MB .* at most half, 100 MB; choose fewer"):
        store.room_for([Experiment(layers=3, units=1024, epochs=16)], "sample")
    assert store.room_for([TINY], "sample").removed == ()


def test_runs_together_fit_beside_what_stays(store: RunStore) -> None:
    experiments = [TINY.changed(seed=seed) for seed in range(4)]
    each = stored_bytes(TINY, "sample")
    store.budget = 5 * each
    assert store.room_for(experiments, "sample").needed == 4 * each
    kept = write(store, TINY.changed(seed=9))
    rewritten(kept, "provenance.json", files={"model.keras": 2 * each})
    with pytest.raises(NoRoomError):
        store.room_for([TINY.changed(seed=seed) for seed in range(6)], "sample")


def test_what_will_make_room_is_told_before_and_is_what_goes(tmp_path: Path) -> None:
    store = RunStore(tmp_path, 10**9)
    runs, size = runs_of_age(store, 30)
    store.keep(runs[29].run_id, True)
    os.utime(runs[29].path, (0, 0))
    new = TINY.changed(seed=77)
    # Room for the new run, as large as it may become, and for all but two of the others.
    store.budget = stored_bytes(new, "sample") + int(28.5 * size)
    told = store.room_for([new], "sample")
    assert told.removed == (runs[28].run_id, runs[27].run_id)
    assert told.sentence() == (
        f"Storing this needs about {stored_bytes(new, 'sample') / 1e6:,.0f} MB; the 2 runs that were not opened for"
        " longest will be removed to make room."
    )
    store.budget -= stored_bytes(new, "sample")
    assert store.evict() == list(told.removed)


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
from fmnist_core.store.run_store import RunStore
from fmnist_core.store.run_writer import RunWriter
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
    assert len(store.runs()) == 3 and store.problems() == []


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
    for epoch in (0, 1):
        writer.epoch(record(epoch))
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


WRITER = """
import sys
from pathlib import Path
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.store.run_store import RunStore
from fmnist_core.store.run_writer import RunWriter
writer = RunWriter(RunStore(Path(sys.argv[1]), 10**9), Experiment(units=8, layers=1, epochs=1), "sample", "x")
print(writer.folder, flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize(
    "container", [[], ["unshare", "--pid", "--fork", "--kill-child"]], ids=["process", "container"]
)
def test_a_writer_elsewhere_keeps_its_folder_while_it_lives(store: RunStore, container: list[str]) -> None:
    if container and subprocess.run([*container, "true"], capture_output=True).returncode:
        pytest.skip("needs the right to make process namespaces")
    command = [*container, sys.executable, "-c", WRITER, str(store.root)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdin and writer.stdout
        folder = Path(writer.stdout.readline().strip())
        assert folder.is_dir()
        os.utime(folder, (0, 0))  # however long ago it wrote
        store.evict()
        assert folder.is_dir()
        writer.stdin.close()
    store.evict()
    assert not list((store.root / ".staging").iterdir())
