"""`python -m fmnist_core`: the laboratory without a browser. See `cli/`."""

from __future__ import annotations

import sys

from fmnist_core.cli import interrupts


def run() -> int:
    """The command line, from its imports on; returns the process' exit code."""
    interrupts.open_streams()
    with interrupts.ends_at_once():
        from fmnist_core.cli.commands import main
    return main(sys.argv[1:])


if __name__ == "__main__":  # spawned worker processes import this module again
    sys.exit(run())
