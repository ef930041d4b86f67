"""IDX files, the format of Fashion-MNIST's four files: read, check and write. Source: yann.lecun.com/exdb/mnist."""

from __future__ import annotations

import gzip
import hashlib
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fmnist_core.errors import LabError, reason_of

UNSIGNED_BYTE = 8
GZIP = b"\x1f\x8b"
REMEDY = "replace it with a fresh copy"
FASHION, DIGITS = "Fashion-MNIST", "MNIST's digits"
# The mean pixel of the data sets whose files have the names and sizes of Fashion-MNIST's; of the training images, which
# are read first.
MEANS = {FASHION: 73.0, DIGITS: 33.5, "Kuzushiji-MNIST": 48.9}
FIRST_DIGITS = ([5, 0, 4], [7, 2, 1])  # the first labels of MNIST's training and test images


class DataError(LabError):
    """A data file is missing, unreadable or damaged; the text names file, expectation and remedy. `path`: the file."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        super().__init__(f"{path} {problem}")


@dataclass(frozen=True)
class Expected:
    """What a file must hold once decompressed: its size in bytes and its SHA-256."""

    size: int
    sha256: str


def read(folder: Path, name: str, expected: Expected, remedy: str = REMEDY) -> NDArray[np.uint8]:
    """The array in `folder/name.gz` or `folder/name`, packed by gzip or not, uint8, shape as the header says.

    remedy: what to do where it cannot be used, for people.

    Raises:
        DataError: the file is missing, unreadable, cut off, or its content is not the expected one.
    """
    path = find(folder, name, remedy)
    content = _content(path, expected.size + 1, remedy)
    if len(content) != expected.size:
        size = f"more than {expected.size:,}" if len(content) > expected.size else f"{len(content):,}"
        raise DataError(
            path, f"has {size} bytes once decompressed, but Fashion-MNIST's has {expected.size:,}; {remedy}."
        )
    array = parse(content, path, remedy)
    if (digest := hashlib.sha256(content).hexdigest()) != expected.sha256:
        hashes = f"has SHA-256 {digest[:12]}… once decompressed, but {expected.sha256[:12]}… is expected"
        raise DataError(path, f"{hashes}: {_likeness(array)}; {remedy}.")
    return array


def find(folder: Path, name: str, remedy: str = REMEDY) -> Path:
    """The file `name.gz` or `name` in a folder. Raises: DataError."""
    packed = folder / f"{name}.gz"
    for path in (packed, folder / name):
        try:
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise _unreadable(path, error, remedy) from None
        if not stat.S_ISREG(mode):
            raise DataError(path, f"is {_kind(path, mode)}, not a file; {remedy}.")
        return path
    raise _missing(packed, folder, remedy)


def _missing(packed: Path, folder: Path, remedy: str) -> DataError:
    """What is where the file should be: nothing, an empty folder, an archive ..."""
    try:
        mode = folder.stat().st_mode
        if not stat.S_ISDIR(mode):
            return DataError(
                folder, f"is {_kind(folder, mode)}, not a folder with Fashion-MNIST's four files; {remedy}."
            )
        if not any(folder.iterdir()):
            return DataError(folder, f"is empty; {remedy}.")
    except FileNotFoundError:
        return DataError(folder, f"does not exist; {remedy}.")
    except OSError as error:
        return _unreadable(folder, error, remedy)
    return DataError(packed, f"is missing; {remedy}.")


def _kind(path: Path, mode: int) -> str:
    """What is at a path, in words. mode: of its `stat`."""
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"))
    if not stat.S_ISREG(mode):
        return next((words for test, words in kinds if test(mode)), "a device")
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith(b"PK"):
        return "a NumPy archive (.npz)" if path.suffix == ".npz" else "a ZIP archive"
    return "a gzip file" if start.startswith(GZIP) else "a file"


def _unreadable(path: Path, error: OSError, remedy: str) -> DataError:
    if isinstance(error, PermissionError):
        remedy = "allow this user to read it"
    return DataError(path, f"cannot be read ({reason_of(error)}); {remedy}.")


def _content(path: Path, limit: int, remedy: str) -> bytes:
    """At most `limit` decompressed bytes: a small file that unpacks to gigabytes stays harmless.

    The content tells whether it is packed, not the name: browsers and file managers unpack, and keep the name.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(len(GZIP)) == GZIP
            file.seek(0)
            return gzip.GzipFile(fileobj=file).read(limit) if packed else file.read(limit)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(path, f"is cut off or damaged ({error}); {remedy}.") from None
    except OSError as error:
        raise _unreadable(path, error, remedy) from None


def _likeness(array: NDArray[np.uint8]) -> str:
    """What the images (n, 28, 28) or labels (n,) of a file with another content probably are, in words."""
    same_names = "whose files have the same names and sizes"
    if array.ndim == 3:
        mean = float(array.mean())
        name = next((name for name, typical in MEANS.items() if abs(mean - typical) < 1), "")
    else:
        equal = np.ptp(np.bincount(array, minlength=10)) <= 0.01 * len(array)  # as many of each class
        name = FASHION if equal else DIGITS if array[:3].tolist() in FIRST_DIGITS else ""
    if name == FASHION:
        return "it is damaged"
    return f"it looks like {name}, {same_names}" if name else f"it is another data set, perhaps {DIGITS}, {same_names}"


def parse(content: bytes, path: Path, remedy: str = REMEDY) -> NDArray[np.uint8]:
    """The uint8 array of an IDX file's content. Raises: DataError for any other content."""
    if len(content) < 4 or content[:3] != bytes([0, 0, UNSIGNED_BYTE]):
        raise DataError(path, f"is not an IDX file of unsigned bytes; {remedy}.")
    header = 4 + 4 * content[3]
    shape = np.frombuffer(content[4:header], ">u4") if len(content) >= header else np.empty(0, ">u4")
    size = 1
    for length in shape:
        size *= int(length)
    if len(shape) != content[3] or not len(shape) or size != len(content) - header:
        raise DataError(path, f"has a header that does not fit its length; {remedy}.")
    return np.frombuffer(content, np.uint8, offset=header).reshape([int(length) for length in shape])


def dump(array: NDArray[np.uint8]) -> bytes:
    """The content of an IDX file that holds the array; `parse` gives it back."""
    header = bytes([0, 0, UNSIGNED_BYTE, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.tobytes()
