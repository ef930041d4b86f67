"""The command line: its commands, each a row of one table, and its exit codes.

Its exit codes are a contract: see `exit_codes.py`.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from fmnist_core import __version__
from fmnist_core.cli import measure_commands, train_commands
from fmnist_core.cli.doctor import examine
from fmnist_core.cli.exit_codes import BAD_VALUE, FAILED, code_of
from fmnist_core.cli.interrupts import interrupted, reader_gone
from fmnist_core.cli.output import check_target, one_line
from fmnist_core.errors import LabError, reason_of
from fmnist_core.settings import misspelt, settings


class Command(NamedTuple):
    """One command. add_flags: declares its flags. run: executes it; raises LabError
    where it fails, or returns an exit code."""

    help: str
    add_flags: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int | None]
    aliases: tuple[str, ...] = ()


COMMANDS = {
    "doctor": Command("versions, data, and a training on trial", lambda parser: None, examine),
    "presets": Command("the ready-made experiments", lambda parser: None, train_commands.print_presets),
    "train": Command(
        "train one network, store the run and print its result", train_commands.add_train, train_commands.train
    ),
    "study": Command(
        "train several networks with several seeds and compare them",
        train_commands.add_study,
        train_commands.train_study,
    ),
    "embed": Command("map the outputs of a layer of a stored run", measure_commands.add_embed, measure_commands.embed),
    "init": Command(
        "measure networks before training, as Glorot & Bengio (2010) do",
        measure_commands.add_init,
        measure_commands.measure_initialisers,
        aliases=("initialisers",),
    ),
    "table1": Command(
        "table 1 of Glorot & Bengio (2010) on Fashion-MNIST", train_commands.add_table1, train_commands.train_table1
    ),
}


class _Parser(argparse.ArgumentParser):
    """A parser whose error is one line, without the long usage text."""

    def error(self, message: str) -> Any:
        self.exit(BAD_VALUE, f"{self.prog}: {one_line(message)}; --help lists the options.\n")


def parser() -> argparse.ArgumentParser:
    """The parser of all commands; `run` of what it parses is the command's function."""
    program = _Parser(prog="python -m fmnist_core", description="Fashion-MNIST Lab without a browser.")
    program.add_argument("--version", action="version", version=f"Fashion-MNIST Lab {__version__}")
    subparsers = program.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    for name, command in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=command.help, aliases=command.aliases)
        subparser.add_argument("--version", action="version", version=f"Fashion-MNIST Lab {__version__}")
        command.add_flags(subparser)
        subparser.set_defaults(run_command=command.run)
    return program


def main(texts: list[str]) -> int:
    """Run one command; returns the process' exit code. Whatever happens is one line, never a trace."""
    try:
        code = _run(texts)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        reader_gone()
        return 0
    except KeyboardInterrupt:
        return interrupted()
    except LabError as error:
        return _refuse(str(error), code_of(error))
    except Exception as error:  # a full disk behind standard output, or a fault of ours
        return _refuse(_unexpected(error), FAILED)


def _run(texts: list[str]) -> int:
    arguments = parser().parse_args(texts)
    settings()  # a wrong one is named before any work
    for sentence in misspelt():
        print(sentence, file=sys.stderr)
    if getattr(arguments, "json", None):
        check_target(arguments.json)
    return arguments.run_command(arguments) or 0


def _unexpected(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else "unknown"
    return f"The command failed with {type(error).__name__} ({reason_of(error)}; {place})."


def _refuse(sentence: str, code: int) -> int:
    print(one_line(sentence), file=sys.stderr)
    return code
