"""Which predictions of a network are correct, and how confident it is, from probabilities and true labels. Pure NumPy.

Everywhere: probabilities float32 (n, classes), rows that sum to 1; labels uint8 (n,). A network's prediction is its
most probable class (the first of equals), its confidence that class's probability.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Z95 = 1.959964  # 97.5 % quantile of the standard normal distribution
BINS = 15  # as in Guo et al. (2017)
Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


class Scores(NamedTuple):
    """Measures of each class, (classes,), nan for 0 / 0, and their plain means over the classes, nan counted as 0.

    support: images of the class. predicted: images that were put into it. precision: right ones among `predicted`.
    recall: right ones among `support`. f1: harmonic mean of both.
    """

    support: Rows
    predicted: Rows
    right: Rows
    precision: Floats
    recall: Floats
    f1: Floats
    macro_precision: float
    macro_recall: float
    macro_f1: float


class Reliability(NamedTuple):
    """How often the prediction is correct, by how confident it is. One entry a bin; empty bins hold nan.

    Bin m holds the confidences in (m / bins, (m + 1) / bins]. low, high: 95 % interval of `accuracy` (Wilson 1927).
    images: in the bin. confidence: their mean. error: expected calibration error. mean_confidence, mean_accuracy: of
    all images.
    """

    edges: Floats
    images: Rows
    confidence: Floats
    accuracy: Floats
    low: Floats
    high: Floats
    error: float
    mean_confidence: float
    mean_accuracy: float


def all_finite(probabilities: NDArray[np.float32]) -> bool:
    """Whether every probability is finite; those of a network that diverged are not, and nothing follows from them."""
    return bool(np.isfinite(probabilities).all())


def predictions(probabilities: NDArray[np.float32]) -> Rows:
    """The most probable class of each image, int64 (n,)."""
    classes: Rows = probabilities.argmax(axis=1)
    return classes


def confidences(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """The probability of each image's most probable class, float32 (n,)."""
    highest: NDArray[np.float32] = probabilities.max(axis=1)
    return highest


def confusion(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> Rows:
    """Images by true class (rows) and predicted class (columns), int64 (classes, classes)."""
    classes = probabilities.shape[1]
    cells = labels.astype(np.int64) * classes + predictions(probabilities)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def row_shares(counts: Rows) -> Floats:
    """Each row's counts as shares of the row; 0 for a class without images."""
    totals = counts.sum(axis=1, keepdims=True)
    shares: Floats = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    return shares


def scores(counts: Rows) -> Scores:
    """Precision, recall and F1 of each class from a confusion matrix (rows true)."""
    right, support, predicted = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    precision, recall = _ratio(right, predicted), _ratio(right, support)
    f1 = _ratio(2 * right, predicted + support)
    means = (float(np.nan_to_num(measure).mean()) for measure in (precision, recall, f1))
    return Scores(support, predicted, right, precision, recall, f1, *means)


def wilson(right: ArrayLike, n: ArrayLike) -> tuple[Floats, Floats]:
    """95 % interval of a proportion `right / n` (Wilson 1927): holds for small n and near 0 and 1; nan where n is 0."""
    right, n = np.asarray(right, np.float64), np.asarray(n, np.float64)
    share, z2 = _ratio(right, n), Z95**2
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = (share + z2 / (2 * n)) / (1 + z2 / n)
        half = Z95 / (1 + z2 / n) * np.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return np.maximum(middle - half, 0), np.minimum(middle + half, 1)


def reliability(probabilities: NDArray[np.float32], labels: NDArray[np.uint8], bins: int = BINS) -> Reliability:
    """Accuracy against confidence in bins of equal width, and the expected calibration error.

    Guo, Pleiss, Sun & Weinberger (2017), On Calibration of Modern Neural Networks, arXiv 1706.04599, equation 3:
    ECE = sum over the bins of |B_m| / n * |acc(B_m) - conf(B_m)|.
    """
    confidence_of_each = confidences(probabilities).astype(np.float64)
    correct = predictions(probabilities) == labels
    edges = np.linspace(0, 1, bins + 1)
    # The upper edge belongs to the bin. A float32 softmax may give a little more than 1.
    index = np.clip(np.searchsorted(edges, confidence_of_each, side="left") - 1, 0, bins - 1)
    count = np.bincount(index, minlength=bins)
    hits = np.bincount(index, weights=correct, minlength=bins)
    confidence = _ratio(np.bincount(index, weights=confidence_of_each, minlength=bins), count)
    accuracy = _ratio(hits, count)
    gaps = np.nan_to_num(np.abs(accuracy - confidence))
    error = float((count * gaps).sum() / max(len(labels), 1))
    means = (float(values.mean()) if len(values) else float("nan") for values in (confidence_of_each, correct))
    return Reliability(edges, count, confidence, accuracy, *wilson(hits, count), error, *means)


def cell(
    probabilities: NDArray[np.float32],
    labels: NDArray[np.uint8],
    true: int,
    predicted: int,
    doubtful_first: bool = False,
) -> Rows:
    """Row numbers of the images of class `true` that are predicted as `predicted`, the most confident first."""
    rows = np.flatnonzero((labels == true) & (predictions(probabilities) == predicted))
    return _by_confidence(probabilities, rows, doubtful_first)


def mistakes(probabilities: NDArray[np.float32], labels: NDArray[np.uint8], doubtful_first: bool = False) -> Rows:
    """Row numbers of the mistakes, the most confident first."""
    return _by_confidence(probabilities, np.flatnonzero(predictions(probabilities) != labels), doubtful_first)


def top(probabilities: NDArray[np.float32], number: int = 3) -> Rows:
    """The `number` most probable classes of each image, most probable first, int64 (n, number)."""
    return np.argsort(-probabilities, axis=1, kind="stable")[:, :number]


def _by_confidence(probabilities: NDArray[np.float32], rows: Rows, doubtful_first: bool) -> Rows:
    confidence = confidences(probabilities[rows])
    return rows[np.argsort(confidence if doubtful_first else -confidence, kind="stable")]


def _ratio(part: ArrayLike, whole: ArrayLike) -> Floats:
    """part / whole, nan where whole is 0."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    ratio: Floats = np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0)
    return ratio
