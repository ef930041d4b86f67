"""`python -m fmnist_core`: the laboratory without a browser. See `cli/`."""

from __future__ import annotations

import sys

from fmnist_core.cli.commands import main

if __name__ == "__main__":  # spawned worker processes import this module again
    sys.exit(main(sys.argv[1:]))
