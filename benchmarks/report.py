"""The table: one row for each figure, with its target and whether it was met; printed for people, stored as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

TITLES = ("Figure", "Value", "Unit", "Target", "Met")
MET = {True: "yes", False: "NO", None: ""}


@dataclass(frozen=True)
class Row:
    """One figure. value: None where there is none; note says why. met: None where nothing was to be met."""

    name: str
    value: float | None
    unit: str
    target: str = ""
    met: bool | None = None
    note: str = ""


def told(name: str, value: float, unit: str, note: str = "") -> Row:
    """A figure for information."""
    return Row(name, value, unit, note=note)


def at_most(name: str, value: float, unit: str, limit: float, note: str = "") -> Row:
    """A figure that shall not be larger than `limit`."""
    return Row(name, value, unit, f"at most {limit:g}", value <= limit, note)


def at_least(name: str, value: float, unit: str, limit: float, note: str = "") -> Row:
    """A figure that shall not be smaller than `limit`."""
    return Row(name, value, unit, f"at least {limit:g}", value >= limit, note)


def missing(name: str, note: str) -> Row:
    """A figure that cannot be had on this machine, which is nobody's fault."""
    return Row(name, None, "", note=note)


def failed(name: str, error: BaseException) -> Row:
    """A measurement that broke."""
    reason = next(iter(str(error).strip().splitlines()), "")
    return Row(name, None, "", met=False, note=f"failed: {type(error).__name__}: {reason[:300]}".removesuffix(": "))


def say(text: str) -> None:
    """A line of progress."""
    print(f"  {text}", file=sys.stderr, flush=True)


def table(found: Mapping[str, Sequence[Row]]) -> str:
    """The rows as aligned text, a heading for each module."""
    cells = {name: [_cells(row) for row in rows] for name, rows in found.items()}
    everything = [TITLES, *(line for lines in cells.values() for line in lines)]
    widths = [max(len(line[column]) for line in everything) for column in range(len(TITLES))]
    text = [_line(TITLES, widths)]
    for name, rows in found.items():
        text += ["", name]
        for row, line in zip(rows, cells[name], strict=True):
            text.append(f"{_line(line, widths)}  {row.note}".rstrip())
    return "\n".join(text)


def _cells(row: Row) -> tuple[str, ...]:
    return f"  {row.name}", _number(row.value), row.unit, row.target, MET[row.met]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    name, value, *others = (
        cell.rjust(width) if cell is cells[1] else cell.ljust(width) for cell, width in zip(cells, widths, strict=True)
    )
    return "  ".join((name, value, *others)).rstrip()


def _number(value: float | None) -> str:
    """Three figures: the noise allows no more."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def store(path: Path, facts: Mapping[str, Any], found: Mapping[str, Sequence[Row]]) -> None:
    """Write facts about the machine and all figures as JSON. Raises: OSError."""
    figures = [{"module": name} | asdict(row) for name, rows in found.items() for row in rows]
    path.write_text(json.dumps({**facts, "figures": figures}, indent=1, ensure_ascii=False) + "\n")
