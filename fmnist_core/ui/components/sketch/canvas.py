"""A square to draw on, 28 x 28 grey values, light on black: with a mouse, a finger, or the keyboard.

The browser draws by itself and sends the 784 values after each stroke. Its code is beside this file.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

ASSETS = Path(__file__).parent
SIDE = 28


def show(key: str, start: NDArray[np.uint8] | None = None, version: int = 0) -> NDArray[np.uint8] | None:
    """The canvas where called, and what is drawn on it, uint8 (28, 28), or None while it is empty.

    start: what is on the canvas when it comes to the screen, uint8 (28, 28). version: when it changes, `start` replaces
    what is drawn.
    """
    text = "" if start is None else base64.b64encode(start.astype(np.uint8).tobytes()).decode()
    result = _mount(
        key=key,
        data={"start": text, "version": version},
        default={"drawing": text},
        on_drawing_change=_noted,
    )
    return decoded(result.get("drawing"))


def decoded(text: object) -> NDArray[np.uint8] | None:
    """The drawing that a browser sent, or None where it is empty or no drawing: anything may be sent by hand."""
    if not isinstance(text, str) or len(text) > 2 * SIDE * SIDE:
        return None
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(content) != SIDE * SIDE or not any(content):
        return None
    return np.frombuffer(content, np.uint8).reshape(SIDE, SIDE)


def _noted() -> None:
    """Streamlit wants a callback for a state that has a default; the drawing itself comes with the result."""


_mount = st.components.v2.component(
    "fashion_mnist_lab.sketch",
    html='<div class="sketch"></div>',
    css=(ASSETS / "sketch.css").read_text(),
    js=(ASSETS / "sketch.js").read_text(),
)
