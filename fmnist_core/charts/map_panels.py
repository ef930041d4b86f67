"""Still pictures of maps: small multiples of layers and epochs, a sheet of them to take away, and one large map.

Points are drawn as round dots in their class's colour, in a fixed mixed order, so that no class covers another.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from fmnist_core.charts import images, theme

Labels = NDArray[np.uint8]
Point = tuple[int, int]
INK, RIM = "#1d2733", "#d8dee4"  # Of files to take away, which are on white.
FINE = 3  # Pixels drawn for each one shown, both ways: their average makes the dots round.
TILE = 440  # Pixels of a map in small multiples: twice its usual size on screen.
MARGIN = 0.03  # Of the side, on each edge.


@dataclass(frozen=True)
class MapRow:
    """The maps of one layer. name: of the layer. points: one float32 (n, 2 or more) for each column; of more than two
    dimensions the first two are drawn; None where there is no map. captions: a short text under each map, or ""."""

    name: str
    points: tuple[NDArray[np.float32] | None, ...]
    captions: tuple[str, ...] = ()

    def words(self, column: int) -> str:
        """What stands under a map."""
        return self.captions[column] if column < len(self.captions) else ""


def dots(
    points: NDArray[np.float32], labels: Labels, palette: Sequence[str] = theme.CLASS_COLOURS, side: int = TILE
) -> Image.Image:
    """The map as a square picture on a see-through ground. labels: uint8 (n,), index into palette."""
    fine = side * FINE
    order = np.random.default_rng(0).permutation(len(points))
    order = order[np.isfinite(points[order]).all(1)]
    places = _places(points[order, :2], fine)
    # Smaller where there are many, and a large picture has room between them.
    radius = FINE * (side / TILE) ** 0.75 * float(np.clip(0.9 + 90 / np.sqrt(max(len(order), 1)), 1.5, 6))
    # Which dot is on top at each pixel, or -1; the margin is wider than a dot.
    top = np.full(fine * fine, -1, np.int32)
    ranks = np.arange(len(order), dtype=np.int32)
    for right, down in _disc(radius):
        np.maximum.at(top, (places[:, 1] + down) * fine + places[:, 0] + right, ranks)
    inks = np.array([(*_rgb(palette[label]), 255) for label in labels[order]], np.uint8).reshape(-1, 4)
    pixels = np.vstack([inks, np.zeros((1, 4), np.uint8)])[top]
    return Image.fromarray(pixels.reshape(fine, fine, 4)).reduce(FINE)


def small_multiples(
    rows: Sequence[MapRow],
    columns: Sequence[str],
    labels: Labels,
    names: Sequence[str],
    palette: Sequence[str] = theme.CLASS_COLOURS,
) -> str:
    """Layers below each other, epochs side by side, as an HTML table whose cells are pictures; and a legend.

    columns: headings, such as "Epoch 0 (untrained)". labels: uint8 (n,), index into names and palette.
    """
    cell = "padding:0.25rem;border:none;text-align:center;vertical-align:top;font-weight:500"
    heads = "".join(f'<th scope="col" style="{cell}">{escape(column)}</th>' for column in columns)
    body = "".join(
        f'<tr><th scope="row" style="{cell};text-align:left;vertical-align:middle;white-space:nowrap;width:1%;padding-right:1rem">{escape(row.name)}</th>'
        + "".join(f'<td style="{cell}">{_cell(row, k, columns[k], labels, palette)}</td>' for k in range(len(columns)))
        + "</tr>"
        for row in rows
    )
    table = "width:100%;table-layout:auto;border-collapse:collapse;border:none"
    return (
        f'<table style="{table};max-width:{len(columns) * 320 + 160}px"><thead><tr><td style="border:none"></td>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table>{legend(names, palette)}"
    )


def legend(names: Sequence[str], palette: Sequence[str] = theme.CLASS_COLOURS) -> str:
    """The classes' colours in a line, as HTML."""
    entries = "".join(
        f"<span>{images.mark(colour)}{escape(name)}</span>" for name, colour in zip(names, palette, strict=False)
    )
    return (
        f'<div style="display:flex;flex-wrap:wrap;gap:0.2rem 1.2rem;margin-top:0.6rem;font-size:0.9rem">{entries}</div>'
    )


def sheet(
    rows: Sequence[MapRow],
    columns: Sequence[str],
    labels: Labels,
    names: Sequence[str],
    title: str,
    caption: str,
    palette: Sequence[str] = theme.CLASS_COLOURS,
) -> bytes:
    """The small multiples as one PNG file to take away: on white, with a title, a legend, and a caption at the foot."""
    left, head, pitch = 300, 150, TILE + 56
    width = left + len(columns) * (TILE + 24) + 16
    lines = _wrapped(names, width - left, 30)
    canvas = Image.new("RGB", (width, head + len(rows) * pitch + 44 * len(lines) + 100), "white")
    pen = ImageDraw.Draw(canvas)
    pen.text((24, 44), title, INK, images.font(40), anchor="lm")
    for column, heading in enumerate(columns):
        middle = left + column * (TILE + 24) + TILE // 2
        pen.text((middle, head - 28), heading, INK, images.font(30), anchor="mm")
        for index, row in enumerate(rows):
            top = head + index * pitch
            pen.rounded_rectangle((middle - TILE // 2, top, middle + TILE // 2, top + TILE), 8, outline=RIM, width=2)
            points = row.points[column]
            if points is None:
                pen.text((middle, top + TILE // 2), "No map", theme.MUTED, images.font(26), anchor="mm")
            else:
                drawn = dots(points, labels, palette)
                canvas.paste(drawn, (middle - TILE // 2, top), drawn)
            pen.text((middle, top + TILE + 24), row.words(column), theme.MUTED, images.font(26), anchor="mm")
    for index, row in enumerate(rows):
        pen.text((24, head + index * pitch + TILE // 2), row.name, INK, images.font(30), anchor="lm")
    _paint_legend(pen, lines, names, palette, (left, head + len(rows) * pitch + 30), 30)
    pen.text((24, canvas.height - 34), caption, theme.MUTED, images.font(24), anchor="lm")
    return images.png(canvas)


def _cell(row: MapRow, column: int, heading: str, labels: Labels, palette: Sequence[str]) -> str:
    points = row.points[column]
    frame = "display:block;width:100%;aspect-ratio:1;border:1px solid rgba(138,148,160,0.35);border-radius:0.4rem"
    if points is None:
        return f'<div style="{frame};display:grid;place-items:center;opacity:0.6">No map</div>'
    words = row.words(column)
    description = f"{row.name}, {heading}: a map of {len(points):,} images, coloured by class. {words}".strip()
    below = f'<div style="font-size:0.85rem;opacity:0.8">{escape(words)}</div>' if words else ""
    return f'<img src="{_source(dots(points, labels, palette))}" alt="{escape(description)}" style="{frame}">{below}'


def _source(drawn: Image.Image) -> str:
    """As WebP, which takes a quarter of PNG's bytes here: a page holds a dozen of them."""
    buffer = io.BytesIO()
    drawn.save(buffer, "WEBP", quality=82, method=2)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def _places(points: NDArray[np.float32], side: int) -> NDArray[np.int64]:
    """Pixels of the points, upwards up, in a square that keeps the map's proportions."""
    if not len(points):
        return np.zeros((0, 2), np.int64)
    exact = points.astype(float)
    low, high = exact.min(0), exact.max(0)
    span = float((high - low).max()) or 1.0
    share = (exact - (low + high) / 2) / span * (1 - 2 * MARGIN) * [1, -1] + 0.5
    return (share * (side - 1)).round().astype(np.int64)


def _disc(radius: float) -> list[tuple[int, int]]:
    reach = range(-int(radius), int(radius) + 1)
    return [(right, down) for down in reach for right in reach if right**2 + down**2 <= radius**2]


def _wrapped(names: Sequence[str], width: int, size: int) -> list[list[int]]:
    """The indices of the names in lines that are no wider than so many pixels, in a font of this size."""
    lines: list[list[int]] = []
    right = width
    for index, name in enumerate(names):
        right += _width(name, size)
        if right > width:
            lines.append([])
            right = _width(name, size)
        lines[-1].append(index)
    return lines


def _width(name: str, size: int) -> int:
    return int(images.font(size).getlength(name)) + 2 * size


def _paint_legend(
    pen: ImageDraw.ImageDraw,
    lines: Sequence[Sequence[int]],
    names: Sequence[str],
    palette: Sequence[str],
    at: Point,
    size: int,
) -> None:
    left, top = at
    for place, line in enumerate(lines):
        right, middle = left, top + 44 * place + 16
        for index in line:
            pen.ellipse((right, middle - 9, right + 18, middle + 9), palette[index])
            pen.text((right + 28, middle), names[index], INK, images.font(size), anchor="lm")
            right += _width(names[index], size)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
