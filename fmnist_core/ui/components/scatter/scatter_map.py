"""A map of thousands of images, drawn by the browser: pan, zoom, turn, filter, point at, open, and choose with a lasso.

The browser gets the points once for each map (ten bytes and a bit a point) and does everything that moves by itself; it
sends back which point was opened and which points a lasso took. Its code is beside this file, joined into one module.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit import runtime

from fmnist_core.charts.images import ATLAS_TYPE, atlas_columns

ASSETS = Path(__file__).parent
SCRIPTS = ("data", "dots", "camera", "legend", "card", "gestures", "painter", "main", "mount")
STEPS = (
    32767  # Positions are sent as int16: a thousandth of a pixel's worth at first sight, half a pixel at the nearest.
)


@dataclass(frozen=True)
class Cloud:
    """Points to show, and what the card of each says.

    points: float32 (n, 2 or 3), finite. colours: uint8 (n,), index into palette. palette: CSS colours, at most 256.
    names: one for each colour, in the legend; empty for a continuous colouring. true, predicted: uint8 (n,), index into
    classes. confidence: float32 (n,), 0 to 1. numbers: int32 (n,), 0 to 65,535: the image's number, shown on its card.
    atlas: address of the images (`atlas_url`), or "". gradient: title and both ends' labels of a continuous colouring,
    whose palette runs from the low end to the high one. corners: float32 (2, 2 or 3), the box that fills the view,
    where maps share one, or None for the points' own.
    """

    points: NDArray[np.float32]
    colours: NDArray[np.uint8]
    palette: tuple[str, ...]
    names: tuple[str, ...]
    true: NDArray[np.uint8]
    predicted: NDArray[np.uint8]
    confidence: NDArray[np.float32]
    numbers: NDArray[np.int32]
    atlas: str
    classes: tuple[str, ...]
    gradient: tuple[str, str, str] | None = None
    corners: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        count = len(self.points)
        if self.points.shape not in ((count, 2), (count, 3)) or not np.isfinite(self.points).all():
            raise ValueError(f"points: shape {self.points.shape}; needs finite values of shape (n, 2) or (n, 3)")
        for name in ("colours", "true", "predicted", "confidence", "numbers"):
            if getattr(self, name).shape != (count,):
                raise ValueError(f"{name}: shape {getattr(self, name).shape}; needs ({count},)")
        ends = {"colours": len(self.palette), "true": len(self.classes), "predicted": len(self.classes)}
        for name, most in ends.items():
            if count and int(getattr(self, name).max()) >= most:
                raise ValueError(f"{name}: {getattr(self, name).max()} is not among the {most} there are")
        if count and not 0 <= int(self.numbers.min()) <= int(self.numbers.max()) <= 0xFFFF:
            raise ValueError("numbers: out of the range 0 to 65,535")
        if self.gradient is None and len(self.names) != len(self.palette):
            raise ValueError(f"names: {len(self.names)} for {len(self.palette)} colours")


class Picked(NamedTuple):
    """What the reader has just done. point: index of the point opened, or None. lasso: indices of the points taken by a
    lasso, in order; () where the choice was cleared; None where nothing changed."""

    point: int | None
    lasso: tuple[int, ...] | None


def show(
    cloud: Cloud,
    key: str,
    height: int = 620,
    picked: int | None = None,
    lasso: Collection[int] = (),
    on_change: Callable[[Picked], None] | None = None,
    file: str = "map",
) -> Picked:
    """The map, with its legend beside it; it tells an action once, in the run that the action starts.

    key: the map's place: with the same key, the same points move from where they were, and zoom and filters stay.
    picked, lasso: what to mark; the page keeps them. on_change: called before that run with what was done, so that the
    page's state is right from its first line on. file: name of the picture that the reader may download.
    """
    count = len(cloud.points)

    def changed() -> None:
        state = st.session_state.get(key) or {}
        if on_change is not None:
            on_change(_validated(state.get("picked"), state.get("lasso"), count))

    data = message(cloud, height, picked, lasso, file)
    result = _mount(key=key, data=data, on_picked_change=changed, on_lasso_change=changed)
    return _validated(result.get("picked"), result.get("lasso"), count)


def atlas_url(images: bytes, key: str) -> str:
    """The address of an atlas (`charts.images.atlas`), for as long as the page calls this in each of its full runs.

    Equal atlases share one address over all sessions, so a browser loads one once. key: where on the page it is used.
    """
    if not runtime.exists():
        return ""
    return runtime.get_instance().media_file_mgr.add(images, ATLAS_TYPE, f"atlas {key}")


def message(cloud: Cloud, height: int, picked: int | None, lasso: Collection[int], file: str) -> bytes:
    """What the browser gets: the header's length (uint32), the header (JSON), and the arrays one after the other.

    Arrays, little-endian: points int16 (n, d), numbers uint16, colours, true, predicted and confidence (of 255) uint8,
    and a bit for each point, set where the lasso has it. Points are in units of half the view's box, from its centre,
    times `STEPS` / reach.
    """
    count, dimensions = cloud.points.shape
    positions, reach = _positions(cloud)
    numbers = cloud.numbers.astype("<u2")
    chosen = np.zeros(count, bool)
    chosen[[index for index in lasso if 0 <= index < count]] = True
    header = {
        "n": count,
        "dimensions": dimensions,
        "reach": reach,
        "height": height,
        "palette": cloud.palette,
        "names": cloud.names,
        "classes": cloud.classes,
        "gradient": cloud.gradient,
        "atlas": cloud.atlas,
        "columns": atlas_columns(count),
        "picked": picked if picked is not None and 0 <= picked < count else None,
        "file": file,
        # Whether these are the same points as before, and in the same places.
        "who": zlib.crc32(numbers.tobytes()),
        "where": zlib.crc32(positions.tobytes(), zlib.crc32(struct.pack("<d", reach))),
    }
    text = json.dumps(header).encode()
    confidence = np.rint(np.nan_to_num(cloud.confidence).clip(0, 1) * 255)
    bytewise = (cloud.colours, cloud.true, cloud.predicted, confidence)
    arrays = [positions, numbers, *(array.astype(np.uint8) for array in bytewise), np.packbits(chosen)]
    return b"".join((struct.pack("<I", len(text)), text, *(array.tobytes() for array in arrays)))


def _positions(cloud: Cloud) -> tuple[NDArray[np.int16], float]:
    """The points as int16 in the view's box, and how far the farthest lies, in halves of the box; at least 1."""
    count, dimensions = cloud.points.shape
    if not count:
        return np.zeros((0, dimensions), "<i2"), 1.0
    corners = cloud.corners
    low, high = (cloud.points.min(0), cloud.points.max(0)) if corners is None else (corners[0], corners[1])
    # In double precision: the span of extreme points overflows single precision.
    low, high = low.astype(float), high.astype(float)
    half = float((high - low).max()) / 2 or 1.0  # All points in one place: in the middle.
    scaled = (cloud.points - (low + high) / 2) / half
    reach = max(1.0, float(np.abs(scaled).max()))
    return np.rint(scaled * (STEPS / reach)).astype("<i2"), reach


def _validated(point: object, lasso: object, count: int) -> Picked:
    """What a browser sent, as far as it can be true: anything may be sent by hand."""
    return Picked(point if _index(point, count) else None, _indices(lasso, count))  # type: ignore[arg-type]


def _index(value: object, count: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < count


def _indices(value: object, count: int) -> tuple[int, ...] | None:
    if not isinstance(value, list) or len(value) > count or not all(_index(index, count) for index in value):
        return None
    return tuple(sorted(set(value)))


_mount = st.components.v2.component(
    "fashion_mnist_lab.scatter",
    html='<div class="scatter"></div>',
    css=(ASSETS / "scatter.css").read_text(),
    js="\n".join((ASSETS / f"{name}.js").read_text() for name in SCRIPTS),
)
