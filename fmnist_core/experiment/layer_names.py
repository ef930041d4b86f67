"""The names of a network's layers, in code and in words: the one place."""

from __future__ import annotations

from fmnist_core.experiment.hyperparameters import Experiment

PIXELS, OUTPUT = "pixels", "output"


def layers_of(experiment: Experiment) -> tuple[str, ...]:
    """The layers whose outputs can be mapped, input first."""
    return (PIXELS, *(f"hidden_{number}" for number in range(1, len(experiment.hidden_widths) + 1)), OUTPUT)


def layer_title(layer: str) -> str:
    """A layer in words: "input pixels", "hidden layer 1", "output layer"."""
    words = {PIXELS: "input pixels", OUTPUT: "output layer"}
    return words.get(layer) or f"hidden layer {layer.removeprefix('hidden_')}"


def the_layer(layer: str) -> str:
    """A layer inside a sentence: "the output layer", "hidden layer 1"."""
    return f"the {layer_title(layer)}" if layer in (PIXELS, OUTPUT) else layer_title(layer)
