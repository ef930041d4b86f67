"""The optimisers: one row each. To add one, add a row that names Keras' class; `learning` makes it from that name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Optimiser:
    """One optimiser. keras: its class in keras.optimizers. slots: numbers that it keeps for each weight.

    momentum: whether it takes the hyperparameter `momentum`.
    """

    name: str
    label: str
    keras: str
    slots: int
    momentum: bool = False


_ROWS = (
    Optimiser("adam", "Adam", "Adam", slots=2),
    Optimiser("sgd", "SGD", "SGD", slots=1, momentum=True),
    Optimiser("rmsprop", "RMSprop", "RMSprop", slots=2, momentum=True),
    Optimiser("nadam", "Nadam", "Nadam", slots=2),
    Optimiser("adagrad", "Adagrad", "Adagrad", slots=1),
)
OPTIMISERS = {row.name: row for row in _ROWS}
