"""`python -m fmnist_core`: the laboratory without a browser. See `cli/`."""

from __future__ import annotations

import sys

from fmnist_core import installation
from fmnist_core.cli import interrupts


def run() -> int:
    """The command line, from its imports on; returns the process' exit code."""
    interrupts.open_streams()
    if problem := installation.problem():
        print(problem, file=sys.stderr)
        return 1
    with interrupts.ends_at_once():
        from fmnist_core.cli.commands import main
    return main(sys.argv[1:])


if __name__ == "__main__":  # spawned worker processes import this module again
    sys.exit(run())
