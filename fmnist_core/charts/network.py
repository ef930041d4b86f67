"""The network as a picture: an SVG whose text takes the page's colour, drawn by the browser.

A column for each Dense layer: a block as high as the layer is wide, thin blocks for what follows it, and under it
each Keras layer with its output shape and its parameters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from fmnist_core.charts import theme
from fmnist_core.cost import LayerCost

PITCH, MIDDLE, TALLEST, BLOCK, THIN = 158, 78, 130, 26, 9
COLOURS = {"BatchNormalization": theme.VALIDATION, "Activation": "#2e8b57", "Dropout": "#a3336b"}


def svg(layers: Sequence[LayerCost], activation: str, dropout: float) -> str:
    """layers: as from `cost.layers`. activation, dropout: told beside their layers."""
    columns = _columns(layers)
    rows = max(len(column) for column in columns)
    width, height = PITCH * len(columns), 2 * MIDDLE + 8 + 34 * rows
    notes = {"Activation": activation, "Dropout": f"rate {dropout:g}", "Rescaling": "pixels / 255"}
    body = "".join(_fan(columns, place) for place in range(len(columns) - 1))
    body += "".join(_column(column, place, notes) for place, column in enumerate(columns))
    label = f"Network with {len(columns) - 2} hidden layers"
    return (
        f'<div style="overflow-x:auto;overflow-y:hidden"><svg xmlns="http://www.w3.org/2000/svg" role="img" '
        f'aria-label="{label}" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="inherit" font-size="12" fill="currentColor" text-anchor="middle">{body}</svg></div>'
    )


def _columns(layers: Sequence[LayerCost]) -> list[list[LayerCost]]:
    """A new column at the input and at each Dense layer."""
    columns: list[list[LayerCost]] = []
    for layer in layers:
        if layer.kind in ("Rescaling", "Dense"):
            columns.append([])
        columns[-1].append(layer)
    return columns


def _half(units: int) -> float:
    """Half a block's height; the square root keeps 10 and 2,048 units in one picture."""
    return max(4.0, TALLEST / 2 * math.sqrt(min(units, 2048) / 2048))


def _right(column: Sequence[LayerCost], place: int) -> float:
    return PITCH * (place + 0.5) + BLOCK / 2 + (THIN + 2) * (len(column) - 1)


def _fan(columns: Sequence[Sequence[LayerCost]], place: int) -> str:
    """The weights between two columns, as a pale band."""
    left, right = _right(columns[place], place) + 3, PITCH * (place + 1.5) - BLOCK / 2 - 3
    a, b = _half(columns[place][0].outputs), _half(columns[place + 1][0].outputs)
    corners = f"{left},{MIDDLE - a} {right},{MIDDLE - b} {right},{MIDDLE + b} {left},{MIDDLE + a}"
    return f'<polygon points="{corners}" fill="{theme.TRAIN}" opacity="0.13"/>'


def _column(column: Sequence[LayerCost], place: int, notes: dict[str, str]) -> str:
    middle = PITCH * (place + 0.5)
    half = _half(column[0].outputs)
    colour = theme.MUTED if column[0].kind == "Rescaling" else theme.TRAIN
    parts = [_block(middle - BLOCK / 2, half, BLOCK, colour, column[0])]
    for number, layer in enumerate(column[1:]):
        left = middle + BLOCK / 2 + 2 + (THIN + 2) * number
        parts.append(_block(left, half, THIN, COLOURS[layer.kind], layer))
    for row, layer in enumerate(column):
        parts.append(_label(layer, middle, 2 * MIDDLE + 6 + 34 * row, notes))
    return "".join(parts)


def _block(left: float, half: float, width: float, colour: str, layer: LayerCost) -> str:
    box = f'x="{left}" y="{MIDDLE - half:.1f}" width="{width}" height="{2 * half:.1f}" rx="3"'
    return f'<rect {box} fill="{colour}"><title>{escape(layer.name)}</title></rect>'


def _label(layer: LayerCost, x: float, y: float, notes: dict[str, str]) -> str:
    parameters = f"{layer.parameters:,} parameters" if layer.parameters else notes.get(layer.kind, "")
    return (
        f'<text x="{x}" y="{y}" font-weight="600">{escape(layer.name)}'
        f'<tspan font-weight="400" opacity="0.75"> ({layer.outputs:,})</tspan></text>'
        f'<text x="{x}" y="{y + 15}" font-size="11" opacity="0.75">{escape(parameters)}</text>'
    )
