"""The names of a network's layers, in code and in words: the one place."""

from __future__ import annotations

from fmnist_core.experiment.hyperparameters import Experiment

PIXELS, OUTPUT = "pixels", "output"
_HIDDEN = "hidden_"


def hidden_name(number: int) -> str:
    """The name of a hidden layer; number: from 1."""
    return f"{_HIDDEN}{number}"


def hidden_number(layer: str) -> int:
    """The number of a hidden layer, from 1; 0 where the layer is no hidden one."""
    number = layer.removeprefix(_HIDDEN)
    return int(number) if layer.startswith(_HIDDEN) and number.isdecimal() else 0


def activation_name(layer: str) -> str:
    """The name of what a layer gives out, in `forward.layers`: activation_1 for hidden_1, output for the output."""
    return f"activation_{hidden_number(layer)}" if hidden_number(layer) else layer


def dense_layers(experiment: Experiment) -> tuple[str, ...]:
    """The layers that have weights: hidden_1 ... output."""
    return (*map(hidden_name, range(1, len(experiment.hidden_widths) + 1)), OUTPUT)


def layers_of(experiment: Experiment) -> tuple[str, ...]:
    """The layers whose outputs can be mapped, input first."""
    return (PIXELS, *dense_layers(experiment))


def layer_title(layer: str) -> str:
    """A layer in words: "input pixels", "hidden layer 1", "output layer"."""
    return {PIXELS: "input pixels", OUTPUT: "output layer"}.get(layer) or f"hidden layer {hidden_number(layer)}"


def layer_label(layer: str) -> str:
    """A layer in a table's column "Layer" or on its axis: "pixels", "1", "output"."""
    return str(hidden_number(layer) or layer)


def layer_heading(layer: str) -> str:
    """A layer as a label or at the start of a sentence: "Input pixels", "Hidden layer 1"."""
    return layer_title(layer).capitalize()


def the_layer(layer: str) -> str:
    """A layer inside a sentence: "the output layer", "hidden layer 1"."""
    return f"the {layer_title(layer)}" if layer in (PIXELS, OUTPUT) else layer_title(layer)
