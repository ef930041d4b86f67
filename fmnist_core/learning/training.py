"""One training from start to end: epochs of compiled chunks, validation, early stopping, the test, all recorded.

A training is a generator that pauses after each chunk, so that several can run side by side in one process.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from fmnist_core.data.dataset import CLASSES, Dataset, noisy_labels, split
from fmnist_core.experiment.cost import INPUTS, kept_epochs
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.recording import EpochRecord, Progress, Recorder, Weights
from fmnist_core.experiment.schedule import learning_rates
from fmnist_core.learning import keras_network
from fmnist_core.learning.initial_weights import initial_weights
from fmnist_core.learning.program import BUILDING, NORM_EVERY, Evaluation, Program, Steps, borrowed

CHUNK_SECONDS = 0.2  # between two looks at `should_stop`, and between two reports
FIRST_CHUNK = 8  # steps, until the pace is known
REPORTED_LOSSES = 25
EVALUATED_BEFORE = 6000  # training images that epoch 0 is evaluated on: a first picture, not worth a second's wait


@dataclass(frozen=True)
class Outcome:
    """What a training gave.

    test_loss: mean cross-entropy on the test images, with label smoothing, plus the L2 penalty, as Keras' `evaluate`.
    test_loss_std: its standard deviation over the test images. test_penalty: what label smoothing and L2 add to
    test_loss, which is the plain cross-entropy without it. seconds: training and validation, without compiling.
    stopped: ended by `should_stop`. best_epoch: lowest validation loss; with patience its weights are the final ones.
    epochs_done: complete epochs. confusion: test images by true class (rows) and predicted class (columns).
    model: a plain Keras model with the final weights.
    """

    test_loss: float
    test_accuracy: float
    test_loss_std: float
    test_penalty: float
    seconds: float
    compile_seconds: float
    stopped: bool
    best_epoch: int
    epochs_done: int
    steps_per_epoch: int
    train_examples: int
    confusion: list[list[int]]
    model: keras.Model

    def metrics(self) -> dict[str, Any]:
        """All plain numbers, for a file."""
        return {name: value for name, value in vars(self).items() if name != "model"}


class Images(NamedTuple):
    """uint8 (n, 784) pixels and integer labels (n,)."""

    pixels: NDArray[np.uint8]
    labels: NDArray[Any]

    def take(self, rows: NDArray[Any]) -> Images:
        """The images of these rows."""
        return Images(self.pixels[rows], self.labels[rows])


def train(
    experiment: Experiment, data: Dataset, recorder: Recorder, should_stop: Callable[[], bool] = lambda: False
) -> Outcome:
    """Train an experiment's network on a data set and report everything to the recorder.

    `should_stop` is asked several times a second; what was trained until then is tested and returned.
    The same experiment on the same data gives the same numbers in every process on one machine.
    """
    [outcome] = train_together([experiment], data, [recorder], should_stop)
    return outcome


def train_together(
    experiments: Sequence[Experiment],
    data: Dataset,
    recorders: Sequence[Recorder],
    should_stop: Callable[[], bool] = lambda: False,
) -> list[Outcome]:
    """Train several experiments side by side: the one that has seen the fewest images gets the next chunk of steps.

    Each gives the same numbers as alone; with equal seeds and batch sizes they see the same batches.
    """
    with ExitStack() as stack:
        trainings = [
            _Training(experiment, data, recorder, should_stop, *stack.enter_context(borrowed(experiment)))
            for experiment, recorder in zip(experiments, recorders, strict=True)
        ]
        return _taken_in_turns(trainings)


def _taken_in_turns(trainings: Sequence[_Training]) -> list[Outcome]:
    lives = {lane: training.run() for lane, training in enumerate(trainings)}
    outcomes: dict[int, Outcome] = {}
    while lives:
        lane = min(lives, key=lambda lane: trainings[lane].seen)
        try:
            next(lives[lane])
        except StopIteration as end:
            outcomes[lane] = end.value
            del lives[lane]
    return [outcomes[lane] for lane in range(len(trainings))]


def warm_up(data: Dataset) -> None:
    """Compile the base network, so that the first person who presses Train need not wait for TensorFlow to wake."""
    experiment = Experiment()
    with borrowed(experiment) as (program, new), BUILDING:
        if new:
            images = data.train_images[: experiment.batch_size].reshape(-1, INPUTS)
            program.reset(experiment, initial_weights(experiment, images))
            program.compile(experiment.batch_size)
            program.evaluate(images, data.train_labels[: experiment.batch_size])


def save(model: keras.Model, path: Path) -> None:
    """Write a model as a .keras file. Raises: OSError."""
    with BUILDING:
        model.save(path)


class _Training:
    """The state of one training; `run` goes through its life. program: its alone, as from `borrowed`."""

    def __init__(
        self,
        experiment: Experiment,
        data: Dataset,
        recorder: Recorder,
        should_stop: Callable[[], bool],
        program: Program,
        new: bool,
    ) -> None:
        recorder.phase("preparing")
        self.seen = 0  # training images so far
        self.paused = 0.0  # seconds that others had
        self.experiment, self.recorder, self.should_stop = experiment, recorder, should_stop
        rows = split(data.train_labels, experiment.validation_fraction, experiment.training_fraction)
        pixels = data.train_images.reshape(-1, INPUTS)
        self.validation = Images(pixels, data.train_labels).take(rows.validation)
        self.test = Images(data.test_images.reshape(-1, INPUTS), data.test_labels)
        # Rows are looked up in the shared, memory-mapped images: no copy of the training set.
        self.rows = rows.train
        self.images = Images(pixels, _with_noise(data.train_labels, rows.train, experiment))
        self.batch = min(experiment.batch_size, len(self.rows))
        self.steps_per_epoch = math.ceil(len(self.rows) / self.batch)
        self.rates = learning_rates(experiment, self.steps_per_epoch)
        self.program = program
        self.compile_seconds = self._prepare(new)
        self.kept = set(kept_epochs(experiment.epochs))
        self.history: list[EpochRecord] = []
        self.chunk = FIRST_CHUNK
        self.stopped = False
        self.unkept: tuple[int, Weights, NDArray[np.float32]] | None = None
        self.best = (math.inf, 0, Weights())

    def run(self) -> Generator[None, None, Outcome]:
        """Epoch 0 (evaluation only), the epochs, the test."""
        self.recorder.phase("training")
        self._untrained()
        ended = False
        for epoch in range(1, self.experiment.epochs + 1):
            ended = yield from self._epoch(epoch)
            if ended:
                break
        if self.unkept is not None and (ended or self.stopped):
            self.recorder.snapshot(*self.unkept)
        if self.experiment.patience and self.best[2]:
            keras_network.assign(self.program.model, self.best[2])
        return self._outcome()

    def _prepare(self, new: bool) -> float:
        """Reset the program for this experiment, and compile it where it is new; returns the seconds that took."""
        start = time.perf_counter()
        sample = self.rows[:EVALUATED_BEFORE]
        with BUILDING:
            self.program.reset(self.experiment, initial_weights(self.experiment, self.images.pixels[sample]))
            if new:
                self.recorder.phase("compiling")
                self.program.compile(self.batch)
        return time.perf_counter() - start if new else 0.0

    def _untrained(self) -> None:
        sample = self.images.take(self.rows[:: max(1, len(self.rows) // EVALUATED_BEFORE)])
        measures = _measured(self.program.evaluate(*sample), sample.labels)
        nothing = Steps(*(np.full(1, math.nan, np.float32) for _ in Steps._fields))
        self._record(0, measures, nothing, 0.0)

    def _epoch(self, epoch: int) -> Generator[None, None, bool]:
        """Train and validate one epoch; True where the training ends with it, complete or not."""
        start = time.perf_counter() - self.paused
        steps = yield from self._steps(epoch)
        self.recorder.steps(epoch, steps.losses)
        if self.stopped:
            return True
        weights = np.full(len(steps.losses), float(self.batch))
        weights[-1] = len(self.rows) - self.batch * (len(weights) - 1)
        loss = float(np.average(steps.losses.astype(np.float64), weights=weights))
        accuracy = float(steps.correct.sum(dtype=np.float64) / len(self.rows))
        record = self._record(epoch, (loss, accuracy), steps, start)
        # Once the weights are not numbers they never will be again; and patience may have run out.
        return not math.isfinite(record.loss) or self._out_of_patience(record)

    def _steps(self, epoch: int) -> Generator[None, None, Steps]:
        """All steps of an epoch, chunk by chunk; fewer where a stop is asked for."""
        order = self.rows[np.random.default_rng([self.experiment.seed, epoch]).permutation(len(self.rows))]
        keys = np.random.default_rng([self.experiment.seed, epoch, 1])
        chunks: list[Steps] = []
        done, correct, first = 0, 0.0, (epoch - 1) * self.steps_per_epoch
        clock = time.perf_counter()
        for rows in self._chunks(order):
            steps = self._train(rows, first, done, keys)
            chunks.append(steps)
            done += len(steps.losses)
            correct += float(steps.correct.sum())
            now = time.perf_counter()
            speed = len(rows) / (now - clock)
            self.chunk = max(1, min(round(speed * CHUNK_SECONDS / self.batch), max(1, self.steps_per_epoch // 8)))
            seen = min(done * self.batch, len(order))
            self.seen = (epoch - 1) * len(order) + seen
            self.recorder.progress(self._report(epoch, first + done, steps.losses, correct / seen, speed))
            if self.should_stop():
                self.stopped = True
                break
            yield
            clock = time.perf_counter()
            self.paused += clock - now
        return Steps(*(np.concatenate(parts) for parts in zip(*chunks, strict=True)))

    def _chunks(self, order: NDArray[Any]) -> Iterator[NDArray[Any]]:
        """Row numbers of the next few whole batches; the epoch's remainder comes alone."""
        whole = len(order) - len(order) % self.batch
        start = 0
        while start < whole:
            end = min(start + min(self.chunk, self.program.capacity) * self.batch, whole)
            yield order[start:end]
            start = end
        if whole < len(order):
            yield order[whole:]

    def _train(self, rows: NDArray[Any], first: int, done: int, keys: np.random.Generator) -> Steps:
        """first: number of the epoch's first step. done: steps of this epoch so far."""
        step = first + done
        pixels, labels = self.images.take(rows)
        if len(rows) < self.batch:
            return self.program.run_remainder(pixels, labels, float(self.rates[step]), keys.integers(0, 2**32, 2))
        steps = len(rows) // self.batch
        return self.program.run(
            pixels.reshape(steps, self.batch, INPUTS),
            labels.reshape(steps, self.batch),
            self.rates[step : step + steps],
            keys.integers(0, 2**32, (steps, 2)),
            np.arange(done, done + steps) % NORM_EVERY == 0,
            steps,
        )

    def _report(self, epoch: int, step: int, losses: NDArray[np.float32], accuracy: float, speed: float) -> Progress:
        chosen = np.unique(np.linspace(0, len(losses) - 1, min(len(losses), REPORTED_LOSSES)).astype(int))
        first = step - len(losses) + 1
        thinned = tuple((first + int(i), float(losses[i])) for i in chosen)
        return Progress(epoch, step, self.steps_per_epoch, thinned, accuracy, speed)

    def _record(self, epoch: int, training: tuple[float, float], steps: Steps, start: float) -> EpochRecord:
        val_loss, val_accuracy = _measured(self.program.evaluate(*self.validation), self.validation.labels)
        record = EpochRecord(
            epoch=epoch,
            loss=training[0],
            accuracy=training[1],
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            learning_rate=float(self.rates[max(epoch * self.steps_per_epoch - 1, 0)]),
            gradient_norm=float(steps.gradient_norms[::NORM_EVERY].mean(dtype=np.float64)),
            weight_norm=self.program.weight_norm(),
            seconds=time.perf_counter() - self.paused - start if epoch else 0.0,
        )
        self.history.append(record)
        self.recorder.epoch(record)
        self._keep(record)
        return record

    def _keep(self, record: EpochRecord) -> None:
        """Weights and test probabilities, to the recorder where the epoch is kept, else at hand for a sudden end."""
        weights = keras_network.weights(self.program.model)
        self.tested = self.program.evaluate(*self.test)
        taken = (record.epoch, weights, self.tested.probabilities)
        self.unkept = None if record.epoch in self.kept else taken
        if record.epoch in self.kept:
            self.recorder.snapshot(*taken)
        if record.epoch and record.val_loss < self.best[0]:
            self.best = (record.val_loss, record.epoch, weights if self.experiment.patience else Weights())

    def _out_of_patience(self, record: EpochRecord) -> bool:
        patience = self.experiment.patience
        return bool(patience) and record.epoch - self.best[1] >= patience

    def _outcome(self) -> Outcome:
        self.recorder.phase("testing")
        # After whole epochs the test images have just been seen by the same weights.
        same = not self.stopped and not self.experiment.patience
        tested = self.tested if same else self.program.evaluate(*self.test)
        loss, accuracy = _measured(tested, self.test.labels)
        counts = np.zeros((len(CLASSES), len(CLASSES)), int)
        np.add.at(counts, (self.test.labels, tested.probabilities.argmax(1)), 1)
        with BUILDING:
            model = keras_network.build(self.experiment)
            keras_network.assign(model, keras_network.weights(self.program.model))
        return Outcome(
            test_loss=loss,
            test_accuracy=accuracy,
            test_penalty=tested.penalty + float((tested.losses - tested.cross_entropies).mean(dtype=np.float64)),
            test_loss_std=float(tested.losses.std(ddof=1, dtype=np.float64)),
            seconds=sum(record.seconds for record in self.history),
            compile_seconds=self.compile_seconds,
            stopped=self.stopped,
            best_epoch=self.best[1],
            epochs_done=self.history[-1].epoch,
            steps_per_epoch=self.steps_per_epoch,
            train_examples=len(self.rows),
            confusion=counts.tolist(),
            model=model,
        )


def _with_noise(labels: NDArray[np.uint8], rows: NDArray[Any], experiment: Experiment) -> NDArray[np.uint8]:
    """All labels, with the noise among the training rows only: validation stays clean."""
    if not experiment.label_noise:
        return labels
    noisy = np.array(labels)
    noisy[rows] = noisy_labels(labels[rows], experiment.label_noise, experiment.seed)
    return noisy


def _measured(evaluation: Evaluation, labels: NDArray[Any]) -> tuple[float, float]:
    """Loss with all its terms, and accuracy."""
    loss = float(evaluation.losses.mean(dtype=np.float64)) + evaluation.penalty
    return loss, float((evaluation.probabilities.argmax(1) == labels).mean())
