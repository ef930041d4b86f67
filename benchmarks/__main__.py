"""Measures, prints the table, stores it. Exit code 1 when something failed or missed its target.

A quick run shows that everything works; its figures are of small things, so they are not judged. Only a run of
everything in full replaces the stored figures; any other one is stored where `--json` says.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil

from benchmarks import machine, report
from benchmarks.report import Row

MODULES = ("training", "study", "screens", "load", "memory", "fifty", "embedding", "table1")
LISTEN, QUIET = 2.0, 10.0  # seconds; per cent
RESULTS = Path(__file__).parent / "results.json"


def main(arguments: list[str]) -> int:
    """Run the chosen modules; returns the process' exit code."""
    chosen = _parser().parse_args(arguments)
    names = chosen.names or list(MODULES)
    facts = machine.facts() | {"quick": chosen.quick, "busy_before": {}}
    found = {}
    for name in names:
        facts["busy_before"][name] = _busy(name)
        found[name] = list(_measured(name, chosen.quick))
    print(f"{facts['machine']['processor']}, {facts['machine']['cores']} cores; data: {facts['data']}\n")
    print(report.table(found))
    whole = not chosen.quick and set(names) == set(MODULES)
    if path := chosen.json or (RESULTS if whole else None):
        report.store(path, facts, found)
        print(f"\nStored in {path}.")
    return int(any(row.met is False for rows in found.values() for row in rows))


def _busy(name: str) -> float:
    """How much of the machine, in per cent, others use before a module starts."""
    print(name, file=sys.stderr, flush=True)
    busy = float(psutil.cpu_percent(LISTEN))
    if busy > QUIET:
        report.say(f"other work takes {busy:.0f} % of this machine: do not trust the figures")
    return busy


def _measured(name: str, quick: bool) -> Iterator[Row]:
    """A module's rows; where it breaks, one that says so after those it had."""
    try:
        for row in importlib.import_module(f"benchmarks.{name}").rows(quick):
            yield replace(row, met=None) if quick and row.value is not None else row
    except Exception as error:
        yield report.failed(name, error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="The laboratory's figures and targets.")
    # Checked by hand: argparse refuses an empty list that has choices.
    parser.add_argument("names", nargs="*", metavar="NAME", type=_name, help=f"of {', '.join(MODULES)}; default: all")
    parser.add_argument("--quick", action="store_true", help="everything small, nothing judged: does it work?")
    parser.add_argument("--json", type=Path, metavar="FILE", help=f"where to store; a whole run: {RESULTS.name}")
    return parser


def _name(text: str) -> str:
    if text not in MODULES:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(MODULES)}")
    return text


if __name__ == "__main__":  # spawned worker processes import this module again
    sys.exit(main(sys.argv[1:]))
