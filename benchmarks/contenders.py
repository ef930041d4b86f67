"""The same training by different means, one a process: `python -m benchmarks.contenders NAME SHARE`.

784-512-512-10, batch 128, Adam at 0.001, the same images, validation after each epoch. A process waits for a line on
standard input before each epoch and answers with one JSON line: {"seconds", "whole"}. seconds: training and
validation; whole: everything from the permission to the answer. SHARE: of the training images.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fmnist_core.data import dataset
from fmnist_core.experiment.cost import INPUTS
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.recording import EpochRecord, Progress, Weights

EPOCHS = 25  # more than are ever asked for: standard input ends before
BATCH, HIDDEN, RATE = 128, (512, 512), 0.001


class Turn:
    """The line to who takes the time: an epoch begins when it says so."""

    def __init__(self) -> None:
        self._answer = os.fdopen(os.dup(sys.stdout.fileno()), "w")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a framework prints is not an answer
        self._begun = time.perf_counter()

    def wait(self) -> None:
        """Wait for the permission; the process ends where nobody wants another epoch."""
        if not sys.stdin.readline():
            os._exit(0)  # from within a framework's own loop
        self._begun = time.perf_counter()

    def over(self, seconds: float | None = None) -> None:
        """An epoch is complete, in the time since `wait` or in `seconds`; returns when the next one may begin."""
        whole = time.perf_counter() - self._begun
        self._answer.write(json.dumps({"seconds": whole if seconds is None else seconds, "whole": whole}) + "\n")
        self._answer.flush()
        self.wait()


class Work(NamedTuple):
    """Scaled images float32 (n, 784) and labels (n,), for training and validation."""

    x: NDArray[np.float32]
    y: NDArray[Any]
    x_val: NDArray[np.float32]
    y_val: NDArray[Any]


def work(share: float) -> Work:
    """The images that our loop takes, scaled beforehand, as everybody else does."""
    data = dataset.load()
    rows = dataset.split(data.train_labels, Experiment().validation_fraction, share)
    pixels = data.train_images.reshape(-1, INPUTS)
    x, x_val = (pixels[part].astype(np.float32) / np.float32(255) for part in (rows.train, rows.validation))
    return Work(x, data.train_labels[rows.train], x_val, data.train_labels[rows.validation])


class _Watch:
    """A recorder that keeps nothing."""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn

    def phase(self, name: str) -> None:
        """Nothing to do."""

    def progress(self, progress: Progress) -> None:
        """Nothing to do."""

    def steps(self, epoch: int, losses: NDArray[np.float32]) -> None:
        """Nothing to do."""

    def snapshot(self, epoch: int, weights: Weights, probabilities: NDArray[np.float32]) -> None:
        """Nothing to do."""

    def epoch(self, record: EpochRecord) -> None:
        """Epoch 0 is the network before training: no epoch to be timed."""
        if record.epoch:
            self.turn.over(record.seconds)


def ours(share: float, turn: Turn, dropout: float = 0.0) -> None:
    """The app's own loop."""
    from fmnist_core.learning.training import train

    experiment = Experiment(epochs=EPOCHS, training_fraction=share, dropout=dropout)
    train(experiment, dataset.load(), _Watch(turn))


def keras_fit(share: float, turn: Turn, dropout: float = 0.0) -> None:
    """Keras' `fit` as the notebook has it. Its progress bar and TensorBoard are left out: both would cost it time."""
    os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "KERAS_BACKEND": "tensorflow"}
    import keras

    w = work(share)
    layers: list[Any] = [keras.Input((INPUTS,))]
    for width in HIDDEN:
        layers += [keras.layers.Dense(width, activation="relu")]
        layers += [keras.layers.Dropout(dropout)] if dropout else []
    model = keras.Sequential([*layers, keras.layers.Dense(10, activation="softmax")])
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    y, y_val = (keras.utils.to_categorical(labels, 10) for labels in (w.y, w.y_val))
    watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: turn.over())
    model.fit(w.x, y, BATCH, EPOCHS, validation_data=(w.x_val, y_val), callbacks=[watch], verbose=0)


def scikit_learn(share: float, turn: Turn) -> None:
    """scikit-learn's MLPClassifier, an epoch a call."""
    from sklearn.neural_network import MLPClassifier

    w = work(share)
    model = MLPClassifier(HIDDEN, batch_size=BATCH, learning_rate_init=RATE, alpha=0.0)
    for _ in range(EPOCHS):
        model.partial_fit(w.x, w.y, classes=np.arange(10))
        model.score(w.x_val, w.y_val)
        turn.over()


def pytorch(share: float, turn: Turn) -> None:
    """PyTorch, eager, by hand: no DataLoader, which would be slower."""
    torch: Any = importlib.import_module("torch")
    nn, functional = torch.nn, torch.nn.functional
    x, y, x_val, y_val = (torch.from_numpy(part) for part in work(share))
    y, y_val = y.long(), y_val.long()
    layers = (nn.Linear(INPUTS, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    model = nn.Sequential(*layers)
    optimiser = torch.optim.Adam(model.parameters(), RATE)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(y)).split(BATCH):
            optimiser.zero_grad()
            functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimiser.step()
        with torch.no_grad():
            logits = model(x_val)
            float(functional.cross_entropy(logits, y_val)), float((logits.argmax(1) == y_val).float().mean())
        turn.over()


def jax_scan(share: float, turn: Turn) -> None:
    """JAX: the whole epoch in one program."""
    from benchmarks.jax_epoch import run

    run(work(share), turn)


CONTENDERS: dict[str, Callable[[float, Turn], None]] = {
    "ours": ours,
    "ours with dropout 0.3": lambda share, turn: ours(share, turn, 0.3),
    "Keras fit": keras_fit,
    "Keras fit with dropout 0.3": lambda share, turn: keras_fit(share, turn, 0.3),
    "scikit-learn MLPClassifier": scikit_learn,
    "PyTorch, eager": pytorch,
    "JAX, lax.scan": jax_scan,
}


if __name__ == "__main__":
    start = Turn()
    start.wait()
    CONTENDERS[sys.argv[1]](float(sys.argv[2]), start)
