"""Training against independent oracles: Keras' own loop, Keras' own counts, closed formulas, and itself again."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy import stats

from fmnist_core.data import dataset
from fmnist_core.experiment import cost
from fmnist_core.experiment.activations import ACTIVATIONS
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.initialisers import INITIALISERS
from fmnist_core.experiment.presets import PRESETS
from fmnist_core.experiment.recording import EpochRecord, Progress
from fmnist_core.findings import health
from fmnist_core.learning import initial_weights, keras_network, program, tensorboard_files, training
from fmnist_core.learning.keras_network import FastDropout, random_bits
from tests.support.training_recorder import Recording

SMALL: dict[str, Any] = {
    "units": 24,
    "batch_size": 64,
    "epochs": 2,
    "training_fraction": 0.1,
    "validation_fraction": 0.5,
}
RATE = {"adam": 0.01, "nadam": 0.01, "sgd": 0.5, "rmsprop": 0.003, "adagrad": 0.1, "adamw": 0.01}


@pytest.fixture(scope="module")
def sample() -> dataset.Dataset:
    return dataset.load("sample")


def run(values: dict[str, Any], data: dataset.Dataset, stop: Any = lambda: False) -> tuple[Recording, training.Outcome]:
    recording = Recording()
    return recording, training.train(Experiment.of(SMALL | values), data, recording, stop)


# --- Keras' own loop --------------------------------------------------------------------------------------------------


def keras_schedule(e: Experiment, steps: int) -> Any:
    rate, schedules = e.learning_rate, keras.optimizers.schedules
    match e.schedule:
        case "exponential":
            return schedules.ExponentialDecay(rate, e.decay_steps, e.decay_rate, e.staircase)
        case "inverse_time":
            return schedules.InverseTimeDecay(rate, e.decay_steps, e.decay_rate, e.staircase)
        case "cosine":
            return schedules.CosineDecay(rate, steps)
    return rate


def keras_optimiser(e: Experiment, rate: Any) -> Any:
    classes = {
        "adam": "Adam",
        "sgd": "SGD",
        "rmsprop": "RMSprop",
        "nadam": "Nadam",
        "adagrad": "Adagrad",
        "adamw": "AdamW",
    }
    momentum = {"momentum": e.momentum} if e.optimiser in ("sgd", "rmsprop") else {}
    momentum |= {"weight_decay": e.weight_decay} if e.optimiser == "adamw" else {}
    momentum |= {"global_clipnorm": e.clip_norm} if e.clip_norm else {}
    return getattr(keras.optimizers, classes[e.optimiser])(rate, **momentum)


def keras_loss(e: Experiment) -> Any:
    if not e.label_smoothing:
        return keras.losses.SparseCategoricalCrossentropy()
    return keras.losses.CategoricalCrossentropy(label_smoothing=e.label_smoothing)


def keras_labels(e: Experiment, labels: np.ndarray) -> np.ndarray:
    return np.eye(10)[labels] if e.label_smoothing else labels


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"l2": 0.01},
        {"batch_norm": True},
        {"batch_norm": True, "l2": 0.01, "activation": "tanh", "layers": 3},
        {"schedule": "exponential", "decay_steps": 3, "decay_rate": 0.5},
        {"schedule": "exponential", "decay_steps": 3, "decay_rate": 0.5, "staircase": True},
        {"schedule": "inverse_time", "decay_steps": 2, "decay_rate": 0.9},
        {"schedule": "cosine"},
        *({"optimiser": name, "learning_rate": rate} for name, rate in RATE.items()),
        {"optimiser": "sgd", "momentum": 0.9, "learning_rate": 0.1},
        {"optimiser": "rmsprop", "momentum": 0.5},
        {"layers": 0, "batch_size": 2},
        {"optimiser": "adamw", "weight_decay": 0.5, "batch_norm": True, "schedule": "cosine"},
        {"label_smoothing": 0.1},
        {"label_smoothing": 0.5, "l2": 0.01, "batch_norm": True},
        {"clip_norm": 0.3, "optimiser": "sgd", "learning_rate": 0.5},
        {"clip_norm": 0.3, "l2": 0.01},
        {"clip_norm": 5.0, "activation": "tanh"},
    ],
    ids=str,
)
def test_losses_and_weights_are_those_of_train_on_batch(values: dict[str, Any], sample: dataset.Dataset) -> None:
    e = Experiment.of(SMALL | values)
    recording, outcome = run(values, sample)
    rows = dataset.split(sample.train_labels, e.validation_fraction, e.training_fraction).train
    assert len(rows) % e.batch_size != 0 or e.batch_size == 2  # the remainder batch is part of the test
    model = keras_network.build(e)
    keras_network.assign(model, recording.snapshots[0][0])
    total = outcome.steps_per_epoch * e.epochs
    model.compile(keras_optimiser(e, keras_schedule(e, total)), keras_loss(e), jit_compile=False)
    losses = []
    for epoch in range(1, e.epochs + 1):
        order = rows[np.random.default_rng([e.seed, epoch]).permutation(len(rows))]
        for start in range(0, len(order), e.batch_size):
            batch = order[start : start + e.batch_size]
            images = sample.train_images[batch].reshape(-1, 784).astype(np.float32)
            losses.append(float(model.train_on_batch(images, keras_labels(e, sample.train_labels[batch]))))
            model.reset_metrics()
    ours = np.concatenate([recording.losses[1], recording.losses[2]])
    np.testing.assert_allclose(ours, losses, rtol=2e-3, atol=2e-4)
    np.testing.assert_allclose(ours[:5], losses[:5], rtol=1e-4, atol=1e-5)
    for name, theirs in keras_network.weights(model).items():
        np.testing.assert_allclose(recording.snapshots[2][0][name], theirs, rtol=5e-3, atol=2e-3, err_msg=name)


def test_the_gradient_norm_is_that_of_all_gradients(sample: dataset.Dataset) -> None:
    e = Experiment.of(SMALL | {"l2": 0.01})
    made = program.Program(e)
    images, labels = sample.train_images[:64].reshape(1, 64, 784), sample.train_labels[:64].reshape(1, 64)
    weights = initial_weights.initial_weights(e, images[0])
    made.reset(e, weights)
    steps = made.run(images, labels, np.array([0.01]), np.zeros((1, 2)), np.array([True]), 1)
    model = keras_network.build(e)
    keras_network.assign(model, weights)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(
            keras.losses.sparse_categorical_crossentropy(labels[0], model(images[0].astype(np.float32)))
        )
        loss += tf.add_n(model.losses)
    norm = tf.linalg.global_norm(tape.gradient(loss, [v.value for v in model.trainable_variables]))
    assert float(steps.gradient_norms[0]) == pytest.approx(float(norm), rel=1e-4)
    assert float(steps.losses[0]) == pytest.approx(float(loss), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_measures_are_those_of_keras_evaluate_and_the_saved_model_is_plain(
    smoothing: float, sample: dataset.Dataset, tmp_path: Path
) -> None:
    values = {"l2": 0.001, "batch_norm": True, "dropout": 0.2, "label_smoothing": smoothing}
    recording, outcome = run(values, sample)
    training.save(outcome.model, tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras")
    assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"keras"}
    e = Experiment.of(values)
    model.compile(loss=keras_loss(e), metrics=["accuracy"])
    images = sample.test_images.reshape(-1, 784).astype(np.float32)
    loss, accuracy = model.evaluate(images, keras_labels(e, sample.test_labels), verbose=0)
    assert outcome.test_loss == pytest.approx(loss, rel=1e-4)
    assert outcome.test_accuracy == pytest.approx(accuracy, abs=1e-6)
    probabilities = model.predict(images, verbose=0)
    plain = keras.losses.sparse_categorical_crossentropy(sample.test_labels, probabilities).numpy().mean()
    assert outcome.test_loss - outcome.test_penalty == pytest.approx(plain, rel=1e-4)
    np.testing.assert_allclose(recording.snapshots[2][1], probabilities, atol=1e-5)
    assert np.trace(outcome.confusion) / np.sum(outcome.confusion) == pytest.approx(accuracy, abs=1e-6)
    assert np.sum(outcome.confusion, axis=1).tolist() == [100] * 10


# --- Counts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values", [p.experiment.model_dump() for p in PRESETS.values()] + [{"layers": 0}, {"widths": (64, 8)}]
)
def test_layers_and_parameters_agree_with_keras(values: dict[str, Any]) -> None:
    e = Experiment.of(values)
    model = keras_network.build(e)
    plan = cost.cost(e, 54_000)
    assert plan.parameters == model.count_params()
    named = [(layer.name, layer.count_params()) for layer in model.layers if layer.name != "pixels"]
    assert [(layer.name, layer.parameters) for layer in plan.layers] == named


@pytest.mark.parametrize("values", [{}, {"layers": 3, "units": 40}, {"layers": 0}])
def test_flops_agree_with_tensorflows_count_of_the_training_step(values: dict[str, Any]) -> None:
    e = Experiment.of({"batch_size": 32} | values)
    made = program.Program(e)
    arguments = (tf.uint8, (32, 784)), (tf.int32, (32,)), (tf.float32, ()), (tf.uint32, (2,)), (tf.bool, ())
    step = tf.function(made._step).get_concrete_function(*(tf.TensorSpec(shape, dtype) for dtype, shape in arguments))
    graph = step.graph
    operations = [operation for operation in graph.get_operations() if operation.type == "MatMul"]
    counted = 0
    for product in operations:
        transposed = product.get_attr("transpose_a")
        inner = int(product.inputs[0].shape[0 if transposed else 1])
        counted += 2 * inner * math.prod(int(size) for size in product.outputs[0].shape)
    assert cost.cost(e, 32).flops == pytest.approx(counted * e.epochs)


# --- Initialisers -----------------------------------------------------------------------------------------------------

VARIANCES: dict[str, Callable[[int, int], float]] = {
    "glorot_uniform": lambda a, b: 2 / (a + b),
    "glorot_normal": lambda a, b: 2 / (a + b),
    "he_uniform": lambda a, b: 2 / a,
    "he_normal": lambda a, b: 2 / a,
    "lecun_uniform": lambda a, b: 1 / a,
    "lecun_normal": lambda a, b: 1 / a,
    "standard_uniform": lambda a, b: 1 / (3 * a),
    "random_normal": lambda a, b: 0.05**2,
    "zeros": lambda a, b: 0.0,
}


@pytest.mark.parametrize("name", INITIALISERS)
def test_each_initialiser_has_its_variance(name: Any, sample: dataset.Dataset) -> None:
    images = sample.train_images[:1000].reshape(-1, 784)
    found = initial_weights.initial_weights(Experiment(initialiser=name, units=400), images)
    assert set(found) == {
        f"{layer}/{part}" for layer in ("hidden_1", "hidden_2", "output") for part in ("kernel", "bias")
    }
    assert not any(found[f"{layer}/bias"].any() for layer in ("hidden_1", "hidden_2", "output"))
    kernel = found["hidden_2/kernel"]
    if name == "orthogonal":
        np.testing.assert_allclose(kernel.T @ kernel, np.eye(400), atol=1e-4)
    elif name != "lsuv":
        assert kernel.var() == pytest.approx(VARIANCES[name](400, 400), rel=0.02)
        assert np.abs(kernel).max() <= 1 / math.sqrt(400) or name != "standard_uniform"
    other = initial_weights.initial_weights(Experiment(initialiser=name, units=400, seed=1), images)
    assert name == "zeros" or not np.array_equal(other["hidden_2/kernel"], kernel)


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "linear"])
def test_lsuv_gives_every_layer_unit_variance(activation: Any, sample: dataset.Dataset) -> None:
    images = sample.train_images[:1000].reshape(-1, 784)
    e = Experiment(initialiser="lsuv", layers=5, units=100, activation=activation)
    found = initial_weights.initial_weights(e, images)
    model = keras_network.build(e)
    keras_network.assign(model, found)
    signal = images.astype(np.float32) / 255
    for name in [*(f"hidden_{i}" for i in range(1, 6)), "output"]:
        sums = signal @ found[f"{name}/kernel"]
        assert sums.var() == pytest.approx(1, abs=0.05)
        signal = np.array(keras.activations.get(activation)(sums))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_each_activation_is_keras_own(name: Any) -> None:
    layer = keras_network.build(Experiment(activation=name, units=8, layers=1)).get_layer("activation_1")
    assert layer.activation is keras.activations.get(name)


# --- Dropout ----------------------------------------------------------------------------------------------------------


def dropped(rate: float, key: tuple[int, int], shape: tuple[int, int] = (128, 512), number: int = 1) -> np.ndarray:
    layer = FastDropout(tf.Variable(rate), tf.Variable(key, dtype=tf.uint32), number, "dropout_1")
    return np.array(layer(tf.ones(shape), training=True))


def test_random_bits_are_even_in_every_bit_and_differ_with_the_key() -> None:
    keys = np.random.default_rng(0).integers(0, 2**32, (20, 2))
    words = np.stack([random_bits(tf.constant(key, tf.uint32), 65536).numpy() for key in keys])
    bits = (words[..., None] >> np.arange(32, dtype=np.uint32)) & 1
    ones = bits.sum(axis=1, dtype=np.int64)  # (20 keys, 32 bits), binomial(65536, 0.5)
    assert np.abs(ones - 32768).max() < 5 * 128
    changed = np.mean([np.unpackbits((words[i] ^ words[i + 1]).view(np.uint8)).mean() for i in range(19)])
    assert changed == pytest.approx(0.5, abs=0.002)
    counts = np.bincount(words.ravel() >> 24, minlength=256)
    assert stats.chisquare(counts).pvalue > 1e-4


def test_dropout_keeps_the_mean_and_its_share() -> None:
    for rate in (0.05, 0.3, 0.9):
        masks = np.stack([dropped(rate, (key, 7 * key)) for key in range(30)])
        share = (masks == 0).mean()
        assert share == pytest.approx(rate, abs=5 * math.sqrt(rate * (1 - rate) / masks.size))
        assert np.unique(masks[masks != 0]) == pytest.approx(1 / (1 - rate), rel=1e-6)
        assert (masks == 0).mean(axis=0).std() == pytest.approx(math.sqrt(rate * (1 - rate) / 30), rel=0.05)


def test_dropout_masks_of_steps_layers_and_neighbours_are_unrelated() -> None:
    a = dropped(0.5, (1, 2)).ravel() == 0
    others = [dropped(0.5, (1, 3)), dropped(0.5, (2, 2)), dropped(0.5, (1, 2), number=2)]
    for other in [*(o.ravel() == 0 for o in others), np.roll(a, 1), np.roll(a, 512)]:
        assert abs(np.corrcoef(a, other)[0, 1]) < 5 / math.sqrt(a.size)
    assert np.array_equal(dropped(0.5, (1, 2)).ravel() == 0, a)


def test_dropout_passes_gradients_through_kept_units_only() -> None:
    layer = FastDropout(tf.Variable(0.4), tf.Variable((5, 6), dtype=tf.uint32), 1, "dropout_1")
    x = tf.ones((64, 32))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
    np.testing.assert_allclose(tape.gradient(y, x), y)
    np.testing.assert_array_equal(layer(x, training=False), x)


# --- One description, one result --------------------------------------------------------------------------------------

SCRIPT = """
import json, sys
from fmnist_core.data import dataset
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.learning import training
from tests.support.training_recorder import Recording
recording = Recording()
outcome = training.train(Experiment.from_json(sys.argv[1]), dataset.load("sample"), recording)
history = [{k: v for k, v in vars(r).items() if k != "seconds"} for r in recording.history]
print(json.dumps([repr(history), [l.tolist() for l in recording.losses.values()], outcome.test_loss]))
"""


def test_two_processes_give_identical_histories() -> None:
    e = Experiment.of(SMALL | {"dropout": 0.3, "batch_norm": True, "label_noise": 0.1, "units": 200})
    command = [sys.executable, "-c", SCRIPT, e.to_json()]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(2)]
    first, second = (json.loads(process.communicate(timeout=240)[0].splitlines()[-1]) for process in processes)
    assert first == second


def test_a_program_is_reused_and_leaves_no_trace(sample: dataset.Dataset) -> None:
    program._kept.clear()
    first, fresh = run({"dropout": 0.3, "l2": 0.01, "optimiser": "nadam"}, sample)
    _, reused = run({"dropout": 0.6, "l2": 0.02, "optimiser": "nadam", "seed": 5, "initialiser": "he_normal"}, sample)
    again, _ = run({"dropout": 0.3, "l2": 0.01, "optimiser": "nadam"}, sample)
    assert fresh.compile_seconds > 0 and reused.compile_seconds == 0
    assert len(program._kept) == 1
    np.testing.assert_array_equal(first.losses[2], again.losses[2])
    assert first.history[-1].val_loss == again.history[-1].val_loss


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("label_smoothing", (0.1, 0.6)),
        ("clip_norm", (0.05, 0.5)),
        ("weight_decay", (0.0, 0.9)),
    ],
)
def test_another_strength_needs_no_new_program_but_counts(
    name: str, values: tuple[float, float], sample: dataset.Dataset
) -> None:
    program._kept.clear()
    shared: dict[str, Any] = {"optimiser": "adamw"} if name == "weight_decay" else {"optimiser": "sgd"}
    (first, compiled), (other, reused) = (run(shared | {name: value}, sample) for value in values)
    assert compiled.compile_seconds > 0 and reused.compile_seconds == 0
    program._kept.clear()
    alone, _ = run(shared | {name: values[1]}, sample)
    np.testing.assert_array_equal(other.losses[2], alone.losses[2])
    assert not np.array_equal(other.losses[2], first.losses[2])


def test_what_is_recorded(sample: dataset.Dataset) -> None:
    recording, outcome = run({"epochs": 3, "schedule": "exponential"}, sample)
    assert recording.phases[0] == "preparing" and recording.phases[-2:] == ["training", "testing"]
    assert [record.epoch for record in recording.history] == [0, 1, 2, 3]
    assert sorted(recording.snapshots) == [0, 1, 2, 3]
    assert {epoch: len(losses) for epoch, losses in recording.losses.items()} == {1: 5, 2: 5, 3: 5}
    assert [sign.step for sign in recording.signs] == sorted({sign.step for sign in recording.signs})
    assert recording.signs[-1].step == 15
    told = {step: loss for sign in recording.signs for step, loss in sign.losses}
    kept = np.concatenate(list(recording.losses.values()))
    assert told == {step: pytest.approx(kept[step - 1]) for step in range(1, 16)}
    norms = [np.sqrt(sum((a.astype(float) ** 2).sum() for a in w.values())) for w, _ in recording.snapshots.values()]
    assert [record.weight_norm for record in recording.history] == pytest.approx(norms, rel=1e-5)
    assert outcome.epochs_done == 3 and not outcome.stopped
    assert outcome.best_epoch == min(recording.history[1:], key=lambda record: record.val_loss).epoch


def test_a_stop_keeps_what_was_trained(sample: dataset.Dataset) -> None:
    asked = iter([False] * 4 + [True] * 100)
    recording, outcome = run({"epochs": 40}, sample, lambda: next(asked))
    assert outcome.stopped and 0 < outcome.epochs_done < 5
    assert max(recording.snapshots) == outcome.epochs_done
    assert sum(map(sum, outcome.confusion)) == 1000


def test_the_last_epoch_is_kept_even_when_thinned(sample: dataset.Dataset) -> None:
    recording, outcome = run({"epochs": 200, "patience": 2, "learning_rate": 0.02}, sample)
    assert outcome.epochs_done < 200
    assert max(recording.snapshots) == outcome.epochs_done


def test_early_stopping_takes_the_best_weights_back(sample: dataset.Dataset) -> None:
    recording, outcome = run({"epochs": 30, "patience": 3, "learning_rate": 0.02}, sample)
    losses = [record.val_loss for record in recording.history[1:]]
    assert outcome.best_epoch == 1 + int(np.argmin(losses))
    assert outcome.epochs_done == outcome.best_epoch + 3
    best = recording.snapshots[outcome.best_epoch][0]
    for name, values in keras_network.weights(outcome.model).items():
        np.testing.assert_array_equal(values, best[name])


def test_a_diverged_training_ends_and_says_so(sample: dataset.Dataset) -> None:
    recording, outcome = run({"optimiser": "sgd", "learning_rate": 10.0, "activation": "linear", "epochs": 50}, sample)
    assert outcome.epochs_done < 50
    assert not math.isfinite(recording.history[-1].loss)


@pytest.mark.parametrize(
    "values", [{"batch_size": 4096}, {"batch_size": 1, "training_fraction": 0.01}, {"widths": (8, 16)}]
)
def test_unusual_sizes_train(values: dict[str, Any], sample: dataset.Dataset) -> None:
    recording, outcome = run(values, sample)
    assert outcome.epochs_done == 2 and math.isfinite(outcome.test_loss)
    assert sum(len(losses) for losses in recording.losses.values()) == 2 * outcome.steps_per_epoch


def test_label_noise_reaches_training_labels_only(sample: dataset.Dataset) -> None:
    e = Experiment(label_noise=0.5)
    rows = dataset.split(sample.train_labels, 0.1).train
    noisy = training._with_noise(sample.train_labels, rows, e)
    changed = np.flatnonzero(noisy != sample.train_labels)
    assert len(changed) == round(0.5 * len(rows)) and np.isin(changed, rows).all()


# --- TensorBoard ------------------------------------------------------------------------------------------------------


def test_tensorboard_reads_what_is_written(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    history = [EpochRecord(i, 2.0 - i, 0.1 * i, 2.1, 0.2, 0.001, math.nan, 5.0, 1.0) for i in range(3)]
    kernel = np.random.default_rng(0).normal(size=(784, 16)).astype(np.float32)
    snapshots = [(i, {"hidden_1/kernel": kernel * i, "hidden_1/bias": np.zeros(16, np.float32)}) for i in range(3)]
    tensorboard_files.write(tmp_path, history, snapshots)
    board = EventAccumulator(str(tmp_path), {"histograms": 0}).Reload()
    assert [(s.step, s.value) for s in board.Scalars("epoch_loss")] == [(0, 2.0), (1, 1.0), (2, 0.0)]
    last = board.Histograms("hidden_1/kernel")[2]
    counts = np.array(last.histogram_value.bucket)
    assert (last.step, counts.sum(), last.histogram_value.num) == (2, kernel.size, kernel.size)
    assert last.histogram_value.sum_squares == pytest.approx(float((4.0 * kernel.astype(float) ** 2).sum()))


@hypothesis_settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(width=32), max_size=20))
def test_any_weights_have_a_histogram(values: list[float]) -> None:
    array = np.array(values, np.float32)
    finite = array[np.isfinite(array)]
    assert sum(tensorboard_files._histogram(array).bucket) == len(finite)


# --- Side by side -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"l2": 0.01}, {"learning_rate": 0.01}, {"units": 8}])
def test_trainings_side_by_side_give_what_each_gives_alone(change: dict[str, Any], sample: dataset.Dataset) -> None:
    """Equal graphs too: each lane has a program of its own."""
    pair = [Experiment.of(SMALL), Experiment.of(SMALL | change)]
    together = [Recording(), Recording()]
    outcomes = training.train_together(pair, sample, together)
    for values, seen, outcome in zip(({}, change), together, outcomes, strict=True):
        alone, own = run(values, sample)
        assert all(np.array_equal(seen.losses[epoch], alone.losses[epoch]) for epoch in (1, 2))
        assert outcome.test_loss == own.test_loss and outcome.seconds < 60


def test_side_by_side_neither_runs_away(sample: dataset.Dataset) -> None:
    """The lanes take turns by images seen, so that one look at the screen compares equals."""
    turns: list[tuple[int, int]] = []

    class Turn(Recording):
        def __init__(self, lane: int) -> None:
            super().__init__()
            self.lane = lane

        def progress(self, progress: Progress) -> None:
            turns.append((self.lane, progress.step))

    training.train_together([Experiment.of(SMALL), Experiment.of(SMALL | {"units": 96})], sample, [Turn(0), Turn(1)])
    last = [0, 0]
    most = 0
    for lane, step in turns:
        chunk = step - last[lane]
        last[lane] = step
        most = max(most, abs(last[0] - last[1]) - chunk)
    assert most <= 0 and last[0] == last[1]


def test_trainings_in_two_threads_give_what_each_gives_alone(sample: dataset.Dataset) -> None:
    """As two jobs of studies in one worker: building takes turns, the compiled programs run at the same time."""
    changes: list[dict[str, Any]] = [{"dropout": 0.3}, {"batch_norm": True}, {"seed": 4}, {"dropout": 0.3, "seed": 4}]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda change: run(change, sample), changes))
    for change, (seen, outcome) in zip(changes, together, strict=True):
        alone, own = run(change, sample)
        assert all(np.array_equal(seen.losses[epoch], alone.losses[epoch]) for epoch in (1, 2))
        assert outcome.test_loss == own.test_loss


@pytest.mark.parametrize("batch", [1, 2])
def test_batch_normalisation_gives_its_offset_alone_in_a_batch_of_one(batch: int) -> None:
    """What `health.batches_of_one` says, in Keras itself: of two different images, a unit's outputs differ."""
    experiment = Experiment(layers=1, units=8, batch_norm=True, activation="tanh", batch_size=1)
    model = keras_network.build(experiment)
    layer = next(layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization))
    layer.beta.assign(np.linspace(-1, 1, 8))
    values = np.random.default_rng(0).normal(size=(batch, 8)).astype(np.float32)
    outputs = np.asarray(layer(values, training=True))
    assert np.allclose(outputs, np.linspace(-1, 1, 8)) is (batch == 1)
    assert bool(health.batches_of_one(experiment.changed(batch_size=batch), 4)) is (batch == 1)
