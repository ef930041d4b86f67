"""The pictures of page Embeddings: still maps, separation over layers and epochs, class mixes, what measures say."""

from __future__ import annotations

import base64
import io
import itertools
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image

from fmnist_core.charts import map_panels, separation_curves, theme, trust_table
from fmnist_core.data.dataset import CLASSES

PALETTE = ("#ff0000", "#00ff00", "#0000ff")
LAYERS = ["Input pixels", "Hidden layer 1", "Output"]


def pixels(points: Any, labels: Any, side: int = 200) -> np.ndarray:
    drawn = map_panels.dots(np.asarray(points, np.float32), np.asarray(labels, np.uint8), PALETTE, side)
    assert drawn.size == (side, side)
    return np.asarray(drawn).astype(int)


def where(drawn: np.ndarray, channel: int) -> tuple[float, float]:
    """The middle (right, down) of what is drawn in a pure colour, as shares of the side."""
    rows, columns = np.nonzero((drawn[..., 3] > 200) & (drawn[..., channel] > 200))
    return columns.mean() / (drawn.shape[1] - 1), rows.mean() / (drawn.shape[0] - 1)


def test_points_lie_where_they_should_in_their_own_colours_on_nothing() -> None:
    drawn = pixels([[0, 0], [10, 0], [0, 5]], [0, 1, 2])
    edge = map_panels.MARGIN
    # Twice as wide as high: in the middle of the height, with the same units both ways, and upwards up.
    for channel, place in enumerate([(edge, 0.735), (1 - edge, 0.735), (edge, 0.265)]):
        assert where(drawn, channel) == pytest.approx(place, abs=0.01)
    assert drawn[0, 0, 3] == 0
    assert (drawn[..., 3] > 0).mean() < 0.02


def test_a_later_class_does_not_cover_an_earlier_one() -> None:
    rng = np.random.default_rng(0)
    heap = rng.normal(0, 1, (3000, 2))
    drawn = pixels(heap, np.repeat([0, 1, 2], 1000))
    shares = [((drawn[..., 3] > 200) & (drawn[..., channel] > 128)).sum() for channel in range(3)]
    assert max(shares) < 1.3 * min(shares)


@pytest.mark.parametrize("points", [np.full((5, 2), 3.0), np.zeros((1, 3)), [[3, 3], [np.nan, 0], [np.inf, 1]]])
def test_collapsed_points_lie_in_the_middle_and_what_is_not_finite_nowhere(points: Any) -> None:
    assert where(pixels(points, np.zeros(len(points))), 0) == pytest.approx((0.5, 0.5), abs=0.01)


def test_no_points_are_an_empty_picture() -> None:
    assert not pixels(np.zeros((0, 2)), []).any()


@given(some.lists(some.tuples(*[some.floats(-1e30, 1e30)] * 2), min_size=1, max_size=20))
def test_any_finite_points_can_be_drawn(points: list[tuple[float, float]]) -> None:
    assert pixels(points, np.zeros(len(points)), side=40)[..., 3].any()


def rows() -> list[map_panels.MapRow]:
    made = [np.random.default_rng(k).normal(size=(50, 2)).astype(np.float32) for k in range(3)]
    return [
        map_panels.MapRow("Input <pixels>", (made[0], None)),
        map_panels.MapRow("Output", (made[1], made[2]), ("70 %", "90 %")),
    ]


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_small_multiples_are_a_table_with_headings_and_described_pictures() -> None:
    labels = np.arange(50, dtype=np.uint8) % 10
    tags = Tags(map_panels.small_multiples(rows(), ["Epoch 0", "Epoch 9"], labels, CLASSES))
    assert [attributes["scope"] for tag, attributes in tags.found if tag == "th"] == ["col", "col", "row", "row"]
    pictures = [attributes for tag, attributes in tags.found if tag == "img"]
    assert [picture["alt"] for picture in pictures] == [
        "Input <pixels>, Epoch 0: a map of 50 images, coloured by class.",
        "Output, Epoch 0: a map of 50 images, coloured by class. 70 %",
        "Output, Epoch 9: a map of 50 images, coloured by class. 90 %",
    ]
    for picture in pictures:
        data = base64.b64decode(str(picture["src"]).split(",")[1])
        drawn = Image.open(io.BytesIO(data))
        assert drawn.size == (map_panels.TILE, map_panels.TILE)
        assert drawn.mode == "RGBA"
        assert np.asarray(drawn)[0, 0, 3] == 0
    assert {"Input <pixels>", "No map", "90 %", *CLASSES} <= set(tags.words)


def test_a_sheet_holds_every_map_on_white() -> None:
    labels = np.arange(50, dtype=np.uint8) % 10
    drawn = Image.open(
        io.BytesIO(map_panels.sheet(rows(), ["Epoch 0", "Epoch 9"], labels, CLASSES, "Title", "Caption"))
    )
    assert drawn.getpixel((0, 0)) == (255, 255, 255)
    assert drawn.width > 2 * map_panels.TILE
    assert drawn.height > 2 * map_panels.TILE
    colours = {colour for _, colour in drawn.getcolors(1 << 20) or []}
    assert {tuple(bytes.fromhex(colour[1:])) for colour in theme.CLASS_COLOURS} <= colours


# --- Separation -----------------------------------------------------------------------------------------------------


def table(epochs: tuple[int, ...] = (0, 5, 10)) -> pd.DataFrame:
    cells = itertools.product(epochs, enumerate(LAYERS), ("knn", "silhouette"))
    return pd.DataFrame(
        [
            {"epoch": e, "layer": name, "measure": m, "value": 0.5 + e / 50 + k / 10, "low": 0.4, "high": np.nan}
            for e, (k, name), m in cells
        ]
    )


def drawn_rows(chart: Any) -> pd.DataFrame:
    (data,) = chart.to_dict()["datasets"].values()
    return pd.DataFrame(data)


@pytest.mark.parametrize("measure", ["knn", "silhouette"])
def test_each_layer_is_a_line_over_the_epochs_in_the_layers_order(measure: str) -> None:
    chart = separation_curves.over_epochs(table(), measure, LAYERS)
    found = drawn_rows(chart)
    assert set(found["measure"]) == {measure}
    assert found.groupby("layer")["epoch"].apply(list).to_dict() == {layer: [0, 5, 10] for layer in LAYERS}
    assert (found["high"] == found["value"]).all()  # There is no interval upwards.
    bands, lines = chart.to_dict()["layer"]
    assert bands["mark"]["type"] == "area"
    assert lines["encoding"]["color"]["scale"]["domain"] == LAYERS


def test_each_epoch_is_a_line_over_the_layers() -> None:
    chart = separation_curves.over_layers(table(), "knn", LAYERS)
    assert set(drawn_rows(chart)["time"]) == {"epoch 0", "epoch 5", "epoch 10"}
    encoding = chart.to_dict()["layer"][1]["encoding"]
    assert encoding["x"]["sort"] == LAYERS
    assert encoding["color"]["scale"]["domain"] == ["epoch 0", "epoch 5", "epoch 10"]


def test_a_single_epoch_shows_its_intervals_as_rules() -> None:
    assert separation_curves.over_epochs(table((4,)), "knn", LAYERS).to_dict()["layer"][0]["mark"]["type"] == "rule"


def test_what_is_not_finite_is_left_out_and_a_table_may_be_empty() -> None:
    made = table()
    made.loc[made["layer"] == "Output", "value"] = np.nan
    assert set(drawn_rows(separation_curves.over_epochs(made, "knn", LAYERS))["layer"]) == set(LAYERS[:2])
    for draw in (separation_curves.over_epochs, separation_curves.over_layers):
        assert draw(made.head(0), "knn", LAYERS).to_dict()


@pytest.mark.parametrize("count", [1, 2, 5, 12])
def test_ordered_colours_are_distinct_and_seen_on_both_grounds(count: int) -> None:
    colours = separation_curves.in_order(count)
    assert len(set(colours)) == count
    for colour in colours:
        linear = [(part / 255) ** 2.2 for part in bytes.fromhex(colour[1:])]
        luminance = float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
        # Contrast of lines and marks after WCAG 2: nearly 3 to 1 on white, and more on the dark page.
        assert 1.05 / (luminance + 0.05) > 2.3
        assert (luminance + 0.05) / (0.008 + 0.05) > 3


# --- Trust ----------------------------------------------------------------------------------------------------------


def test_measures_stand_beside_what_they_say() -> None:
    found = trust_table.table(
        {"trustworthiness": 0.974, "continuity": 0.6, "knn_layer": 0.86, "knn_map": 0.8, "seconds": 3}
    )
    words = re.sub(r"<[^>]+>", "|", found)
    assert "0.97" in words
    assert "what is close in the map is almost never far apart in the layer" in words
    assert "breaks up most neighbourhoods" in words
    assert "86 % → 80 %" in words
    assert "some of the mixing comes from the map" in words.replace("&#x27;", "'")
    assert found.count("<tr>") == 3


@pytest.mark.parametrize("measure", trust_table.MEASURES)
def test_every_value_has_a_reading_and_better_values_no_worse_one(measure: str) -> None:
    readings = [words for _, words in trust_table.MEASURES[measure][1]]
    places = [readings.index(trust_table.reading(measure, value)) for value in np.linspace(-1, 1, 201)]
    assert places == sorted(places, reverse=True)
    assert set(places) == set(range(len(readings)))


def test_measures_that_are_missing_or_undefined_are_left_out() -> None:
    assert "<tr>" not in trust_table.table({"silhouette": np.nan, "knn_layer": 0.5})
