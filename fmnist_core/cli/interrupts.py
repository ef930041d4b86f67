"""How the command line ends early: Ctrl-C, a reader of its output that has gone, standard streams that are closed.

Only the standard library is imported here: `__main__` needs it before the slow imports.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

INTERRUPTED = 130
SENTENCE = "Stopped."


@contextmanager
def ends_at_once() -> Iterator[None]:
    """Here, Ctrl-C ends the process with one line and 130: an import would turn KeyboardInterrupt into other errors.

    Nothing changes where Ctrl-C is ignored, as in the background of a shell.
    """
    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not heard or threading.current_thread() is not threading.main_thread():
        yield
        return
    errors = os.dup(2)  # TensorFlow's import takes standard error away for a while

    def end(number: int, frame: object) -> None:
        with suppress(OSError):
            os.write(errors, f"{SENTENCE}\n".encode())
        os._exit(INTERRUPTED)

    signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.close(errors)


def interrupted() -> int:
    """The exit code after a KeyboardInterrupt; another Ctrl-C does not disturb the orderly end."""
    with suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    print(SENTENCE, file=sys.stderr)
    return INTERRUPTED


def open_streams() -> None:
    """Give the process those of its three standard streams that it was started without, and let all write any text.

    Else the first file that is opened would take the place of standard output, and errors would be printed into it.
    """
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # under LC_ALL=C there is no ±


def reader_gone() -> None:
    """Nobody reads standard output any more (`| head`): what is still to be written there goes nowhere."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
