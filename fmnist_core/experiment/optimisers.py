"""The optimisers: one row each. To add one, add a row that names Keras' class; `learning` makes it from that name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Optimiser:
    """One optimiser. keras: its class in keras.optimizers. slots: numbers that it keeps for each weight.

    settings: the hyperparameters that it takes beside the learning rate. adaptive: it divides each weight's step by the
    usual size of that weight's gradient.
    """

    name: str
    label: str
    keras: str
    slots: int
    settings: tuple[str, ...] = ()
    adaptive: bool = True


_ROWS = (
    Optimiser("adam", "Adam", "Adam", slots=2),
    Optimiser("sgd", "SGD", "SGD", slots=1, settings=("momentum",), adaptive=False),
    Optimiser("rmsprop", "RMSprop", "RMSprop", slots=2, settings=("momentum",)),
    Optimiser("nadam", "Nadam", "Nadam", slots=2),
    Optimiser("adamw", "AdamW", "AdamW", slots=2, settings=("weight_decay",)),
    Optimiser("adagrad", "Adagrad", "Adagrad", slots=1),
)
OPTIMISERS = {row.name: row for row in _ROWS}
