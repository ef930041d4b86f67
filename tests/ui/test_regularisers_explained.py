"""What the regularisers' explanations measure, against plain NumPy; and each of them on a page."""

from __future__ import annotations

import base64
import io
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from fmnist_core.charts import dropout_masks, schedule_steps
from fmnist_core.charts import value_spread as pictures
from fmnist_core.data import dataset
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.recording import Weights
from fmnist_core.experiment.schedule import learning_rates
from fmnist_core.store.run import Run
from fmnist_core.ui.compare import (
    batch_norm_explained,
    dropout_explained,
    l2_explained,
    regularisers_explained,
    steps_explained,
)
from tests.support.screens import button, plain
from tests.support.stored_runs import STEPS, store_run

SMALL: dict[str, Any] = {"widths": (24, 16), "epochs": 2}


@pytest.fixture
def data() -> dataset.Dataset:
    return dataset.load("sample")


def weights_of(experiment: Experiment, epoch: int) -> Weights:
    """Weights of the right names and shapes that grow from epoch to epoch."""
    rng, found, fan_in = np.random.default_rng([7, epoch]), {}, 784
    for name, width in [*((f"hidden_{n}", w) for n, w in enumerate(experiment.hidden_widths, 1)), ("output", 10)]:
        found[f"{name}/kernel"] = rng.normal(0, (1 + epoch) / math.sqrt(fan_in), (fan_in, width))
        found[f"{name}/bias"] = rng.normal(0, 0.1, width)
        if experiment.batch_norm and name != "output":
            batch_norm = name.replace("hidden", "batch_norm")
            found |= {f"{batch_norm}/{part}": rng.normal(0, 0.3, width) for part in ("beta", "moving_mean")}
            found |= {f"{batch_norm}/{part}": rng.uniform(0.5, 1.5, width) for part in ("gamma", "moving_variance")}
        fan_in = width
    return {name: values.astype(np.float32) for name, values in found.items()}


def stored(root: Path, spoil: Any = lambda weights: weights, losses: int = 2 * STEPS, **values: Any) -> Run:
    """A run in the store, as a training leaves it. spoil: changes each epoch's weights."""
    experiment = Experiment.of(SMALL | values)
    probabilities = np.full((10, 10), 0.1, np.float32)
    snapshots = {epoch: (spoil(weights_of(experiment, epoch)), probabilities) for epoch in range(3)}
    steps = np.linspace(2, 1, losses).astype(np.float32)
    return store_run(
        root, experiment, [0.5] * 3, snapshots=snapshots, steps=steps, data_name="sample", steps_per_epoch=STEPS
    )


def batch_of(data: dataset.Dataset, run: Run, rows: Any = slice(128)) -> Any:
    """Scaled training images as float64 (n, 784)."""
    train = dataset.split(data.train_labels, run.experiment.validation_fraction).train
    return data.train_images[train[rows]].reshape(-1, 784) / 255


def softmax(logits: Any) -> Any:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


# --- Dropout ----------------------------------------------------------------------------------------------------------


def test_masks_are_real_passes_of_one_image(tmp_path: Path, data: dataset.Dataset) -> None:
    run = stored(tmp_path, dropout=0.4)
    weights, row = weights_of(run.experiment, 2), 11
    found = dropout_explained._masks(run, data, row, 12)
    x, label = data.train_images[row].reshape(784) / 255, data.train_labels[row]

    def probability(*masks: np.ndarray) -> float:
        first = np.maximum(x @ weights["hidden_1/kernel"] + weights["hidden_1/bias"], 0) * masks[0]
        second = np.maximum(first @ weights["hidden_2/kernel"] + weights["hidden_2/bias"], 0) * masks[1]
        return float(softmax(second @ weights["output/kernel"] + weights["output/bias"])[label])

    assert found.full == pytest.approx(probability(np.ones(24), np.ones(16)), rel=1e-4)
    assert list(found.probabilities) == list(range(3, 13))
    for step, measured in found.probabilities.items():
        rng = np.random.default_rng([run.experiment.seed, step])
        kept = [rng.random((1, width), np.float32)[0] >= 0.4 for width in (24, 16)]
        assert measured == pytest.approx(probability(*(mask / 0.6 for mask in kept)), rel=1e-4)
    assert np.array_equal(found.kept, kept[0]) and not found.values[~found.kept].any()
    assert found.values.max() <= found.highest * (1 + 1e-6)


def test_images_whose_class_is_least_settled_come_first(tmp_path: Path, data: dataset.Dataset) -> None:
    run = stored(tmp_path, dropout=0.4)
    rows = dropout_explained._least_sure(run, data)
    train = dataset.split(data.train_labels, 0.1).train[:200]
    assert sorted(rows.tolist()) == train.tolist()
    weights, x = weights_of(run.experiment, 2), data.train_images[rows].reshape(-1, 784) / 255
    for name in ("hidden_1", "hidden_2"):
        x = np.maximum(x @ weights[f"{name}/kernel"] + weights[f"{name}/bias"], 0)
    given = softmax(x @ weights["output/kernel"] + weights["output/bias"])
    distance = np.abs(given[np.arange(200), data.train_labels[rows]] - 0.5)
    assert (np.diff(distance) > -1e-4).all()


def test_unit_grid_crosses_what_is_off_and_shades_what_is_on() -> None:
    values = np.array([0.0, 1.0, 2.0, 0.0, -2.0, 0.0, 0.5, 0.0], np.float32)
    kept = np.array([True, True, True, False, True, False, True, True])
    html = dropout_masks.unit_grid(values, kept, 2.0, "told")
    source = re.search(r'base64,([^"]+)" alt="told"', html)
    assert source is not None
    pixels = np.array(Image.open(io.BytesIO(base64.b64decode(source[1]))))
    pitch, side = (
        (dropout_masks.CELL + dropout_masks.GAP) * dropout_masks.SHARPER,
        dropout_masks.CELL * dropout_masks.SHARPER,
    )
    assert pixels.shape[:2] == (2 * pitch - dropout_masks.GAP * 2, 4 * pitch - dropout_masks.GAP * 2)
    opacity = []
    for place, on in enumerate(kept):
        cell = pixels[place // 4 * pitch :, place % 4 * pitch :][:side, :side]
        assert (tuple(cell[0, 0]) != (0, 0, 0, 0)) == on  # a cross leaves its corner free
        assert cell[side // 2, side // 2, 3] > 0
        opacity.append(int(cell[0, 0, 3]))
    assert opacity[2] == opacity[4] == 255 > opacity[1] > opacity[6] > opacity[0] == opacity[7] > 0


def test_mask_chart_holds_its_steps_and_marks_the_newest() -> None:
    spec = dropout_masks.masks({3: 0.2, 4: 0.7, 5: 0.4}, 0.5, "Shirt").to_dict()
    rows = [row for values in spec["datasets"].values() for row in values if "step" in row]
    assert [(row["step"], row["newest"]) for row in rows] == [(3, False), (4, False), (5, True)]
    assert spec["title"]["subtitle"] == "line: all units on, 0.50; dots: 0.20 to 0.70"


# --- Batch normalisation ----------------------------------------------------------------------------------------------


def test_sums_before_and_after_are_those_of_the_batch(tmp_path: Path, data: dataset.Dataset) -> None:
    run = stored(tmp_path, batch_norm=True)
    rows, facts = batch_norm_explained._sums(run, data)
    assert facts["layer"].tolist() == [1, 1, 2, 2]
    assert facts["when"].tolist() == ["before training", "after epoch 2"] * 2
    for epoch, when in ((0, "before training"), (2, "after epoch 2")):
        weights, x = weights_of(run.experiment, epoch), batch_of(data, run)
        for layer in (1, 2):
            z = x @ weights[f"hidden_{layer}/kernel"] + weights[f"hidden_{layer}/bias"]
            part = f"batch_norm_{layer}"
            after = (z - z.mean(0)) / np.sqrt(z.var(0) + 1e-3) * weights[f"{part}/gamma"] + weights[f"{part}/beta"]
            measured = facts[(facts["layer"] == layer) & (facts["when"] == when)].iloc[0, 2:].tolist()
            assert measured == pytest.approx([z.mean(), z.std(), after.mean(), after.std()], abs=0.0051)
            table = rows[layer]
            for values, side in zip((z, after), batch_norm_explained.SIDES, strict=True):
                own = table[(table["panel"] == when) & (table["part"] == side)]
                width = own["value"].diff().iloc[1]
                edges = np.append(own["value"] - width / 2, own["value"].iloc[-1] + width / 2)
                counted = np.histogram(values, edges)[0] / values.size
                assert own["share"].to_numpy() == pytest.approx(counted, abs=2e-3)  # float32 near an edge
            x = np.maximum(after, 0)


def test_a_deep_network_shows_three_layers_and_tabulates_all(tmp_path: Path) -> None:
    app = shown(tmp_path, stored(tmp_path, widths=(16, 16, 16, 16, 16), batch_norm=True))
    assert len(app.get("vega_lite_chart")) == 6
    assert len(app.dataframe[0].value) == 10


# --- L2 ---------------------------------------------------------------------------------------------------------------


def test_weights_are_measured_at_the_first_the_middle_and_the_last_epoch(tmp_path: Path) -> None:
    run, other = stored(tmp_path, l2=0.02), stored(tmp_path, dropout=0.1)
    rows, facts = l2_explained._kernels(run, other, 2)
    assert facts["run"].tolist() == ["L2 penalty 0.02"] * 3 + ["No L2 penalty"] * 3
    assert facts["when"].tolist() == ["before training", "after epoch 1", "after epoch 2"] * 2
    for place, epoch in enumerate((0, 1, 2, 0, 1, 2)):
        weights = weights_of(run.experiment, epoch)
        kernel, line = weights["hidden_2/kernel"].astype(float), facts.iloc[place]
        assert line["deviation"] == pytest.approx(kernel.std(), rel=1e-5)
        assert line[l2_explained.NEAR] == pytest.approx((abs(kernel) < 0.01).mean(), abs=0.0051)
        squares = (weights["hidden_1/kernel"].astype(float) ** 2).sum() + (kernel**2).sum()
        assert line["penalty"] == pytest.approx((0.02 if place < 3 else 0) * squares, rel=1e-5)
    assert rows.groupby("panel")["part"].unique().map(tuple).tolist() == [tuple(l2_explained.STAGES)] * 2
    assert rows.groupby(["panel", "part"])["value"].apply(tuple).nunique() == 1
    assert (rows.groupby(["panel", "part"])["share"].sum() > 0.98).all()


def test_the_run_without_a_penalty_is_the_one_most_alike(tmp_path: Path) -> None:
    run = stored(tmp_path, l2=0.02, dropout=0.1)
    far, near, other = stored(tmp_path, seed=3), stored(tmp_path, dropout=0.1), stored(tmp_path, widths=(16, 16))
    assert l2_explained._without_l2(run, [run, far, near, other]) is near
    assert l2_explained._without_l2(run, [run, other]) is None


def test_equal_weights_have_histograms() -> None:
    rows = pictures.shares({("a", "b"): np.zeros((3, 4), np.float32)})
    assert rows["share"].sum() == pytest.approx(1)


# --- Schedules --------------------------------------------------------------------------------------------------------


def test_steps_have_their_rate_and_what_the_epochs_number_would_give() -> None:
    experiment = Experiment(learning_rate=0.01, schedule="exponential", staircase=True, epochs=20)
    losses = np.arange(20 * 422, dtype=np.float32)
    rows = schedule_steps.step_rows(losses, learning_rates(experiment, 422), 422)
    step, epoch = rows["step"].to_numpy(), rows["epoch"].to_numpy()
    assert len(rows) <= schedule_steps.MOST_POINTS and step[0] == 0 and step[-1] == 20 * 422 - 1
    assert np.array_equal(rows["loss"], step) and np.array_equal(epoch, step // 422 + 1)
    assert rows["rate"].to_numpy() == pytest.approx(0.01 * 0.96 ** (step // 100), rel=1e-6)
    assert rows["misread"].to_numpy() == pytest.approx(np.full(len(rows), 0.01), rel=1e-6)  # 0 to 19 of 100 steps
    text = steps_explained._counted(rows, 422, len(losses))
    assert "422 steps" in text and "8,440 steps (20 epochs)" in text and "0.01, almost constant" in text
    assert f"to {0.01 * 0.96**84:.2g}." in text


def test_a_climb_is_told_and_a_rate_that_counts_epochs_stays_in_it() -> None:
    experiment = Experiment(schedule="cosine", warmup_steps=50, epochs=10)
    rows = schedule_steps.step_rows(np.ones(500, np.float32), learning_rates(experiment, 50), 50)
    text = steps_explained._counted(rows, 50, 500)
    assert "from 2e-05 up to 0.001 and then to" in text and "ended at 0.0002." in text
    symbols = steps_explained._symbols(experiment, 50)
    assert "$T$ = 450 steps; $t$ counts from the end of 50 warm-up steps" in symbols


@pytest.mark.parametrize("epochs", [1, 3, 200])
def test_both_charts_share_their_steps_and_mark_epochs(epochs: int) -> None:
    losses = np.full(epochs * STEPS, 0.5, np.float32)
    losses[-1] = np.nan
    rows = schedule_steps.step_rows(losses, np.ones(len(losses), np.float32), STEPS)
    rate, loss = (draw(rows, STEPS).to_dict() for draw in (schedule_steps.rate_by_step, schedule_steps.loss_by_step))
    domains = [spec["layer"][1]["encoding"]["x"]["scale"]["domain"] for spec in (rate, loss)]
    assert domains == [[0, len(losses) - 1]] * 2
    ends = rate["layer"][0]["data"]["values"]
    assert len(ends) < 40 and all(mark["step"] == mark["epoch"] * STEPS < len(losses) for mark in ends)
    assert loss["layer"][2]["data"]["values"][0]["epoch"] == 1


# --- On a page --------------------------------------------------------------------------------------------------------


def _page(root: str, identities: list[str]) -> None:
    from pathlib import Path

    from fmnist_core.data import dataset
    from fmnist_core.store.run_store import RunStore
    from fmnist_core.ui.compare import regularisers_explained

    store = RunStore(Path(root), 10**9)
    runs = [run for run in map(store.find, identities) if run is not None]
    regularisers_explained.show(runs, dataset.load("sample"))


def shown(root: Path, *runs: Run) -> AppTest:
    arguments = {"root": str(root), "identities": [run.run_id for run in runs]}
    app = AppTest.from_function(_page, kwargs=arguments, default_timeout=30).run()
    assert not app.exception
    return app


def texts(app: AppTest) -> str:
    return "\n".join(str(part.value) for part in [*app.markdown, *app.caption, *app.info, *app.warning])


def test_without_a_regulariser_one_sentence_says_what_to_train(tmp_path: Path) -> None:
    plain = stored(tmp_path)
    nothing_to_drop = stored(tmp_path, widths=None, layers=0, dropout=0.5, l2=0.1, batch_norm=True)
    for runs in ([], [plain, nothing_to_drop]):
        app = shown(tmp_path, *runs)
        assert [info.value for info in app.info] == [regularisers_explained.NOTHING] and not app.tabs
    assert regularisers_explained.NOTHING.count(".") == 1


@pytest.mark.parametrize("also", [{}, {"batch_norm": True}, {"activation": "gelu"}])
def test_dropout_shows_another_mask_at_each_step(also: dict[str, Any], tmp_path: Path) -> None:
    app = shown(tmp_path, stored(tmp_path, dropout=0.5, **also))
    assert app.tabs[0].label == "Dropout"
    before = texts(app)
    assert re.search(r"Step 10: \d+ of 24 units of the first hidden layer are off", before)
    button(app, "New step").click().run()
    assert not app.exception and "Step 11: " in texts(app)
    image = app.get("html")[0].proto.body
    button(app, "Next image").click().run()
    assert not app.exception and app.get("html")[0].proto.body != image


def test_batch_normalisation_shows_its_sums(tmp_path: Path) -> None:
    app = shown(tmp_path, stored(tmp_path, batch_norm=True))
    assert [tab.label for tab in app.tabs] == ["Batch normalisation"]
    assert "In hidden layer 1 the standard deviation of the pre-activations was" in texts(app)
    assert len(app.dataframe[0].value) == 4


def test_l2_compares_with_the_run_without(tmp_path: Path) -> None:
    app = shown(tmp_path, stored(tmp_path, l2=0.02), stored(tmp_path))
    assert [tab.label for tab in app.tabs] == ["L2 penalty"]
    assert "Without the penalty they end at" in texts(app) and len(app.dataframe[0].value) == 6
    share = app.dataframe[0].value["within ±0.01"].iloc[-1]
    assert share > 1 and f" and {share:.0f} %." in texts(app)  # in per cent, as in the text
    app.selectbox[0].select(2).run()
    assert not app.exception and "In hidden layer 2 the standard deviation" in texts(app)
    alone = shown(tmp_path, stored(tmp_path, l2=0.02))
    assert "Without the penalty" not in texts(alone)


@pytest.mark.parametrize("schedule", ["exponential", "inverse_time", "cosine"])
def test_a_schedule_shows_rate_and_loss(schedule: str, tmp_path: Path) -> None:
    app = shown(tmp_path, stored(tmp_path, schedule=schedule, staircase=schedule == "exponential"))
    assert [tab.label for tab in app.tabs] == ["Learning-rate schedule"]
    assert "Here an epoch has 7 steps. Over 14 steps (2 epochs)" in texts(app)
    assert len(app.get("vega_lite_chart")) == 2


def test_several_regularisers_have_tabs_and_several_runs_a_choice(tmp_path: Path) -> None:
    everything: dict[str, Any] = {
        "l2": 0.02,
        "batch_norm": True,
        "schedule": "cosine",
        "label_smoothing": 0.1,
        "clip_norm": 1.0,
        "optimiser": "adamw",
    }
    runs = [stored(tmp_path, dropout=rate, **everything) for rate in (0.2, 0.4)]
    app = shown(tmp_path, *runs)
    assert [tab.label for tab in app.tabs] == list(regularisers_explained.EXPLAINERS)
    assert "**Dropout 0.2.**" in texts(app) and "The loss is the cross-entropy" not in texts(app)
    app.selectbox(key="run for Dropout").select(runs[1].run_id).run()
    assert not app.exception and "**Dropout 0.4.**" in texts(app)


def spoilt(value: float) -> Any:
    return lambda weights: weights | {"hidden_1/kernel": np.full_like(weights["hidden_1/kernel"], value)}


def without(name: str) -> Any:
    return lambda weights: {key: values for key, values in weights.items() if key != name}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (spoilt(np.nan), "diverged ("),
        (spoilt(3e38), "diverged ("),
        (without("hidden_2/bias"), "hidden_2/bias"),
    ],
    ids=["nan", "overflow", "missing"],
)
@pytest.mark.parametrize("values", [{"dropout": 0.5}, {"batch_norm": True}])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_broken_run_is_one_sentence(spoil: Any, words: str, values: dict[str, Any], tmp_path: Path) -> None:
    app = shown(tmp_path, stored(tmp_path, spoil, **values))
    assert len(app.warning) == 1 and words in plain(app.warning[0].value)


def test_a_run_without_steps_is_one_sentence(tmp_path: Path) -> None:
    app = shown(tmp_path, stored(tmp_path, losses=0, schedule="cosine"))
    assert "before its first step" in app.warning[0].value


def test_a_run_that_is_trained_again_is_measured_again(tmp_path: Path) -> None:
    first = stored(tmp_path, batch_norm=True)
    table = shown(tmp_path, first).dataframe[0].value
    again = stored(tmp_path, lambda weights: {name: values * 2 for name, values in weights.items()}, batch_norm=True)
    assert again.run_id == first.run_id
    assert not table.equals(shown(tmp_path, again).dataframe[0].value)


def test_it_loads_no_tensorflow() -> None:
    heavy = {"tensorflow", "keras", "scipy"}
    script = f"import sys, fmnist_core.ui.compare.regularisers_explained; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[2])


def test_clipping_gives_its_limit_and_the_norms_of_the_run(tmp_path: Path) -> None:
    app = shown(tmp_path, stored(tmp_path, clip_norm=0.3))
    assert [tab.label for tab in app.tabs] == ["Gradient clipping"]
    assert "Gradient clipping at 0.3" in texts(app) and "norm before clipping was 1 to 1" in texts(app)


def test_label_smoothing_gives_its_targets_and_how_sure_the_network_is(tmp_path: Path) -> None:
    text = texts(shown(tmp_path, stored(tmp_path, label_smoothing=0.2)))
    assert "correct class is not 1 but $0.82$" in text and "other class $0.02$" in text
    assert "a mean probability of 0.100; 0.890 of them are correct" in text  # what `stored` gives every class


def test_weight_decay_says_why_it_is_not_an_l2_penalty(tmp_path: Path) -> None:
    app = shown(tmp_path, stored(tmp_path, optimiser="adamw", weight_decay=0.01))
    assert [tab.label for tab in app.tabs] == ["Weight decay"]
    assert "Weight decay 0.01" in texts(app) and "the norm of all weights went from 30.0 to 30.0" in texts(app)
    assert [info.value for info in shown(tmp_path, stored(tmp_path, weight_decay=0.01)).info]  # Adam takes none


@pytest.mark.parametrize(("optimiser", "divides"), [("adam", True), ("sgd", False)])
def test_an_l2_penalty_under_an_adaptive_optimiser_is_told_apart(optimiser: str, divides: bool, tmp_path: Path) -> None:
    assert ("AdamW" in texts(shown(tmp_path, stored(tmp_path, l2=0.02, optimiser=optimiser)))) == divides
