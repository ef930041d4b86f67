"""Still pictures of maps: small multiples of layers and epochs, a sheet of them to take away, and one large map.

Points are drawn as round dots in their class's colour, in a fixed mixed order, so that no class covers another.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw, ImageFont

from fmnist_core.charts import images, theme
from fmnist_core.charts.kept import kept
from fmnist_core.charts.markup import Html, element, joined

Labels = NDArray[np.uint8]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
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

    def caption(self, column: int) -> str:
        """The text under a map."""
        return self.captions[column] if column < len(self.captions) else ""


def dots(
    points: NDArray[np.float32], labels: Labels, palette: Sequence[str] = theme.CLASS_COLOURS, side: int = TILE
) -> Image.Image:
    """The map as a square picture on a see-through ground. labels: uint8 (n,), index into palette."""
    fine = side * FINE
    order = np.random.default_rng(0).permutation(len(points))
    order = order[np.isfinite(points[order]).all(1)]
    positions = _positions(points[order, :2], fine)
    # Smaller where there are many, and a large picture has room between them.
    radius = FINE * (side / TILE) ** 0.75 * float(np.clip(0.9 + 90 / np.sqrt(max(len(order), 1)), 1.5, 6))
    # Which dot is on top at each pixel, or -1; the margin is wider than a dot.
    top = np.full(fine * fine, -1, np.int32)
    ranks = np.arange(len(order), dtype=np.int32)
    reach = range(-int(radius), int(radius) + 1)
    for right, down in ((right, down) for down in reach for right in reach if right**2 + down**2 <= radius**2):
        np.maximum.at(top, (positions[:, 1] + down) * fine + positions[:, 0] + right, ranks)
    inks = np.array([(*ImageColor.getrgb(palette[label])[:3], 255) for label in labels[order]], np.uint8).reshape(-1, 4)
    pixels = np.vstack([inks, np.zeros((1, 4), np.uint8)])[top]
    return Image.fromarray(pixels.reshape(fine, fine, 4)).reduce(FINE)


@kept
def small_multiples(
    rows: Sequence[MapRow],
    columns: Sequence[str],
    labels: Labels,
    names: Sequence[str],
    palette: Sequence[str] = theme.CLASS_COLOURS,
) -> Html:
    """Layers below each other, epochs side by side, as an HTML table whose cells are pictures; and a legend.

    columns: headings, such as "Epoch 0 (untrained)". labels: uint8 (n,), index into names and palette.
    """
    cell = "padding:0.25rem;border:none;text-align:center;vertical-align:top;font-weight:500"
    row_head = f"{cell};text-align:left;vertical-align:middle;white-space:nowrap;width:1%;padding-right:1rem"
    heads = (element("th", heading, scope="col", style=cell) for heading in columns)
    lines = []
    for row in rows:
        maps = (_cell(row, index, heading, labels, palette) for index, heading in enumerate(columns))
        cells = (element("td", drawn, style=cell) for drawn in maps)
        lines.append(element("tr", element("th", row.name, scope="row", style=row_head), *cells))
    width = f"max-width:{len(columns) * 320 + 160}px"
    table = element(
        "table",
        element("thead", element("tr", element("td", style="border:none"), *heads)),
        element("tbody", *lines),
        style=f"width:100%;table-layout:auto;border-collapse:collapse;border:none;{width}",
    )
    return joined([table, legend(names, palette)])


def legend(names: Sequence[str], palette: Sequence[str] = theme.CLASS_COLOURS) -> Html:
    """The classes' colours in a line, as HTML."""
    entries = (element("span", images.mark(colour), name) for name, colour in zip(names, palette, strict=False))
    style = "display:flex;flex-wrap:wrap;gap:0.2rem 1.2rem;margin-top:0.6rem;font-size:0.9rem"
    return element("div", *entries, style=style)


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
    large, medium, small, smallest = map(ImageFont.load_default, (40, 30, 26, 24))
    lines = _wrapped(names, width - left, medium)
    canvas = Image.new("RGB", (width, head + len(rows) * pitch + 44 * len(lines) + 100), "white")
    pen = ImageDraw.Draw(canvas)
    pen.text((24, 44), title, INK, large, anchor="lm")
    for column, heading in enumerate(columns):
        middle = left + column * (TILE + 24) + TILE // 2
        pen.text((middle, head - 28), heading, INK, medium, anchor="mm")
        for index, row in enumerate(rows):
            top = head + index * pitch
            pen.rounded_rectangle((middle - TILE // 2, top, middle + TILE // 2, top + TILE), 8, outline=RIM, width=2)
            points = row.points[column]
            if points is None:
                pen.text((middle, top + TILE // 2), "No map", theme.SOFT_ON_WHITE, small, anchor="mm")
            else:
                drawn = dots(points, labels, palette)
                canvas.paste(drawn, (middle - TILE // 2, top), drawn)
            pen.text((middle, top + TILE + 24), row.caption(column), theme.SOFT_ON_WHITE, small, anchor="mm")
    for index, row in enumerate(rows):
        pen.text((24, head + index * pitch + TILE // 2), row.name, INK, medium, anchor="lm")
    for number, line in enumerate(lines):
        right, middle = left, head + len(rows) * pitch + 44 * number + 46
        for index in line:
            pen.ellipse((right, middle - 9, right + 18, middle + 9), palette[index])
            pen.text((right + 28, middle), names[index], INK, medium, anchor="lm")
            right += _width(names[index], medium)
    pen.text((24, canvas.height - 34), caption, theme.SOFT_ON_WHITE, smallest, anchor="lm")
    return images.png(canvas)


def _cell(row: MapRow, column: int, heading: str, labels: Labels, palette: Sequence[str]) -> Html:
    points = row.points[column]
    frame = "display:block;width:100%;aspect-ratio:1;border:1px solid rgba(138,148,160,0.35);border-radius:0.4rem"
    if points is None:
        return element("div", "No map", style=f"{frame};display:grid;place-items:center;opacity:0.6")
    caption = row.caption(column)
    description = f"{row.name}, {heading}: a map of {len(points):,} images, coloured by class. {caption}".strip()
    # WebP takes a quarter of PNG's bytes here: a page holds a dozen of them.
    webp = base64.b64encode(images.encoded(dots(points, labels, palette), "WEBP", quality=82, method=2)).decode()
    picture = element("img", src=f"data:image/webp;base64,{webp}", alt=description, style=frame)
    below = [element("div", caption, style="font-size:0.85rem;opacity:0.8")] if caption else []
    return joined([picture, *below])


def _positions(points: NDArray[np.float32], side: int) -> NDArray[np.int64]:
    """Pixels of the points, upwards up, in a square that keeps the map's proportions."""
    if not len(points):
        return np.zeros((0, 2), np.int64)
    exact = points.astype(float)
    low, high = exact.min(0), exact.max(0)
    span = float((high - low).max()) or 1.0
    share = (exact - (low + high) / 2) / span * (1 - 2 * MARGIN) * [1, -1] + 0.5
    positions: NDArray[np.int64] = np.rint(share * (side - 1)).astype(np.int64)
    return positions


def _wrapped(names: Sequence[str], width: int, font: Font) -> list[list[int]]:
    """The indices of the names in lines that are no wider than so many pixels."""
    lines: list[list[int]] = []
    right = width
    for index, name in enumerate(names):
        right += _width(name, font)
        if right > width:
            lines.append([])
            right = _width(name, font)
        lines[-1].append(index)
    return lines


def _width(name: str, font: Font) -> int:
    """In pixels, of a name in the legend with its dot."""
    return int(font.getlength(name)) + 60
