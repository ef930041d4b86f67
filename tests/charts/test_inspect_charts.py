"""The pictures of page Inspect, without a browser: what is in them, and that everything shown has words, too."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from fmnist_core.charts import (
    confusion_matrix,
    epoch_lines,
    gallery,
    reliability_diagram,
    theme,
    unit_images,
    value_histograms,
)
from fmnist_core.data.dataset import CLASSES, load
from fmnist_core.findings import evaluation

COUNTS = np.zeros((10, 10), np.int64)
COUNTS[np.arange(10), np.arange(10)] = 80
COUNTS[0, 6], COUNTS[6, 0], COUNTS[2, 4] = 20, 10, 1


def all_rows(chart: Any) -> list[dict[str, Any]]:
    return [row for rows in chart.to_dict()["datasets"].values() for row in rows]


@pytest.mark.parametrize("shares", [False, True])
def test_confusion_cells_say_their_count_or_share_and_nothing_for_nothing(shares: bool) -> None:
    table = confusion_matrix.rows(COUNTS, CLASSES, shares).set_index(["true", "predicted"])
    assert len(table) == 100
    assert table.loc[("T-shirt/top", "Shirt"), "figure"] == ("20 %" if shares else "20")
    assert table.loc[("Bag", "Coat"), "figure"] == ""
    assert table.loc[("Pullover", "Coat"), "figure"] == ("1 %" if shares else "1")


def test_the_strongest_mistake_outshines_every_right_answer() -> None:
    table = confusion_matrix.rows(COUNTS, CLASSES)
    assert table.loc[~table["right"], "strength"].max() == 1 > table.loc[table["right"], "strength"].max()
    assert table["strength"].between(0, 1).all()


@pytest.mark.parametrize(("page", "weak"), [("#ffffff", "#000000"), ("#11161d", "#ffffff")])
def test_figures_stand_out_from_cells_of_any_strength(page: str, weak: str) -> None:
    """WCAG 2.1 contrast of 4.5 : 1, of orange and grey cells laid over the page."""
    for strength in np.linspace(confusion_matrix.PALE, 1, 97):
        figure = "#000000" if strength > confusion_matrix.STRONG else weak
        assert contrast(blended(theme.VALIDATION, page, strength), channels(figure)) >= 4.5, strength
    assert contrast(blended(theme.MUTED, page, confusion_matrix.RIGHT), channels(weak)) >= 4.5


def channels(colour: str) -> NDArray[np.float64]:
    return np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)], np.float64)


def blended(colour: str, page: str, opacity: float) -> NDArray[np.float64]:
    return opacity * channels(colour) + (1 - opacity) * channels(page)


def contrast(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Relative luminance and contrast ratio as WCAG 2.1 defines them."""
    linear = [np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) for c in (one / 255, other / 255)]
    low, high = sorted(float(c @ [0.2126, 0.7152, 0.0722]) for c in linear)
    return (high + 0.05) / (low + 0.05)


def test_a_perfect_network_has_a_matrix() -> None:
    table = confusion_matrix.rows(np.diag([5] * 10), CLASSES)
    assert (table.loc[~table["right"], "strength"] == confusion_matrix.PALE).all()


def test_cells_can_be_clicked_and_the_chosen_one_is_framed() -> None:
    chart = confusion_matrix.matrix(confusion_matrix.rows(COUNTS, CLASSES), CLASSES, ("Shirt", "T-shirt/top"))
    names = {param["name"]: param["select"]["fields"] for param in chart.to_dict()["params"]}
    assert names == {confusion_matrix.CELL: ["true", "predicted"]}
    assert [(r["true"], r["predicted"]) for r in all_rows(chart) if r["chosen"]] == [("Shirt", "T-shirt/top")]


def test_score_dots_lie_within_their_intervals_and_none_stands_for_nothing() -> None:
    counts = COUNTS.copy()
    counts[9] = counts[:, 9] = 0
    table = confusion_matrix.score_rows(evaluation.scores(counts), CLASSES)
    assert len(table) == 27 and "Ankle boot" not in set(table["class"])
    sure = table.dropna()
    assert set(sure["measure"]) == {"precision", "recall"}
    assert (sure["low"] <= sure["value"]).all() and (sure["value"] <= sure["high"] + 1e-12).all()
    assert confusion_matrix.score_dots(table, CLASSES).to_dict()


def test_the_reliability_diagram_shows_every_filled_bin() -> None:
    rng = np.random.default_rng(0)
    found = evaluation.reliability(
        rng.dirichlet([0.3] * 10, 500).astype(np.float32), rng.integers(0, 10, 500, np.uint8)
    )
    table = reliability_diagram.rows(found)
    assert table["images"].sum() == 500 and (table["images"] > 0).all()
    for chart in (reliability_diagram.diagram(table), reliability_diagram.counts(table)):
        assert sum("accuracy" in row for row in all_rows(chart)) == len(table)


def test_probabilities_keep_the_true_class_and_leave_out_what_never_matters() -> None:
    over = {
        0: np.full(10, 0.1, np.float32),
        2: np.array([0.9, 0.08, 0.01, 0.01, *[0] * 6], np.float32),
        4: np.array([0.5, 0.5, *[0] * 8], np.float32),
    }
    table = epoch_lines.probability_rows(over, CLASSES, true=9)
    assert set(table["class"]) == {CLASSES[0], CLASSES[1], CLASSES[9]}
    assert set(table.loc[table["is_true"], "class"]) == {CLASSES[9]}
    assert set(table["epoch"]) == {0, 2, 4}
    sure = epoch_lines.probability_rows({1: np.array([0.9997, 0.0003, *[0] * 8], np.float32)}, CLASSES, true=0)
    assert list(sure["said"]) == ["> 99.9 %"]  # as the bars beside the chart say it
    assert CLASSES[9] in str(epoch_lines.probabilities(table, CLASSES, 4).to_dict()["title"])


def test_layers_over_epochs_have_one_colour_each() -> None:
    table = pd.DataFrame([{"epoch": e, "layer": f"hidden {k}", "value": k / 20} for e in range(3) for k in range(20)])
    chart = epoch_lines.layers(table, "Dead", "", "share", 1)
    scale = chart.to_dict()["layer"][1]["encoding"]["color"]["scale"]
    assert (
        len(set(scale["range"])) == 20
        and scale["range"][0] == epoch_lines.FIRST
        and scale["range"][-1] == epoch_lines.LAST
    )


@pytest.mark.parametrize("draw", [value_histograms.ridges, value_histograms.heat_map])
def test_the_epoch_of_the_slider_or_the_nearest_is_outlined_and_named(draw: Any) -> None:
    rng = np.random.default_rng(0)
    rows = value_histograms.spread([(epoch, rng.normal(size=500).astype(np.float32)) for epoch in (0, 4, 8)])
    chart = draw(rows, "Spread", "weight", 7).to_dict()
    assert chart["title"]["subtitle"].startswith(
        "Epochs 0 to 8 at once. Outlined: epoch 8, the nearest one shown to epoch 7"
    )
    assert {row["epoch"] for row in chart["datasets"][chart["layer"][1]["data"]["name"]]} == {8}
    assert "nearest" not in draw(rows, "Spread", "weight", 4).to_dict()["title"]["subtitle"]
    assert len(draw(rows, "Spread").to_dict()["layer"]) == 1


def test_a_heat_map_leaves_out_the_outermost_values() -> None:
    values = np.concatenate([np.linspace(-1, 1, 9_950), [-9, 9] * 25]).astype(np.float32)
    rows = value_histograms.spread([(0, values)])
    assert rows["value"].abs().max() > 8
    shown = [row["value"] for row in all_rows(value_histograms.heat_map(rows, "Spread"))]
    assert shown and max(map(abs, shown)) < 1.5


class Images(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.alts: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.alts.append(dict(attrs)["alt"] or "")

    def handle_data(self, data: str) -> None:
        self.text += data + " "


def test_a_gallery_says_in_words_what_it_shows() -> None:
    data = load("sample")
    sure = np.array([0.9996, 0, 0.0001, 0, 0, 0, 0.0003, 0, 0, 0], np.float32)
    items = [
        gallery.Item("<Test> 7", data.test_images[0], sure, 6),
        gallery.Item("Yours", data.test_images[1], None, None, "drawn"),
    ]
    found = Images(gallery.html(items, CLASSES))
    assert found.alts == [
        "<Test> 7: Shirt; predicted probabilities: T-shirt/top > 99.9 %, Shirt < 0.1 %, Pullover < 0.1 %",
        "Yours: class unknown",
    ]
    assert "Shirt ✓" in found.text and "drawn" in found.text


def test_zero_is_grey_and_signs_have_colours() -> None:
    painted = unit_images.colours(np.array([-2, -1, 0, 1, 2, np.nan], np.float32), 1.0)
    assert (painted[0] == painted[1]).all() and (painted[3] == painted[4]).all()
    assert painted[2].tolist() == unit_images.ZERO.tolist() and painted[5].tolist() == [0, 0, 0]
    assert painted[1][2] > painted[1][0] and painted[3][0] > painted[3][2]


def test_kernels_come_largest_first_each_in_its_place() -> None:
    kernel = np.zeros((784, 20), np.float32)
    kernel[:, 13], kernel[28 * 3 + 5, 4] = 0.1, -1
    order = unit_images.kernel_order(kernel)
    assert order[:2].tolist() == [13, 4]
    picture = np.asarray(unit_images.kernels(kernel, order[:5].tolist(), 1.0, columns=3, factor=1))
    assert picture.shape == (58, 88, 4)
    assert picture[3, 30 + 5, :3].tolist() == unit_images.NEGATIVE.astype(int).tolist()  # unit 4, second place
    assert picture[40, 70, 3] == 0  # the sixth place is empty


def test_layer_strips_have_a_square_for_each_unit_and_words() -> None:
    values = np.linspace(-1, 1, 130, dtype=np.float32)
    assert unit_images.strip(values).size == (64 * 8, 3 * 8)
    found = Images(unit_images.layer_strips([unit_images.Layer("Hidden layer 1", "65 of 130 active", values)]))
    assert found.alts == ["Hidden layer 1: 65 of 130 active"]
    named = unit_images.layer_strips(
        [unit_images.Layer("Output", "sums", np.linspace(-1, 1, 10, dtype=np.float32), CLASSES)]
    )
    assert all(name in named for name in CLASSES) and "background:rgb(255,150,20)" in named and "-0.11" in named
    assert unit_images.strip(np.full(10, np.nan, np.float32)).size == (80, 8)
