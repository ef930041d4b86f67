"""How many cores count, in files like those of Linux' control groups, and in the programs that use them."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fmnist_core.cores import available_cores, quota
from fmnist_core.settings import settings


def tree(root: Path, groups: str, files: dict[str, str]) -> Path:
    """A machine's files. groups: of /proc/self/cgroup. files: below /sys/fs/cgroup."""
    for name, text in {"proc/self/cgroup": groups, **{f"sys/fs/cgroup/{n}": t for n, t in files.items()}}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),  # a container, version 2
        ("0::/\n", {"cpu.max": "max 100000\n"}, math.inf),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "300000 100000\n"}, 3),  # a parent's counts, too
        ("0::/a/b\n", {"a/b/cpu.max": "50000 100000\n", "a/cpu.max": "300000 100000\n"}, 0.5),
        (
            "4:cpu,cpuacct:/docker/x\n",
            {"cpu,cpuacct/cpu.cfs_quota_us": "200000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"},
            2,
        ),
        ("1:cpu:/\n0::/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, math.inf),
        ("1:cpuset:/\n", {"cpuset/cpu.cfs_quota_us": "1000\n", "cpuset/cpu.cfs_period_us": "100000\n"}, math.inf),
        ("0::/\n", {"cpu.max": "nonsense\n"}, math.inf),
        ("", {}, math.inf),
    ],
)
def test_a_quota_is_read_from_either_version(tmp_path: Path, groups: str, files: dict[str, str], cores: float) -> None:
    assert quota(tree(tmp_path, groups, files)) == cores


def test_another_system_has_no_quota(tmp_path: Path) -> None:
    assert quota(tmp_path) == math.inf


def test_cores_are_those_of_the_affinity_unless_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FMNIST_CORES", raising=False)
    assert 1 <= available_cores() <= len(os.sched_getaffinity(0))
    assert settings().cores == available_cores()


def test_maps_use_as_many_as_are_set() -> None:
    code = "from fmnist_core.embedding.kernels import cores; print(cores())"
    environment = os.environ | {"FMNIST_CORES": "3"}
    printed = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "3"
