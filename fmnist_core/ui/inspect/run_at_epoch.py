"""The run that page Inspect looks into, at one epoch, and what its sections share, computed once for all sessions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from fmnist_core.data import dataset
from fmnist_core.data.dataset import CLASSES, Dataset, draw
from fmnist_core.experiment.activations import Array
from fmnist_core.experiment.layer_names import OUTPUT
from fmnist_core.findings import evaluation
from fmnist_core.findings import layer_measures as measures
from fmnist_core.findings.health import LayerState
from fmnist_core.store.run import Run, RunDamaged
from fmnist_core.ui.shared import histogram_view
from fmnist_core.ui.shared.per_run import per_run

BATCH = 50  # training images of each class that layers are measured on
MOST_EPOCHS = 21  # at which layers are measured for a picture over the epochs


class At(NamedTuple):
    """A run with its data set, at one of its checkpointed epochs."""

    run: Run
    data: Dataset
    epoch: int

    @property
    def stem(self) -> str:
        """How the files start that are taken away."""
        return f"fashion-mnist-{self.run.run_id}-epoch-{self.epoch}"


class Measured(NamedTuple):
    """Layers over the epochs. table: columns epoch, layer, dead, saturated, gradient, activation (deviations).
    spreads: histograms as from `charts.histograms.spread`, by quantity ("activation", "gradient") and layer.
    """

    table: pd.DataFrame
    spreads: dict[tuple[str, str], pd.DataFrame]


def predictions(at: At) -> NDArray[np.float32] | None:
    """The probabilities of the test images at the epoch; None, and a sentence on the screen, where they are NaN."""
    result = probabilities(at.run, at.epoch, len(at.data.test_labels))
    if evaluation.all_finite(result):
        return result
    st.info(f"After epoch {at.epoch} the outputs of this network are NaN: it diverged. Section Health says more.")
    return None


def probabilities(run: Run, epoch: int, images: int) -> NDArray[np.float32]:
    """As `Run.probabilities`. Raises: RunDamaged, where they are not of that many images."""
    result = run.probabilities(epoch)
    if result.shape != (images, len(CLASSES)):
        raise RunDamaged(
            f"The stored run {run.run_id} has predictions for {len(result):,} images, but there are {images:,} test"
            " images; train it again."
        )
    return result


@per_run(max_entries=400)
def layer_states(run: Run, epoch: int) -> list[LayerState]:
    """The hidden layers of a run at an epoch."""
    layers = measures.measure_layers(run.experiment, run.weights(epoch), *_batch(run))
    return [layer.state for layer in layers if layer.state.layer != OUTPUT]


@per_run(max_entries=20, spinner="Measuring the layers, epoch by epoch")
def over_epochs(run: Run) -> Measured:
    """The layers of a run at up to MOST_EPOCHS of its epochs."""
    images, labels = _batch(run)
    rows: list[dict[str, object]] = []
    values: dict[tuple[str, str], list[tuple[int, Array]]] = {}
    for epoch in measures.thinned(run.epochs, MOST_EPOCHS):
        for layer in measures.measure_layers(run.experiment, run.weights(epoch), images, labels):
            state = layer.state
            shares = {"dead": state.dead, "saturated": state.saturated}
            deviations = {"gradient": state.gradient_std, "activation": layer.activation_std}
            rows.append({"epoch": epoch, "layer": state.layer, **shares, **deviations})
            for quantity, sampled in (("activation", layer.activations), ("gradient", layer.gradients)):
                values.setdefault((quantity, state.layer), []).append((epoch, sampled))
    spreads = {key: histogram_view.counted(_middle(arrays)) for key, arrays in values.items()}
    return Measured(pd.DataFrame(rows), spreads)


@per_run(max_entries=40)
def training_rows(run: Run, number: int) -> NDArray[np.int32]:
    """Rows of up to `number` images of each class among those the run was trained on, sorted."""
    labels = dataset.load(run.data_name).train_labels
    experiment = run.experiment
    rows = dataset.split_of(run.data_name, experiment.validation_fraction, experiment.training_fraction).train
    return np.sort(np.concatenate([draw(labels, rows, label, number, seed=0) for label in range(len(CLASSES))]))


def _batch(run: Run) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The images that layers are measured on, uint8 (n, 28, 28), and their labels: BATCH of each class."""
    data, rows = dataset.load(run.data_name), training_rows(run, BATCH)
    return data.train_images[rows], data.train_labels[rows]


def _middle(values: list[tuple[int, Array]]) -> list[tuple[int, Array]]:
    """Without exact zeros, which would dwarf all else where units are off, and the outermost 1 % on either side."""
    nonzero = [(epoch, array[array != 0]) for epoch, array in values]
    together = np.concatenate([array for _, array in nonzero])
    if not together.size:
        return values
    low, high = np.quantile(together, (0.01, 0.99))
    return [(epoch, array[(array >= low) & (array <= high)]) for epoch, array in nonzero]
