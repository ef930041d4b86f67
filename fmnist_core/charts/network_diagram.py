"""The network as a picture: HTML that the browser lays out, in the page's own text colour.

A column for each Dense layer: a block as high as the layer is wide, thin blocks for what follows it, and under it
each Keras layer with its output shape and its parameters. (Streamlit lets no inline SVG through.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from fmnist_core.charts import theme
from fmnist_core.experiment.cost import LayerCost

HEIGHT, TALLEST, WIDEST = 140, 132, 2048
COLOURS = {"Rescaling": theme.MUTED, "Dense": theme.TRAIN, "Activation": "#2e8b57"}
COLOURS |= {"BatchNormalization": theme.VALIDATION, "Dropout": "#a3336b"}


def html(layers: Sequence[LayerCost], activation: str, dropout: float) -> str:
    """The network as HTML. layers: as from `cost.layers`. activation, dropout: shown at their layers. Wide networks scroll."""
    columns = _columns(layers)
    heights = [_height(column[0].outputs) for column in columns]
    notes = {"Activation": activation, "Dropout": f"rate {dropout:g}", "Rescaling": "pixels / 255", "Dense": ""}
    cells = "".join(
        _cell(column, heights[max(index - 1, 0)], heights[min(index + 1, len(heights) - 1)], notes)
        for index, column in enumerate(columns)
    )
    return (
        f'<div role="img" aria-label="The network, layer by layer" style="display:flex;overflow-x:auto">{cells}</div>'
    )


def _columns(layers: Sequence[LayerCost]) -> list[list[LayerCost]]:
    """A new column at the input and at each Dense layer."""
    columns: list[list[LayerCost]] = []
    for layer in layers:
        if layer.kind in ("Rescaling", "Dense"):
            columns.append([])
        columns[-1].append(layer)
    return columns


def _height(units: int) -> float:
    """A block's height in pixels; the square root keeps 10 and 2,048 units in one picture."""
    return max(8.0, TALLEST * math.sqrt(min(units, WIDEST) / WIDEST))


def _cell(column: Sequence[LayerCost], before: float, after: float, notes: dict[str, str]) -> str:
    height = _height(column[0].outputs)
    first, last = column[0].kind == "Rescaling", column[0].name == "output"
    blocks = "".join(_block(layer, height, 24 if index == 0 else 8) for index, layer in enumerate(column))
    picture = _band((before + height) / 2, height, first) + blocks + _band(height, (height + after) / 2, last)
    labels = "".join(_label(layer, notes) for layer in column)
    return (
        f'<div style="flex:1 1 116px;min-width:116px">'
        f'<div style="display:flex;align-items:center;height:{HEIGHT}px">{picture}</div>'
        f'<div style="text-align:center;font-size:0.8rem;line-height:1.25">{labels}</div></div>'
    )


def _block(layer: LayerCost, height: float, width: int) -> str:
    style = f"width:{width}px;height:{height:.0f}px;background:{COLOURS[layer.kind]};border-radius:3px;margin:0 1px"
    return f'<div title="{escape(layer.name)}" style="flex:none;{style}"></div>'


def _band(left: float, right: float, empty: bool) -> str:
    """Half of the weights between two columns, as a pale band."""
    tall = max(left, right)
    a, b = 50 * left / tall, 50 * right / tall
    corners = f"0 {50 - a:.1f}%,100% {50 - b:.1f}%,100% {50 + b:.1f}%,0 {50 + a:.1f}%"
    paint = "" if empty else f"background:{theme.TRAIN};opacity:0.14;"
    return f'<div style="flex:1;height:{tall:.0f}px;{paint}clip-path:polygon({corners})"></div>'


def _label(layer: LayerCost, notes: dict[str, str]) -> str:
    detail = f"{layer.parameters:,} parameters" if layer.parameters else notes.get(layer.kind, "")
    return (
        f'<div style="margin-top:0.35rem"><b>{escape(layer.name)}</b> ({layer.outputs:,})'
        f'<div style="opacity:0.75">{escape(detail)}</div></div>'
    )
