"""Whatever the arguments are, the command line ends with a code of its contract and at most one line of error."""

from __future__ import annotations

import argparse
import contextlib
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fmnist_core.cli import commands
from fmnist_core.cli.exit_codes import BAD_DATA, BAD_VALUE

# A command that would start workers or measure a network needs one more argument, which refuses it.
REFUSED = {"doctor": ["extra"], "init": ["--initialisers", "none"], "initialisers": ["--initialisers", "none"]}
ODD = (
    *(
        "",
        "-",
        "--",
        "-1",
        "0",
        "1",
        "7",
        "1e400",
        "-1e400",
        "nan",
        "inf",
        "1_000",
        "٣",
        "1.5",
        "true",
        "0x10",
        "/",
        ".",
    ),
    *(
        "9" * 4000,
        "9" * 4500,
        "-" + "9" * 4500,
        "0." + "9" * 4500,
        "9" * 400 + "-512",
        "\0",
        "\ud800",
        "a" * 5000,
        "%s",
    ),
)


def flags_of(command: str) -> list[str]:
    """All flags of a command."""
    subparsers = next(a for a in commands.parser()._actions if isinstance(a, argparse._SubParsersAction))
    return [flag for action in subparsers.choices[command]._actions for flag in action.option_strings]


@st.composite
def arguments(draw: st.DrawFn) -> list[str]:
    """A command with flags of its own and others, and any values."""
    command = draw(st.sampled_from([*commands.COMMANDS, "initialisers"]))
    values = st.sampled_from(ODD) | st.text(max_size=8) | st.integers().map(str) | st.floats().map(str)
    flag = st.sampled_from(flags_of(command)) | st.text(max_size=4).map(lambda text: f"--{text}")
    pairs = draw(st.lists(st.tuples(flag, values), max_size=4))
    return [command, *(part for pair in pairs for part in pair), *REFUSED.get(command, [])]


def ended(texts: list[str]) -> tuple[int, str]:
    """The exit code, and what is printed on standard error."""
    out, err = io.TextIOWrapper(io.BytesIO(), "ascii", errors="replace"), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = commands.main(texts)
        except SystemExit as end:
            code = int(end.code or 0)
    return code, err.getvalue()


@pytest.fixture(scope="module")
def nowhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(autouse=True)
def nothing_is_trained(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every training is too expensive, and no run is stored."""
    monkeypatch.chdir(nowhere)
    monkeypatch.setenv("FMNIST_RUNS", str(nowhere / "runs"))
    monkeypatch.setenv("FMNIST_COMPUTE_BUDGET", "1")
    monkeypatch.setenv("COLUMNS", "1")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arguments() | st.lists(st.text(max_size=6), max_size=3))
@example(["study", "--seeds", "9" * 4500])
@example(["study", "--file", "\0"])
@example(["train", "--json", "\0"])
@example(["train", "--json", "a" * 5000])
@example(["embed", "--run", "9" * 16, "--points", "9" * 4000])
@example(["init", "--gain", "1e400"])
@example(["table1", "--seeds", "9" * 4000])
@example(["train", "--widths", "9" * 4000])
def test_any_arguments_end_with_a_code_of_the_contract(texts: list[str]) -> None:
    code, said = ended(texts)
    assert code in (0, BAD_VALUE, BAD_DATA), said
    assert "Traceback" not in said and len(said.splitlines()) <= 1, said
    assert len(said) < 1_200


@pytest.mark.parametrize("command", [*commands.COMMANDS])
def test_help_is_drawn_on_the_narrowest_terminal(command: str) -> None:
    assert ended([command, "--help"]) == (0, "")
