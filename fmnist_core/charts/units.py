"""Values of many units as pictures: the first layer's kernels as images, and what one image makes each layer do.

Diverging colours, blue below 0 and orange above it, on a grey that is 0 on a light and on a dark page alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fmnist_core.charts import images

ZERO = np.array([232, 234, 237], np.float32)
NEGATIVE, POSITIVE = np.array([8, 81, 156], np.float32), np.array([204, 85, 0], np.float32)
SIDE, GAP = 28, 2
WIDE = 64  # units in a row of a layer's picture


def colours(values: NDArray[np.float32], largest: float) -> NDArray[np.uint8]:
    """Values as colours, uint8 (..., 3): ZERO at 0, full colour at -largest and largest; what isn't a number is black."""
    share = np.clip(values / (largest or 1.0), -1, 1)[..., None]
    mixed = ZERO + np.abs(share) * (np.where(share < 0, NEGATIVE, POSITIVE) - ZERO)
    return np.where(np.isfinite(share), np.nan_to_num(mixed), 0).round().astype(np.uint8)


def kernel_order(kernel: NDArray[np.float32]) -> NDArray[np.int64]:
    """Units by the Euclidean norm of their incoming weights, largest first. kernel: (fan_in, units)."""
    return np.argsort(-np.linalg.norm(kernel, axis=0), kind="stable")


def kernel_scale(kernel: NDArray[np.float32]) -> float:
    """The weight that gets the full colour: 99.9 % of all are smaller."""
    finite = np.abs(kernel[np.isfinite(kernel)])
    return float(np.quantile(finite, 0.999)) if finite.size else 1.0


def kernels(
    kernel: NDArray[np.float32], units: Sequence[int], largest: float, columns: int = 16, factor: int = 2
) -> Image.Image:
    """The incoming weights of the given units as 28 x 28 images in rows, all on one scale. kernel: (784, all units)."""
    count = len(units)
    lines = -(-count // columns) if count else 1
    pitch = SIDE + GAP
    canvas = np.zeros((lines * pitch - GAP, columns * pitch - GAP, 4), np.uint8)
    painted = colours(kernel[:, list(units)].T.reshape(count, SIDE, SIDE), largest)
    for place, one in enumerate(painted):
        top, left = pitch * (place // columns), pitch * (place % columns)
        canvas[top : top + SIDE, left : left + SIDE, :3] = one
        canvas[top : top + SIDE, left : left + SIDE, 3] = 255
    return images.enlarged(Image.fromarray(canvas), factor)


def strip(values: NDArray[np.float32], largest: float | None = None) -> Image.Image:
    """One layer's values for one image: a small square a unit, row by row. values: (units,)."""
    finite = np.abs(values[np.isfinite(values)])
    scale = largest if largest is not None else float(finite.max(initial=0))
    wide = min(WIDE, len(values))
    lines = -(-len(values) // wide)
    canvas = np.zeros((lines * wide, 4), np.uint8)
    canvas[: len(values), :3] = colours(values, scale)
    canvas[: len(values), 3] = 255
    return images.enlarged(Image.fromarray(canvas.reshape(lines, wide, 4)), 8)


def layer_strips(layers: Sequence[tuple[str, str, NDArray[np.float32]]]) -> str:
    """Layers below each other as HTML. layers: (title, what is seen in words, values (units,))."""
    return "".join(_strip(*layer) for layer in layers)


def _strip(title: str, text: str, values: NDArray[np.float32]) -> str:
    told = escape(f"{title}: {text}")
    wide = min(WIDE, len(values))
    image = (
        f'<img src="{images.source(strip(values))}" alt="{told}" title="{told}"'
        f' style="width:100%;max-width:{wide * 10}px;display:block;image-rendering:pixelated">'
    )
    head = f'<figcaption style="font-size:0.9rem"><b>{escape(title)}</b> · {escape(text)}</figcaption>'
    return f'<figure style="margin:0 0 0.9rem;display:flex;flex-direction:column;gap:0.25rem">{head}{image}</figure>'


def legend(largest: float) -> str:
    """The scale of `kernels` as HTML: a bar from -largest to largest."""
    rgb = [f"rgb({','.join(str(int(c)) for c in colour)})" for colour in (NEGATIVE, ZERO, POSITIVE)]
    bar = f'<span style="width:10rem;height:0.7rem;border-radius:2px;background:linear-gradient(to right,{",".join(rgb)})"></span>'
    return (
        '<div style="display:flex;align-items:center;gap:0.5rem;font-size:0.85rem">'
        f"<span>−{largest:.2g}</span>{bar}<span>{largest:.2g}</span><span>weight of the pixel</span></div>"
    )
