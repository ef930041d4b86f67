"""Values of many units as pictures: the first layer's kernels as images, and what one image makes each layer do.

Diverging colours, dark blue below 0 and bright orange above it. 0 is a middle grey: neither on a light nor on a dark
page does it stand out, and the colours run from dark to bright through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fmnist_core.charts import images
from fmnist_core.charts.images import SIDE
from fmnist_core.charts.kept import kept
from fmnist_core.charts.markup import Html, element, joined

ZERO = np.array([138, 144, 150], np.float32)
NEGATIVE, POSITIVE = np.array([10, 60, 150], np.float32), np.array([255, 150, 20], np.float32)
GAP = 2
WIDE = 64  # units in a row of a layer's picture


def colours(values: NDArray[np.float32], largest: float) -> NDArray[np.uint8]:
    """Values as colours, uint8 (..., 3): ZERO at 0, full colour at ±largest; what isn't a number is black."""
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
    scale = largest if largest is not None else _largest(values)
    wide = min(WIDE, len(values))
    lines = -(-len(values) // wide)
    canvas = np.zeros((lines * wide, 4), np.uint8)
    canvas[: len(values), :3] = colours(values, scale)
    canvas[: len(values), 3] = 255
    return images.enlarged(Image.fromarray(canvas.reshape(lines, wide, 4)), 8)


def _largest(values: NDArray[np.float32]) -> float:
    """The largest finite size."""
    return float(np.abs(values[np.isfinite(values)]).max(initial=0))


class Layer(NamedTuple):
    """One layer for one image. text: what is seen, in words. values: (units,). names: of the units, or ()."""

    title: str
    text: str
    values: NDArray[np.float32]
    names: Sequence[str] = ()


@kept
def layer_strips(layers: Sequence[Layer]) -> Html:
    """Layers below each other as HTML."""
    return joined(
        element(
            "figure",
            element("figcaption", element("b", layer.title), f" · {layer.text}", style="font-size:0.9rem"),
            _named(layer.values, layer.names) if layer.names else _squares(layer),
            style="margin:0 0 0.9rem;display:flex;flex-direction:column;gap:0.25rem",
        )
        for layer in layers
    )


def _squares(layer: Layer) -> Html:
    width = 10 * min(WIDE, len(layer.values))
    style = f"width:100%;max-width:{width}px;display:block;image-rendering:pixelated"
    return images.described(strip(layer.values), f"{layer.title}: {layer.text}", style)


def _named(values: NDArray[np.float32], names: Sequence[str]) -> Html:
    """A square, a name and the value for each unit."""
    cells = (
        element(
            "div",
            element("div", style=f"height:1rem;margin-bottom:0.2rem;background:{_css(colour)}"),
            name,
            element("br"),
            f"{value:.2f}",
            style="font-size:0.75rem;line-height:1.25;overflow-wrap:anywhere",
        )
        for colour, name, value in zip(colours(values, _largest(values)), names, values, strict=True)
    )
    columns = "repeat(auto-fill,minmax(68px,1fr))"
    return element("div", *cells, style=f"display:grid;grid-template-columns:{columns};gap:0.4rem")


def _css(colour: NDArray[Any]) -> str:
    return f"rgb({','.join(str(int(channel)) for channel in colour)})"


def legend(largest: float) -> Html:
    """The scale of `kernels` as HTML: a bar from -largest to largest."""
    gradient = ",".join(map(_css, (NEGATIVE, ZERO, POSITIVE)))
    bar = f"width:10rem;height:0.7rem;border-radius:2px;background:linear-gradient(to right,{gradient})"
    return element(
        "div",
        element("span", f"−{largest:.2g}"),
        element("span", style=bar),
        element("span", f"{largest:.2g}"),
        element("span", "weight of the pixel"),
        style="display:flex;align-items:center;gap:0.5rem;font-size:0.85rem",
    )
