"""Statistics of each class's pixels: mean images, intensities, and which classes the mean images confuse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CHUNK = 4096  # Images turned into float32 at a time: 13 MB, whatever the size of the data set.


@dataclass(frozen=True)
class ClassPixels:
    """counts int64 (classes,). means float32 (classes, 28, 28), 0 to 255. intensities int64 (classes, 256): how many
    pixels have each value. nearer float64 (classes, classes): the share of the images of class a (row) that lie nearer
    to the mean image of b (column) than to that of a. accuracy: share of the test images nearest to their own mean.
    """

    counts: NDArray[np.int64]
    means: NDArray[np.float32]
    intensities: NDArray[np.int64]
    nearer: NDArray[np.float64]
    accuracy: float

    @property
    def mixed_up(self) -> NDArray[np.float64]:
        """(classes, classes), symmetric: of the images of both classes, the share nearer to the other's mean image."""
        wrong = self.nearer * self.counts[:, None]
        shares: NDArray[np.float64] = (wrong + wrong.T) / (self.counts[:, None] + self.counts[None, :])
        return shares

    def closest_pairs(self, number: int) -> list[tuple[int, int, float]]:
        """The most confused pairs of classes: (class, other class, share), worst first."""
        shares = self.mixed_up
        rows, columns = np.triu_indices(len(shares), 1)
        order = np.argsort(-shares[rows, columns], kind="stable")[:number]
        return [(int(a), int(b), float(shares[a, b])) for a, b in zip(rows[order], columns[order], strict=True)]


def describe(
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    test_images: NDArray[np.uint8],
    test_labels: NDArray[np.uint8],
    classes: int,
) -> ClassPixels:
    """Measure the training images' classes. images: (n, 28, 28), labels: (n,), every class at least once."""
    counts = np.bincount(labels, minlength=classes)
    means = np.empty((classes, *images.shape[1:]), np.float32)
    intensities = np.empty((classes, 256), np.int64)
    nearer = np.empty((classes, classes))
    for label in range(classes):
        members = images[labels == label]
        means[label] = members.mean(axis=0)
        intensities[label] = np.bincount(members.ravel(), minlength=256)
    squares = distances(images, means)
    for label in range(classes):
        own_squares = squares[labels == label]
        nearer[label] = (own_squares < own_squares[:, [label]]).mean(axis=0)
    accuracy = float((distances(test_images, means).argmin(axis=1) == test_labels).mean())
    return ClassPixels(counts, means, intensities, nearer, accuracy)


def distances(images: NDArray[np.uint8], means: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squared Euclidean distance of each image to each mean, less the image's own square, which is the same for all
    means: float32 (n, classes). images: (n, 28, 28)."""
    flat = means.reshape(len(means), -1)
    result = np.empty((len(images), len(means)), np.float32)
    for start in range(0, len(images), CHUNK):
        part = images[start : start + CHUNK].reshape(-1, flat.shape[1]).astype(np.float32)
        result[start : start + CHUNK] = (flat**2).sum(axis=1) - 2 * part @ flat.T
    return result
