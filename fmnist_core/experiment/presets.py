"""The ready-made experiments: the notebook's models by name."""

from __future__ import annotations

from dataclasses import dataclass

from fmnist_core.experiment.hyperparameters import Experiment


@dataclass(frozen=True)
class Preset:
    """A named experiment."""

    name: str
    title: str
    description: str
    experiment: Experiment


_SCHEDULE = Experiment(learning_rate=0.01, schedule="exponential", decay_steps=100, decay_rate=0.96, staircase=True)
_ROWS = (
    Preset("base", "Base network", "Two hidden layers of 512 ReLU units, Adam, 20 epochs.", Experiment()),
    Preset("dropout", "Dropout", "The base network with dropout 0.3 after each hidden layer.", Experiment(dropout=0.3)),
    Preset(
        "batch-norm",
        "Batch normalisation",
        "The base network, standardised before each activation.",
        Experiment(batch_norm=True),
    ),
    Preset(
        "l2", "L2 penalty", "The base network with an L2 penalty of 0.01 on the hidden weights.", Experiment(l2=0.01)
    ),
    Preset(
        "lr-schedule",
        "Learning-rate schedule",
        "The base network with a rate that starts at 0.01 and is multiplied by 0.96 every 100 steps.",
        _SCHEDULE,
    ),
    Preset("glorot", "Glorot initialisation", "The base network: its weights are Glorot uniform.", Experiment()),
    Preset(
        "standard",
        "Standard initialisation",
        "The base network with weights from U(-1/sqrt(n), 1/sqrt(n)), n the layer's inputs.",
        Experiment(initialiser="standard_uniform"),
    ),
)
PRESETS = {row.name: row for row in _ROWS}
