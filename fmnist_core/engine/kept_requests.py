"""The requests of an app server that have not ended, on disk beside the run store, for the server that comes after it.

Each server has a file of its own, and holds the lock beside it as long as it lives. A file whose lock is free is a dead
server's; the first server that starts afterwards takes it over. Only requests are kept, as plain JSON, never results.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from fmnist_core.errors import reason_of
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.study import Study

log = logging.getLogger(__name__)
FOLDER, FORMAT = ".queue", 1


@dataclass(frozen=True)
class Request:
    """What sessions asked for.

    what: "train", "race" or "study". texts: the experiments, or the study, as JSON. data: name of the data set; "" in
    files of versions that did not keep it.
    """

    what: str
    texts: list[str]
    sessions: list[str]
    data: str = ""

    @classmethod
    def of(cls, values: Any) -> Request:
        """One of a file. Raises: an error of any kind (this version does not know it)."""
        request = cls(values["what"], list(values["texts"]), list(values["sessions"]), str(values.get("data", "")))
        if request.what not in ("train", "race", "study"):
            raise ValueError(f"{request.what!r} is not known to this version")
        if not request.texts:
            raise ValueError("it names no experiment")
        experiments = request.experiments
        if request.what == "race" and len(set(experiments)) < len(experiments):
            raise ValueError("both networks are the same")
        return request

    @property
    def study(self) -> Study:
        """What a "study" asks for. Raises: StudyError."""
        return Study.from_json(self.texts[0])

    @property
    def experiments(self) -> list[Experiment]:
        """All that are to be trained. Raises: LabError."""
        if self.what == "study":
            return [experiment for _, experiment in self.study.experiments()]
        return [Experiment.from_json(text) for text in self.texts]


@dataclass(frozen=True)
class Requests:
    """All of a server, in the order of its queue.

    running: names of the runs and races that workers had. ended: how often a server ended without notice while it had
    a run or a race, by name. orderly: whether this server was ended in order. broken: how many more requests its file
    has that this version does not know.
    """

    requests: list[Request] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    ended: dict[str, int] = field(default_factory=dict)
    orderly: bool = False
    broken: int = 0

    @classmethod
    def from_json(cls, text: str) -> Requests:
        """Those of `to_json`; the log names each that is not known. Raises: an error of any kind (it is another)."""
        values = json.loads(text)
        if values.pop("format") != FORMAT:
            raise ValueError("it is of another version")
        requests = []
        for request in list(values["requests"]):
            try:
                requests.append(Request.of(request))
            except Exception as error:  # of any kind: it may hold anything
                log.warning("After the restart, a request was not taken up again: %s", reason_of(error))
        broken = len(values["requests"]) - len(requests)
        ended = {str(name): int(count) for name, count in values["ended"].items()}
        return cls(requests, list(map(str, values["running"])), ended, bool(values["orderly"]), broken)

    def to_json(self) -> str:
        """As JSON text."""
        return json.dumps({"format": FORMAT, **asdict(self)})

    def ends(self) -> dict[str, int]:
        """How often a server ended without notice, this one included."""
        now = [] if self.orderly else self.running
        return self.ended | {name: self.ended.get(name, 0) + 1 for name in now}


class KeptRequests:
    """This server's file. root: folder of the run store. Where it cannot be written, the log says so once."""

    def __init__(self, root: Path) -> None:
        self._folder = root / FOLDER
        self._file = self._folder / f"{uuid.uuid4().hex[:12]}.json"
        self._lock = _lock(self._file)
        self._written = ""
        self._failed = False
        with suppress(OSError, Timeout):  # `write` says it
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()

    def write(self, requests: Requests) -> None:
        """Keep these in the place of the last ones, whole or not at all."""
        text = requests.to_json() if requests.requests else ""
        if text == self._written:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if text:
                unfinished = self._file.with_suffix(".new")
                unfinished.write_text(text)
                unfinished.replace(self._file)
            else:
                self._file.unlink(missing_ok=True)
            self._written = text
        except OSError as error:
            if not self._failed:
                reason = reason_of(error)
                log.warning("The queue cannot be kept in %s (%s): a restart would lose it.", self._folder, reason)
            self._failed = True

    def take_over(self, adopt: Callable[[Requests], bool]) -> None:
        """Give `adopt` what each dead server left, and remove its file.

        Where `adopt` returns False, the file stays for the next server. One that cannot be read, as a whole or in part,
        is put aside.
        """
        for file in sorted(self._folder.glob("*.json")):
            lock = _lock(file)
            with suppress(Timeout, OSError), lock:  # else its server lives, or another one was quicker
                requests = _read(file)
                if requests and adopt(requests):
                    file.replace(_aside(file)) if requests.broken else file.unlink()
                Path(lock.lock_file).unlink(missing_ok=True)

    def close(self) -> None:
        """Let another server take the file over."""
        self._lock.release()
        if not self._file.exists():
            with suppress(OSError):
                Path(self._lock.lock_file).unlink(missing_ok=True)


def _read(file: Path) -> Requests | None:
    text = file.read_bytes()
    try:
        return Requests.from_json(text.decode())
    except Exception as error:  # of any kind: it may hold anything
        aside = _aside(file)
        file.replace(aside)
        log.warning("The queue of the last server cannot be read (%s); it is kept as %s.", reason_of(error), aside)
        return None


def _aside(file: Path) -> Path:
    return file.with_suffix(".unreadable")


def _lock(file: Path) -> FileLock:
    return FileLock(file.with_suffix(".lock"), timeout=0)
