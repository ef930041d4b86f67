"""Images with what a network predicts for each, its most probable classes as bars. HTML, laid out by the browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fmnist_core.charts import images, theme
from fmnist_core.charts.kept import kept
from fmnist_core.charts.markup import Html, element, joined
from fmnist_core.findings import evaluation

BARS = 3


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


@kept
def html(items: Sequence[Item], classes: Sequence[str], width: int = 150) -> Html:
    """The items side by side, as many a row as there is room for."""
    columns = f"repeat(auto-fill,minmax(min({width}px,100%),1fr))"
    cells = (_cell(item, classes, width) for item in items)
    return element("div", *cells, style=f"display:grid;grid-template-columns:{columns};gap:1.1rem 1.2rem")


def describe(item: Item, classes: Sequence[str]) -> str:
    """The item in words, for readers who cannot see it."""
    true = classes[item.true] if item.true is not None else "class unknown"
    if item.probabilities is None:
        return f"{item.title}: {true}"
    best = evaluation.top(item.probabilities[None], BARS)[0]
    probabilities = ", ".join(f"{classes[k]} {percent(float(item.probabilities[k]))}" for k in best)
    return f"{item.title}: {true}; predicted probabilities: {probabilities}"


def bars(probabilities: NDArray[np.float32], classes: Sequence[str], true: int | None, number: int = BARS) -> Html:
    """The most probable classes as bars with names and figures; the true one is marked."""
    best = evaluation.top(probabilities[None], number)[0]
    return joined(_bar(classes[k], theme.CLASS_COLOURS[k], float(probabilities[k]), k == true) for k in best)


def _cell(item: Item, classes: Sequence[str], width: int) -> Html:
    size = f"width:{round(0.7 * width)}px;max-width:100%;aspect-ratio:1;display:block"
    drawn = bars(item.probabilities, classes, item.true) if item.probabilities is not None else ""
    return element(
        "figure",
        element("figcaption", item.title, style="font-size:0.85rem;opacity:0.85"),
        images.described(images.enlarged(images.strip(item.image[None])), describe(item, classes), size),
        element("div", drawn, aria_hidden="true"),
        element("div", item.note, style="font-size:0.8rem;opacity:0.75") if item.note else "",
        style="margin:0;display:flex;flex-direction:column;gap:0.3rem",
    )


def _bar(name: str, colour: str, share: float, is_true: bool) -> Html:
    layout = "display:flex;justify-content:space-between;gap:0.4rem;font-size:0.8rem"
    bar = "height:4px;border-radius:2px"
    return element(
        "div",
        element(
            "div",
            element("span", f"{name}{' ✓' if is_true else ''}"),
            element("span", percent(share), style="font-variant-numeric:tabular-nums;white-space:nowrap"),
            style=f"{layout};font-weight:{600 if is_true else 400};line-height:1.3",
        ),
        element(
            "div",
            element("div", style=f"{bar};width:{100 * share:.1f}%;background:{colour}"),
            style=f"{bar};background:rgba(138,148,160,0.25)",
        ),
        style="margin-bottom:0.25rem",
    )


def percent(share: float) -> str:
    """100 % for certainty only to the eye: 0.9996 is "> 99.9 %"."""
    if 0.9995 <= share < 1:
        return "> 99.9 %"
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return f"{100 * share:.1f} %"


@kept
def strip(
    title: str, text: str, pictures: NDArray[np.uint8], labels: NDArray[np.uint8], classes: Sequence[str]
) -> Html:
    """A labelled row of images, each with its class below. pictures: uint8 (k, 28, 28). labels: (k,)."""
    columns = f"repeat({len(labels)},minmax(0,84px))"
    cells = (_small(image, classes[label], int(label)) for image, label in zip(pictures, labels, strict=True))
    return element(
        "figure",
        element("figcaption", element("b", title), f" · {text}", style="font-size:0.9rem;margin-bottom:0.3rem"),
        element("div", *cells, style=f"display:grid;grid-template-columns:{columns};gap:0.6rem"),
        style="margin:0 0 1.1rem",
    )


def _small(image: NDArray[np.uint8], name: str, label: int) -> Html:
    return element(
        "div",
        element(
            "img",
            src=images.source(images.enlarged(images.strip(image[None]))),
            alt=name,
            style="width:100%;aspect-ratio:1;display:block;margin-bottom:0.2rem",
        ),
        images.mark(theme.CLASS_COLOURS[label]),
        name.replace("-", "\u2011"),  # a hyphen at which no line breaks
        style="font-size:0.75rem;line-height:1.25;overflow-wrap:anywhere",
    )


def sheet(items: Sequence[Item], classes: Sequence[str], caption: str, columns: int = 6, factor: int = 4) -> bytes:
    """The items as one PNG file: each image with its true and its predicted class; a caption at the foot."""
    line, tile = 5 * factor, images.SIDE * factor
    wide, tall = tile + 4 * factor, tile + 3 * line
    rows = -(-len(items) // columns)
    canvas = Image.new("RGB", (columns * wide, rows * tall + 2 * line), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(3.4 * factor)
    for index, item in enumerate(items):
        left, top = wide * (index % columns), tall * (index // columns)
        canvas.paste(images.enlarged(Image.fromarray(item.image), factor), (left, top))
        lines = [item.title if item.true is None else f"{item.title}: {classes[item.true]}"]
        if item.probabilities is not None:
            best = int(item.probabilities.argmax())
            lines.append(f"predicted {classes[best]}, {percent(float(item.probabilities[best]))}")
        for number, text in enumerate(lines):
            pen.text((left, top + tile + line * number + 1), text, "black", font)
    pen.text((0, rows * tall + line // 2), caption, theme.SOFT_ON_WHITE, font)
    return images.png(canvas)
