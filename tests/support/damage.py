"""Damages files as disks, editors and cut copies do, the same way for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

NUMBERS = (b"-1", b"0", b"NaN", b"Infinity", b"1e999", b"99999999999999999999", b'"x"', b"null", b"[]", b"{}", b"true")


def _flip(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _set(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] = rng.choice((0, 9, 10, 34, 40, 44, 92, 123, 128, 255, rng.randrange(256)))


def _near_an_end(data: bytearray, rng: random.Random) -> None:
    """Headers are at the start, an archive's directory is at the end."""
    index = rng.randrange(min(len(data), 160))
    data[index if rng.random() < 0.5 else -1 - index] = rng.randrange(256)


def _cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def _remove(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    del data[start : start + rng.randrange(1, 20)]


def _insert(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    data[start:start] = rng.choice((b"\0", b"\xff\xfe", b"[" * 5000, b"9" * 5000, b"\xf0\x9f\x91\x95", *NUMBERS))


def _zeros(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    length = min(rng.randrange(1, 4096), len(data) - start)
    data[start : start + length] = bytes(length)


def _number(data: bytearray, rng: random.Random) -> None:
    """Another value in the place of a number, as in JSON, CSV or the header of an array."""
    digits = [index for index, byte in enumerate(data[:20_000]) if chr(byte).isdigit()]
    if digits:
        start = rng.choice(digits)
        end = start
        while end < len(data) and chr(data[end]).isdigit():
            end += 1
        data[start:end] = rng.choice(NUMBERS)


def _other(data: bytearray, rng: random.Random) -> None:
    """Something else altogether."""
    data[:] = rng.choice((b"", b"{}", b"[]", b"null", b"\0" * 100, b"PK\x03\x04", b"\x93NUMPY\x01\x00", *NUMBERS))


WAYS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    *(_flip, _set, _near_an_end, _cut, _remove, _insert, _zeros, _number, _other),
)


def damage(path: Path, rng: random.Random) -> str:
    """Damage a file; returns how."""
    data = bytearray(path.read_bytes())
    way = rng.choice(WAYS) if data else _other
    way(data, rng)
    path.write_bytes(data)
    return f"{path.name}: {way.__name__}"
