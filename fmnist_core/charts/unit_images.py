"""Values of many units as pictures: the first layer's kernels as images, and what one image makes each layer do.

Diverging colours, dark blue below 0 and bright orange above it. 0 is a middle grey: neither on a light nor on a dark page
does it stand out, and the colours run from dark to bright through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fmnist_core.charts import images

ZERO = np.array([138, 144, 150], np.float32)
NEGATIVE, POSITIVE = np.array([10, 60, 150], np.float32), np.array([255, 150, 20], np.float32)
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
    for index, image in enumerate(painted):
        top, left = pitch * (index // columns), pitch * (index % columns)
        canvas[top : top + SIDE, left : left + SIDE, :3] = image
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


class Layer(NamedTuple):
    """One layer for one image. text: what is seen, in words. values: (units,). names: of the units, where they have any."""

    title: str
    text: str
    values: NDArray[np.float32]
    names: Sequence[str] = ()


def layer_strips(layers: Sequence[Layer]) -> str:
    """Layers below each other as HTML."""
    return "".join(_strip(layer) for layer in layers)


def _strip(layer: Layer) -> str:
    title, text, values, names = layer
    body = _named(values, names) if names else _squares(f"{title}: {text}", values)
    head = f'<figcaption style="font-size:0.9rem"><b>{escape(title)}</b> · {escape(text)}</figcaption>'
    return f'<figure style="margin:0 0 0.9rem;display:flex;flex-direction:column;gap:0.25rem">{head}{body}</figure>'


def _squares(text: str, values: NDArray[np.float32]) -> str:
    description = escape(text)
    wide = min(WIDE, len(values))
    return (
        f'<img src="{images.source(strip(values))}" alt="{description}" title="{description}"'
        f' style="width:100%;max-width:{wide * 10}px;display:block;image-rendering:pixelated">'
    )


def _named(values: NDArray[np.float32], names: Sequence[str]) -> str:
    """A square, a name and the value for each unit."""
    finite = np.abs(values[np.isfinite(values)])
    painted = colours(values, float(finite.max(initial=0)))
    cells = "".join(
        f'<div style="font-size:0.75rem;line-height:1.25;overflow-wrap:anywhere"><div style="height:1rem;margin-bottom:0.2rem;'
        f'background:rgb({",".join(map(str, colour.tolist()))})"></div>{escape(name)}<br>{value:.2f}</div>'
        for colour, name, value in zip(painted, names, values, strict=True)
    )
    return (
        f'<div style="display:grid;grid-template-columns:repeat(auto-fill,minmax(68px,1fr));gap:0.4rem">{cells}</div>'
    )


def legend(largest: float) -> str:
    """The scale of `kernels` as HTML: a bar from -largest to largest."""
    rgb = [f"rgb({','.join(str(int(c)) for c in colour)})" for colour in (NEGATIVE, ZERO, POSITIVE)]
    bar = f'<span style="width:10rem;height:0.7rem;border-radius:2px;background:linear-gradient(to right,{",".join(rgb)})"></span>'
    return (
        '<div style="display:flex;align-items:center;gap:0.5rem;font-size:0.85rem">'
        f"<span>−{largest:.2g}</span>{bar}<span>{largest:.2g}</span><span>weight of the pixel</span></div>"
    )
