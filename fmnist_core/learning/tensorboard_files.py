"""TensorBoard event files: scalars and histograms over the epochs.

An event file is a TFRecord file of `Event` messages, which TensorFlow writes; TensorBoard itself is not needed here.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.framework.summary_pb2 import HistogramProto, Summary
from tensorflow.core.util.event_pb2 import Event

from fmnist_core.experiment.recording import EpochRecord, Weights

BINS = 40
SCALARS = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "gradient_norm", "weight_norm")


def write(folder: Path, history: Iterable[EpochRecord], snapshots: Iterable[tuple[int, Weights]]) -> None:
    """Write event files that `tensorboard --logdir` shows; the step is the epoch.

    history: one scalar each of SCALARS. snapshots: (epoch, weights by name), one histogram each. Raises: OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    now = time.time()
    with tf.io.TFRecordWriter(str(folder / f"events.out.tfevents.{int(now)}.{socket.gethostname()}")) as file:
        file.write(Event(wall_time=now, file_version="brain.Event:2").SerializeToString())
        for epoch, summary in _summaries(history, snapshots):
            file.write(Event(wall_time=now, step=epoch, summary=summary).SerializeToString())


def _summaries(
    history: Iterable[EpochRecord], snapshots: Iterable[tuple[int, Weights]]
) -> Iterator[tuple[int, Summary]]:
    for record in history:
        scalars = [Summary.Value(tag=f"epoch_{name}", simple_value=getattr(record, name)) for name in SCALARS]
        yield record.epoch, Summary(value=scalars)
    for epoch, weights in snapshots:
        histograms = [Summary.Value(tag=name, histo=_histogram(array)) for name, array in weights.items()]
        yield epoch, Summary(value=histograms)


def _histogram(array: NDArray[np.float32]) -> HistogramProto:
    values = array[np.isfinite(array)].astype(np.float64)
    if not values.size:
        return HistogramProto()
    low, high = float(values.min()), float(values.max())
    widest = max(abs(low), abs(high), 1e-12)
    if high - low < 1e-6 * widest:  # one value, or nearly: bins need some width
        low, high = low - 1e-6 * widest, high + 1e-6 * widest
    counts, edges = np.histogram(values, BINS, (low, high))
    return HistogramProto(
        min=low,
        max=high,
        num=values.size,
        sum=float(values.sum()),
        sum_squares=float((values * values).sum()),
        bucket_limit=edges[1:],
        bucket=counts,
    )
