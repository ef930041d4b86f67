"""One image on its way into a network: stored pixels, scaled pixels, the flat vector, the one-hot label; as HTML."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fmnist_core.charts import images, theme
from fmnist_core.charts.images import SIDE
from fmnist_core.charts.kept import kept
from fmnist_core.charts.markup import Html, element, joined

PATCH = 7
FRAME = theme.VALIDATION


def patch(image: NDArray[np.uint8]) -> tuple[int, int]:
    """Row and column (multiples of PATCH) of the square with the most contrast, where numbers say the most."""
    squares = image.astype(np.float64).reshape(SIDE // PATCH, PATCH, SIDE // PATCH, PATCH)
    index = int(squares.std(axis=(1, 3)).argmax())
    return index // (SIDE // PATCH) * PATCH, index % (SIDE // PATCH) * PATCH


def picture(image: NDArray[np.uint8], corner: tuple[int, int], description: str) -> Html:
    """The image, with a frame around the square whose numbers are shown. image: uint8 (28, 28)."""
    top, left = (f"{100 * position / SIDE:.3f}%" for position in corner)
    side = f"{100 * PATCH / SIDE:.3f}%"
    frame = f"position:absolute;top:{top};left:{left};width:{side};height:{side};box-shadow:0 0 0 2px {FRAME}"
    source = images.source(images.enlarged(Image.fromarray(image), 16))
    return element(
        "div",
        element("img", src=source, alt=description, style="width:100%;display:block"),
        element("div", style=frame),
        style="position:relative;width:224px;height:224px;flex:none",
    )


def numbers(values: NDArray[np.uint8], texts: Sequence[Sequence[str]], width: float = 2.35) -> Html:
    """A table of numbers, each on its own grey. values: uint8 (rows, columns). texts: what stands in each cell. width:
    of a cell, in rem."""
    cells = (
        element("div", text, style=f"background:rgb({value},{value},{value});color:{ink};padding:0.3rem 0")
        for row, line in zip(values.tolist(), texts, strict=True)
        for value, text in zip(row, line, strict=True)
        for ink in ["#000" if value > 127 else "#fff"]
    )
    layout = f"display:grid;grid-template-columns:repeat({values.shape[1]},{width}rem);width:max-content"
    style = "font-size:0.8rem;line-height:1.45;text-align:center;font-variant-numeric:tabular-nums"
    return element("div", *cells, style=f"{layout};{style};box-shadow:0 0 0 2px {FRAME}")


@kept
def before_and_after(image: NDArray[np.uint8], description: str) -> Html:
    """The image, the numbers of its square as stored, and the same numbers scaled to 0 to 1."""
    top, left = corner = patch(image)
    square = image[top : top + PATCH, left : left + PATCH]
    parts = {
        "The image": picture(image, corner, description),
        "Stored: whole numbers 0 to 255": numbers(square, [[str(value) for value in row] for row in square.tolist()]),
        "Scaled: divided by 255": numbers(square, [[f"{value / 255:.2f}" for value in row] for row in square.tolist()]),
    }
    caption = "font-size:0.9rem;margin-bottom:0.4rem"
    figures = (
        element("figure", element("figcaption", title, style=caption), part, style="margin:0")
        for title, part in parts.items()
    )
    return element("div", *figures, style="display:flex;flex-wrap:wrap;gap:1.2rem 2rem;padding:2px")


@kept
def flat(image: NDArray[np.uint8]) -> Html:
    """The 784 values in one line, row after row, with a bracket under the places of three rows."""
    source = images.source(Image.fromarray(np.repeat(image.reshape(1, -1), 28, axis=0)))
    style = "width:100%;height:40px;display:block;image-rendering:pixelated"
    brackets = (
        element(
            "div",
            element("span", f"row {row + 1}", style=f"position:absolute;top:2px;{edge};white-space:nowrap"),
            style=f"position:absolute;left:{100 * row / SIDE:.3f}%;width:{100 / SIDE:.3f}%;"
            f"top:3px;border-top:3px solid {FRAME}",
        )
        for row, edge in ((0, "left:0"), (SIDE // 2 - 1, "left:0"), (SIDE - 1, "right:0"))
    )
    line = element("img", src=source, alt="The 784 pixels in one line", style=style)
    return joined([line, element("div", *brackets, style="position:relative;height:1.8rem;font-size:0.8rem")])


@kept
def one_hot(label: int, classes: Sequence[str], colours: Sequence[str]) -> Html:
    """Ten boxes, 0 but for the label's own, which is 1 in the class's colour."""
    boxes = []
    for index, (name, colour) in enumerate(zip(classes, colours, strict=True)):
        on = f"background:{colour};border-color:{colour};color:#000"
        paint = on if index == label else f"border-color:{theme.MUTED}88;opacity:0.75"
        style = f"border:1px solid;{paint};border-radius:4px;font-size:1.1rem;font-weight:600;padding:0.3rem"
        box = element("div", str(int(index == label)), style=style)
        boxes.append(element("div", box, f"{index} {name}", style="text-align:center;font-size:0.8rem"))
    # Ten columns where there is room, else five: the clamp turns over at 46rem.
    columns = "repeat(auto-fit,minmax(clamp(9%,calc((46rem - 100%) * 999),18%),1fr))"
    layout = f"display:grid;grid-template-columns:{columns};gap:0.5rem 0.3rem;max-width:62rem"
    return element("div", *boxes, style=layout)
