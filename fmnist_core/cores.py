"""How many processor cores this process may use, whatever sets the limit: the machine, an affinity, a quota."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from functools import cache
from pathlib import Path, PurePosixPath

ROOT = Path("/")


@cache
def available_cores() -> int:
    """The cores of this machine that this process may use, at least 1: those of its affinity, or fewer with a quota."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(math.ceil(min(affinity, quota())), 1)


def quota(root: Path = ROOT) -> float:
    """The processors' time that Linux' control groups allow, in cores: the least of this process' group and of those
    above it; inf where there is none. root: of the file system.

    Version 2 has `cpu.max` ("200000 100000" microseconds a period, or "max 100000"), version 1 `cpu.cfs_quota_us` (-1
    for none) and `cpu.cfs_period_us`. A container sees its own group at the top of the tree.
    """
    limits = [math.inf]
    for folder in _groups(root):
        with suppress(OSError, ValueError):  # "max" is no number
            allowed, period = map(int, (folder / "cpu.max").read_text().split())
            limits.append(allowed / period)
        with suppress(OSError, ValueError):
            allowed, period = (int((folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
            if allowed > 0:
                limits.append(allowed / period)
    return min(limits)


def _groups(root: Path) -> list[Path]:
    """The folders of the control groups of this process that may limit its processors, up to the top of the tree."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # not Linux
        return []
    tree, folders = root / "sys/fs/cgroup", []
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        if not controllers:
            tops = [tree, tree / "unified"]
        elif "cpu" in controllers.split(","):
            tops = [tree / controllers, tree / "cpu"]
        else:
            continue
        group = PurePosixPath(path.lstrip("/"))
        folders += [top / part for top in tops for part in (group, *group.parents)]
    return list(dict.fromkeys(folders))
