"""The notebook's five models as a plain loop over Keras `fit`: `python -m benchmarks.study_loop SHARE EPOCHS`.

For each line on standard input: one seed of all five, built, fitted, validated and tested; the answer is its seconds.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import numpy as np

from benchmarks.contenders import BATCH, HIDDEN, work
from fmnist_core.data import dataset
from fmnist_core.experiment.cost import INPUTS
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.presets import PRESETS
from fmnist_core.experiment.study import STUDIES


def network(experiment: Experiment) -> Any:
    """As the notebook builds it."""
    import keras

    penalty = keras.regularizers.L2(experiment.l2) if experiment.l2 else None
    model = keras.Sequential([keras.Input((INPUTS,))])
    for width in HIDDEN:
        model.add(keras.layers.Dense(width, kernel_regularizer=penalty))
        if experiment.batch_norm:
            model.add(keras.layers.BatchNormalization())
        model.add(keras.layers.Activation("relu"))
        if experiment.dropout:
            model.add(keras.layers.Dropout(experiment.dropout))
    model.add(keras.layers.Dense(10, activation="softmax"))
    rate: Any = experiment.learning_rate
    if experiment.schedule == "exponential":
        decay = (experiment.decay_steps, experiment.decay_rate)
        rate = keras.optimizers.schedules.ExponentialDecay(rate, *decay, staircase=True)
    model.compile(keras.optimizers.Adam(rate), "categorical_crossentropy", metrics=["accuracy"])
    return model


def main(share: float, epochs: int) -> None:
    """Serve rounds until standard input ends."""
    os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "KERAS_BACKEND": "tensorflow"}
    import keras

    w, data = work(share), dataset.load()
    y, y_val, y_test = (keras.utils.to_categorical(labels, 10) for labels in (w.y, w.y_val, data.test_labels))
    x_test = data.test_images.reshape(-1, INPUTS).astype(np.float32) / np.float32(255)
    for seed, _ in enumerate(sys.stdin):
        begun = time.perf_counter()
        for name in STUDIES["notebook"].presets:
            keras.utils.set_random_seed(seed)
            model = network(PRESETS[name].experiment)
            model.fit(w.x, y, BATCH, epochs, validation_data=(w.x_val, y_val), verbose=0)
            model.evaluate(x_test, y_test, verbose=0)
        print(time.perf_counter() - begun, flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
