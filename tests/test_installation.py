"""A Python or packages that cannot run the app are one sentence: in make, in the command line, on a page."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fmnist_core import __main__, installation
from tests.support.screens import ROOT

PAGE_ALONE = """
from streamlit.testing.v1 import AppTest
from fmnist_core import installation
installation.OLDEST = (99, 0)
app = AppTest.from_file("app.py", default_timeout=60).run()
print(len(app.exception), [error.value for error in app.error])
app.switch_page("pages/Train.py").run()
print(len(app.exception), [error.value for error in app.error])
"""


@pytest.mark.parametrize(("version", "fits"), [((3, 10), False), ((3, 11), True), ((3, 13), True), ((3, 14), False)])
def test_versions_of_python(version: tuple[int, int], fits: bool) -> None:
    sentence = installation.python_problem(version)
    assert (sentence == "") == fits
    assert fits or (f"This is Python 3.{version[1]}" in sentence and "3.11, 3.12 or 3.13" in sentence)


def test_this_environment_has_all_packages() -> None:
    assert installation.problem() == ""


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "requirements.txt").write_text("# more\nnumpy>=2\nno-such-package>=1,<2; python_version > '3'  # why\n")
    monkeypatch.setattr(installation, "REQUIREMENTS", tmp_path / "requirements.txt")
    assert installation.problem() == (
        "Packages are missing (no-such-package): install them with python -m pip install -r requirements.txt."
    )


def test_the_command_line_says_so_before_its_imports(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(installation, "NEWEST", (3, 10))
    assert __main__.run() == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("This is Python 3.") and said.err.count("\n") == 1


def test_each_page_says_so() -> None:
    done = subprocess.run([sys.executable, "-c", PAGE_ALONE], capture_output=True, text=True, cwd=ROOT)
    lines = done.stdout.splitlines()
    assert len(lines) == 2 and all(line.startswith("0 ['This is Python 3.") for line in lines), done.stderr


def test_make_says_so_before_it_makes_a_virtual_environment(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("__init__.py", "installation.py"):
        (tmp_path / "fmnist_core").mkdir(exist_ok=True)
        text = (ROOT / "fmnist_core" / name).read_text(encoding="utf-8")
        (tmp_path / "fmnist_core" / name).write_text(text.replace("(3, 13)", "(3, 10)"))
    command = ["make", f"PYTHON={sys.executable}", ".venv/made"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0 and "This is Python 3." in done.stderr and not (tmp_path / ".venv").exists()
