"""What a worker is asked to find out, about a stored run or about none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Analysis:
    """One analysis.

    kind: "module:function", see worker.Job. group: one of board.SORTS. run: whose it is, or "". name: of its result, see
    `results.name_of`. title: what is made, as the start of a sentence.
    """

    kind: str
    group: str
    run: str
    name: str
    params: Mapping[str, Any]
    title: str
