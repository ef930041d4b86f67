"""Layers over the training and how soon a loss is reached: against closed formulas, Keras, and small tables."""

from __future__ import annotations

import math
from collections.abc import Iterator

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fmnist_core.charts import layers_in_training as pictures
from fmnist_core.data import dataset
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.findings import layers_over_epochs as measured
from fmnist_core.findings.run_tables import Trained
from fmnist_core.jobs.train_runs import train_and_store
from fmnist_core.learning import keras_network

SMALL = Experiment(
    layers=3,
    units=16,
    activation="tanh",
    optimiser="sgd",
    learning_rate=0.1,
    batch_size=100,
    epochs=2,
    training_fraction=0.2,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Trained]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FMNIST_RUNS", str(tmp_path_factory.mktemp("runs")))
        yield [
            Trained(name, train_and_store(SMALL.model_copy(update={"initialiser": name}), "sample"))
            for name in ("standard_uniform", "glorot_uniform")
        ]


@pytest.fixture(scope="module")
def rows(trained: list[Trained]) -> pd.DataFrame:
    return measured.over_epochs(trained[0].run, *measured.batch(dataset.load("sample")))


def value(rows: pd.DataFrame, epoch: int, layer: str, measure: str) -> float:
    [found] = rows.query("epoch == @epoch and layer == @layer and measure == @measure")["value"]
    return float(found)


# --- The measures -----------------------------------------------------------------------------------------------------


def test_every_kept_epoch_and_hidden_layer_is_measured(rows: pd.DataFrame) -> None:
    assert list(dict.fromkeys(rows["epoch"])) == [0, 1, 2]
    assert list(dict.fromkeys(rows["layer"])) == ["hidden_1", "hidden_2", "hidden_3"]
    assert rows.groupby(["epoch", "layer"]).size().eq(6).all()
    assert rows["value"].notna().all()


def test_activations_and_gradients_are_keras(trained: list[Trained], rows: pd.DataFrame) -> None:
    images, labels = measured.batch(dataset.load("sample"))
    assert len(images) == 300
    model = keras_network.build(SMALL)
    keras_network.assign(model, trained[0].run.weights(2))
    sums = [model.get_layer(f"hidden_{number}") for number in (1, 2, 3)]
    x = tf.constant(images.reshape(300, -1).astype(np.float32) / 255)
    held = []
    with tf.GradientTape() as tape:
        for layer in sums:
            s = layer(x)
            tape.watch(s)
            x = tf.tanh(s)
            held.append((s, x))
        probabilities = model.get_layer("output")(x)
        cost = tf.reduce_sum(keras.losses.sparse_categorical_crossentropy(labels.astype(int), probabilities))
    gradients = tape.gradient(cost, [s for s, _ in held])
    for number, ((_, z), gradient) in enumerate(zip(held, gradients, strict=True), start=1):
        name = f"hidden_{number}"
        z = z.numpy()
        assert value(rows, 2, name, "activation_mean") == pytest.approx(float(z.mean()), abs=1e-5)
        assert value(rows, 2, name, "activation_std") == pytest.approx(float(z.std()), rel=1e-4)
        assert value(rows, 2, name, "activation_high") == pytest.approx(float(np.quantile(z, 0.98)), rel=1e-4)
        assert value(rows, 2, name, "saturated") == pytest.approx(float((np.abs(z) > 0.95).mean()), abs=1e-3)
        assert value(rows, 2, name, "gradient_std") == pytest.approx(float(gradient.numpy().std()), rel=1e-3)


# --- How soon ---------------------------------------------------------------------------------------------------------

losses = arrays.arrays(np.float32, st.integers(1, 80), elements=st.floats(0, 10, width=32))


@given(losses, st.integers(1, 60))
def test_smoothing_is_the_mean_of_the_last_steps(held: np.ndarray, window: int) -> None:
    window_here = min(window, len(held))
    oracle = [held[end - window_here : end].astype(float).mean() for end in range(window_here, len(held) + 1)]
    assert measured.smoothed(held, window) == pytest.approx(oracle, abs=1e-6)


def test_one_huge_loss_does_not_swallow_those_after_it() -> None:
    held = np.array([1e20, 2.5, 2.5, 2.5, 2.5], np.float32)
    assert measured.smoothed(held, 2)[1:].tolist() == [2.5, 2.5, 2.5]


def test_the_first_step_at_a_loss() -> None:
    falling = np.linspace(2.0, 1.0, 101)
    assert measured.steps_to(falling, 1.5, window=1) == 51
    # The mean of the last 11 steps is the loss 5 steps ago.
    assert measured.steps_to(falling, 1.5 + 1e-9, window=11) == 56
    assert measured.steps_to(falling, 0.9) is None
    assert measured.steps_to(np.full(20, math.nan), 0.9) is None
    assert measured.steps_to(np.zeros(0), 0.9) is None


def test_a_loss_that_stops_being_a_number_is_not_reached_later() -> None:
    diverging = np.array([2.0, 1.0, np.inf, 0.1, 0.1], np.float32)
    assert measured.steps_to(diverging, 1.0, window=1) == 2
    assert measured.steps_to(diverging, 0.5, window=1) is None


def test_convergence_and_curves_are_of_the_stored_losses(trained: list[Trained]) -> None:
    common = measured.reached_by_all(trained)
    table = measured.convergence(trained, [common, 0.0])
    assert table.loc[table["loss"] == common, "step"].notna().all()
    assert table.loc[table["loss"] == 0.0, "step"].isna().all()
    assert list(dict.fromkeys(table["model"])) == ["standard_uniform", "glorot_uniform"]
    curves = measured.loss_curves(trained)
    for one in trained:
        own = curves[curves["run_id"] == one.run.run_id]
        steps = one.run.step_losses
        window = min(measured.WINDOW, len(steps))
        assert own["step"].iloc[-1] == len(steps)
        assert own["loss"].iloc[-1] == pytest.approx(steps[-window:].astype(float).mean(), rel=1e-6)


def test_nothing_trained_yet() -> None:
    assert measured.loss_curves([]).empty
    assert measured.convergence([], [1.0]).empty
    assert math.isnan(measured.reached_by_all([]))


# --- The pictures -----------------------------------------------------------------------------------------------------


def test_layers_keep_the_colours_of_their_order() -> None:
    scale = pictures.layer_colours(["hidden_1", "hidden_2", "hidden_3"]).to_dict()
    assert scale["range"] == list(pictures.ANCHORS)
    assert pictures.layer_colours(["hidden_1"]).to_dict()["range"] == [pictures.ANCHORS[0]]
    assert len(set(pictures.layer_colours([str(n) for n in range(20)]).to_dict()["range"])) == 20


def test_the_band_is_one_deviation_about_the_mean(rows: pd.DataFrame) -> None:
    drawn = pictures.activations(rows, "tanh, standard").to_dict()
    [row] = [one for one in drawn["datasets"]["layers"] if (one["epoch"], one["layer"]) == (1, "hidden_2")]
    mean, std = (value(rows, 1, "hidden_2", f"activation_{name}") for name in ("mean", "std"))
    assert (row["low"], row["high"]) == pytest.approx((mean - std, mean + std))
    assert drawn["title"]["text"] == "tanh, standard"


def test_spreads_are_the_deviations(rows: pd.DataFrame) -> None:
    drawn = pictures.spreads(rows, "tanh", (0, 1)).to_dict()
    assert [layer["encoding"]["y"]["field"] for layer in drawn["layer"]] == [
        "activation_std",
        "activation_high",
        "activation_std",
    ]
    [row] = [one for one in drawn["datasets"]["layers"] if (one["epoch"], one["layer"]) == (2, "hidden_3")]
    assert row["activation_std"] == pytest.approx(value(rows, 2, "hidden_3", "activation_std"))


def test_compared_pictures_share_their_axis(rows: pd.DataFrame) -> None:
    gradients = rows[rows["measure"] == "gradient_std"]["value"]
    domain = pictures.span([rows, rows], ["gradient_std"])
    assert domain == (gradients.min(), gradients.max())
    drawn = pictures.measure(rows, "gradient_std", "Gradients", "deviation of dCost/ds", domain).to_dict()
    assert drawn["layer"][0]["encoding"]["y"]["scale"]["domain"] == list(domain)
    assert pictures.span([rows.assign(value=math.nan)], ["gradient_std"]) is None


def test_an_exploded_layer_leaves_a_gap(rows: pd.DataFrame) -> None:
    gone = rows.assign(value=rows["value"].where(rows["epoch"] < 2))
    drawn = pictures.measure(gone, "gradient_std", "Gradients", "deviation of dCost/ds").to_dict()
    assert {one["epoch"] for one in drawn["datasets"]["layers"]} == {0, 1}
    told = pictures.activations(gone, "exploded").to_dict()["datasets"]["layers"]
    assert [one["activation_mean"] for one in told if one["epoch"] == 2] == [None] * 3


def test_a_line_for_each_run(trained: list[Trained]) -> None:
    curves = measured.loss_curves(trained)
    drawn = pictures.losses(curves, ["glorot_uniform"], target=1.0).to_dict()
    assert {one["model"] for one in drawn["datasets"]["runs"]} == {"glorot_uniform"}
    assert drawn["datasets"]["target"] == [{"loss": 1.0}]
