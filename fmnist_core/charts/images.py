"""Pictures made of the data set's own images: strips and grids as HTML that the browser lays out, and as files.

Images are drawn as they are stored, light on black, each pixel enlarged to a square.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fmnist_core.charts import theme
from fmnist_core.charts.kept import kept
from fmnist_core.charts.markup import Html, element
from fmnist_core.experiment import wording

SIDE, GAP = 28, 1
ENLARGED = 4  # Twice the usual size on screen, so that the browser only ever shrinks, smoothly.
ATLAS_TYPE = "image/webp"
ATLAS_QUALITY = 90  # Three fifths of the bytes of PNG; lower ones show blotches beside the clothes.


@dataclass(frozen=True)
class Row:
    """One labelled row of a grid. images: uint8 (k, 28, 28). colour: of the label's mark. description: for readers who
    cannot see it."""

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


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """The picture as a file of this kind. options: those of Pillow's writer."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def png(picture: Image.Image) -> bytes:
    """The picture as a PNG file."""
    return encoded(picture, "PNG", compress_level=6)


def source(picture: Image.Image | bytes) -> str:
    """The picture, or its PNG file, as the `src` of an HTML image."""
    content = picture if isinstance(picture, bytes) else png(picture)
    return "data:image/png;base64," + base64.b64encode(content).decode()


def described(picture: Image.Image, description: str, style: str) -> Html:
    """The picture as an HTML image, whose description readers get to hear, or to see when they point at it."""
    return element("img", src=source(picture), alt=description, title=description, style=style)


def atlas_columns(count: int) -> int:
    """Images in a row of an atlas: as many as there are rows, since a WebP picture has at most 16,383 pixels a side."""
    return max(1, math.ceil(math.sqrt(count)))


def atlas(images: NDArray[np.uint8]) -> bytes:
    """Many images in one WebP picture, from which the browser cuts the one that is pointed at: row by row,
    `atlas_columns` in each, without gaps. images: uint8 (n, 28, 28).
    """
    across = atlas_columns(len(images))
    rows = max(1, math.ceil(len(images) / across))
    tiles = np.zeros((rows * across, SIDE, SIDE), np.uint8)
    tiles[: len(images)] = images
    pixels = tiles.reshape(rows, across, SIDE, SIDE).transpose(0, 2, 1, 3).reshape(rows * SIDE, across * SIDE)
    return encoded(Image.fromarray(pixels), "WEBP", quality=ATLAS_QUALITY, method=0)


def grid(rows: Sequence[Row], places: int) -> Html:
    """The rows as HTML: few images a row, and the rows stand side by side; many, and they stand below each other."""
    columns, tile = (5, 112) if places <= 2 else (2, 88) if places < 10 else (1, 56)
    beside = columns == 1
    width = columns * (places * (tile + 4) + 40) + 120 * beside
    layout = f"display:grid;gap:0.6rem 2rem;grid-template-columns:repeat({columns},minmax(0,1fr));max-width:{width}px"
    # Where a long strip would become too small beside its label, it wraps below it.
    direction = "flex-wrap:wrap;align-items:center" if beside else "flex-direction:column"
    basis = f"flex:1 1 {24 * places}px;" if beside else ""
    size = f"{basis}width:100%;min-width:0;max-width:{places * (tile + 3)}px;display:block"
    label_style = "flex:none;min-width:7.2rem;font-size:0.9rem"
    figures = (
        element(
            "figure",
            element("figcaption", mark(row.colour), row.label, style=label_style),
            described(enlarged(strip(row.images, places)), row.description, size),
            style=f"display:flex;gap:0.25rem;margin:0;{direction}",
        )
        for row in rows
    )
    return element("div", *figures, style=layout)


def mark(colour: str) -> Html:
    """A small square in a class's colour, to stand before its name."""
    style = f"display:inline-block;width:0.65em;height:0.65em;border-radius:2px;margin-right:0.45em;background:{colour}"
    return element("span", style=style)


def sheet(rows: Sequence[Row], places: int, caption: str, factor: int = 2) -> bytes:
    """The rows below each other as one PNG file: dark labels on white, a caption at the foot."""
    left, pitch = 60 * factor, (SIDE + 2 * GAP) * factor
    width = max(left + places * (SIDE + GAP) * factor, 170 * factor)
    canvas = Image.new("RGB", (width, len(rows) * pitch + 16 * factor), "white")
    pen = ImageDraw.Draw(canvas)
    label_font, caption_font = ImageFont.load_default(9 * factor), ImageFont.load_default(7 * factor)
    for index, row in enumerate(rows):
        top = index * pitch
        pen.rectangle((0, top + 11 * factor, 5 * factor, top + 16 * factor), fill=row.colour)
        pen.text((8 * factor, top + 14 * factor), row.label, "black", label_font, anchor="lm")
        picture = enlarged(strip(row.images, places), factor)
        canvas.paste(picture, (left, top), picture.getchannel("A"))
    pen.text((0, canvas.height - 8 * factor), caption, theme.SOFT_ON_WHITE, caption_font, anchor="lm")
    return png(canvas)


@kept
def pairs(closest: Sequence[tuple[int, int, float]], rows: Sequence[Row]) -> Html:
    """Class pairs with a picture of each class and their share. closest: (class, other, share). rows: one a class."""
    columns = "repeat(auto-fit,minmax(17rem,1fr))"
    cells = (_pair(rows[a], rows[b], share) for a, b, share in closest)
    return element("div", *cells, style=f"display:grid;grid-template-columns:{columns};gap:0.6rem 2.5rem")


def _pair(first: Row, second: Row, share: float) -> Html:
    pictures = (
        element(
            "img", src=source(enlarged(strip(row.images[:1]), 2)), alt=row.description, style="width:44px;height:44px"
        )
        for row in (first, second)
    )
    names = element("span", f"{first.label} and {second.label}", style="margin-left:0.4rem")
    figure = element("b", wording.percent(share), style="margin-left:auto;font-variant-numeric:tabular-nums")
    return element("div", *pictures, names, figure, style="display:flex;align-items:center;gap:0.35rem")
