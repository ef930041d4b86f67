"""One image on its way into a network: stored pixels, scaled pixels, the flat vector, the one-hot label; as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fmnist_core.charts import images, theme

SIDE, PATCH = 28, 7
FRAME = theme.VALIDATION


def patch(image: NDArray[np.uint8]) -> tuple[int, int]:
    """Row and column (multiples of PATCH) of the square with the most contrast, where numbers say the most."""
    squares = image.astype(np.float64).reshape(SIDE // PATCH, PATCH, SIDE // PATCH, PATCH)
    index = int(squares.std(axis=(1, 3)).argmax())
    return index // (SIDE // PATCH) * PATCH, index % (SIDE // PATCH) * PATCH


def picture(image: NDArray[np.uint8], corner: tuple[int, int], description: str) -> str:
    """The image, with a frame around the square whose numbers are shown. image: uint8 (28, 28)."""
    top, left = (f"{100 * position / SIDE:.3f}%" for position in corner)
    side = f"{100 * PATCH / SIDE:.3f}%"
    frame = f"position:absolute;top:{top};left:{left};width:{side};height:{side};box-shadow:0 0 0 2px {FRAME}"
    return (
        '<div style="position:relative;width:224px;height:224px;flex:none">'
        f'<img src="{images.source(images.enlarged(Image.fromarray(image), 16))}" alt="{escape(description)}"'
        f' style="width:100%;display:block"><div style="{frame}"></div></div>'
    )


def numbers(values: NDArray[np.uint8], texts: Sequence[Sequence[str]], width: float = 2.35) -> str:
    """A table of numbers, each on its own grey. values: uint8 (rows, columns). texts: what stands in each cell. width:
    of a cell, in rem."""
    cells = "".join(
        f'<div style="background:rgb({value},{value},{value});color:{"#000" if value > 127 else "#fff"};'
        f'padding:0.3rem 0">{text}</div>'
        for row, line in zip(values.tolist(), texts, strict=True)
        for value, text in zip(row, line, strict=True)
    )
    layout = f"display:grid;grid-template-columns:repeat({values.shape[1]},{width}rem);width:max-content"
    style = "font-size:0.8rem;line-height:1.45;text-align:center;font-variant-numeric:tabular-nums"
    return f'<div style="{layout};{style};box-shadow:0 0 0 2px {FRAME}">{cells}</div>'


def before_and_after(image: NDArray[np.uint8], description: str) -> str:
    """The image, the numbers of its square as stored, and the same numbers scaled to 0 to 1."""
    top, left = corner = patch(image)
    square = image[top : top + PATCH, left : left + PATCH]
    pixels = [[str(value) for value in row] for row in square.tolist()]
    scaled = [[f"{value / 255:.2f}" for value in row] for row in square.tolist()]
    titles = ("The image", "Stored: whole numbers 0 to 255", "Scaled: divided by 255")
    parts = (picture(image, corner, description), numbers(square, pixels), numbers(square, scaled))
    return _side_by_side(zip(titles, parts, strict=True))


def _side_by_side(parts: object) -> str:
    figures = "".join(
        f'<figure style="margin:0"><figcaption style="font-size:0.9rem;margin-bottom:0.4rem">{title}</figcaption>{part}</figure>'
        for title, part in parts  # type: ignore[attr-defined]
    )
    return f'<div style="display:flex;flex-wrap:wrap;gap:1.2rem 2rem;padding:2px">{figures}</div>'


def flat(image: NDArray[np.uint8]) -> str:
    """The 784 values in one line, row after row, with the places of three rows marked."""
    line = Image.fromarray(np.repeat(image.reshape(1, -1), 28, axis=0))
    marks = "".join(_span(row) for row in (0, SIDE // 2 - 1, SIDE - 1))
    return (
        f'<img src="{images.source(line)}" alt="The 784 pixels in one line" '
        'style="width:100%;height:40px;display:block;image-rendering:pixelated">'
        f'<div style="position:relative;height:1.8rem;font-size:0.8rem">{marks}</div>'
    )


def _span(row: int) -> str:
    """A bracket under the places of one image row."""
    left, width = 100 * row / SIDE, 100 / SIDE
    edge = "right:0" if row == SIDE - 1 else "left:0"
    return (
        f'<div style="position:absolute;left:{left:.3f}%;width:{width:.3f}%;top:3px;border-top:3px solid {FRAME}">'
        f'<span style="position:absolute;top:2px;{edge};white-space:nowrap">row {row + 1}</span></div>'
    )


def one_hot(label: int, classes: Sequence[str], colours: Sequence[str]) -> str:
    """Ten boxes, 0 but for the label's own, which is 1 in the class's colour."""
    boxes = "".join(_box(index, name, colours[index], on=index == label) for index, name in enumerate(classes))
    # Ten columns where there is room, else five: the clamp turns over at 46rem.
    columns = "repeat(auto-fit,minmax(clamp(9%,calc((46rem - 100%) * 999),18%),1fr))"
    return f'<div style="display:grid;grid-template-columns:{columns};gap:0.5rem 0.3rem;max-width:62rem">{boxes}</div>'


def _box(index: int, name: str, colour: str, on: bool) -> str:
    paint = (
        f"background:{colour};border-color:{colour};color:#000" if on else f"border-color:{theme.MUTED}88;opacity:0.75"
    )
    return (
        f'<div style="text-align:center;font-size:0.8rem"><div style="border:1px solid;{paint};border-radius:4px;'
        f'font-size:1.1rem;font-weight:600;padding:0.3rem">{int(on)}</div>{index} {escape(name)}</div>'
    )
