"""Lay one map over another of the same points: maps have no up, no left and no unit. NumPy alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]


def align(points: Points, onto: Points, scale: bool = False) -> Points:
    """Turn, mirror and move points so that they lie as close to `onto` as they can; float32 (n, d) both.

    Orthogonal Procrustes (Schönemann 1966, doi 10.1007/BF02289451). scale: stretch or shrink them, too.
    """
    centre, target = points.mean(axis=0), onto.mean(axis=0)
    moved, wanted = (points - centre).astype(np.float64), (onto - target).astype(np.float64)
    left, values, right = np.linalg.svd(moved.T @ wanted)
    size = np.square(moved).sum()
    factor = values.sum() / size if scale and size > 0 else 1.0
    return (factor * (moved @ left @ right) + target).astype(np.float32)


def displacement(a: Points, b: Points) -> float:
    """The mean distance between the same points of two maps, relative to the root mean square radius of a."""
    moved = np.linalg.norm((b - a).astype(np.float64), axis=1).mean()
    radius = np.sqrt(np.square(a - a.mean(axis=0), dtype=np.float64).sum(axis=1).mean())
    return float(moved / radius) if radius > 0 else float(moved > 0)
