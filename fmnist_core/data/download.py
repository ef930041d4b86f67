"""Fetch Fashion-MNIST's four files from the web when a person asks for it; a download that broke off goes on later.

Each file grows in a `.part` file beside the target folder, is checked by the SHA-256 of its decompressed content, and
the folder appears only when all four are whole. Keras looks in the same folder, so it need not download again.

pooch would only make folders and rename files here: it deletes what has arrived when a connection breaks, and it checks
the hash of the packed file, which differs between mirrors.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import http.client
import shutil
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from filelock import FileLock, Timeout

from fmnist_core.data.dataset import FILES, FULL
from fmnist_core.data.idx import Expected
from fmnist_core.errors import LabError

TIMEOUT = 10  # seconds without a byte
CHUNK = 64 * 1024
NEEDED = 100 * 1024**2  # bytes: 31 MB packed, 55 MB in the cache, and some air
MEGABYTE = 1e6
STOPPED = "The download was stopped; it can be resumed."

Report = Callable[[float, str], None]


class DownloadError(LabError):
    """The download did not succeed; the sentence says why and what to do."""


class Stopped(DownloadError):
    """A person stopped the download."""


def fetch(target: Path, mirror: str, report: Report, should_stop: Callable[[], bool]) -> None:
    """Download what is missing and put the four files into `target`.

    mirror: the address of the folder that holds them. report: called with the share done, 0 to 1, and a few words.
    should_stop: asked for every chunk of 64 KiB.

    Raises:
        Stopped: `should_stop` said so. DownloadError: offline, disk full, wrong content, and so on.
    """
    staging = target.with_name(f"{target.name}.part")
    with _disk(target):
        staging.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(target):
            if shutil.disk_usage(staging).free < NEEDED:
                raise OSError(errno.ENOSPC, "disk full")
            total, done = sum(expected.size for expected in FULL.values()), 0
            for key, name in FILES.items():

                def report_file(fraction: float, text: str, done: int = done, size: int = FULL[key].size) -> None:
                    report((done + size * min(fraction, 1.0)) / total, text)

                address = f"{mirror.rstrip('/')}/{name}.gz"
                _file(staging / f"{name}.gz", address, FULL[key], report_file, should_stop)
                done += FULL[key].size
            _put_in_place(staging, target)


@contextmanager
def _disk(target: Path) -> Iterator[None]:
    """What the disk refuses, as a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            room = f"about {NEEDED // 1024**2} MB are needed: free some space and press the button again."
            raise DownloadError(f"The disk that holds {target.parent} is full; {room}") from None
        remedy = "correct its permissions or set KERAS_HOME to another folder."
        raise DownloadError(f"{target.parent} cannot be written ({error.strerror or error}); {remedy}") from None


@contextmanager
def _one_at_a_time(target: Path) -> Iterator[None]:
    """One download at a time, in this process and in others; one that was just stopped is waited for."""
    try:
        with FileLock(target.with_name(f".{target.name}.lock"), timeout=TIMEOUT + 5):
            yield
    except Timeout:
        raise DownloadError("Another process is downloading the data set already; wait until it is done.") from None


def _file(path: Path, address: str, expected: Expected, report: Report, should_stop: Callable[[], bool]) -> None:
    """Download one file, or the rest of it, and give it its name once its content is right. Raises: as `fetch`."""
    if path.exists():
        return
    growing = path.with_name(f"{path.name}.part")
    _grow(growing, address, expected.size + CHUNK, report, should_stop)
    if not _is_right(growing, expected):
        growing.unlink()
        raise DownloadError(
            f"{address} does not hold Fashion-MNIST's file (its SHA-256 differs); it was deleted: press the"
            " button again, or set FMNIST_MIRROR to another address."
        )
    growing.replace(path)


def _grow(path: Path, address: str, most: int, report: Report, should_stop: Callable[[], bool]) -> None:
    """Append what `path` still lacks; start over where the server cannot go on in the middle. Raises: as `fetch`."""
    start = path.stat().st_size if path.exists() else 0
    answer = _ask(address, start)
    if answer is None:
        return
    with answer:
        resumed = answer.status == http.HTTPStatus.PARTIAL_CONTENT
        start = start if resumed else 0
        length = answer.headers.get("Content-Length", "")
        whole = start + int(length) if length.isdigit() else None
        with path.open("ab" if resumed else "wb") as file:
            for have in _chunks(answer, file, start, whole, should_stop):
                if have > most:
                    return
                report(have / (whole or most), f"{path.name.removesuffix('.part')}: {have / MEGABYTE:.1f} MB")


def _ask(address: str, start: int) -> http.client.HTTPResponse | None:
    """The server's answer from byte `start` on; None where nothing is left to send. Raises: DownloadError."""
    headers = {"Range": f"bytes={start}-"} if start else {}
    try:
        answer: http.client.HTTPResponse = urlopen(Request(address, headers=headers), timeout=TIMEOUT)
        return answer
    except HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return None  # The file is whole, or its hash will tell that it is not.
        remedy = "try again later, or set FMNIST_MIRROR to another address."
        answer_text = f"the server answered {error.code} ({error.reason})"
        raise DownloadError(f"{address} cannot be fetched: {answer_text}; {remedy}") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise DownloadError(_unreachable(address, error)) from None


def _unreachable(address: str, error: Exception) -> str:
    reason = error.reason if isinstance(error, URLError) else error
    cause = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    host = urlsplit(address).hostname or address
    return f"{host} cannot be reached ({cause}); check the internet connection and press the button again."


def _chunks(
    answer: http.client.HTTPResponse, file: BinaryIO, have: int, whole: int | None, should_stop: Callable[[], bool]
) -> Iterator[int]:
    """Copy the answer to the file; yields the file's size after each chunk. Raises: Stopped, DownloadError, OSError."""
    while True:
        if should_stop():
            raise Stopped(STOPPED)
        try:
            chunk = answer.read1(CHUNK)
        except (OSError, http.client.HTTPException):
            chunk = b""
        if not chunk:
            if whole is not None and have != whole:
                raise DownloadError(
                    f"The connection broke after {have / MEGABYTE:.1f} of {whole / MEGABYTE:.1f} MB; press the button"
                    " again to resume."
                )
            return
        file.write(chunk)
        have += len(chunk)
        yield have


def _is_right(path: Path, expected: Expected) -> bool:
    """Whether the gzip file's content is the expected one; it is read no further than one byte too many."""
    digest, left = hashlib.sha256(), expected.size + 1
    try:
        with gzip.open(path) as file:
            while left > 0 and (chunk := file.read(min(left, 2**20))):
                digest.update(chunk)
                left -= len(chunk)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return False
    return left == 1 and digest.hexdigest() == expected.sha256


def _put_in_place(staging: Path, target: Path) -> None:
    """All four files at once where there is no such folder yet, else each in place of a damaged one."""
    target.mkdir(parents=True, exist_ok=True)
    for name in FILES.values():
        (staging / f"{name}.gz").replace(target / f"{name}.gz")
    shutil.rmtree(staging, ignore_errors=True)


@dataclass(frozen=True)
class Status:
    """state: where the download is. fraction: share done, 0 to 1. text: a few words, or why it failed."""

    state: Literal["idle", "running", "stopped", "failed", "done"] = "idle"
    fraction: float = 0.0
    text: str = ""


class Downloader:
    """One download for a whole server process, in a thread of its own: it goes on when a browser leaves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._status = Status()
        self._stop = threading.Event()

    @property
    def status(self) -> Status:
        """Where it is now."""
        return self._status

    def start(self, target: Path, mirror: str) -> None:
        """Start, or go on; nothing happens while one is running."""
        with self._lock:
            if self._status.state == "running":
                return
            self._stop = threading.Event()
            self._status = Status("running", self._status.fraction, "Connecting")
        threading.Thread(target=self._run, args=(target, mirror, self._stop), name="download", daemon=True).start()

    def stop(self) -> None:
        """Stop now; what has arrived is kept."""
        self._stop.set()
        self._end(self._stop, "stopped", STOPPED)

    def _run(self, target: Path, mirror: str, stop: threading.Event) -> None:
        def report(fraction: float, text: str) -> None:
            with self._lock:
                if not stop.is_set():
                    self._status = Status("running", fraction, text)

        try:
            fetch(target, mirror, report, stop.is_set)
        except LabError as error:
            self._end(stop, "stopped" if isinstance(error, Stopped) else "failed", str(error))
        except Exception as error:  # A fault of ours must not leave the screen at "running" for ever.
            self._end(stop, "failed", f"The download failed ({type(error).__name__}: {error}); please report this.")
        else:
            self._end(stop, "done", "")

    def _end(self, stop: threading.Event, state: Literal["stopped", "failed", "done"], text: str) -> None:
        with self._lock:
            if stop is self._stop and self._status.state == "running":
                self._status = replace(self._status, state=state, text=text)
