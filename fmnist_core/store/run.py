"""One stored run: small facts at once, the large arrays when they are asked for. Reading never changes anything."""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict  # as pydantic wants it before Python 3.12

from fmnist_core.errors import LabError, reason_of
from fmnist_core.experiment import wording
from fmnist_core.experiment.hyperparameters import FIELDS, FORMAT, Experiment, ExperimentError, run_id
from fmnist_core.experiment.recording import EpochRecord, Weights
from fmnist_core.store import stored_files
from fmnist_core.store.stored_files import FileDamaged

log = logging.getLogger(__name__)
T = TypeVar("T")
LONGEST_NAME, LONGEST_NOTE = 80, 300  # characters; what is longer is cut
TRASH = ".trash"
USER_FILE = "user.json"
PROVENANCE = "provenance.json"
CHECKED = ("experiment.json", "metrics.json", "history.csv")  # when a run is opened
REQUIRED = (*CHECKED, PROVENANCE, "step_losses.npy")
CHANGING = (*REQUIRED, "snapshots", "probabilities")  # by whose times a folder is known to be as it was
MEASURES = tuple(column.name for column in fields(EpochRecord) if column.name != "epoch")
_STRICT = ConfigDict(strict=True, allow_inf_nan=False, extra="allow")
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=10**9)]


class RunError(LabError):
    """A stored run that cannot be used; the text says why, and what to do. run_id: its name. why: in a few words."""

    def __init__(self, text: str, run_id: str = "", why: str = "") -> None:
        super().__init__(text)
        self.run_id, self.why = run_id, why


class RunDamaged(RunError):
    """Files of a stored run are not as they were written: proven, for another version writes no such files either."""


class RunForeign(RunError):
    """A stored run that says what this version does not know, so most likely of another version. It is left alone."""


class RunUnreadable(RunError):
    """The system cannot read a stored run now. It is left alone."""


class RunGone(RunError):
    """Somebody has deleted a run, or trained it again, since it was opened."""


@with_config(_STRICT)
class Metrics(TypedDict):
    """metrics.json. JSON has no nan: a loss that is none is null in the file."""

    test_loss: float | None
    test_accuracy: Share
    test_loss_std: float | None
    test_penalty: NotRequired[float | None]
    seconds: Annotated[float, Field(ge=0, le=1e9)]
    compile_seconds: NotRequired[Annotated[float, Field(ge=0, le=1e9)]]
    stopped: bool
    best_epoch: Count
    epochs_done: Annotated[int, Field(ge=0, le=FIELDS["epochs"].high)]
    steps_per_epoch: Annotated[int, Field(ge=1, le=10**9)]
    train_examples: Count
    confusion: Annotated[
        list[Annotated[list[Count], Field(min_length=10, max_length=10)]], Field(min_length=10, max_length=10)
    ]


@with_config(_STRICT)
class DataFacts(TypedDict):
    """The data set that a run was trained on."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]{1,16}$")]
    source: str


@with_config(_STRICT)
class Provenance(TypedDict):
    """provenance.json. files: each file's bytes. checksums: the CRC-32 of each that has none inside."""

    created: str
    data: DataFacts
    files: dict[Annotated[str, Field(max_length=200)], Count]
    checksums: NotRequired[dict[str, Annotated[int, Field(ge=0, lt=2**32)]]]
    lab: NotRequired[str]
    machine: NotRequired[str]
    versions: dict[str, str]


@with_config(_STRICT)
class UserFacts(TypedDict):
    """user.json: what people said about a run."""

    kept: NotRequired[bool]
    name: NotRequired[str]
    note: NotRequired[str]


METRICS: TypeAdapter[Any] = TypeAdapter(Metrics)
PROVENANCES: TypeAdapter[Any] = TypeAdapter(Provenance)
USER: TypeAdapter[Any] = TypeAdapter(UserFacts)
# Large files that were found damaged: the file, its time and size then, and the error; by their run's folder.
_found_damaged: dict[str, tuple[Path, tuple[int, ...], RunDamaged]] = {}


@dataclass(frozen=True)
class Facts:
    """What the small files of a run say; the same until one of them changes."""

    experiment: Experiment
    metrics: dict[str, Any]
    provenance: dict[str, Any]
    created: datetime


@dataclass(frozen=True, eq=False)
class Run:
    """A stored run.

    metrics: see Metrics; nan where the file has null. provenance: see Provenance.
    kept: never evicted. created: when training ended, UTC. quiet: a context in which no writer replaces the run.
    """

    run_id: str
    path: Path
    experiment: Experiment
    data_name: str
    metrics: dict[str, Any]
    provenance: dict[str, Any]
    kept: bool
    name: str
    note: str
    created: datetime
    quiet: Callable[[], AbstractContextManager[object]] = field(repr=False)

    @property
    def complete(self) -> bool:
        """Whether training went to its end, not stopped by a person."""
        return not self.metrics["stopped"]

    @cached_property
    def history(self) -> pd.DataFrame:
        """The measures of each epoch: columns of EpochRecord, index "epoch" from 0 (untrained). Raises: RunError."""
        return self._read("history.csv", lambda path: _history(self._content(path), self.metrics))

    @property
    def records(self) -> tuple[EpochRecord, ...]:
        """The history as records."""
        rows = self.history.reset_index().to_dict("records")
        return tuple(EpochRecord(**{str(name): value for name, value in row.items()}) for row in rows)

    @cached_property
    def step_losses(self) -> NDArray[np.float32]:
        """The loss of each training step, float32 (steps,). Raises: RunError."""
        return self._read("step_losses.npy", lambda path: _floats(self._content(path), 1))

    @cached_property
    def epochs(self) -> tuple[int, ...]:
        """The epochs whose weights and probabilities are kept, 0 (before training) first. Raises: RunError."""
        try:
            if not self.path.is_dir():
                raise gone(self.path)
            files = list(self.path.glob("snapshots/epoch-???.npz"))
        except OSError as error:
            raise _problem(self.path, error) from error
        return tuple(sorted(int(path.stem.removeprefix("epoch-")) for path in files))

    def check_current(self) -> None:
        """Raises: RunError, where somebody has deleted this run, or trained it again, since it was opened."""
        try:
            created = stored_files.json_object(self.path / PROVENANCE).get("created")
        except (OSError, FileDamaged) as error:
            raise _problem(self.path, error) from error
        if created != self.provenance["created"]:
            raise trained_again(self.run_id)

    def weights(self, epoch: int) -> Weights:
        """Weights after an epoch, by name ("hidden_1/kernel"). Raises: RunError."""
        return self._read(_snapshot(epoch), _weights)

    def tensor(self, epoch: int, name: str) -> NDArray[np.float32]:
        """One of the weights after an epoch, float32; reads no other from disk. Raises: RunError."""
        return self._read(_snapshot(epoch), lambda path: _weights(path, (name,))[name])

    @cached_property
    def tensor_names(self) -> tuple[str, ...]:
        """Names of the weights ("hidden_1/kernel", "hidden_1/bias" ...) in the network's order. Raises: RunError."""
        return self._read(_snapshot(self.epochs[0]), stored_files.archive_names) if self.epochs else ()

    def probabilities(self, epoch: int) -> NDArray[np.float32]:
        """Class probabilities of the test images after an epoch, float32 (n_test, 10). Raises: RunError."""
        return self._read(f"probabilities/epoch-{epoch:03d}.npy", lambda path: _probabilities(self._content(path)))

    def file(self, name: str) -> bytes:
        """A file of the run as it is, such as "model.keras". Raises: RunError."""
        return self._read(name, self._content)

    def names(self, folder: str) -> list[str]:
        """Names of the files below a folder of the run, such as "tensorboard", with that folder's name before them."""
        return [name for name in self.provenance["files"] if name.startswith(f"{folder}/")]

    def verify(self) -> None:
        """Read every file, compared with what was written. Raises: RunError."""
        for name in self.provenance["files"]:
            self._read(name, _weights if name.endswith(".npz") else self._content)

    def _content(self, path: Path) -> bytes:
        name = path.relative_to(self.path).as_posix()
        sizes, checksums = self.provenance["files"], self.provenance.get("checksums", {})
        return stored_files.content(path, sizes.get(name), checksums.get(name))

    def _read(self, name: str, read: Callable[[Path], T]) -> T:
        try:
            return stored_files.parsed(self.path / name, read)
        except (OSError, FileDamaged):
            pass
        with self.quiet():  # look again: what is wrong while no writer can be replacing the run is wrong
            self.check_current()
            try:
                return stored_files.parsed(self.path / name, read)
            except (OSError, FileDamaged) as error:
                problem = _problem(self.path, error, name)
                if isinstance(problem, RunDamaged):
                    log.warning("%s", problem)
                    with suppress(OSError):  # it is found again
                        file = self.path / name
                        _found_damaged[str(self.path)] = file, _mark(file), problem
                raise problem from error


def open_run(path: Path, quiet: Callable[[], AbstractContextManager[object]]) -> Run:
    """The run in a folder. Raises: RunError of the kind that fits."""
    try:
        facts = _facts(str(path), signature(path))
        if known := _found_damaged.get(str(path)):
            file, mark, problem = known
            if _mark(file) == mark:
                raise RunDamaged(str(problem), path.name, problem.why)
            _found_damaged.pop(str(path), None)  # somebody repaired it, or trained the run again
    except (OSError, FileDamaged) as error:
        raise _problem(path, error) from error
    user, _ = user_facts(path)
    return Run(
        run_id=path.name,
        path=path,
        experiment=facts.experiment,
        data_name=facts.provenance["data"]["name"],
        metrics=facts.metrics,
        provenance=facts.provenance,
        kept=user.get("kept", False),
        name=wording.one_line(user.get("name", ""), LONGEST_NAME),
        note=wording.one_line(user.get("note", ""), LONGEST_NOTE),
        created=facts.created,
        quiet=quiet,
    )


def user_facts(path: Path) -> tuple[dict[str, Any], bool]:
    """What people said about a run (kept, name, note), and whether all of it can be read. Perhaps kept means kept."""
    try:
        facts = stored_files.json_object(path / USER_FILE)
    except FileNotFoundError:
        return {}, True
    except (OSError, FileDamaged):
        return {"kept": True}, False
    try:
        return USER.validate_python(facts), True
    except ValidationError as error:
        wrong = {problem["loc"][0] for problem in error.errors()}
        readable = {name: value for name, value in facts.items() if name not in wrong}
        return ({"kept": True} if "kept" in wrong else {}) | readable, False


# --- What is wrong with a run, in one sentence ------------------------------------------------------------------------


def damaged(run_id: str, why: str) -> RunDamaged:
    """The error for a run whose files are not as they were written."""
    return RunDamaged(f"The stored run {run_id} is damaged ({why}); train it again, or set it aside.", run_id, why)


def trained_again(run_id: str) -> RunGone:
    """The error where the folder of an opened run has another training's files by now."""
    return RunGone(f"The stored run {run_id} was trained again meanwhile; open this page again.", run_id)


def gone(path: Path) -> RunGone:
    """The error where the folder of an opened run is no longer there."""
    deleted = (path.parent / TRASH / path.name).is_dir()
    how = "deleted by somebody on this server" if deleted else "removed from this server to make room"
    return RunGone(f"The stored run {path.name} was {how} meanwhile; train it again.", path.name)


def _foreign(path: Path, what: str) -> RunForeign:
    text = f"The stored run {path.name} was made by another version of this program ({what}); it is left where it is."
    return RunForeign(text, path.name)


def _problem(path: Path, error: OSError | FileDamaged, name: str = "") -> RunError:
    """What an error of reading a run's file means."""
    if isinstance(error, FileDamaged):
        folder = name.rpartition("/")[0]
        return damaged(path.name, f"{folder}/{error}" if folder else str(error))
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        if not path.is_dir():
            return gone(path)
        return damaged(path.name, f"{name or Path(error.filename or '').name} is missing")
    text = (
        f"The stored run {path.name} cannot be read now ({reason_of(error)}); it is left where it is, try again later."
    )
    return RunUnreadable(text, path.name)


# --- The files --------------------------------------------------------------------------------------------------------


def signature(path: Path) -> tuple[tuple[int, ...], ...]:
    """Changes when one of the small files or the list of checkpoints does. Raises: OSError."""
    return tuple(_mark(path / name) for name in CHANGING)


def _mark(path: Path) -> tuple[int, ...]:
    """Another one when a file has changed. Raises: OSError."""
    try:
        stat = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return ()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


@lru_cache(maxsize=4096)
def _facts(folder: str, signature: tuple[tuple[int, ...], ...]) -> Facts:
    """The small files, read and checked, and all files' sizes. Raises: FileDamaged, OSError, RunForeign."""
    path = Path(folder)
    values = stored_files.json_object(path / "experiment.json")
    _check_version(path, values)
    provenance = stored_files.json_object(path / PROVENANCE)
    try:
        provenance = PROVENANCES.validate_python(provenance)
        created = datetime.fromisoformat(provenance["created"]).astimezone(UTC)
    except (ValidationError, ValueError, OverflowError) as error:
        raise _foreign(path, f"{PROVENANCE}: {_first(error)}") from error
    for name in CHECKED:
        stored_files.content(path / name, provenance["files"].get(name), provenance.get("checksums", {}).get(name))
    _check_sizes(path, provenance["files"])
    try:
        experiment = Experiment.of(values)
        metrics = METRICS.validate_python(stored_files.json_object(path / "metrics.json"))
    except (ExperimentError, ValidationError) as error:
        raise _foreign(path, _first(error)) from error
    if run_id(experiment, provenance["data"]["name"]) != path.name:
        raise _foreign(path, "its settings have another digest here")
    metrics = {name: math.nan if value is None else value for name, value in metrics.items()}
    stored_files.parsed(path / "history.csv", lambda file: _history(file.read_bytes(), metrics))
    return Facts(experiment, metrics, provenance, created)


def _check_version(path: Path, values: dict[str, Any]) -> None:
    """Take the format's number from experiment.json. Runs of version 0.1 have none. Raises: RunForeign."""
    written = values.pop("format", 1)
    if written != FORMAT:
        raise _foreign(path, f"its format is {str(written)[:20]}, not {FORMAT}")
    unknown = [name for name in values if name not in FIELDS]
    if unknown:
        raise _foreign(path, f"this one has no hyperparameter {unknown[0][:40]!r}")


def _check_sizes(path: Path, files: dict[str, int]) -> None:
    """Compare each file's size with the size when it was written. Raises: OSError, FileDamaged."""
    for name, size in files.items():
        try:
            actual = (path / name).stat().st_size
        except (FileNotFoundError, ValueError):
            raise FileDamaged(f"{name} is missing") from None
        if actual != size:
            raise FileDamaged(f"{name} has {actual:,} instead of {size:,} bytes")


def _first(error: Exception) -> str:
    """A validation's first problem, in a few words."""
    if not isinstance(error, ValidationError):
        return reason_of(error)
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:120]


def _history(data: bytes, metrics: dict[str, Any]) -> pd.DataFrame:
    """The table of history.csv. Raises: ValueError and whatever else pandas raises."""
    types: Any = {"epoch": np.int64} | dict.fromkeys(MEASURES, np.float64)
    table = pd.read_csv(
        io.BytesIO(data), index_col="epoch", usecols=list(types), dtype=types, float_precision="round_trip"
    )
    if list(table.index) != list(range(metrics["epochs_done"] + 1)):
        raise ValueError(f"it should have the epochs 0 to {metrics['epochs_done']}")
    if metrics["best_epoch"] > metrics["epochs_done"]:
        raise ValueError(f"epoch {metrics['best_epoch']}, the best, is not in it")
    return table[list(MEASURES)]


def _floats(data: bytes, *dimensions: int) -> NDArray[np.float32]:
    return stored_files.expect(stored_files.array(data), np.float32, *dimensions)


def _probabilities(data: bytes) -> NDArray[np.float32]:
    values = _floats(data, 2)
    if values.shape[1] != 10 or (values < 0).any() or (values > 1.001).any():  # nan, of a diverged network, is neither
        raise ValueError("it does not hold probabilities of ten classes")
    return values


def _snapshot(epoch: int) -> str:
    return f"snapshots/epoch-{epoch:03d}.npz"


def _weights(path: Path, names: tuple[str, ...] | None = None) -> Weights:
    arrays = stored_files.archive(path, names)
    return {name: stored_files.expect(values, np.float32, 1, 2) for name, values in arrays.items()}
