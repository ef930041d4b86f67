"""The pictures of several models: what they compute over the seeds, and that odd tables do not break them."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fmnist_core.charts import comparison, hyperparameter_grid, overfitting_chart, parallel_coordinates, theme
from fmnist_core.charts.specification import Specification

SHAPES = {
    "Base network": (0.30, 0.060, 8, 0.001),
    "Dropout 0.3": (0.285, 0.006, 18, 0.001),
    "Batch normalisation": (0.29, 0.045, 6, 0.001),
    "L2 penalty 0.001": (0.36, 0.004, 20, 0.001),
    "Learning-rate schedule": (0.295, 0.020, 10, 0.0008),
}
MODELS = list(SHAPES)


def history(epochs: int = 20, seeds: int = 3) -> pd.DataFrame:
    """Five models that learn and overfit as the notebook's do: one row per run and epoch."""
    rng = np.random.default_rng(0)
    tables = []
    for model, (floor, slope, turn, rate) in SHAPES.items():
        for seed in range(seeds):
            epoch = np.arange(1, epochs + 1)
            level = floor + rng.normal(0, 0.006)
            val_loss = level + 0.25 * np.exp(-epoch / 2) + slope * 0.12 * np.maximum(epoch - turn + 4, 0)
            val_loss += rng.normal(0, 0.008, epochs)
            loss = level + 0.05 + 0.30 * np.exp(-epoch / 1.5) - slope * 0.19 * epoch
            tables.append(
                pd.DataFrame(
                    {
                        "model": model,
                        "seed": seed,
                        "run_id": f"{model}/{seed}",
                        "epoch": epoch,
                        "step": 422 * epoch,
                        "seconds": (2.0 + 0.1 * seed + len(model) / 20) * epoch,
                        "loss": loss + rng.normal(0, 0.002, epochs),
                        "accuracy": 1.005 - 0.36 * loss,
                        "val_loss": val_loss,
                        "val_accuracy": 0.97 - 0.28 * level - 0.12 * np.exp(-epoch / 2) + rng.normal(0, 0.002, epochs),
                        "learning_rate": rate * (0.96 ** (4.2 * epoch) if rate < 0.001 else np.ones(epochs)),
                    }
                )
            )
    return pd.concat(tables, ignore_index=True)


def study(seeds: int = 3) -> pd.DataFrame:
    """A study over five hyperparameters: one row per run; the highest rate diverges on the widest network."""
    rng = np.random.default_rng(1)
    rows = []
    for rate, units, norm, seed in product((1e-4, 1e-3, 1e-2, 1e-1), (64, 256, 1024), (False, True), range(seeds)):
        activation, l2 = rng.choice(["ReLU", "tanh", "leaky ReLU"]), rng.choice([0.0, 1e-5, 1e-3])
        loss = 0.33 + 0.03 * (np.log10(rate) + 2.8 - norm) ** 2 - 0.012 * np.log2(units / 64) + rng.normal(0, 0.006)
        diverged = rate == 1e-1 and units == 1024 and not norm
        rows.append(
            {
                "run_id": f"{rate}-{units}-{norm}-{seed}",
                "model": f"Learning rate {rate:g}, units per layer {units}",
                "seed": seed,
                "learning_rate": rate,
                "units": units,
                "batch_norm": norm,
                "activation": str(activation),
                "l2": float(l2),
                "test_loss": np.nan if diverged else loss,
                "test_accuracy": 0.1 if diverged else 1 - 0.36 * loss,
                "best_val_loss": np.inf if diverged else loss - 0.01,
                "seconds": 12 + units / 60 + rng.normal(0, 0.5),
            }
        )
    return pd.DataFrame(rows)


TITLES = {
    "learning_rate": "Learning rate",
    "units": "Units per layer",
    "batch_norm": "Batch normalisation",
    "activation": "Activation",
    "l2": "L2 penalty",
    "test_loss": "Test loss",
    "test_accuracy": "Test accuracy",
    "seconds": "Training time in seconds",
}
FIELDS = ["learning_rate", "units", "batch_norm", "activation", "l2"]


def data(chart: Specification) -> dict[str, list[dict[str, Any]]]:
    """The chart's data sets, after Altair's validation of the whole; strict JSON, so that a nan fails."""
    spec = chart.to_dict()
    datasets: dict[str, list[dict[str, Any]]] = json.loads(json.dumps(spec["datasets"], allow_nan=False))
    return datasets


def spec(chart: Specification) -> str:
    """All of the chart but its data."""
    return json.dumps({key: value for key, value in chart.to_dict().items() if key != "datasets"})


# --- Curves ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", ["loss", "accuracy"])
@pytest.mark.parametrize("x", ["epoch", "step", "seconds"])
def test_curves_are_means_and_sample_deviations_over_the_seeds(measure: str, x: str) -> None:
    rows = history()
    held = data(comparison.curves(rows, measure, MODELS, x))
    assert len(held["means"]) == 2 * 5 * 20 and len(held["bands"]) == 5 * 20
    for row in held["means"]:
        column = measure if row["split"] == theme.TRAIN_NAME else f"val_{measure}"
        own = rows[(rows["model"] == row["model"]) & (rows["epoch"] == row["epoch"])]
        values = own[column].to_numpy()
        assert row["mean"] == pytest.approx(values.mean())
        assert row["deviation"] == pytest.approx(np.std(values, ddof=1))
        assert row["high"] - row["low"] == pytest.approx(2 * np.std(values, ddof=1))
        assert row["x"] == pytest.approx(own[x].mean())
        assert row["seeds"] == 3
    assert {row["split"] for row in held["bands"]} == {theme.VALIDATION_NAME}


def test_the_untrained_network_and_values_that_are_not_finite_are_left_out() -> None:
    rows = history(epochs=4)
    untrained = rows[rows["epoch"] == 1].assign(epoch=0, val_loss=2.4)
    first = (rows["model"] == MODELS[0]) & (rows["epoch"] == 3)
    rows.loc[first & (rows["seed"] == 0), "val_loss"] = np.nan
    rows.loc[first & (rows["seed"] == 1), "val_loss"] = np.inf
    rows.loc[(rows["model"] == MODELS[1]), ["val_loss", "loss"]] = np.nan
    held = data(comparison.curves(pd.concat([untrained, rows]), "loss", MODELS, each=True))
    assert {row["epoch"] for row in held["means"]} == {1, 2, 3, 4}
    assert MODELS[1] not in {row["model"] for row in held["means"]}
    left = rows.loc[first & (rows["seed"] == 2), "val_loss"].item()
    (row,) = [r for r in held["means"] if (r["model"], r["epoch"], r["split"]) == (MODELS[0], 3, "validation")]
    assert (row["mean"], row["seeds"], row["deviation"]) == (pytest.approx(left), 1, None)
    assert len([r for r in held["runs"] if r["model"] == MODELS[0]]) == 3 * 4 - 2


def test_one_seed_has_no_band_and_the_subtitle_speaks_of_none() -> None:
    chart = comparison.curves(history(seeds=1), "loss", MODELS)
    assert not data(chart)["bands"]
    assert "deviation over" not in json.dumps(chart.to_dict()["title"])
    assert "deviation over 3 seeds" in json.dumps(comparison.curves(history(), "loss", MODELS).to_dict()["title"])


def test_single_runs_show_on_demand() -> None:
    rows = history()
    assert not data(comparison.curves(rows, "loss", MODELS))["runs"]
    runs = data(comparison.curves(rows, "loss", MODELS, each=True))["runs"]
    assert len({row["run_id"] for row in runs}) == 15
    assert [row["mean"] for row in runs[:3]] == pytest.approx(
        rows.loc[(rows["model"] == MODELS[0]) & (rows["epoch"] == 1), "val_loss"].tolist()
    )


def test_models_of_different_lengths_and_a_run_in_progress() -> None:
    rows = history()
    rows = rows[(rows["model"] != MODELS[1]) | (rows["epoch"] <= 7)]
    rows = rows[(rows["run_id"] != f"{MODELS[0]}/2") | (rows["epoch"] <= 5)]
    means = pd.DataFrame(data(comparison.curves(rows, "accuracy", MODELS))["means"])
    assert means.groupby("model")["epoch"].max().to_dict() == dict.fromkeys(MODELS, 20) | {MODELS[1]: 7}
    seeds = means[means["model"] == MODELS[0]].groupby("epoch")["seeds"].first()
    assert seeds.loc[5] == 3 and seeds.loc[6] == 2


def test_only_data_changes_from_one_redraw_to_the_next() -> None:
    rows = history()
    charts = [comparison.curves(rows[rows["epoch"] <= n], "loss", MODELS, end=20) for n in (1, 2, 20)]
    assert len({spec(chart) for chart in charts}) == 1
    assert len(data(charts[0])["ends"]) == 5


def test_before_the_first_epoch_there_is_an_empty_picture() -> None:
    rows = history().head(0)
    for draw in (comparison.gap, comparison.rates, overfitting_chart.chart):
        assert draw(rows, MODELS).to_dict()
    assert data(comparison.curves(rows, "loss", MODELS, each=True))["means"] == []
    assert overfitting_chart.lowest(rows).empty


def test_a_diverging_model_does_not_flatten_the_others() -> None:
    rows = history()
    assert "domain" not in comparison.curves(rows, "loss", MODELS).to_dict()["layer"][0]["encoding"]["y"]["scale"]
    rows.loc[(rows["model"] == MODELS[0]) & (rows["seed"] == 0), "val_loss"] = 1e5
    for chart in (comparison.curves(rows, "loss", MODELS), comparison.gap(rows, MODELS)):
        assert chart.to_dict()["layer"][0]["encoding"]["y"]["scale"]["domain"][1] == comparison.HIGH
        assert "Above 3: not shown" in json.dumps(chart.to_dict()["title"])
        assert {row["model"] for row in data(chart)["bands"]} == set(MODELS[1:])


def test_each_model_keeps_its_colour_whichever_rows_there_are() -> None:
    rows = history()
    for shown in (rows, rows[rows["model"] == MODELS[3]], rows.sample(frac=1, random_state=0)):
        scale = comparison.curves(shown, "loss", MODELS).to_dict()["layer"][3]["encoding"]["color"]["scale"]
        assert scale == {"domain": MODELS, "range": list(theme.MODEL_COLOURS[:5])}
    many = theme.model_colours([str(n) for n in range(11)]).to_dict()["range"]
    assert many[8:] == many[:3]


def test_the_legend_takes_clicks_and_fits_into_half_a_page() -> None:
    chart = comparison.curves(history(), "loss", MODELS).to_dict()
    (param,) = chart["params"]
    assert (param["name"], param["bind"], param["select"]["fields"]) == ("model", "legend", ["model"])
    # Vega-Lite's rule: the first layer with the legend must be the one that has the selection.
    first = next(layer for layer in chart["layer"] if "color" in layer["encoding"])
    assert param["views"] == [first["name"]]
    assert [theme.legend_columns([name] * 5) for name in ("a", "x" * 20, "x" * 70)] == [5, 3, 1]
    heights = [comparison.curves(history(), "loss", names).to_dict()["height"] for names in (MODELS, ["x" * 70] * 5)]
    assert heights[1] - heights[0] == 3 * comparison.LINE


# --- Gap, rates, overfitting ----------------------------------------------------------------------------------------


def test_gap_is_taken_run_by_run() -> None:
    rows = history()
    held = data(comparison.gap(rows, MODELS))
    for row in held["means"]:
        own = rows[(rows["model"] == row["model"]) & (rows["epoch"] == row["epoch"])]
        gaps = (own["val_loss"] - own["loss"]).to_numpy()
        assert row["mean"] == pytest.approx(gaps.mean())
        assert row["deviation"] == pytest.approx(np.std(gaps, ddof=1))
    assert held["zero"] == [{"mean": 0.0}] and len(held["bands"]) == len(held["means"]) == 100


def test_rates_that_coincide_show_as_rims() -> None:
    means = pd.DataFrame(data(comparison.rates(history(), MODELS))["means"])
    widths = [means.loc[means["model"] == model, "width"].unique().tolist() for model in MODELS]
    plain = comparison.WIDTHS[theme.VALIDATION_NAME]
    assert widths == [[plain + comparison.RIM * above] for above in (3, 2, 1, 0, 0)]


@pytest.mark.parametrize(("factor", "kind"), [(1.0, "linear"), (1e-3, "log")])
def test_rates_over_a_wide_range_have_a_logarithmic_axis(factor: float, kind: str) -> None:
    rows = history(epochs=3)
    rows.loc[rows["epoch"] == 3, "learning_rate"] *= factor
    chart = comparison.rates(rows, MODELS).to_dict()
    assert chart["layer"][0]["encoding"]["y"]["scale"]["type"] == kind


def test_lowest_is_the_mean_of_each_runs_own_lowest_loss() -> None:
    rows = pd.DataFrame(
        [
            {"model": "b", "seed": seed, "run_id": f"b{seed}", "epoch": epoch, "val_loss": loss}
            for seed, losses in enumerate([[0.5, 0.3, 0.4, 0.6], [0.5, 0.4, 0.2, np.nan]])
            for epoch, loss in enumerate(losses, 1)
        ]
        + [{"model": "a", "seed": 0, "run_id": "a0", "epoch": epoch, "val_loss": 1 / epoch} for epoch in (3, 1, 2)]
    )
    overfitted, learning = overfitting_chart.lowest(rows).to_dict("records")
    assert overfitted == {
        "model": "b",
        "seeds": 2,
        "epoch": 2.5,
        "epoch_deviation": pytest.approx(np.std([2, 3], ddof=1)),
        "loss": pytest.approx(0.25),
        "end_epoch": 3.5,
        "end_loss": pytest.approx(0.4),
        "rise": pytest.approx(0.15),
    }
    assert (learning["epoch"], learning["end_epoch"], learning["rise"]) == (3, 3, 0)
    assert np.isnan(learning["epoch_deviation"])


def test_overfitting_tells_each_models_figures_and_stays_within_the_training() -> None:
    rows = history()
    chart = overfitting_chart.chart(rows, MODELS)
    own = rows[rows["model"] == MODELS[0]].groupby("run_id")["val_loss"]
    low, end = own.min().mean(), own.last().mean()
    told = chart.to_dict()["layer"][2]["encoding"]["y"]["axis"]["labelExpr"].removesuffix("[datum.value] || ''")
    assert json.loads(told)[MODELS[0]] == f"{low:.3f} → {end:.3f}  ({end - low:+.3f})"
    for row in data(chart)["lowest"]:
        assert 1 <= row["low"] <= row["epoch"] <= row["high"] <= row["end_epoch"] == 20


def test_an_l2_penalty_is_told_wherever_it_is_in_the_losses() -> None:
    rows = history()
    penalised = rows.assign(loss_terms=np.where(rows["model"] == "L2 penalty 0.001", "L2 penalty", ""))
    draws: dict[str, Callable[[pd.DataFrame, list[str]], Any]] = {
        "falls within an epoch": comparison.gap,
        "whose fall can hide a rise": overfitting_chart.chart,
        "cross-entropy + L2": lambda rows, models: comparison.curves(rows, "loss", models),
    }
    for words, draw in draws.items():
        assert words in json.dumps(draw(penalised, MODELS).to_dict())
        assert words not in json.dumps(draw(rows, MODELS).to_dict())
        others = [model for model in MODELS if model != "L2 penalty 0.001"]
        assert words not in json.dumps(draw(penalised, others).to_dict())


# --- Hyperparameters ------------------------------------------------------------------------------------------------


def test_heat_map_has_means_over_the_runs_and_the_best_is_strongest() -> None:
    table = study()
    chart = hyperparameter_grid.heat_map(table, "learning_rate", "units", "test_loss", TITLES)
    cells = data(chart)["cells"]
    assert len(cells) == 12
    for cell in cells:
        own = table[(table["learning_rate"] == cell["learning_rate"]) & (table["units"] == cell["units"])]
        values = own["test_loss"].dropna().to_numpy()
        assert cell["mean"] == pytest.approx(values.mean())
        assert cell["deviation"] == pytest.approx(np.std(values, ddof=1))
        assert (cell["runs"], cell["figure"]) == (len(values), f"{values.mean():.3f}")
    best = min(cells, key=lambda cell: cell["mean"])
    assert best["strength"] == 1 == max(cell["strength"] for cell in cells)
    assert chart.to_dict()["params"][0]["select"]["fields"] == ["learning_rate", "units"]
    assert chart.to_dict()["params"][0]["name"] == "cell"


def test_more_is_better_for_accuracy_only() -> None:
    table = study()
    for measure, best in (("test_accuracy", max), ("test_loss", min), ("seconds", min)):
        rated = hyperparameter_grid.over_runs(table, ["units"], measure).set_index("strength")["mean"]
        assert rated.loc[1.0] == best(rated)


def test_a_run_that_diverged_counts_in_no_measure() -> None:
    table = study()
    gone = (table["learning_rate"] == 0.1) & (table["units"] == 1024) & ~table["batch_norm"]
    means = hyperparameter_grid.over_runs(table, ["learning_rate", "units", "batch_norm"], "test_accuracy")
    (cell,) = means[means["diverged"]].to_dict("records")
    assert (cell["figure"], cell["runs"], cell["strength"]) == ("diverged", 0, 0)
    accuracies = hyperparameter_grid.over_runs(table, ["units"], "test_accuracy").set_index("units")["mean"]
    kept = table[~gone & (table["units"] == 1024)]
    assert accuracies[1024] == pytest.approx(kept["test_accuracy"].mean())


def test_noise_alone_does_not_get_the_whole_range_of_colours() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"units": np.repeat([8, 16, 32], 10), "test_loss": 0.3 + rng.normal(0, 0.01, 30)})
    assert hyperparameter_grid.over_runs(table, ["units"], "test_loss")["strength"].min() > 0.5


def test_values_stand_in_order_words_as_they_come_and_keep_their_types() -> None:
    table = study().sample(frac=1, random_state=2)
    words = list(dict.fromkeys(table["activation"]))
    chart = hyperparameter_grid.heat_map(table, "activation", "batch_norm", "test_loss", TITLES)
    encoding = chart.to_dict()["layer"][0]["encoding"]
    assert (encoding["x"]["sort"], encoding["y"]["sort"]) == (words, [False, True])
    assert {type(cell["batch_norm"]) for cell in data(chart)["cells"]} == {bool}
    chart = hyperparameter_grid.heat_map(table, "units", "learning_rate", "test_loss", TITLES)
    encoding = chart.to_dict()["layer"][0]["encoding"]
    assert (encoding["x"]["sort"], encoding["y"]["sort"]) == ([64, 256, 1024], [1e-4, 1e-3, 1e-2, 1e-1])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1e-4, 1e-2], "log"),
        ([8, 2048], "log"),
        ([0.0, 1e-5, 1e-3], "symlog"),
        ([0.1, 0.5], "linear"),
        ([0.0], "linear"),
        ([-1.0, 0.001, 10.0], "linear"),
    ],
)
def test_a_wide_range_has_a_logarithmic_axis(values: list[float], kind: str) -> None:
    table = pd.DataFrame({"l2": values, "test_loss": 0.3, "model": "a", "seed": 0})
    table["run_id"] = table.index.astype(str)
    chart = hyperparameter_grid.scatter(table, "l2", "test_loss", ["a"], TITLES)
    assert chart.to_dict()["layer"][1]["encoding"]["x"]["scale"]["type"] == kind
    places = pd.DataFrame(data(parallel_coordinates.chart(table, ["l2"], "test_loss", TITLES))["lines"])
    own = places.loc[places["order"] == 0, "place"].tolist()
    assert own == sorted(own) and (own[0], own[-1]) == ((0, 1) if len(values) > 1 else (0.5, 0.5))


def test_scatter_shows_every_run_that_has_a_value_and_the_means() -> None:
    table = study()
    chart = hyperparameter_grid.scatter(
        table, "learning_rate", "test_loss", list(dict.fromkeys(table["model"])), TITLES
    )
    held = data(chart)
    assert len(held["runs"]) == len(table) - 3 and "Left out: 3 diverged" in json.dumps(chart.to_dict()["title"])
    for mean in held["means"]:
        values = table.loc[table["learning_rate"] == mean["learning_rate"], "test_loss"].dropna()
        assert mean["value"] == pytest.approx(values.mean())
    assert held["path"] == held["means"]
    assert [(p["name"], p["select"]["fields"]) for p in chart.to_dict()["params"]] == [("run", ["run_id"])]


def test_scatter_over_words_has_no_path_between_them() -> None:
    table = study()
    chart = hyperparameter_grid.scatter(table, "activation", "test_accuracy", ["a"], TITLES)
    assert not data(chart)["path"] and len(data(chart)["means"]) == 3
    assert chart.to_dict()["layer"][1]["encoding"]["x"]["type"] == "ordinal"


def test_scatter_has_a_legend_only_where_colours_tell_more_than_the_axis() -> None:
    table = study().assign(model=lambda rows: rows["units"].map("{} units".format))
    models = list(dict.fromkeys(table["model"]))
    for x, shown in (("learning_rate", True), ("units", False)):
        chart = hyperparameter_grid.scatter(table, x, "test_loss", models, TITLES).to_dict()
        assert ("field" in chart["layer"][1]["encoding"]["color"]) is shown


def test_parallel_scales_each_axis_to_its_own_range() -> None:
    table = study()
    chart = parallel_coordinates.chart(table, FIELDS, "test_loss", TITLES)
    held = data(chart)
    assert len({line["run_id"] for line in held["lines"]}) == len(table)
    assert len(held["lines"]) == 6 * len(table) - 3  # A diverged run has no place on the measure's axis.
    assert sorted({line["place"] for line in held["lines"] if line["order"] == 0}) == pytest.approx(
        [0, 1 / 3, 2 / 3, 1]
    )
    ends = {(mark["axis"], mark["place"]): mark["mark"] for mark in held["marks"]}
    assert (ends["Learning rate", 0], ends["Units per\nlayer", 1]) == ("0.0001", "1,024")
    assert (ends["Batch\nnormalisation", 1], ends["L2 penalty", 0]) == ("no", "0")
    low, high = table["test_loss"].min(), table["test_loss"].max()
    assert (ends["Test loss", 0], ends["Test loss", 1]) == (f"{low:.3f}", f"{high:.3f}")
    assert [(p["name"], p["select"]["fields"]) for p in chart.to_dict()["params"]] == [("run", ["run_id"])]


ODD = {
    "one run": study(seeds=1).head(1),
    "equal values": study().assign(test_loss=0.3, test_accuracy=0.9, seconds=1.0, units=64, activation="tanh", l2=0.0),
    "nothing finite": study().assign(test_loss=np.nan),
    "no run": study().head(0),
    "whole numbers": study().assign(seconds=7, test_accuracy=1),
}


@pytest.mark.parametrize("table", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("measure", ["test_loss", "test_accuracy", "seconds"])
def test_odd_tables_make_valid_charts(table: pd.DataFrame, measure: str) -> None:
    for x, y in (("learning_rate", "units"), ("activation", "batch_norm"), ("l2", "activation")):
        for cell in data(hyperparameter_grid.heat_map(table, x, y, measure, TITLES))["cells"]:
            assert 0 <= cell["strength"] <= 1
        assert data(hyperparameter_grid.scatter(table, x, measure, MODELS, TITLES)) is not None
    for line in data(parallel_coordinates.chart(table, FIELDS, measure, TITLES))["lines"]:
        assert 0 <= line["place"] <= 1 and 0 <= line["strength"] <= 1
