"""How the command line ends: Ctrl-C in an import, readers and streams that have gone, files that cannot be written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fmnist_core.cli import commands, train_commands
from fmnist_core.cli.exit_codes import BAD_VALUE
from fmnist_core.cli.interrupts import INTERRUPTED
from fmnist_core.cli.output import OutputError, write
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.findings.run_tables import Trained
from tests.support.screens import ROOT
from tests.support.stored_runs import store_run

# Ctrl-C arrives while a module of this name is being imported.
INTERRUPT = """
import os, signal, sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["INTERRUPT_AT"]:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
signal.signal(signal.SIGINT, signal.default_int_handler)
from fmnist_core.__main__ import run
sys.exit(run())
"""


@pytest.mark.parametrize("module", ["numpy", "fmnist_core.cli.train_commands", "tensorflow"])
def test_ctrl_c_during_an_import_is_one_line_and_130(module: str, tmp_path: Path) -> None:
    flags = ["train", "--data", "sample", "--units", "8", "--epochs", "1"]
    command = [sys.executable, "-c", INTERRUPT, *flags]
    environment = os.environ | {"FMNIST_RUNS": str(tmp_path), "INTERRUPT_AT": module}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (INTERRUPTED, "", "Stopped.\n")


def lab(*arguments: str, before: Callable[[], object] | None = None, **options: object) -> int:
    """The exit code of a command. before: called in its process."""
    command = [sys.executable, "-m", "fmnist_core", *arguments]
    return subprocess.run(command, cwd=ROOT, preexec_fn=before, **options).returncode  # type: ignore[call-overload,no-any-return]


def test_a_reader_that_has_gone_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    errors, errors_in = os.pipe()
    assert lab("presets", stdout=writer, stderr=errors_in) == 0
    os.close(errors_in)
    assert os.read(errors, 1000) == b""
    os.close(writer)
    os.close(errors)


def test_a_full_disk_behind_standard_output_is_one_line() -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        command = [sys.executable, "-m", "fmnist_core", "presets"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert done.returncode == 1 and "No space left on device" in done.stderr and done.stderr.count("\n") == 1


def test_closed_streams_are_no_error_and_no_file_takes_their_place(tmp_path: Path) -> None:
    def close() -> None:
        for number in (0, 1, 2):
            os.close(number)

    assert lab("presets", before=close) == 0
    assert lab("train", "--units", "many", before=close) == BAD_VALUE
    code = f"""
from fmnist_core.cli.interrupts import open_streams
open_streams()
file = open({str(tmp_path / "file")!r}, "w")
import os
print("text"); os.write(1, b"text"); os.write(2, b"text")
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, preexec_fn=close).returncode == 0
    assert (tmp_path / "file").read_text() == ""


def test_a_terminal_without_unicode_gets_what_it_can_show() -> None:
    code = "from fmnist_core.cli.interrupts import open_streams; open_streams(); print('0.5 ± 0.1')"
    environment = os.environ | {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.stdout == "0.5 ? 0.1\n"


@pytest.mark.parametrize("target", ["/no/such/folder/x.json", "/", "\0", "a" * 5000, "/proc/x.json"])
def test_a_file_that_cannot_be_written_is_named_before_the_work(
    target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert commands.main(["train", "--json", target, "--data", "sample"]) == BAD_VALUE
    said = capsys.readouterr()
    assert said.err.startswith("--json is '") and said.err.count("\n") == 1 and said.out == ""


def test_a_result_is_printed_where_its_file_cannot_be_written_in_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(OutputError, match="the result is printed instead"):
        write({"loss": 0.5}, str(tmp_path / "gone" / "x.json"), lambda: "Summary.")
    assert json.loads(capsys.readouterr().out) == {"loss": 0.5}


def test_a_result_is_written_whole_beside_devices_and_behind_links(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("old")
    (tmp_path / "old.json").chmod(0o640)
    (tmp_path / "link.json").symlink_to(tmp_path / "old.json")
    write({"loss": 0.5}, str(tmp_path / "link.json"), lambda: "Summary.")
    assert json.loads((tmp_path / "old.json").read_text()) == {"loss": 0.5}
    assert (tmp_path / "link.json").is_symlink() and (tmp_path / "old.json").stat().st_mode & 0o777 == 0o640
    write({"loss": 0.5}, "/dev/null", lambda: "Summary.")
    assert not Path("/dev/null").is_file() and len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("seeds", [1, 3])
def test_one_seed_has_no_spread(seeds: int, tmp_path: Path) -> None:
    trained = [
        Trained(f"{units} units", store_run(tmp_path, Experiment(units=units, seed=seed, epochs=1), test_loss=loss))
        for units in (8, 16)
        for seed, loss in zip(range(seeds), (0.5, 0.6, 0.8), strict=False)
    ]
    text = train_commands._comparison(trained)
    assert "nan" not in text and ("±" in text) == (seeds > 1)
