"""The pictures, without a browser: what is in them, and that the file formats are sound."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from fmnist_core.charts import curves, network_diagram, theme, value_histograms
from fmnist_core.charts.markup import element
from fmnist_core.experiment import cost, wording
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.schedule import learning_rates


@pytest.fixture
def history() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "epoch": [0, 1, 2],
            "loss": [2.4, 0.6, 0.4],
            "val_loss": [2.4, 0.5, 0.45],
            "accuracy": [0.1, 0.8, 0.85],
            "val_accuracy": [0.1, 0.82, 0.84],
            "gradient_norm": [float("nan"), 1.0, 0.8],
        }
    )


def test_curve_has_training_and_validation_and_leaves_the_untrained_network_out(history: pd.DataFrame) -> None:
    data = curves.curve("loss", history, epochs=20).to_dict()["datasets"]
    assert {(row["epoch"], row["split"]) for row in data["epochs"]} == {
        (epoch, split) for epoch in (1, 2) for split in (theme.TRAIN_NAME, theme.VALIDATION_NAME)
    }


def test_first_epoch_shows_every_step_and_the_start(history: pd.DataFrame) -> None:
    data = curves.curve("loss", history.head(1), 20, steps=[(0.1, 2.2), (0.2, 1.0)]).to_dict()["datasets"]
    assert [row["value"] for row in data["steps"]] == [2.2, 1.0]
    assert [row["epoch"] for row in data["epochs"]] == [0, 0]


def test_later_steps_do_not_squeeze_the_curves(history: pd.DataFrame) -> None:
    data = curves.curve("loss", history, 20, steps=[(0.1, 2.2), (1.2, 0.5)]).to_dict()["datasets"]
    assert [row["value"] for row in data["steps"]] == [0.5]


def test_only_data_changes_from_one_redraw_to_the_next(history: pd.DataFrame) -> None:
    specs = [curves.curve("accuracy", history.head(n), 20).to_dict() for n in (1, 2, 3)]
    for spec in specs:
        del spec["datasets"]
    assert specs[0] == specs[1] == specs[2]


def test_charts_and_texts_write_per_cent_alike(history: pd.DataFrame) -> None:
    locale = curves.curve("accuracy", history, 20).to_dict()["config"]["locale"]["number"]
    assert f"33{locale['percent']}" == wording.percent(0.333) == "33 %"
    assert wording.percent(0.9168, 1) == "91.7 %"


def test_schedule_is_what_trains() -> None:
    experiment = Experiment.of({"schedule": "exponential", "learning_rate": 0.01, "staircase": True})
    rates = learning_rates(experiment, 422)
    rows = curves.learning_rate(rates, 422).to_dict()["datasets"]["rates"]
    assert all(row["rate"] == pytest.approx(rates[row["step"]]) for row in rows)
    assert rows[0]["step"] == 0 and rows[-1]["step"] == len(rates) - 1


def test_histograms_share_their_bins_and_count_nearly_all_weights() -> None:
    rng = np.random.default_rng(0)
    weights = [(epoch, rng.normal(0, 0.1 * (epoch + 1), (40, 50)).astype(np.float32)) for epoch in range(3)]
    rows = value_histograms.spread(weights)
    assert rows.groupby("epoch")["value"].apply(tuple).nunique() == 1
    assert (rows.groupby("epoch")["share"].sum() > 0.98).all()
    for drawn in (value_histograms.ridges(rows, "x"), value_histograms.heat_map(rows, "x")):
        assert drawn.to_dict()


def test_constant_weights_have_a_histogram() -> None:
    rows = value_histograms.spread([(0, np.zeros((3, 4), np.float32))])
    assert rows["share"].sum() == pytest.approx(1)


@pytest.mark.parametrize("values", [{}, {"layers": 0}, {"layers": 20, "batch_norm": True, "dropout": 0.3}])
def test_network_picture_names_every_layer(values: dict[str, object]) -> None:
    layers = cost.layers(Experiment.of(values))
    picture = network_diagram.html(layers, "ReLU", 0.3)
    text = " ".join(ET.fromstring(picture).itertext())
    for layer in layers:
        assert layer.name in text
        assert not layer.parameters or f"{layer.parameters:,}" in text


def test_elements_escape_texts_and_attributes_but_no_elements() -> None:
    text = "<a> & \"b\" 'c'"
    parsed = ET.fromstring(element("div", element("b", text), text, aria_label=text))
    assert parsed.attrib["aria-label"] == parsed[0].text == parsed[0].tail == text
