"""The memory of the app process stays flat, at little cost for the pages.

Streamlit would look for garbage after each run of a page, through everything that is imported (`runner.postScriptGC`).
Instead, what there is after the first page is set aside for good; of the rest Python itself looks for garbage as it
grows, and once a minute all of it is searched, and what is free goes back to the system: pages run in many threads,
and each would keep a heap of its own, mostly empty.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
import time

import streamlit as st
from streamlit import runtime

PERIOD = 60.0  # seconds
HEAPS = 2
LARGE = 2**20  # bytes of a block that does not come from a heap, and is given back as soon as it is free
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # as <malloc.h> has them


@st.cache_resource(show_spinner=False)
def keep_flat() -> None:
    """Begin, once in a server's life, when its first page has been drawn."""
    if runtime.exists():  # not in a test of pages, which has other things in its process
        set_aside()
        threading.Thread(target=_tidy_up, name="memory", daemon=True).start()


def set_aside() -> None:
    """Let the garbage collector pass over all that there is now: modules, tables, classes."""
    _glibc("mallopt", M_ARENA_MAX, HEAPS)
    _glibc("mallopt", M_MMAP_THRESHOLD, LARGE)
    gc.collect()
    gc.freeze()


def _tidy_up() -> None:
    while True:
        time.sleep(PERIOD)
        gc.collect()
        _glibc("malloc_trim", 0)


def _glibc(function: str, *arguments: int) -> None:
    """Call a function of GNU's C library, where that is the system's."""
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), function):
        getattr(library, function)(*arguments)
