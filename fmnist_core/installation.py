"""Whether this Python and its packages can run the app, before anything of them is imported.

Only the standard library is used here, in a form that older versions of Python understand, too.
"""

from __future__ import annotations

import platform
import re
import sys
from importlib import metadata
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 13)  # that TensorFlow has packages for
REQUIREMENTS = Path(__file__).parents[1] / "requirements.txt"


def problem() -> str:
    """Why the app cannot run here and what to do about it, one sentence; "" where it can."""
    return python_problem(tuple(sys.version_info[:2])) or _packages_problem()


def python_problem(version: tuple[int, ...]) -> str:
    """As `problem`, for a version of Python alone."""
    if OLDEST <= version <= NEWEST:
        return ""
    return (
        f"This is Python {version[0]}.{version[1]}, but TensorFlow needs Python 3.11, 3.12 or 3.13:"
        " choose one of them (make run PYTHON=python3.13; on a hosted machine, in its settings)."
    )


def _packages_problem() -> str:
    missing = [name for name in _required() if not _is_installed(name)]
    if not missing:
        return ""
    if "tensorflow" in missing and (sys.platform, platform.machine()) == ("darwin", "x86_64"):
        return (
            "TensorFlow has no packages for Macs with Intel processors; use another machine, or Linux in a container."
        )
    if "tensorflow" in missing and sys.platform == "linux" and platform.libc_ver()[0] != "glibc":
        return "TensorFlow has no packages for this system's C library (as of Alpine); use Debian, Ubuntu or Fedora."
    return f"Packages are missing ({', '.join(missing)}): install them with python -m pip install -r requirements.txt."


def _required() -> list[str]:
    try:
        lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [re.split(r"[<>=!~;\[ ]", line)[0] for line in lines if re.match(r"[A-Za-z]", line)]


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
