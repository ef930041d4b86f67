"""Pictures made of the data set's own images: strips and grids as HTML that the browser lays out, and as PNG files.

Images are drawn as they are stored, light on black, each pixel enlarged to a square.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fmnist_core.charts import theme
from fmnist_core.experiment import wording

SIDE, GAP = 28, 1
ENLARGED = 4  # Twice the usual size on screen, so that the browser only ever shrinks, smoothly.


@dataclass(frozen=True)
class Row:
    """One labelled row of a grid. images: uint8 (k, 28, 28). colour: of the label's mark. description: for readers who cannot see it."""

    label: str
    colour: str
    images: NDArray[np.uint8]
    description: str


def strip(images: NDArray[np.uint8], places: int | None = None) -> Image.Image:
    """Images side by side with see-through gaps, one pixel each. images: uint8 (k, 28, 28), k at most `places`."""
    places = max(len(images) if places is None else places, 1)
    canvas = np.zeros((SIDE, places * (SIDE + GAP) - GAP, 2), np.uint8)
    for index, image in enumerate(images):
        left = index * (SIDE + GAP)
        canvas[:, left : left + SIDE, 0] = image
        canvas[:, left : left + SIDE, 1] = 255
    return Image.fromarray(canvas)


def enlarged(picture: Image.Image, factor: int = ENLARGED) -> Image.Image:
    """Every pixel as a square of `factor` pixels."""
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def png(picture: Image.Image) -> bytes:
    """The picture as a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def source(picture: Image.Image) -> str:
    """The picture as the `src` of an HTML image."""
    return "data:image/png;base64," + base64.b64encode(png(picture)).decode()


def grid(rows: Sequence[Row], places: int) -> str:
    """The rows as HTML: few images a row, and the rows stand side by side; many, and they stand below each other."""
    columns, tile = (5, 112) if places <= 2 else (2, 88) if places < 10 else (1, 56)
    beside = columns == 1
    layout = f"display:grid;gap:0.6rem 2rem;grid-template-columns:repeat({columns},minmax(0,1fr))"
    cells = "".join(_cell(row, places, tile, beside) for row in rows)
    return f'<div style="{layout};max-width:{columns * (places * (tile + 4) + 40) + 120 * beside}px">{cells}</div>'


def _cell(row: Row, places: int, tile: int, beside: bool) -> str:
    # Where a long strip would become too small beside its label, it wraps below it.
    style = "display:flex;gap:0.25rem;margin:0;" + (
        "flex-wrap:wrap;align-items:center" if beside else "flex-direction:column"
    )
    basis = f"flex:1 1 {24 * places}px;" if beside else ""
    label = f'<figcaption style="flex:none;min-width:7.2rem;font-size:0.9rem">{mark(row.colour)}{escape(row.label)}</figcaption>'
    description = escape(row.description)
    image = (
        f'<img src="{source(enlarged(strip(row.images, places)))}" alt="{description}" title="{description}"'
        f' style="{basis}width:100%;min-width:0;max-width:{places * (tile + 3)}px;display:block">'
    )
    return f'<figure style="{style}">{label}{image}</figure>'


def mark(colour: str) -> str:
    """A small square in a class's colour, to stand before its name."""
    style = f"display:inline-block;width:0.65em;height:0.65em;border-radius:2px;margin-right:0.45em;background:{colour}"
    return f'<span style="{style}"></span>'


def sheet(rows: Sequence[Row], places: int, caption: str, factor: int = 2) -> bytes:
    """The rows below each other as one PNG file: dark labels on white, a caption at the foot."""
    left, pitch = 60 * factor, (SIDE + 2 * GAP) * factor
    width = max(left + places * (SIDE + GAP) * factor, 170 * factor)
    canvas = Image.new("RGB", (width, len(rows) * pitch + 16 * factor), "white")
    pen = ImageDraw.Draw(canvas)
    for index, row in enumerate(rows):
        top = index * pitch
        pen.rectangle((0, top + 11 * factor, 5 * factor, top + 16 * factor), fill=row.colour)
        pen.text((8 * factor, top + 14 * factor), row.label, "black", font(9 * factor), anchor="lm")
        picture = enlarged(strip(row.images, places), factor)
        canvas.paste(picture, (left, top), picture.getchannel("A"))
    pen.text((0, canvas.height - 8 * factor), caption, theme.MUTED, font(7 * factor), anchor="lm")
    return png(canvas)


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def pairs(closest: Sequence[tuple[int, int, float]], rows: Sequence[Row]) -> str:
    """Class pairs with a picture of each class and their share. closest: (class, other, share). rows: one a class."""
    cells = "".join(_pair(rows[a], rows[b], share) for a, b, share in closest)
    columns = "repeat(auto-fit,minmax(17rem,1fr))"
    return f'<div style="display:grid;grid-template-columns:{columns};gap:0.6rem 2.5rem">{cells}</div>'


def _pair(first: Row, second: Row, share: float) -> str:
    pictures = "".join(
        f'<img src="{source(enlarged(strip(row.images[:1]), 2))}" alt="{escape(row.description)}" style="width:44px;height:44px">'
        for row in (first, second)
    )
    names = " and ".join(escape(row.label) for row in (first, second))
    layout = "display:flex;align-items:center;gap:0.35rem"
    figure = f'<b style="margin-left:auto;font-variant-numeric:tabular-nums">{wording.percent(share)}</b>'
    return f'<div style="{layout}">{pictures}<span style="margin-left:0.4rem">{names}</span>{figure}</div>'
