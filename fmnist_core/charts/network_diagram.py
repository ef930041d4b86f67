"""The network as a picture: HTML that the browser lays out, in the page's own text colour.

A column for each Dense layer: a block as high as the layer is wide, thin blocks for what follows it, and under it
each Keras layer with its output shape and its parameters. (Streamlit lets no inline SVG through.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from fmnist_core.charts import theme
from fmnist_core.charts.kept import kept
from fmnist_core.charts.markup import Html, element
from fmnist_core.experiment.cost import LayerCost

HEIGHT, TALLEST, WIDEST = 140, 132, 2048
COLOURS = {"Rescaling": theme.MUTED, "Dense": theme.TRAIN, "Activation": "#2e8b57"}
COLOURS |= {"BatchNormalization": theme.VALIDATION, "Dropout": "#a3336b"}


@kept
def html(layers: Sequence[LayerCost], activation: str, dropout: float) -> Html:
    """The network as HTML. Wide networks scroll.

    layers: as from `cost.layers`. activation, dropout: shown at their layers.
    """
    columns: list[list[LayerCost]] = []
    for layer in layers:
        if layer.kind in ("Rescaling", "Dense"):
            columns.append([])
        columns[-1].append(layer)
    # The square root keeps 10 and 2,048 units in one picture.
    heights = [max(8.0, TALLEST * math.sqrt(min(column[0].outputs, WIDEST) / WIDEST)) for column in columns]
    notes = {"Activation": activation, "Dropout": f"rate {dropout:g}", "Rescaling": "pixels / 255"}
    neighbours = zip(heights[:1] + heights[:-1], heights, heights[1:] + heights[-1:], strict=True)
    cells = (_column(column, *around, notes) for column, around in zip(columns, neighbours, strict=True))
    label = "The network, layer by layer"
    return element("div", *cells, role="img", aria_label=label, style="display:flex;overflow-x:auto")


def _column(layers: Sequence[LayerCost], before: float, height: float, after: float, notes: Mapping[str, str]) -> Html:
    """before, height, after: of the blocks of the previous, of this and of the next column, in pixels."""
    blocks = (_block(layer, height, 24 if index == 0 else 8) for index, layer in enumerate(layers))
    first, last = layers[0].kind == "Rescaling", layers[0].name == "output"
    bands = _band((before + height) / 2, height, first), _band(height, (height + after) / 2, last)
    labels = (_label(layer, notes) for layer in layers)
    return element(
        "div",
        element("div", bands[0], *blocks, bands[1], style=f"display:flex;align-items:center;height:{HEIGHT}px"),
        element("div", *labels, style="text-align:center;font-size:0.8rem;line-height:1.25"),
        style="flex:1 1 116px;min-width:116px",
    )


def _block(layer: LayerCost, height: float, width: int) -> Html:
    size = f"flex:none;width:{width}px;height:{height:.0f}px"
    style = f"{size};background:{COLOURS[layer.kind]};border-radius:3px;margin:0 1px"
    return element("div", title=layer.name, style=style)


def _band(left: float, right: float, empty: bool) -> Html:
    """Half of the weights between two columns, as a pale band."""
    tall = max(left, right)
    a, b = 50 * left / tall, 50 * right / tall
    corners = f"0 {50 - a:.1f}%,100% {50 - b:.1f}%,100% {50 + b:.1f}%,0 {50 + a:.1f}%"
    paint = "" if empty else f"background:{theme.TRAIN};opacity:0.14;"
    return element("div", style=f"flex:1;height:{tall:.0f}px;{paint}clip-path:polygon({corners})")


def _label(layer: LayerCost, notes: Mapping[str, str]) -> Html:
    detail = f"{layer.parameters:,} parameters" if layer.parameters else notes.get(layer.kind, "")
    name, note = element("b", layer.name), element("div", detail, style="opacity:0.75")
    return element("div", name, f" ({layer.outputs:,})", note, style="margin-top:0.35rem")
