"""Networks, their compiled training and their diagnostics: the one floor that imports TensorFlow and Keras."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

LEVEL = "TF_CPP_MIN_LOG_LEVEL"


@contextmanager
def _quiet() -> Iterator[None]:
    """Standard error goes nowhere for a moment.

    TensorFlow reports at length that there is no GPU, in a way that no setting reaches. Errors still are exceptions.
    """
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


if LEVEL not in os.environ:  # whoever wants to read the report sets the level
    os.environ[LEVEL] = "3"
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    with _quiet():
        import tensorflow
    # It warns of each new network's program, taking it for the old one's again.
    tensorflow.get_logger().setLevel("ERROR")
