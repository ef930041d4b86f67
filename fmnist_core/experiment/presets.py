"""The ready-made experiments: the notebook's models by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fmnist_core.experiment.hyperparameters import Experiment


@dataclass(frozen=True)
class Preset:
    """A named experiment."""

    name: str
    title: str
    description: str
    experiment: Experiment


def _presets() -> dict[str, Preset]:
    entries: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
        ("base", "Base network", "Two hidden layers of 512 ReLU units, Adam, 20 epochs.", {}),
        ("dropout", "Dropout", "The base network with dropout 0.3 after each hidden layer.", {"dropout": 0.3}),
        (
            "batch-norm",
            "Batch normalisation",
            "The base network, standardised before each activation.",
            {"batch_norm": True},
        ),
        ("l2", "L2 penalty", "The base network with an L2 penalty of 0.01 on the hidden weights.", {"l2": 0.01}),
        (
            "lr-schedule",
            "Learning-rate schedule",
            "The base network with a rate that starts at 0.01 and is multiplied by 0.96 every 100 steps.",
            {
                "learning_rate": 0.01,
                "schedule": "exponential",
                "decay_steps": 100,
                "decay_rate": 0.96,
                "staircase": True,
            },
        ),
        ("glorot", "Glorot initialisation", "The base network: its weights are Glorot uniform.", {}),
        (
            "standard",
            "Standard initialisation",
            "The base network with weights from U(-1/sqrt(n), 1/sqrt(n)), n the layer's inputs.",
            {"initialiser": "standard_uniform"},
        ),
    )
    return {name: Preset(name, title, text, Experiment.of(values)) for name, title, text, values in entries}


PRESETS: dict[str, Preset] = _presets()
