"""The exit codes of the command line; a contract.

0 all well, 1 the training failed, 2 a bad value, 3 data missing or damaged, 130 after Ctrl-C.
"""

from __future__ import annotations

from fmnist_core.data.dataset import DataError
from fmnist_core.errors import BadValueError, LabError

FAILED, BAD_VALUE, BAD_DATA = 1, 2, 3


def code_of(error: LabError) -> int:
    """The exit code that tells this kind of error."""
    kinds = {DataError: BAD_DATA, BadValueError: BAD_VALUE}
    return next((code for kind, code in kinds.items() if isinstance(error, kind)), FAILED)
