"""Many images in one picture, from which the browser cuts the one that is pointed at."""

from __future__ import annotations

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fmnist_core.charts.images import SIDE

MIME_TYPE = "image/webp"
QUALITY = 90  # Three fifths of the bytes of PNG; lower ones show blotches beside the clothes.


def columns(count: int) -> int:
    """Images in a row of an atlas: as many as there are rows, since a WebP picture has at most 16,383 pixels a side."""
    return max(1, math.ceil(math.sqrt(count)))


def webp(images: NDArray[np.uint8]) -> bytes:
    """The images row by row, `columns` in each, without gaps. images: uint8 (n, 28, 28)."""
    across = columns(len(images))
    rows = max(1, math.ceil(len(images) / across))
    tiles = np.zeros((rows * across, SIDE, SIDE), np.uint8)
    tiles[: len(images)] = images
    pixels = tiles.reshape(rows, across, SIDE, SIDE).transpose(0, 2, 1, 3).reshape(rows * SIDE, across * SIDE)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=QUALITY, method=0)
    return buffer.getvalue()
