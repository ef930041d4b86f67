"""Fashion-MNIST: find it, verify it, load it memory-mapped, split it.

Fashion-MNIST is by Zalando Research (MIT licence; Xiao, Rasul, Vollgraf 2017, arXiv 1708.07747). Images stay uint8:
scaling happens inside the network. All processes share one decompressed, memory-mapped copy.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from fmnist_core.data import idx
from fmnist_core.data.idx import DataError, Expected
from fmnist_core.settings import given, home, settings

__all__ = [
    "CLASSES", "SPLIT_SEED", "DataError", "Dataset", "Split", "draw", "load", "noisy_labels", "release", "split"
]  # fmt: skip

CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
# Every run has the same validation images, so that runs differ only in what their settings say. (Not the notebook's
# images: its seed is 42, too, but its split was drawn by scikit-learn, and not class by class.)
SPLIT_SEED = 42
FILES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
FULL = {
    "train_images": Expected(47_040_016, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
    "train_labels": Expected(60_008, "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
    "test_images": Expected(7_840_016, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
    "test_labels": Expected(10_008, "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
}
SAMPLE_FOLDER = Path(__file__).parent / "sample"
# Of torchvision, of the data set's own repository, and of Keras.
INNER_FOLDERS = ("FashionMNIST/raw", "raw", "data/fashion", "datasets/fashion-mnist", "fashion-mnist")
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")


@dataclass(frozen=True)
class Dataset:
    """Images and labels, read-only: images uint8 (n, 28, 28), labels uint8 (n,) with the index into CLASSES.

    name: "full" or "sample". source: where it comes from, for people. notice: what is not as it should be, or "".
    """

    name: str
    source: str
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]
    notice: str = ""


class Source(NamedTuple):
    """A folder with the four files: name ("full" or "sample"), title for people, path, what to do where it is wrong."""

    name: str
    title: str
    folder: Path
    remedy: str


class Split(NamedTuple):
    """Row numbers of the training images, each int32 and sorted."""

    train: NDArray[np.int32]
    validation: NDArray[np.int32]


def keras_folder() -> Path | None:
    """Where `keras.datasets.fashion_mnist` keeps its copy, and where our download puts it; None without a home."""
    named, user = given("KERAS_HOME"), home()
    keras = Path(named) if named else user / ".keras" if user else None
    return keras / "datasets" / "fashion-mnist" if keras else None


def sources(name: str | None = None) -> list[Source]:
    """The places that exist, best first. A folder named by FMNIST_DATA is the only one, so that its faults show."""
    sample = Source("sample", "the embedded sample", SAMPLE_FOLDER, "get a fresh copy of the app, whose file it is")
    named = settings().data
    if name == "sample":
        return [sample]
    if named is not None:
        folder = _within(named)
        remedy = "put Fashion-MNIST's four files into a folder that FMNIST_DATA names, or unset FMNIST_DATA"
        return [Source("full", f"the folder {folder} (FMNIST_DATA)", folder, remedy)]
    package = "install it again: sudo apt install --reinstall dataset-fashion-mnist"
    copy = "delete that folder and download the data set again on page Data"
    places = [
        ("the system package dataset-fashion-mnist", DEBIAN_FOLDER, package),
        ("the downloaded copy", keras_folder(), copy),
    ]
    existing = [
        Source("full", title, folder, remedy)
        for title, folder, remedy in places
        if folder and os.path.isdir(folder)  # noqa: PTH112  it bears a locked parent, as another user's home
    ]
    return existing if name == "full" else [*existing, sample]


def _within(folder: Path) -> Path:
    """The folder itself, or the one in it where other programs keep the four files."""
    names = [file for name in FILES.values() for file in (f"{name}.gz", name)]
    places = (folder, *(folder / part for part in INNER_FOLDERS))
    return next((place for place in places if any(os.path.lexists(place / name) for name in names)), folder)


def load(name: str | None = None) -> Dataset:
    """The best data set there is, or the one named ("full", "sample"); the decompressed copy is made on the first call.

    Raises:
        DataError: the folder named by FMNIST_DATA is damaged, or the named data set is not there.
    """
    candidates = sources(name)
    notices: list[str] = []
    for source in candidates:
        try:
            return _mapped(source, _stat(source), settings().cache, tuple(notices))
        except DataError as error:
            if source is candidates[-1]:
                raise
            notices.append(str(error))
    raise DataError(DEBIAN_FOLDER, "is missing; install dataset-fashion-mnist, or download the data set on page Data.")


def _stat(source: Source) -> tuple[tuple[str, int, int], ...]:
    """Name, size and modification time of each file: a changed file is verified again, an unchanged one is not."""
    stats = {name: idx.find(source.folder, name, source.remedy).stat() for name in FILES.values()}
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats.items())


@cache
def expected_files(name: str) -> dict[str, Expected]:
    """Size and SHA-256 of each file's content in a data set."""
    if name == "full":
        return FULL
    record = json.loads((SAMPLE_FOLDER / "sha256.json").read_text())["sample"]
    return {key: Expected(**record[file]) for key, file in FILES.items()}


@cache
def _mapped(source: Source, files: tuple[tuple[str, int, int], ...], root: Path, notices: tuple[str, ...]) -> Dataset:
    """The data set, memory-mapped from the cache; read into memory where the cache cannot be written."""
    fingerprint = hashlib.sha256(repr((str(source.folder), files)).encode()).hexdigest()[:12]
    folder = root / f"{source.name}-{fingerprint}"
    try:
        arrays = _open(folder, source.name)
        if arrays is None:
            root.mkdir(parents=True, exist_ok=True)
            with FileLock(root / f"{folder.name}.lock"):
                arrays = _open(folder, source.name) or _fill(folder, source)
    except OSError as error:
        arrays = _read(source)
        reason = f"The data cache {root} cannot be written ({error.strerror or error})"
        remedy = "free some space or set FMNIST_CACHE to another folder."
        notices = (*notices, f"{reason}; each process now keeps its own copy: {remedy}")
    return Dataset(source.name, source.title, **arrays, notice=" ".join(notices))


def _open(folder: Path, name: str) -> dict[str, NDArray[np.uint8]] | None:
    """The cached arrays, or None where they are missing or not whole."""
    arrays = {}
    for key, expected in expected_files(name).items():
        try:
            array = np.load(folder / f"{key}.npy", mmap_mode="r")
        except (OSError, ValueError, EOFError):
            return None
        header = 16 if array.ndim == 3 else 8
        if array.dtype != np.uint8 or array.nbytes + header != expected.size:
            return None
        arrays[key] = array
    return arrays


def _read(source: Source) -> dict[str, NDArray[np.uint8]]:
    expected = expected_files(source.name)
    return {key: idx.read(source.folder, file, expected[key], source.remedy) for key, file in FILES.items()}


def _fill(folder: Path, source: Source) -> dict[str, NDArray[np.uint8]]:
    """Verify, decompress, and rename the finished copy into place. Raises: DataError, OSError."""
    arrays = _read(source)
    staging = Path(tempfile.mkdtemp(prefix=".aside-", dir=folder.parent))
    try:
        for key, array in arrays.items():
            np.save(staging / f"{key}.npy", array)
        shutil.rmtree(folder, ignore_errors=True)
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    mapped = _open(folder, source.name)
    if mapped is None:
        raise OSError(f"{folder} was written but cannot be read back")
    return mapped


def release(data: Dataset) -> None:
    """Release the pages of the memory-mapped images; they are read again when needed."""
    for array in (data.train_images, data.test_images):
        mapped = getattr(array, "_mmap", None)
        if mapped is not None and hasattr(mapped, "madvise"):
            mapped.madvise(mmap.MADV_DONTNEED)


def split(
    labels: NDArray[np.uint8], validation_fraction: float, training_fraction: float = 1.0, seed: int = SPLIT_SEED
) -> Split:
    """Split class by class: a fraction for validation, and a fraction of the remaining images for training.

    labels: (n,). The validation images depend on `validation_fraction` and `seed` only. At least one image of
    each class goes to either side. Ours, since scikit-learn's stratified splits would draw other images than those that
    the stored runs were trained on.
    """
    rng = np.random.default_rng(seed)
    train, validation = [], []
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label)).astype(np.int32)
        size = min(max(round(len(rows) * validation_fraction), 1), len(rows) - 1)
        validation.append(rows[:size])
        train.append(rows[size : size + max(round((len(rows) - size) * training_fraction), 1)])
    return Split(np.sort(np.concatenate(train)), np.sort(np.concatenate(validation)))


@lru_cache(maxsize=32)
def split_of(data_name: str, validation_fraction: float, training_fraction: float = 1.0) -> Split:
    """As `split` of a data set's training labels, computed once for all who ask; the arrays are read-only."""
    parts = split(load(data_name).train_labels, validation_fraction, training_fraction)
    for rows in parts:
        rows.flags.writeable = False
    return parts


def noisy_labels(labels: NDArray[np.uint8], fraction: float, seed: int) -> NDArray[np.uint8]:
    """A copy of the labels in which `round(n * fraction)` are replaced by one of the nine other classes, uniformly."""
    rng = np.random.default_rng(seed)
    noisy = np.array(labels)
    rows = rng.choice(len(labels), round(len(labels) * fraction), replace=False)
    noisy[rows] = (noisy[rows] + rng.integers(1, len(CLASSES), len(rows))) % len(CLASSES)
    return noisy


def draw(labels: NDArray[np.uint8], rows: NDArray[np.int32], label: int, number: int, seed: int) -> NDArray[np.int32]:
    """Row numbers of up to `number` images of a class, a random draw from `rows` without repeats.

    A larger number keeps the images of a smaller one; a class's draw does not depend on which others are shown.
    """
    members = rows[labels[rows] == label]
    return np.random.default_rng((seed, label)).permutation(members)[:number]
