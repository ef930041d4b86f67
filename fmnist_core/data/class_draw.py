"""Random draws of images of one class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def draw(labels: NDArray[np.uint8], rows: NDArray[np.int32], label: int, number: int, seed: int) -> NDArray[np.int32]:
    """Row numbers of up to `number` images of a class, a random draw from `rows` without repeats.

    A larger number keeps the images of a smaller one; a class's draw does not depend on which others are shown.
    """
    members = rows[labels[rows] == label]
    return np.random.default_rng((seed, label)).permutation(members)[:number]
