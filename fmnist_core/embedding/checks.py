"""Whether features can be embedded at all; each refusal is one sentence with the value and the remedy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fmnist_core.errors import LabError


class EmbeddingError(LabError):
    """Features or settings that give no map."""


def check_features(features: NDArray[np.float32]) -> None:
    """Refuse what has no neighbours worth the name. features: float32 (n, width).

    Raises: EmbeddingError for values that are not finite, and where all rows are equal.
    """
    if features.ndim != 2 or not features.size:
        raise EmbeddingError(
            f"There is nothing to embed: the features have the shape {features.shape}; choose some images."
        )
    bad = int(np.sum(~np.isfinite(features).all(axis=1)))
    if bad:
        raise EmbeddingError(
            f"{bad:,} of {len(features):,} points have values that are not finite in this layer (the training has "
            "diverged); choose an earlier epoch, or train with a smaller learning rate."
        )
    if (features == features[0]).all():
        raise EmbeddingError(
            f"All {len(features):,} points are equal in this layer (its units are dead or saturated), so there is "
            "nothing to map; choose another layer or epoch."
        )


def check_distinct(features: NDArray[np.float32], needed: int) -> None:
    """Refuse features with fewer distinct rows than a point needs for its neighbourhood. Raises: EmbeddingError."""
    seen: set[bytes] = set()
    for row in features:
        seen.add((row + 0.0).tobytes())  # makes -0.0 and 0.0 the same
        if len(seen) >= needed:
            return
    raise EmbeddingError(
        f"Only {len(seen):,} of {len(features):,} points differ in this layer (most of its units are dead or saturated), "
        f"but a neighbourhood needs {needed:,}; choose another layer or epoch, or a smaller neighbourhood."
    )
