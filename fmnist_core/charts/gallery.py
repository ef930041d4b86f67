"""Images with what a network says of each: the three most probable classes as small bars. HTML, laid out by the browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fmnist_core.charts import images, theme
from fmnist_core.findings import evaluation

BARS = 3
SIDE = 28


@dataclass(frozen=True)
class Item:
    """One image. title: stands above it. image: uint8 (28, 28). probabilities: (classes,), or None. true: its class, or
    None where nobody knows it. note: a line below, or "".
    """

    title: str
    image: NDArray[np.uint8]
    probabilities: NDArray[np.float32] | None
    true: int | None
    note: str = ""


def html(items: Sequence[Item], classes: Sequence[str], width: int = 150) -> str:
    """The items side by side, as many a row as there is room for."""
    columns = f"repeat(auto-fill,minmax(min({width}px,100%),1fr))"
    cells = "".join(_cell(item, classes, width) for item in items)
    return f'<div style="display:grid;grid-template-columns:{columns};gap:1.1rem 1.2rem">{cells}</div>'


def describe(item: Item, classes: Sequence[str]) -> str:
    """The item in words, for readers who cannot see it."""
    true = f"{classes[item.true]}" if item.true is not None else "class unknown"
    if item.probabilities is None:
        return f"{item.title}: {true}"
    best = evaluation.top(item.probabilities[None], BARS)[0]
    probabilities = ", ".join(f"{classes[k]} {percent(float(item.probabilities[k]))}" for k in best)
    return f"{item.title}: {true}; predicted probabilities: {probabilities}"


def bars(probabilities: NDArray[np.float32], classes: Sequence[str], true: int | None, number: int = BARS) -> str:
    """The most probable classes as bars with names and figures; the true one is marked."""
    best = evaluation.top(probabilities[None], number)[0]
    return "".join(_bar(classes[k], theme.CLASS_COLOURS[k], float(probabilities[k]), k == true) for k in best)


def _cell(item: Item, classes: Sequence[str], width: int) -> str:
    text = escape(describe(item, classes))
    picture = images.source(images.enlarged(images.strip(item.image[None])))
    image = (
        f'<img src="{picture}" alt="{text}" title="{text}"'
        f' style="width:{round(0.7 * width)}px;max-width:100%;aspect-ratio:1;display:block">'
    )
    head = f'<figcaption style="font-size:0.85rem;opacity:0.85">{escape(item.title)}</figcaption>'
    drawn = bars(item.probabilities, classes, item.true) if item.probabilities is not None else ""
    note = f'<div style="font-size:0.8rem;opacity:0.75">{escape(item.note)}</div>' if item.note else ""
    return f'<figure style="margin:0;display:flex;flex-direction:column;gap:0.3rem">{head}{image}<div aria-hidden="true">{drawn}</div>{note}</figure>'


def _bar(name: str, colour: str, share: float, is_true: bool) -> str:
    weight = "600" if is_true else "400"
    label = f"{escape(name)}{' ✓' if is_true else ''}"
    track = (
        f'<div style="height:4px;border-radius:2px;background:rgba(138,148,160,0.25)">'
        f'<div style="height:4px;border-radius:2px;width:{100 * share:.1f}%;background:{colour}"></div></div>'
    )
    text = (
        f'<div style="display:flex;justify-content:space-between;gap:0.4rem;font-size:0.8rem;font-weight:{weight};line-height:1.3">'
        f"<span>{label}</span>"
        f'<span style="font-variant-numeric:tabular-nums;white-space:nowrap">{percent(share)}</span></div>'
    )
    return f'<div style="margin-bottom:0.25rem">{text}{track}</div>'


def percent(share: float) -> str:
    """100 % for certainty only to the eye: 0.9996 is "> 99.9 %"."""
    if 0.9995 <= share < 1:
        return "> 99.9 %"
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return f"{100 * share:.1f} %"


def strip(title: str, text: str, pictures: NDArray[np.uint8], labels: NDArray[np.uint8], classes: Sequence[str]) -> str:
    """A labelled row of images, each with its class below. pictures: uint8 (k, 28, 28). labels: (k,)."""
    cells = "".join(_small(image, classes[label], int(label)) for image, label in zip(pictures, labels, strict=True))
    head = f'<figcaption style="font-size:0.9rem;margin-bottom:0.3rem"><b>{escape(title)}</b> · {escape(text)}</figcaption>'
    return f'<figure style="margin:0 0 1.1rem">{head}<div style="display:grid;grid-template-columns:repeat({len(labels)},minmax(0,84px));gap:0.6rem">{cells}</div></figure>'


def _small(image: NDArray[np.uint8], name: str, label: int) -> str:
    unbroken = escape(name).replace("-", "\u2011")
    picture = images.source(images.enlarged(images.strip(image[None])))
    return (
        f'<div style="font-size:0.75rem;line-height:1.25;overflow-wrap:anywhere"><img src="{picture}" alt="{escape(name)}"'
        f' style="width:100%;aspect-ratio:1;display:block;margin-bottom:0.2rem">{images.mark(theme.CLASS_COLOURS[label])}{unbroken}</div>'
    )


def sheet(items: Sequence[Item], classes: Sequence[str], caption: str, columns: int = 6, factor: int = 4) -> bytes:
    """The items as one PNG file: each image with its true and its predicted class; a caption at the foot."""
    line, tile = 5 * factor, SIDE * factor
    wide, tall = tile + 4 * factor, tile + 3 * line
    rows = -(-len(items) // columns)
    canvas = Image.new("RGB", (columns * wide, rows * tall + 2 * line), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(3.4 * factor)
    for index, item in enumerate(items):
        left, top = wide * (index % columns), tall * (index // columns)
        picture = images.enlarged(Image.fromarray(item.image), factor)
        canvas.paste(picture, (left, top))
        for number, text in enumerate(_lines(item, classes)):
            pen.text((left, top + tile + line * number + 1), text, "black", font)
    pen.text((0, rows * tall + line // 2), caption, theme.MUTED, font)
    return images.png(canvas)


def _lines(item: Item, classes: Sequence[str]) -> list[str]:
    """What stands below an image in a file."""
    lines = [item.title if item.true is None else f"{item.title}: {classes[item.true]}"]
    if item.probabilities is not None:
        best = int(item.probabilities.argmax())
        lines.append(f"predicted {classes[best]}, {percent(float(item.probabilities[best]))}")
    return lines
