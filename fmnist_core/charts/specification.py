"""Charts as a browser gets them: a Vega-Lite specification with its data, built once for the same content and kept.

    @specified
    def curve(rows: pd.DataFrame) -> alt.LayerChart: ...

    curve(rows)  # a Specification, whoever asks; built at the first call with rows of this content

Altair builds a chart in 5 to 40 ms, and takes twice as long to check it. So the tests let Altair check every chart
(`altair.utils.schemapi.enable_debug_mode`), and the app does not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import altair as alt
import numpy as np
import pandas as pd
import pyarrow as pa
from altair.utils import schemapi

from fmnist_core.charts import theme
from fmnist_core.charts.kept import kept

P = ParamSpec("P")
D = TypeVar("D")
S = TypeVar("S")
Drawn = alt.Chart | alt.LayerChart
FUNCTIONS: dict[str, Callable[..., Any]] = {}
"""Every function that draws a chart, by module and name; the tests go through them."""

schemapi.disable_debug_mode()


@dataclass(frozen=True)
class Specification:
    """A Vega-Lite chart. text: its JSON without data. tables: its data sets by name, each an Arrow stream."""

    text: str
    tables: Mapping[str, bytes]

    @property
    def description(self) -> str:
        """The chart in words, for readers who cannot see it."""
        return str(json.loads(self.text)["description"])

    def ready(self) -> dict[str, Any]:
        """As `st.vega_lite_chart` takes it at the least cost: it hands Arrow streams on as they are."""
        return {**json.loads(self.text), "datasets": dict(self.tables)}

    def to_dict(self) -> dict[str, Any]:
        """As Vega-Lite defines it, with the data as lists of records."""
        tables = {name: pa.ipc.open_stream(stream).read_all().to_pylist() for name, stream in self.tables.items()}
        return {**json.loads(self.text), "datasets": tables}

    def __len__(self) -> int:
        """In bytes."""
        return len(self.text) + sum(map(len, self.tables.values()))


def specified(draw: Callable[P, Drawn]) -> Callable[P, Specification]:
    """Let a function that draws an Altair chart return its Specification.

    Arguments count by their content, tables and arrays, too. A chart without a title needs a `description`.
    """
    return _registered(draw, _specification)


def specified_each(draw: Callable[P, list[Drawn]]) -> Callable[P, list[Specification]]:
    """As `specified`, for a function that draws several charts."""
    return _registered(draw, lambda charts: list(map(_specification, charts)))


def _registered(draw: Callable[P, D], make: Callable[[D], S]) -> Callable[P, S]:
    @kept
    @wraps(draw)
    def made(*args: P.args, **kwargs: P.kwargs) -> S:
        return make(draw(*args, **kwargs))

    FUNCTIONS[f"{draw.__module__}.{draw.__qualname__}"] = made
    return made


def _specification(drawn: Any) -> Specification:
    """Takes the data out of the chart first: Altair would go through all of it."""
    tables = _take_tables(drawn)
    specification = drawn.to_dict(validate=schemapi.DEBUG_MODE)
    for view in specification.get("layer", ()):
        if tables.get(view.get("data", {}).get("name")) is not None and tables[view["data"]["name"]].empty:
            _silence(view)
    specification["config"] = theme.CONFIG
    specification["description"] = specification.get("description") or described(specification)
    return Specification(json.dumps(specification), {name: _stream(table) for name, table in tables.items()})


def _silence(view: dict[str, Any]) -> None:
    """Marks without data have no words for readers who cannot see them: so they need none."""
    mark = view["mark"] if isinstance(view["mark"], dict) else {"type": view["mark"]}
    view["mark"] = mark | {"aria": False}
    if isinstance(mark.get("point"), dict):
        view["mark"]["point"] = mark["point"] | {"aria": False}


def _take_tables(drawn: Any) -> dict[str, pd.DataFrame]:
    """The data of a chart and its layers, which keep only names: the same ones at the next redraw, so that a browser
    need not draw all anew."""
    named = {} if drawn.datasets is alt.Undefined else drawn.datasets
    drawn.datasets = alt.Undefined
    tables = {name: data if isinstance(data, pd.DataFrame) else pd.DataFrame(data) for name, data in named.items()}
    for view in _views(drawn):
        if isinstance(view.data, pd.DataFrame):
            name = next((name for name, table in tables.items() if table is view.data), f"table {len(tables) + 1}")
            tables[name] = view.data
            view.data = alt.NamedData(name)
    return tables


def _views(drawn: Any) -> Iterator[Any]:
    yield drawn
    for layer in getattr(drawn, "layer", ()):
        yield from _views(layer)


def _stream(table: pd.DataFrame) -> bytes:
    """The table as an Arrow stream: what is not finite is null, as JSON has it."""
    plain = table.rename(columns=str).replace([np.inf, -np.inf], np.nan)
    try:
        arrow = pa.Table.from_pandas(plain, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # values of several types in a column
        mixed = {str(name): plain[name].astype(str) for name in plain.select_dtypes(object)}
        arrow = pa.Table.from_pandas(plain.assign(**mixed), preserve_index=False)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, arrow.schema) as writer:
        writer.write_table(arrow)
    return bytes(sink.getvalue().to_pybytes())


def described(specification: Mapping[str, Any]) -> str:
    """A chart in words: its title and the lines below, and what its axes and colours are. Raises: ValueError."""
    title = specification.get("title")
    heading = title if isinstance(title, Mapping) else {"text": title}
    if not heading["text"]:
        raise ValueError("A chart needs a title or a description.")
    parts = [heading["text"], *_lines(heading.get("subtitle"))]
    for channel, name in (("x", "Horizontal"), ("y", "Vertical"), ("color", "Colours")):
        if shown := _shown(specification, channel):
            parts.append(f"{name}: {shown}")
    return " ".join(part if part.endswith((".", "?", "!", ":")) else f"{part}." for part in parts)


def _lines(text: str | list[str] | None) -> list[str]:
    return [line for line in ([text] if isinstance(text, str) else text or []) if line]


def _shown(specification: Mapping[str, Any], channel: str) -> str:
    """What a channel of the layers shows: its names where a scale lists them, else the title or field that its axis or
    legend has."""
    views = (specification, *specification.get("layer", ()))
    found = [view["encoding"][channel] for view in views if channel in view.get("encoding", {})]
    for each in found:
        names = (each.get("scale") or {}).get("domain", ())
        if channel == "color" and names and all(isinstance(name, str) for name in names):
            return ", ".join(names)
    read = [each for each in found if each.get("axis", 0) is not None and each.get("legend", 0) is not None]
    titles = [each["title"] for each in read if "title" in each] or [each["field"] for each in read if "field" in each]
    return str(titles[0] or "") if titles else ""
