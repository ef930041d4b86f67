"""Every chart: valid Vega-Lite, with words for readers who cannot see it, built once for the same content."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import pytest
from altair.utils import schemapi

import fmnist_core
from fmnist_core import charts
from fmnist_core.charts import (
    comparison,
    confusion_matrix,
    curves,
    dataset_charts,
    dropout_masks,
    epoch_lines,
    hyperparameter_grid,
    initial_distributions,
    initial_layers,
    kept,
    layers_in_training,
    overfitting_chart,
    parallel_coordinates,
    reliability_diagram,
    schedule_steps,
    separation_curves,
    signal_through_layers,
    specification,
    table1_charts,
    value_histograms,
    value_spread,
)
from fmnist_core.charts.kept import Kept
from fmnist_core.charts.specification import Specification, specified
from fmnist_core.data.dataset import CLASSES
from fmnist_core.findings import evaluation
from tests.charts.test_initialisation_charts import look

EPOCHS = np.arange(4)
COLUMNS = ("loss", "val_loss", "accuracy", "val_accuracy", "gradient_norm", "weight_norm", "learning_rate")
HISTORY = pd.DataFrame({"epoch": EPOCHS, **dict.fromkeys(COLUMNS, 0.1 + 0.2 * EPOCHS)})
MODELS = ["wide", "deep"]
ROWS = pd.concat(
    HISTORY.assign(model=model, run_id=f"{model} {seed}", seed=seed, step=10 * EPOCHS, seconds=1.0 * EPOCHS)
    for model in MODELS
    for seed in (0, 1)
)
RUNS = pd.DataFrame(
    {
        "run_id": list("abcd"),
        "model": ["wide", "wide", "deep", "deep"],
        "seed": [0, 1, 0, 1],
        "l2": [0.0, 0.0, 0.1, 0.1],
        "units": [8, 16, 8, 16],
        "test_loss": [0.5, 0.4, 0.6, np.inf],
    }
)
TITLES = {"l2": "L2 penalty", "units": "Units", "test_loss": "Test loss"}
PREDICTIONS = np.random.default_rng(0).dirichlet([0.3] * 10, 300).astype(np.float32)
LABELS = np.arange(300, dtype=np.uint8) % 10
STEPS = schedule_steps.step_rows(np.ones(30, np.float32), np.full(30, 0.1, np.float32), 10)
SEPARATION = pd.DataFrame(
    {"epoch": [0, 1], "layer": "input", "measure": "knn", "value": [0.5, 0.6], "low": [0.4, 0.5], "high": [0.6, 0.7]}
)
LAYERS = pd.DataFrame(
    [
        {"epoch": epoch, "layer": "hidden_1", "measure": name, "value": 0.1 + epoch}
        for epoch in (0, 1)
        for name in ("activation_mean", "activation_std", "activation_high", "saturated", "gradient_std")
    ]
)
SPREAD = value_histograms.spread([(epoch, np.linspace(-1, 1, 50, dtype=np.float32)) for epoch in (0, 1)])
SIGNAL = signal_through_layers.passed(1.0, layers=3, units=200)
TABLE_1 = {
    "rows": [
        {
            "activation": "tanh",
            "initialisation": "standard",
            "test_error": {"mean": 1.0, "low": 0.5, "high": 1.5, "seeds": [1.0, 1.2]},
        }
    ],
    "protocol": {"seeds": [0, 1], "alpha": 0.005},
    "tests": [],
}


def scores() -> pd.DataFrame:
    return confusion_matrix.score_rows(evaluation.scores(evaluation.confusion(PREDICTIONS, LABELS)), CLASSES)


def reliability() -> pd.DataFrame:
    return reliability_diagram.rows(evaluation.reliability(PREDICTIONS, LABELS))


COUNTS = evaluation.confusion(PREDICTIONS, LABELS)
SHARES = value_spread.shares({("epoch 1", "before"): np.arange(9, dtype=np.float32)})
EXAMPLES: tuple[Callable[[], Any], ...] = (
    partial(comparison.curves, ROWS, "loss", MODELS, each=True),
    partial(comparison.gap, ROWS, MODELS),
    partial(comparison.rates, ROWS, MODELS),
    partial(confusion_matrix.matrix, confusion_matrix.rows(COUNTS, CLASSES), CLASSES, (CLASSES[0], CLASSES[1])),
    partial(confusion_matrix.score_dots, scores(), CLASSES),
    partial(curves.curve, "loss", HISTORY, 4, [(0.1, 2.0)], 2, ["L2 penalty"]),
    partial(curves.norms, HISTORY, "gradient_norm", "Gradient norm", 1.0),
    partial(curves.learning_rate, np.full(30, 0.1, np.float32), 10),
    partial(dataset_charts.balance, dict.fromkeys(("training", "validation", "test"), np.arange(10)), CLASSES),
    partial(
        dataset_charts.intensity_ridges, dataset_charts.intensity_rows(np.ones((10, 256), np.int64), CLASSES), CLASSES
    ),
    partial(dataset_charts.similarity_map, dataset_charts.similarity_rows(np.full((10, 10), 0.1), CLASSES), CLASSES),
    partial(dropout_masks.masks, {1: 0.2, 2: 0.4}, 0.5, "Shirt"),
    partial(epoch_lines.layers, LAYERS, "Dead units", "Share of each layer", "share", 1),
    partial(
        epoch_lines.probabilities,
        epoch_lines.probability_rows({0: PREDICTIONS[0], 1: PREDICTIONS[1]}, CLASSES, 3),
        CLASSES,
        1,
    ),
    partial(hyperparameter_grid.heat_map, RUNS, "l2", "units", "test_loss", TITLES),
    partial(hyperparameter_grid.scatter, RUNS, "l2", "test_loss", MODELS, TITLES),
    partial(layers_in_training.activations, LAYERS, "tanh"),
    partial(layers_in_training.spreads, LAYERS, "tanh"),
    partial(layers_in_training.measure, LAYERS, "gradient_std", "Gradients", "standard deviation"),
    partial(layers_in_training.losses, ROWS, MODELS, 0.3),
    partial(overfitting_chart.chart, ROWS, MODELS),
    partial(parallel_coordinates.chart, RUNS, ["l2", "units"], "test_loss", TITLES),
    partial(reliability_diagram.diagram, reliability()),
    partial(reliability_diagram.counts, reliability()),
    partial(schedule_steps.rate_by_step, STEPS, 10),
    partial(schedule_steps.loss_by_step, STEPS, 10),
    partial(separation_curves.over_epochs, SEPARATION, "knn", ["input"]),
    partial(separation_curves.over_layers, SEPARATION, "knn", ["input"]),
    partial(signal_through_layers.strips, SIGNAL),
    partial(signal_through_layers.variances, SIGNAL),
    partial(table1_charts.seeds, TABLE_1, "tanh"),
    partial(value_histograms.heat_map, SPREAD, "Weights", epoch=1),
    partial(value_histograms.ridges, SPREAD, "Weights", epoch=1),
    partial(
        value_spread.distributions, SHARES, {"before": "#123456"}, "pre-activation", "Hidden layer 1", "before training"
    ),
)
# Of measures that take a moment: (function, what follows the measures).
OF_NETWORKS: tuple[tuple[Callable[..., Any], tuple[Any, ...]], ...] = (
    (initial_distributions.panels, ("gradient",)),
    (initial_distributions.singular_values, ()),
    (initial_layers.variances, ("activation",)),
    (initial_layers.idle_bars, ()),
)
OF_LSUV = (initial_layers.lsuv,)


@pytest.fixture(scope="module")
def networks() -> Any:
    return look(layers=2, units=16, initialisers=["lsuv", "glorot_uniform"])


def name_of(function: Any) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def check(drawn: Specification) -> None:
    """Valid by Vega-Lite's schema and as strict JSON; says what it shows."""
    spec = drawn.to_dict()
    json.dumps(spec, allow_nan=False)
    alt.Chart.from_dict(spec, validate=True)
    title = spec.get("title") or spec["description"]
    assert drawn.description.startswith(title if isinstance(title, str) else title["text"])
    assert spec["datasets"] and all(isinstance(table, bytes) for table in drawn.ready()["datasets"].values())


@pytest.mark.parametrize(
    "example", EXAMPLES, ids=lambda example: name_of(example.func).removeprefix("fmnist_core.charts.")
)
def test_each_chart_is_valid_and_has_words(example: partial[Any]) -> None:
    check(example())


def test_charts_of_networks_are_valid_and_have_words(networks: Any) -> None:
    for draw, more in OF_NETWORKS:
        drawn = draw(networks, *more)
        for each in drawn if isinstance(drawn, list) else [drawn]:
            check(each)
    check(initial_layers.lsuv(networks["networks"][0]))


def test_each_function_that_draws_a_chart_is_among_these() -> None:
    for module in pkgutil.iter_modules(charts.__path__):
        content = importlib.import_module(f"{charts.__name__}.{module.name}")
        for name, function in inspect.getmembers(content, inspect.isfunction):
            returns = str(inspect.signature(function).return_annotation)
            if (
                function.__module__ == content.__name__
                and not name.startswith("_")
                and re.search(r"\b(Layer)?Chart\b", returns)
            ):
                assert name_of(function) in specification.FUNCTIONS or content.__name__.endswith(".theme")
    drawn = {name_of(example.func) for example in EXAMPLES}  # type: ignore[attr-defined]
    drawn |= {name_of(function) for function, _ in OF_NETWORKS} | set(map(name_of, OF_LSUV))
    assert drawn == set(specification.FUNCTIONS)


def test_a_page_shows_charts_in_one_way_only() -> None:
    root = Path(fmnist_core.__file__).parent
    shown = {path.name for path in root.rglob("*.py") if re.search("vega_lite_chart|altair_chart", path.read_text())}
    assert shown == {"chart_view.py", "specification.py"}


# --- Built once -------------------------------------------------------------------------------------------------------


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], Callable[..., Specification]]:
    """What was drawn, and a function that draws it."""
    monkeypatch.setattr(specification, "FUNCTIONS", {})
    monkeypatch.setattr(kept, "RESULTS", Kept(10_000))
    titles: list[str] = []

    @specified
    def bars(table: pd.DataFrame, title: str) -> alt.Chart:
        titles.append(title)
        drawn: alt.Chart = alt.Chart(table, title=title).mark_bar().encode(x="x:Q")
        return drawn

    return titles, bars


def test_the_same_content_is_drawn_once(drawn: Any) -> None:
    titles, bars = drawn
    table = pd.DataFrame({"x": [1.0, np.inf, np.nan], "word": ["a", "b", None]})
    first = bars(table, "one")
    assert bars(table.copy(), title="one") == first and bars(table.copy(), "one") is first
    assert bars(table.assign(x=2.0), "one").to_dict()["datasets"]["table 1"][0] == {"x": 2.0, "word": "a"}
    assert bars(table, "two") is not first and bars(table, "one") is first
    assert titles == ["one", "one", "one", "two"]
    assert first.to_dict()["datasets"]["table 1"][1:] == [{"x": None, "word": "b"}, {"x": None, "word": None}]


def test_what_one_caller_does_to_a_chart_no_other_sees(drawn: Any) -> None:
    _, bars = drawn
    table = pd.DataFrame({"x": [1.0]})
    for made in (bars(table, "one").to_dict(), bars(table, "one").ready()):
        made["datasets"].clear()
        made["encoding"].clear()
    assert bars(table, "one").to_dict()["datasets"]["table 1"] == [{"x": 1.0}]
    assert bars(table, "one").ready()["encoding"]["x"]["field"] == "x"


def test_only_so_much_is_kept(drawn: Any) -> None:
    titles, bars = drawn
    table = pd.DataFrame({"x": np.arange(200.0)})
    for title in ("one", "two", "one", "three", "four", "five", "one"):
        bars(table, title)
    assert titles == ["one", "two", "three", "four", "five", "one"]
    bars(pd.DataFrame({"x": np.arange(9_000.0)}), "too large to keep")
    assert bars(table, "one").description == "one. Horizontal: x."


def test_other_data_keep_their_name_so_that_a_browser_draws_in_place(drawn: Any) -> None:
    _, bars = drawn
    one, other = (bars(pd.DataFrame({"x": [x]}), "one") for x in (1.0, 2.0))
    assert one.text == other.text and one.tables != other.tables


def test_the_words_are_the_title_and_what_axes_and_colours_show() -> None:
    told = curves.curve("loss", HISTORY, 4).description
    assert told == "Loss: lower is better. Horizontal: epoch. Vertical: cross-entropy. Colours: training, validation."
    told = confusion_matrix.matrix(confusion_matrix.rows(COUNTS, CLASSES), CLASSES).description
    assert told.endswith("click a cell. Horizontal: predicted class. Vertical: true class.")


def test_a_chart_without_words_is_an_error(drawn: Any) -> None:
    _, bars = drawn
    with pytest.raises(ValueError, match="title or a description"):
        bars(pd.DataFrame({"x": [1]}), "")


def test_the_tests_check_what_the_app_does_not() -> None:
    assert schemapi.DEBUG_MODE
