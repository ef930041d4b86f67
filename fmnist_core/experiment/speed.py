"""How fast this machine is, and how long training will take by its arithmetic."""

from __future__ import annotations

import math
import time
from functools import cache

import numpy as np

# Measured with the compiled training loop: the share of a plain matrix product's speed that one training reaches, and
# two at a time; and what each step costs on top, whatever its size: launching it and gathering its batch.
EFFICIENCY, SHARED_EFFICIENCY = 0.55, 0.33
STEP_SECONDS = 6e-5


def training_seconds(flops: float, steps: float, efficiency: float, product: tuple[int, int, int]) -> float:
    """Seconds for these floating-point operations and steps. efficiency: of the speed of `product`, (rows, inner, columns),
    which should be like the training's own: with small batches the weights' way through memory takes the time.
    """
    return flops / (efficiency * product_speed(*product)) + steps * STEP_SECONDS


@cache
def product_speed(rows: int, inner: int, columns: int) -> float:
    """FLOP/s of the product of a (rows, inner) with an (inner, columns) float32 matrix here, measured once: 5 to 20 ms."""
    a, b = np.ones((rows, inner), np.float32), np.ones((inner, columns), np.float32)
    best = math.inf
    for _ in range(20):  # The best of many: the first ones wait for BLAS' threads, and others for the machine's.
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return 2 * rows * inner * columns / best
