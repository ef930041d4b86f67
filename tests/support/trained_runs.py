"""A stored run whose network was really trained, with nothing but NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fmnist_core.data import dataset
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.recording import Weights
from fmnist_core.findings import evaluation
from fmnist_core.network import backward, forward
from tests.support.stored_runs import record, store_run

EXPERIMENT = Experiment(widths=(32, 16), epochs=3)


def trained(experiment: Experiment, epochs: int = 3) -> list[Weights]:
    """The weights at each epoch: a few steps of gradient descent on the sample, from Glorot's start."""
    data, rng = dataset.load("sample"), np.random.default_rng(0)
    sizes = (784, *experiment.hidden_widths, 10)
    names = [*(f"hidden_{k}" for k in range(1, len(sizes) - 1)), "output"]
    weights: Weights = {}
    for name, fan_in, units in zip(names, sizes[:-1], sizes[1:], strict=True):
        limit = np.sqrt(6 / (fan_in + units))
        weights[f"{name}/kernel"] = rng.uniform(-limit, limit, (fan_in, units)).astype(np.float32)
        weights[f"{name}/bias"] = np.zeros(units, np.float32)
    kept = [dict(weights)]
    for _ in range(epochs):
        for _ in range(25):
            rows = rng.integers(0, len(data.train_labels), 100)
            for one in backward.signals(experiment, weights, data.train_images[rows], data.train_labels[rows]):
                weights[f"{one.name}/kernel"] = weights[f"{one.name}/kernel"] - np.float32(0.1) * one.weight_gradient
                weights[f"{one.name}/bias"] = weights[f"{one.name}/bias"] - np.float32(0.1) * one.gradient.mean(axis=0)
        kept.append(dict(weights))
    return kept


def store_trained(root: Path, experiment: Experiment = EXPERIMENT, broken: bool = False) -> str:
    """A run on the sample in the store. broken: from epoch 2 on its weights are no numbers."""
    data, nan = dataset.load("sample"), float("nan")
    kept = trained(experiment)
    snapshots, records = {}, []
    for epoch, weights in enumerate(kept):
        if broken and epoch > 1:
            weights = {name: np.full_like(values, np.nan) for name, values in weights.items()}
        loss = nan if broken and epoch > 1 else 2.3 / (epoch + 1)
        accuracy = 0.2 + 0.2 * epoch
        records.append(record(epoch, loss, loss=loss, accuracy=accuracy, val_accuracy=accuracy))
        snapshots[epoch] = weights, forward.probabilities(experiment, weights, data.test_images)
    counts = evaluation.confusion(forward.probabilities(experiment, kept[-1], data.test_images), data.test_labels)
    return store_run(
        root,
        experiment,
        records=records,
        snapshots=snapshots,
        steps=np.linspace(2, 1, 75).astype(np.float32),
        data_name="sample",
        test_loss=nan if broken else 0.7,
        test_accuracy=0.75,
        seconds=1.0,
        compile_seconds=0.0,
        best_epoch=3,
        steps_per_epoch=25,
        train_examples=5400,
        confusion=counts.tolist(),
    ).run_id
