"""Files that were cut, overwritten or written by somebody else: one sentence each, on every page, and nothing moves."""

from __future__ import annotations

import random
import shutil
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st

from fmnist_core.engine import analyses
from fmnist_core.errors import LabError
from fmnist_core.experiment.recording import JobContext
from fmnist_core.findings.map_request import MapRequest
from fmnist_core.jobs import layer_maps
from fmnist_core.store import stored_files
from fmnist_core.store.result_store import Results
from fmnist_core.store.run_store import RunStore
from fmnist_core.store.stored_files import FileDamaged
from tests.support.damage import damage
from tests.support.screens import opened, pressed, texts, unfolded
from tests.support.stored_runs import store_run
from tests.support.trained_runs import EXPERIMENT, store_trained

MUTATIONS = 400
# Each with kinds of files that it reads; RUN stands for the run's name.
PAGES: tuple[tuple[str, dict[str, str], tuple[str, ...]], ...] = (
    ("app.py", {}, ("metrics.json", "user.json")),
    ("pages/Compare.py", {"runs": "RUN"}, ("history.csv", "probabilities")),
    ("pages/Inspect.py", {"run": "RUN", "section": "inside"}, ("snapshots", "experiment.json")),
    ("pages/Embeddings.py", {"run": "RUN", "points": "200", "method": "pca"}, ("derived", "provenance.json")),
)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a run, what its user says of it, and its results."""
    root = tmp_path_factory.mktemp("pristine") / "runs"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FMNIST_RUNS", str(root))
        name = store_trained(root)
        store = RunStore(root, 10**9)
        store.annotate(name, name="mine", note="look")
        assert layer_maps.map_job(_map(name).params, JobContext(lambda *_: None))
    return root


def _map(name: str) -> analyses.Analysis[Any]:
    return analyses.map_analysis(MapRequest(name, points=200, method="pca", epochs=(3,)))


@pytest.fixture
def runs(pristine: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return Path(shutil.copytree(pristine, tmp_path / "runs"))


def _files(root: Path) -> dict[str, list[Path]]:
    """The files of a store by kind."""
    kinds: dict[str, list[Path]] = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file() and path.name != ".lock"):
        many = path.parent.name in ("snapshots", "probabilities", "derived")
        kinds.setdefault(path.parent.name if many else path.name, []).append(path)
    return kinds


def _read(root: Path) -> None:
    """What pages read. Raises: LabError, where something cannot be read."""
    store = RunStore(root, 10**9)
    found, problems = store.listing()
    assert len(found) + len(problems) == 1
    for problem in problems:
        raise problem
    (run,) = found
    assert store.find(run.run_id)
    assert len(run.records) == 4 and run.history["val_loss"].dtype == np.float64
    assert run.step_losses.dtype == np.float32 and isinstance(run.kept, bool) and run.note.isprintable()
    for epoch in run.epochs:
        assert run.weights(epoch)[run.tensor_names[0]].shape == (784, 32)
        assert run.tensor(epoch, "output/bias").shape == (10,)
        assert run.probabilities(epoch).shape == (1000, 10)
    assert run.file("model.keras") == b"model"
    result = Results(store).find(run.run_id, _map(run.run_id).name)
    assert result is None or (result.facts["version"] and result.arrays["points"].shape == (1, 200, 2))


def test_random_damage_is_a_sentence_or_harmless(pristine: Path, runs: Path) -> None:
    rng = random.Random(12)
    kinds = _files(runs)
    sentences = 0
    for turn in range(MUTATIONS):
        path = rng.choice(kinds[rng.choice(list(kinds))])
        how = damage(path, rng)
        before = {file: file.stat().st_size for files in _files(runs).values() for file in files}
        try:
            _read(runs)
        except LabError as error:
            sentences += 1
            assert "\n" not in str(error) and len(str(error)) < 500, (turn, how)
        except Exception as error:
            raise AssertionError(f"turn {turn}, {how}: {error!r}") from error
        assert {file: file.stat().st_size for files in _files(runs).values() for file in files} == before, (turn, how)
        shutil.copy2(pristine / path.relative_to(runs), path)
    assert sentences > MUTATIONS / 2
    _read(runs)


@pytest.mark.usefixtures("no_workers")
@pytest.mark.parametrize(("page", "query", "kinds"), PAGES, ids=[page for page, *_ in PAGES])
def test_pages_go_on_or_say_it(
    page: str, query: dict[str, str], kinds: tuple[str, ...], pristine: Path, runs: Path
) -> None:
    rng = random.Random(page)
    (name,) = (path.name for path in runs.glob("*-sample"))
    for kind in kinds:
        path = rng.choice(_files(runs)[kind])
        damage(path, rng)
        st.cache_data.clear()
        opened(page, **{key: value.replace("RUN", name) for key, value in query.items()})  # without an exception
        assert (runs / name).is_dir()
        shutil.copy2(pristine / path.relative_to(runs), path)


@pytest.mark.usefixtures("no_workers")
def test_a_damaged_run_is_named_set_aside_and_put_back(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    name = store_run(runs, EXPERIMENT).run_id
    (runs / name / "history.csv").write_text("epoch,loss")
    for page, query in (("app.py", {}), ("pages/Compare.py", {"runs": ""}), ("pages/Inspect.py", {"run": name})):
        assert f"The stored run {name} is damaged (history.csv has" in texts(opened(page, **query)), page
    app = opened("pages/Train.py", **EXPERIMENT.query())
    assert "is damaged" in texts(app) and any(button.label == "Train" for button in app.button)
    app = unfolded(pressed(opened("pages/Compare.py", runs=""), "Set 1 damaged run aside"), "set aside")
    assert not (runs / name).exists() and "is damaged" in texts(app)  # in the list of what was set aside
    assert "is damaged" not in texts(opened("app.py"))
    app = pressed(app, "Put back")
    assert (runs / name / "history.csv").read_text() == "epoch,loss"


def test_a_header_cannot_ask_for_more_than_its_file_has(tmp_path: Path) -> None:
    for shape in ("(99999999999,)", "(-1,)", "(3, 99999999999999999999)", "(2,"):
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
        data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(12)
        path = tmp_path / "array.npz"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("points.npy", data)
        with pytest.raises(FileDamaged, match=r"array\.npz cannot be read"):
            stored_files.parsed(path, stored_files.archive)
        with pytest.raises(FileDamaged):
            stored_files.parsed(path, partial(_array, data))


def test_an_archive_cannot_lose_an_array(tmp_path: Path) -> None:
    path = tmp_path / "two.npz"
    np.savez(path, a=np.zeros(3), b=np.zeros(3))
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 32] = 200  # the length of the first one's comment, which swallows the second
    path.write_bytes(data)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["a.npy"]
    with pytest.raises(FileDamaged, match="its list of contents is damaged"):
        stored_files.parsed(path, stored_files.archive)


def _array(data: bytes, _: Path) -> Any:
    return stored_files.array(data)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", "<f8", "|b1", "<i4", "<U5"])
def test_arrays_are_read_as_numpy_reads_them(tmp_path: Path, dtype: str, order: Any) -> None:
    values = np.asarray(np.arange(12).reshape(3, 4) % 5, dtype=dtype, order=order)
    np.savez(tmp_path / "some.npz", a=values, empty=values[:0], number=values[0, 1])
    with np.load(tmp_path / "some.npz") as expected:
        found = stored_files.archive(tmp_path / "some.npz")
        assert list(found) == expected.files == list(stored_files.archive_names(tmp_path / "some.npz"))
        for name, array in found.items():
            np.testing.assert_array_equal(array, expected[name])
            assert array.dtype == expected[name].dtype and array.flags.writeable


def test_a_run_is_known_by_what_it_was_when_it_was_opened(runs: Path) -> None:
    """Copies of a run object read the files again."""
    store = RunStore(runs, 10**9)
    (run,) = store.runs()
    assert len(run.step_losses)
    (run.path / "step_losses.npy").write_bytes(b"")
    assert len(run.step_losses)
    with pytest.raises(LabError, match="step_losses.npy has 0 instead of"):
        assert replace(run).step_losses
