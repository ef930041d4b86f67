"""A recorder that keeps everything a training tells."""

from __future__ import annotations

import numpy as np

from fmnist_core.experiment.recording import EpochRecord, Progress, Weights


class Recording:
    """Keeps everything a training tells."""

    def __init__(self) -> None:
        self.phases: list[str] = []
        self.signs: list[Progress] = []
        self.history: list[EpochRecord] = []
        self.losses: dict[int, np.ndarray] = {}
        self.snapshots: dict[int, tuple[Weights, np.ndarray]] = {}

    def phase(self, name: str) -> None:
        self.phases.append(name)

    def progress(self, progress: Progress) -> None:
        self.signs.append(progress)

    def epoch(self, record: EpochRecord) -> None:
        self.history.append(record)

    def steps(self, epoch: int, losses: np.ndarray) -> None:
        self.losses[epoch] = losses

    def snapshot(self, epoch: int, weights: Weights, probabilities: np.ndarray) -> None:
        self.snapshots[epoch] = (weights, probabilities)
