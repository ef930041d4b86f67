"""What a training reports while it runs: plain records, and the protocol of its listeners."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Weights = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class EpochRecord:
    """The measures of one epoch; epoch 0 is the network before training.

    loss, accuracy: on the training images; epoch 0 by evaluation, later as Keras reports them: the mean over the
    epoch's batches, with dropout on, label smoothing and the L2 penalty included. val_loss has these two, too; dropout
    is off. gradient_norm: Euclidean norm of all gradients before any clipping, mean over every 8th step of the epoch;
    nan at epoch 0. weight_norm: Euclidean norm of all trainable weights at the epoch's end. seconds: training and
    validation.
    """

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    gradient_norm: float
    weight_norm: float
    seconds: float


@dataclass(frozen=True)
class Progress:
    """Progress within an epoch, reported several times per epoch.

    epoch: from 1. step: steps done since the start of the training. losses: (step, loss of that batch) of the steps
    since the last report, at most 25, evenly thinned. accuracy: running mean over the epoch's batches so far.
    """

    epoch: int
    step: int
    steps_per_epoch: int
    losses: tuple[tuple[int, float], ...]
    accuracy: float
    examples_per_second: float


class Listener(Protocol):
    """Receives the progress of a training."""

    def phase(self, name: str) -> None:
        """The training enters a phase: preparing, compiling, training or testing."""

    def progress(self, progress: Progress) -> None:
        """Progress within an epoch."""

    def epoch(self, record: EpochRecord) -> None:
        """An epoch is complete; called for epoch 0, too."""


class Recorder(Listener, Protocol):
    """A listener that also stores losses, weights and probabilities."""

    def steps(self, epoch: int, losses: NDArray[np.float32]) -> None:
        """The loss of each of the epoch's batches, float32 (steps,)."""

    def snapshot(self, epoch: int, weights: Weights, probabilities: NDArray[np.float32]) -> None:
        """Weights by name ("hidden_1/kernel", "output/bias"), and probabilities of the test images, (n_test, 10)."""


def to_json_types(value: Any) -> Any:
    """Records, mappings and sequences as JSON types. JSON has no nan: what is not finite becomes null."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {key: to_json_types(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json_types(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
