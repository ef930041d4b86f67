"""Runs in a store as a training leaves them, without a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fmnist_core.data import dataset
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.recording import EpochRecord, Weights
from fmnist_core.experiment.study import Study
from fmnist_core.store.run import Run
from fmnist_core.store.run_store import RunStore
from fmnist_core.store.run_writer import RunWriter

STEPS = 7  # an epoch's steps
Snapshots = Mapping[int, tuple[Weights, np.ndarray]]


def record(epoch: int, val_loss: float = 0.5, **values: Any) -> EpochRecord:
    """An epoch of a training that learns a little; values: what else differs."""
    facts = {"loss": 2.0 / (epoch + 1), "accuracy": 0.5, "val_accuracy": 0.8, "learning_rate": 0.001}
    facts |= {"gradient_norm": 1.0, "weight_norm": 30.0, "seconds": 0.5}
    return EpochRecord(**({"epoch": epoch, "val_loss": val_loss} | facts | values))


def network(experiment: Experiment, rng: np.random.Generator) -> Weights:
    """Weights of the right names and shapes: small normal kernels, no biases."""
    weights: Weights = {}
    widths = [784, *experiment.hidden_widths, 10]
    names = [*(f"hidden_{number}" for number in range(1, len(widths) - 1)), "output"]
    for name, fan_in, units in zip(names, widths[:-1], widths[1:], strict=True):
        weights[f"{name}/kernel"] = rng.normal(0, 0.05, (fan_in, units)).astype(np.float32)
        weights[f"{name}/bias"] = np.zeros(units, np.float32)
    return weights


def guesses(labels: np.ndarray, accuracy: float, rng: np.random.Generator) -> np.ndarray:
    """(n, 10) certain predictions of which about this share is correct; the others name the next class."""
    correct = rng.random(len(labels)) < accuracy
    return np.eye(10, dtype=np.float32)[np.where(correct, labels, (labels + 1) % 10)]


def store_run(
    root: Path | RunStore,
    experiment: Experiment,
    val_losses: Sequence[float] | None = None,
    *,
    records: Sequence[EpochRecord] | None = None,
    snapshots: Snapshots | None = None,
    steps: np.ndarray | None = None,
    data_name: str = "",
    **metrics: Any,
) -> Run:
    """A run in the store of this folder, as a training leaves it.

    val_losses: by epoch, from epoch 0 on; without them the test loss at each of the experiment's epochs.
    records: instead of them. snapshots: (weights, probabilities) by epoch; else one random network at every epoch,
    whose predictions have about the test accuracy. metrics: what differs in the result.
    """
    store = root if isinstance(root, RunStore) else RunStore(root, 10**9)
    if records is None:
        losses = [metrics.get("test_loss", 0.35)] * (experiment.epochs + 1) if val_losses is None else val_losses
        records = [record(epoch, loss) for epoch, loss in enumerate(losses)]
    epochs = len(records) - 1
    facts: dict[str, Any] = {
        "test_loss": 0.35, "test_accuracy": 0.89, "test_loss_std": 0.8, "seconds": 12.0, "compile_seconds": 1.0,
        "stopped": False, "best_epoch": 1, "epochs_done": epochs, "steps_per_epoch": STEPS, "train_examples": 800,
        "confusion": np.diag([100] * 10).tolist(),
    }  # fmt: skip
    facts |= metrics
    if snapshots is None:
        rng = np.random.default_rng(experiment.seed)
        weights = network(experiment, rng)
        probabilities = guesses(dataset.load().test_labels, facts["test_accuracy"], rng)
        snapshots = dict.fromkeys(range(epochs + 1), (weights, probabilities))
    writer = RunWriter(store, experiment, data_name or dataset.load().name, "a test")
    for epoch_record in records:
        writer.epoch(epoch_record)
    for epoch, (weights, probabilities) in snapshots.items():
        writer.snapshot(epoch, weights, probabilities)
    writer.steps(1, np.linspace(2, 1, STEPS * epochs).astype(np.float32) if steps is None else steps)
    (writer.folder / "model.keras").write_bytes(b"model")
    (writer.folder / "tensorboard").mkdir()
    writer.commit(facts)
    run = store.find(writer.run_id)
    assert run
    return run


def store_study(root: Path, study: Study, gain: float = 0.05) -> list[Run]:
    """All runs of a study; each further variant is better by `gain`, with a little noise from the seed."""
    numbers = {variant.name: number for number, variant in enumerate(study.variants())}
    noise = [0.001, -0.002, 0.0015, 0.0, -0.001]
    runs = []
    for variant, experiment in study.experiments():
        number, seed = numbers[variant.name], experiment.seed
        accuracy = 0.8 + gain * number + noise[(seed + number) % 5]
        loss = 0.6 - gain * number + noise[(2 * seed + number) % 5]
        runs.append(store_run(root, experiment, test_accuracy=accuracy, test_loss=loss))
    return runs
