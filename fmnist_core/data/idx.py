"""IDX files, the format of Fashion-MNIST's four files: read, check and write. Source: yann.lecun.com/exdb/mnist."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fmnist_core.errors import LabError

UNSIGNED_BYTE = 8


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


def read(folder: Path, name: str, expected: Expected) -> NDArray[np.uint8]:
    """The array in `folder/name.gz` (or `folder/name`, not compressed), uint8, shape as the header says.

    Raises:
        DataError: the file is missing, unreadable, cut off, or its content is not the expected one.
    """
    path = find(folder, name)
    content = _content(path, expected.size + 1)
    remedy = "replace it with a fresh copy, or unset FMNIST_DATA if it names this folder."
    if len(content) != expected.size:
        size = f"more than {expected.size:,}" if len(content) > expected.size else f"{len(content):,}"
        raise DataError(
            path, f"has {size} bytes once decompressed, but Fashion-MNIST's has {expected.size:,}; {remedy}"
        )
    if (digest := hashlib.sha256(content).hexdigest()) != expected.sha256:
        raise DataError(
            path, f"has SHA-256 {digest[:12]}… once decompressed, but {expected.sha256[:12]}… is expected; {remedy}"
        )
    return parse(content, path)


def find(folder: Path, name: str) -> Path:
    """The file `name.gz` or `name` in a folder. Raises: DataError."""
    packed = folder / f"{name}.gz"
    for path in (packed, folder / name):
        try:
            if path.stat():
                return path
        except FileNotFoundError:
            continue
        except OSError as error:
            raise DataError(
                path, f"cannot be read ({error.strerror}); correct the folder or its permissions."
            ) from None
    raise DataError(packed, "is missing; put Fashion-MNIST's four files into that folder, or unset FMNIST_DATA.")


def _content(path: Path, limit: int) -> bytes:
    """At most `limit` decompressed bytes: a small file that unpacks to gigabytes stays harmless."""
    try:
        with path.open("rb") as file:
            return gzip.GzipFile(fileobj=file).read(limit) if path.suffix == ".gz" else file.read(limit)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(path, f"is cut off or damaged ({error}); replace it with a fresh copy.") from None
    except OSError as error:
        raise DataError(path, f"cannot be read ({error.strerror}); correct the folder or its permissions.") from None


def parse(content: bytes, path: Path) -> NDArray[np.uint8]:
    """The uint8 array of an IDX file's content. Raises: DataError for any other content."""
    if len(content) < 4 or content[:3] != bytes([0, 0, UNSIGNED_BYTE]):
        raise DataError(path, "is not an IDX file of unsigned bytes; replace it with a fresh copy.")
    header = 4 + 4 * content[3]
    shape = np.frombuffer(content[4:header], ">u4") if len(content) >= header else np.empty(0, ">u4")
    size = 1
    for length in shape:
        size *= int(length)
    if len(shape) != content[3] or not len(shape) or size != len(content) - header:
        raise DataError(path, "has a header that does not fit its length; replace it with a fresh copy.")
    return np.frombuffer(content, np.uint8, offset=header).reshape([int(length) for length in shape])


def dump(array: NDArray[np.uint8]) -> bytes:
    """The content of an IDX file that holds the array; `parse` gives it back."""
    header = bytes([0, 0, UNSIGNED_BYTE, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.tobytes()
