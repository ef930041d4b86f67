"""Reading the store's files. They may have been cut, overwritten, or written by another version: nothing is believed
that was not checked, and a header cannot make a reader ask for more memory than its file has bytes.
"""

from __future__ import annotations

import errno
import io
import json
import math
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fmnist_core.errors import reason_of

T = TypeVar("T")
Array = NDArray[Any]


class FileDamaged(Exception):
    """A file does not have the form in which the store writes it; the text names it and says what is wrong."""


def parsed(path: Path, parse: Callable[[Path], T]) -> T:
    """What `parse` makes of a file. Raises: FileDamaged; OSError, where it cannot be read at all."""
    try:
        return parse(path)
    except FileDamaged:
        raise
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):  # as a position before a damaged archive's start
            raise
        raise FileDamaged(f"{path.name} cannot be read ({reason_of(error)})") from error
    except (
        Exception
    ) as error:  # json, pandas, zipfile and NumPy (with ast and tokenize) raise more kinds than one lists
        raise FileDamaged(f"{path.name} cannot be read ({reason_of(error)})") from error


def content(path: Path, size: int | None = None, checksum: int | None = None) -> bytes:
    """All bytes of a file, compared with the size and the CRC-32 that it had when it was written, where known."""
    data = path.read_bytes()
    if size is not None and len(data) != size:
        raise FileDamaged(f"{path.name} has {len(data):,} instead of {size:,} bytes")
    if checksum is not None and zlib.crc32(data) != checksum:
        raise FileDamaged(f"{path.name} has changed since it was written")
    return data


def json_object(path: Path) -> dict[str, Any]:
    """A JSON object. Raises: FileDamaged, OSError."""
    value = parsed(path, lambda path: json.loads(path.read_bytes()))
    if not isinstance(value, dict):
        raise FileDamaged(f"{path.name} is not a JSON object")
    return value


def array(data: bytes) -> Array:
    """The array of a .npy file's bytes. Raises: ValueError and whatever else NumPy raises."""
    return _array(io.BytesIO(data), len(data))


def archive_names(path: Path) -> tuple[str, ...]:
    """The names of an archive's arrays, in order."""
    with zipfile.ZipFile(path) as archive:
        return _names(archive)


def _names(archive: zipfile.ZipFile) -> tuple[str, ...]:
    members = archive.infolist()
    if any(member.comment or member.extra for member in members):  # NumPy writes none: it is a swallowed member
        raise ValueError("its list of contents is damaged")
    return tuple(member.filename.removesuffix(".npy") for member in members)


def archive(path: Path, names: Iterable[str] | None = None) -> dict[str, Array]:
    """The arrays of these names of an .npz file, or all; no other is read from disk.

    Raises: ValueError and whatever else zipfile and NumPy raise.
    """
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        there = _names(archive)
        wanted = there if names is None else names
        return {name: _member(archive, name, size) for name in wanted}


def _member(archive: zipfile.ZipFile, name: str, most: int) -> Array:
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type != zipfile.ZIP_STORED or info.file_size > most:
        raise ValueError(f"{name} is not stored as it was written")
    with archive.open(info) as file:
        return _array(file, info.file_size)  # to its end, where zipfile compares the checksum


def _array(file: IO[bytes], size: int) -> Array:
    """Like `np.lib.format.read_array`, which takes a header's word for the memory to ask for."""
    version = np.lib.format.read_magic(file)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    shape, columns_first, dtype = read_header(file)
    if dtype.hasobject:
        raise ValueError("it holds pickled objects")
    data = file.read()
    if any(length < 0 for length in shape) or math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"its header promises {shape} values of {dtype}, but it has {size:,} bytes")
    values = np.frombuffer(data, dtype) if dtype.itemsize else np.zeros(math.prod(shape), dtype)
    return values.reshape(shape, order="F" if columns_first else "C").copy(order="K")


def expect(values: Array, dtype: type[np.generic], *dimensions: int) -> Array:
    """The values, where they are of this type and have one of these numbers of dimensions. Raises: ValueError."""
    if values.dtype != dtype or values.ndim not in dimensions:
        raise ValueError(f"it holds {values.dtype} of shape {values.shape}")
    return values
