"""Data: the search order, verification, the shared cache, splits; damaged files always get one clear sentence."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fmnist_core.data import dataset, idx
from fmnist_core.data.dataset import FILES, FULL, SAMPLE_FOLDER, DataError, load
from fmnist_core.settings import SettingError, check_runs_folder, settings
from fmnist_core.store.run_store import RunStore

ROOT = Path(__file__).parents[2]
needs_full = pytest.mark.skipif(
    not dataset.DEBIAN_FOLDER.is_dir() and not os.environ.get("CI"), reason="needs the package dataset-fashion-mnist"
)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FMNIST_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the embedded sample's files, named as the data folder and so expected to be the full set."""
    target = tmp_path / "named"
    shutil.copytree(SAMPLE_FOLDER, target)
    monkeypatch.setenv("FMNIST_DATA", str(target))
    return target


def test_sample_is_balanced_and_mapped(own_cache: Path) -> None:
    data = load("sample")
    assert data.train_images.shape == (6000, 28, 28)
    assert data.test_images.shape == (1000, 28, 28)
    assert np.bincount(data.train_labels).tolist() == [600] * 10
    assert np.bincount(data.test_labels).tolist() == [100] * 10
    assert isinstance(data.train_images, np.memmap)
    assert not data.train_images.flags.writeable
    assert data.train_images.dtype == np.uint8


@needs_full
def test_full_set_is_found_and_holds_the_sample(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FMNIST_DATA", raising=False)
    full, sample = load("full"), load("sample")
    assert full.train_images.shape == (60_000, 28, 28)
    all_images = {image.tobytes() for image in full.train_images}
    assert all(image.tobytes() in all_images for image in sample.train_images)


@needs_full
def test_sample_script_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FMNIST_DATA", raising=False)
    from scripts import make_sample

    make_sample.main(tmp_path / "sample")
    for name in [f"{file}.gz" for file in FILES.values()] + ["sha256.json"]:
        made, kept = (tmp_path / "sample" / name).read_bytes(), (SAMPLE_FOLDER / name).read_bytes()
        if name.endswith(".gz"):  # zlib versions pack differently: the content counts
            made, kept = gzip.decompress(made), gzip.decompress(kept)
        assert made == kept, name


def test_second_process_reuses_the_cache(own_cache: Path) -> None:
    load("sample")
    before = {path: path.stat().st_mtime_ns for path in own_cache.rglob("*.npy")}
    code = "from fmnist_core.data.dataset import load; print(load('sample').train_images.sum())"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert int(out.stdout) == int(load("sample").train_images.sum())
    assert before
    assert {path: path.stat().st_mtime_ns for path in own_cache.rglob("*.npy")} == before


def test_damaged_cache_is_made_again(own_cache: Path) -> None:
    load("sample")
    for path in own_cache.rglob("test_labels.npy"):
        path.write_bytes(path.read_bytes()[:50])
    dataset._mapped.cache_clear()
    assert len(load("sample").test_labels) == 1000


def test_unwritable_cache_costs_memory_but_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("FMNIST_CACHE", str(tmp_path / "file" / "cache"))
    data = load("sample")
    assert len(data.train_images) == 6000
    assert "FMNIST_CACHE" in data.notice


def test_other_data_in_the_named_folder_is_refused(own_cache: Path, folder: Path) -> None:
    with pytest.raises(DataError, match="train-images-idx3-ubyte.gz has 4,704,016 bytes"):
        load()


def test_missing_named_folder_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMNIST_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"nowhere does not exist; .*FMNIST_DATA"):
        load()


def test_folder_in_place_of_a_file(own_cache: Path, folder: Path) -> None:
    path = folder / "train-images-idx3-ubyte.gz"
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match="train-images-idx3-ubyte.gz is a folder, not a file"):
        load()


def test_cut_off_file(own_cache: Path, folder: Path) -> None:
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(DataError, match="cut off or damaged"):
        load()


@needs_full
def test_wrong_hash_and_then_the_right_file(own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "full"
    shutil.copytree(dataset.DEBIAN_FOLDER, target)
    monkeypatch.setenv("FMNIST_DATA", str(target))
    path = target / "t10k-labels-idx1-ubyte.gz"
    good = path.read_bytes()
    labels = bytearray(gzip.decompress(good))
    labels[-1] ^= 1
    path.write_bytes(gzip.compress(bytes(labels)))
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte.gz has SHA-256"):
        load()
    path.write_bytes(good)
    assert load().name == "full"


def test_file_that_unpacks_to_gigabytes_is_read_no_further(tmp_path: Path) -> None:
    path = tmp_path / "train-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(bytes(50_000_000)))
    with pytest.raises(DataError, match="has more than 60,008 bytes"):
        idx.read(tmp_path, "train-labels-idx1-ubyte", FULL["train_labels"])


def other_set(folder: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
    """Files with the names and sizes of Fashion-MNIST's training images and labels."""
    folder.mkdir()
    for name, array in (("train-images-idx3-ubyte", images), ("train-labels-idx1-ubyte", labels)):
        (folder / f"{name}.gz").write_bytes(gzip.compress(idx.dump(array), 1))


@pytest.mark.parametrize(
    ("bright", "first", "words"),
    [
        (33.4 / 255, [5, 0, 4], "it looks like MNIST's digits"),
        (48.9 / 255, [8, 7, 0], "it looks like Kuzushiji-MNIST"),
        (0.0, [0, 0, 0], "perhaps MNIST's digits, whose files have the same names and sizes"),
    ],
)
def test_another_data_set_of_the_same_form_is_named(
    bright: float, first: list[int], words: str, tmp_path: Path
) -> None:
    images = np.zeros((60_000, 28, 28), np.uint8)
    images[: round(60_000 * bright)] = 255
    labels = np.zeros(60_000, np.uint8)
    labels[:3] = first
    other_set(tmp_path / "other", images, labels)
    with pytest.raises(DataError) as error:
        idx.read(tmp_path / "other", "train-images-idx3-ubyte", FULL["train_images"])
    assert words in str(error.value)
    if first == [5, 0, 4]:
        with pytest.raises(DataError, match="it looks like MNIST's digits"):
            idx.read(tmp_path / "other", "train-labels-idx1-ubyte", FULL["train_labels"])


@pytest.mark.parametrize("kept_name", [True, False])
def test_the_content_tells_whether_a_file_is_packed(kept_name: bool, tmp_path: Path) -> None:
    for file in FILES.values():
        packed = (SAMPLE_FOLDER / f"{file}.gz").read_bytes()
        path = tmp_path / (f"{file}.gz" if kept_name else file)
        path.write_bytes(gzip.decompress(packed) if kept_name else packed)
    expected = dataset.expected_files("sample")
    assert idx.read(tmp_path, FILES["train_images"], expected["train_images"]).shape == (6000, 28, 28)
    assert idx.read(tmp_path, FILES["test_labels"], expected["test_labels"]).shape == (1000,)


def archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("train-images-idx3-ubyte", b"")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.mkdir(), "is empty"),
        (lambda path: path.write_bytes(b""), "is a file, not a folder with Fashion-MNIST's four files"),
        (archive, "is a ZIP archive, not a folder"),
        (lambda path: path.write_bytes(gzip.compress(b"x")), "is a gzip file, not a folder"),
        (lambda path: os.mkfifo(path), "is a named pipe, not a folder"),  # by name: Windows has none
        (lambda path: path.symlink_to(path), "/train-images-idx3-ubyte.gz cannot be read (Too many levels"),
        (lambda path: path.symlink_to("/dev/null"), "is a device, not a folder"),
    ],
)
def test_whatever_the_data_folder_is_is_said(
    make: Callable[[Path], object], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "data")
    monkeypatch.setenv("FMNIST_DATA", str(tmp_path / "data"))
    with pytest.raises(DataError) as error:
        load()
    assert f"{tmp_path / 'data'} {words}".replace(" /", "/") in str(error.value) and "FMNIST_DATA" in str(error.value)


def test_a_numpy_archive_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "fashion.npz", x_train=np.zeros(1))
    monkeypatch.setenv("FMNIST_DATA", str(tmp_path / "fashion.npz"))
    with pytest.raises(DataError, match="is a NumPy archive"):
        load()


def test_a_pipe_in_place_of_a_file_does_not_wait_for_its_writer(own_cache: Path, folder: Path) -> None:
    path = folder / "train-images-idx3-ubyte.gz"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DataError, match="train-images-idx3-ubyte.gz is a named pipe, not a file"):
        load()


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Not root, who may read everything."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_file_without_permission(own_cache: Path, folder: Path) -> None:
    (folder / "train-images-idx3-ubyte.gz").chmod(0)
    with ordinary_user(), pytest.raises(DataError, match=r"cannot be read \(Permission denied\); allow this user"):
        load()


@needs_full
@pytest.mark.parametrize("inner", ["FashionMNIST/raw", "data/fashion"])
def test_the_folders_of_other_programs_are_found(
    inner: str, own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "data_of_others"
    (target / inner).parent.mkdir(parents=True)
    (target / inner).symlink_to(dataset.DEBIAN_FOLDER)
    monkeypatch.setenv("FMNIST_DATA", str(target))
    (source,) = dataset.sources()
    assert source.folder == target / inner and inner in source.title


def test_a_home_that_belongs_to_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home" / ".keras").mkdir(parents=True)
    (tmp_path / "home").chmod(0)
    for name in ("FMNIST_DATA", "FMNIST_RUNS", "FMNIST_CACHE", "XDG_CACHE_HOME", "KERAS_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with ordinary_user():
        data = load("sample")
        assert "FMNIST_CACHE" in data.notice
        assert load() is not None
        assert RunStore(settings().runs, settings().runs_budget).runs() == []
        with pytest.raises(SettingError, match="FMNIST_RUNS"):
            check_runs_folder()
    (tmp_path / "home").chmod(0o700)  # so that the test's folder can be removed


def test_a_broken_copy_of_keras_is_named_with_its_own_remedy(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FMNIST_DATA", raising=False)
    monkeypatch.setattr(dataset, "DEBIAN_FOLDER", tmp_path / "no package")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    shutil.copytree(SAMPLE_FOLDER, tmp_path / "datasets" / "fashion-mnist")
    data = load()
    assert data.name == "sample" and "4,704,016 bytes" in data.notice
    assert "download the data set again on page Data" in data.notice and "FMNIST_DATA" not in data.notice


@given(st.binary(max_size=80))
def test_any_content_is_an_array_or_one_sentence(content: bytes) -> None:
    try:
        array = idx.parse(content, Path("f"))
        assert idx.dump(array) == content
    except DataError as error:
        assert str(error).endswith(".")


@given(st.lists(st.integers(0, 5), min_size=1, max_size=4))
def test_idx_round_trip(shape: list[int]) -> None:
    array = np.arange(int(np.prod(shape)), dtype=np.uint8).reshape(shape)
    assert np.array_equal(idx.parse(idx.dump(array), Path("f")), array)


@given(st.floats(0.05, 0.5), st.floats(0.01, 1.0), st.integers(2, 40))
def test_split_is_stratified_and_disjoint(held: float, fraction: float, per_class: int) -> None:
    labels = np.tile(np.arange(10, dtype=np.uint8), per_class)
    found = dataset.split(labels, held, fraction)
    assert not set(found.train) & set(found.validation)
    for rows in found:
        counts = np.bincount(labels[rows], minlength=10)
        assert counts.min() == counts.max() > 0
    assert np.array_equal(found.validation, dataset.split(labels, held).validation)


def test_notebooks_split() -> None:
    labels = np.repeat(np.arange(10, dtype=np.uint8), 6000)
    found = dataset.split(labels, 0.1)
    assert (len(found.train), len(found.validation)) == (54_000, 6_000)


@given(st.floats(0, 0.9), st.integers(0, 2**31 - 1))
def test_label_noise_changes_exactly_its_share(fraction: float, seed: int) -> None:
    labels = np.tile(np.arange(10, dtype=np.uint8), 30)
    noisy = dataset.noisy_labels(labels, fraction, seed)
    assert (noisy != labels).sum() == round(300 * fraction)
    assert noisy.max() <= 9


def test_released_images_are_the_same_when_they_are_read_again(own_cache: Path) -> None:
    data = load("sample")
    before = int(data.train_images.sum())
    dataset.release(data)
    assert int(data.train_images.sum()) == before
