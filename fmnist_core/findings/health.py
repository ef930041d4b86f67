"""Signs that a training goes wrong, in plain words: where, the number behind it, an experiment that changes one thing.

Limits with a source name it; the others are ours, set so that the notebook's networks raise no false alarm about their
layers. A flag is a hint, not a verdict: its text gives the number, so that a reader can judge.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fmnist_core.experiment import wording
from fmnist_core.experiment.activations import ACTIVATIONS
from fmnist_core.experiment.hyperparameters import FIELDS, Experiment
from fmnist_core.experiment.layer_names import the_layer
from fmnist_core.experiment.recording import EpochRecord
from fmnist_core.findings import evaluation

CLASSES = 10
GUESS = math.log(CLASSES)  # the cross-entropy of a blind guess among ten classes
# Ours: a few dead units are usual, and are capacity lost rather than harm; from a fifth on it is worth a thought.
DEAD = 0.2
# Ours: half of a layer's values in the flat part of the activation (as Glorot & Bengio 2010 show in figures 2 and 3).
SATURATED = 0.5
# Ours: Glorot & Bengio's (2010) own example of vanishing gradients, 5 standard tanh layers, has a ratio of about 0.1;
# the notebook's networks, trained or not, lie between 0.7 and 2.
VANISHING, EXPLODING = 0.2, 5.0
# Ours: a tenth of the steps without any standardised value is more than noise.
SPOILT = 0.1
STILL = 0.02  # Ours: a validation loss that never fell by 2 % of its start has not moved.
LEVEL = 0.02  # A validation loss within 2 % of its lowest value has stayed level.
# Ours: the majority vote of people is right for 83.5 % of the images (Xiao, Rasul & Vollgraf 2017).
PEOPLE = 0.835


class LayerState(NamedTuple):
    """One hidden layer on a batch of images at one epoch.

    layer: "hidden_1", first to last. dead: share of units that are 0 for every image. saturated: share of values in the
    activation's flat part. gradient_std: standard deviation of dCost/ds over images and units. images: how many were
    measured. finite: whether all its values and gradients are finite.
    """

    layer: str
    dead: float
    saturated: float
    gradient_std: float
    images: int
    finite: bool = True


@dataclass(frozen=True)
class Flag:
    """One sign. title: what it is called. layer: "hidden_2", or "" for the whole network. text: the sign with its
    number. suggestion, experiment: a change worth trying, in words and as an experiment, or "" and None.
    """

    title: str
    layer: str
    text: str
    suggestion: str = ""
    experiment: Experiment | None = None


def flags(
    experiment: Experiment,
    records: Sequence[EpochRecord],
    layers: Sequence[LayerState],
    validation_images: int,
    train_examples: int = 0,
) -> list[Flag]:
    """What looks wrong, gravest first; empty where nothing does.

    records: the epochs up to the one looked at, 0 (before training) first. layers: the hidden layers at that epoch.
    validation_images: how many the validation accuracy is a share of. train_examples: how many images it trains on.
    """
    if diverged := _diverged(experiment, records, layers):
        return [diverged]
    lone = _batches_of_one(experiment, train_examples)
    if lone and spoilt(experiment, train_examples):
        return [lone]  # whatever else is seen follows from it
    candidates: Iterable[Flag | None] = (
        lone,
        _not_moving(experiment, records, validation_images),
        _gradients(experiment, layers),
        *(_dead(experiment, layer) for layer in layers),
        *(_saturated(experiment, layer) for layer in layers),
        _overfitting(experiment, records),
        _underfitting(experiment, records),
    )
    return [flag for flag in candidates if flag]


def all_well(experiment: Experiment, records: Sequence[EpochRecord], layers: Sequence[LayerState]) -> str:
    """The sentence where there is no flag, with the numbers that were compared."""
    last = records[-1]
    parts = []
    if layers and ACTIVATIONS[experiment.activation].can_die:
        parts.append(f"at most {_percent(max(layer.dead for layer in layers))} of a layer's units are dead")
    if layers and ACTIVATIONS[experiment.activation].can_saturate:
        parts.append(f"at most {_percent(max(layer.saturated for layer in layers))} of a layer's values are saturated")
    if len(layers) > 1:
        parts.append(f"gradients in the first hidden layer are {_times(_ratio(layers))} as large as in the last")
    if last.epoch:
        parts.append(f"training loss is {last.loss:.3f} and validation loss {last.val_loss:.3f}")
    else:
        parts.append(f"before training, the loss is {last.loss:.3f} (a random guess: {GUESS:.3f})")
    return f"No sign of trouble: {', '.join(parts)}."


# --- Batch normalisation ----------------------------------------------------------------------------------------------


def batches_of_one(experiment: Experiment, train_examples: int) -> str:
    """What batch normalisation does in batches of one image, where this training has such; else "".

    Ioffe & Szegedy (2015), algorithm 1: with m = 1 the batch's mean is the value itself, and its variance 0.
    """
    if not (experiment.batch_norm and experiment.hidden_widths and _lone_batches(experiment, train_examples)):
        return ""
    lone = (
        "Batch normalisation has nothing to standardise in batches of one image"
        if experiment.batch_size == 1
        else f"With {train_examples:,} training images, the last batch of {experiment.batch_size:,} has one image only,"
        " in which batch normalisation has nothing to standardise"
    )
    return f"{lone}: there a unit outputs the same for every image, its offset β, and learns nothing else."


def _lone_batches(experiment: Experiment, train_examples: int) -> int:
    """Batches of one image in an epoch."""
    if experiment.batch_size == 1:
        return train_examples
    return int(train_examples % experiment.batch_size == 1)


def spoilt(experiment: Experiment, train_examples: int) -> bool:
    """Whether so many batches are such that the losses say nothing else about the network."""
    batches = math.ceil(train_examples / experiment.batch_size)
    lone = _lone_batches(experiment, train_examples) if batches_of_one(experiment, train_examples) else 0
    return lone > SPOILT * batches


def larger_batches(train_examples: int) -> dict[str, object]:
    """A batch size that leaves no batch of one image: 32, or the next one that does."""
    sizes = (size for size in range(32, 40) if train_examples % size != 1)
    return {"batch_size": next(sizes)}


def _batches_of_one(experiment: Experiment, train_examples: int) -> Flag | None:
    text = batches_of_one(experiment, train_examples)
    flag = Flag("Batches of one image", "", text)
    return _suggest(experiment, flag, larger_batches(train_examples)) if text else None


# --- The whole network ------------------------------------------------------------------------------------------------


def _diverged(experiment: Experiment, records: Sequence[EpochRecord], layers: Sequence[LayerState]) -> Flag | None:
    bad = next(
        (r.epoch for r in records if r.epoch and not (math.isfinite(r.loss) and math.isfinite(r.val_loss))), None
    )
    layer = next((layer.layer for layer in layers if not layer.finite), "")
    if bad is None and not layer:
        return None
    when = f"the loss diverged in epoch {bad}" if bad is not None else "the values have overflowed"
    where = f"; the first layer affected is {the_layer(layer)}" if layer else ""
    text = f"At a learning rate of {wording.number(experiment.learning_rate)}, {when}{where}."
    return _suggest(experiment, Flag("Diverged", layer, text), _slower(experiment, 10))


def _not_moving(experiment: Experiment, records: Sequence[EpochRecord], images: int) -> Flag | None:
    """A loss that is still that of a random guess, or has barely fallen."""
    trained = [record for record in records if record.epoch]
    if not trained:
        return None
    first, last = records[0], trained[-1]
    best = max(record.val_accuracy for record in trained)
    low, _ = (float(end) for end in evaluation.wilson(best * images, images))
    guessing = low <= 0.1
    least = _least_loss(experiment.label_smoothing)
    fell = 1 - (min(record.val_loss for record in trained) - least) / max(first.val_loss - least, 1e-9)
    if not guessing and fell >= STILL:
        return None
    epochs = wording.counted(last.epoch, "epoch")
    text = f"Validation loss went from {first.val_loss:.3f} to {last.val_loss:.3f} in {epochs}"
    text += f" (a random guess: {GUESS:.3f})"
    if guessing:
        text += f"; validation accuracy never exceeded {_percent(best)}, which on {images:,} images is no different"
        text += " from guessing (10 %)"
    return _suggest(experiment, Flag("The loss is not falling", "", f"{text}."), *_to_move(experiment))


def _least_loss(smoothing: float) -> float:
    """The entropy of smoothed targets: no prediction has a lower cross-entropy with them."""
    others = smoothing / CLASSES
    return -sum(count * p * math.log(p) for count, p in ((1, 1 - smoothing + others), (CLASSES - 1, others)) if p)


def _to_move(experiment: Experiment) -> list[dict[str, object]]:
    """Changes that may let a stuck network learn, most likely first."""
    changes: list[dict[str, object]] = []
    if experiment.initialiser == "zeros":
        changes.append({"initialiser": "glorot_uniform"})
    if experiment.activation == "sigmoid" and len(experiment.hidden_widths) > 1:
        changes.append({"activation": "tanh"})
    if experiment.optimiser == "sgd" and experiment.learning_rate < 0.1:
        changes.append({"learning_rate": min(10 * experiment.learning_rate, 0.1)})
    if experiment.learning_rate > 0.01:
        changes.append({"learning_rate": experiment.learning_rate / 10})
    return [*changes, {"batch_norm": True}, {"optimiser": "adam", "learning_rate": 0.001}]


def _gradients(experiment: Experiment, layers: Sequence[LayerState]) -> Flag | None:
    if len(layers) < 2:
        return None
    ratio, first, last = _ratio(layers), layers[0], layers[-1]
    if not math.isfinite(ratio) or VANISHING <= ratio <= EXPLODING:
        return None
    vanishing = ratio < VANISHING
    text = (
        f"The gradient that reaches {the_layer(first.layer)} is {_times(ratio)} as large as in {the_layer(last.layer)}"
        f" (standard deviation of dCost/ds: {first.gradient_std:.2g} and {last.gradient_std:.2g}):"
        + (" the first layers barely learn." if vanishing else " the first layers change erratically.")
    )
    flag = Flag("Vanishing gradients" if vanishing else "Exploding gradients", first.layer, text)
    return _suggest(experiment, flag, *_to_pass_gradients(experiment, vanishing))


def _to_pass_gradients(experiment: Experiment, vanishing: bool) -> list[dict[str, object]]:
    """The initialiser that suits the activation; then what standardises the pre-activations."""
    changes: list[dict[str, object]] = []
    if experiment.activation == "sigmoid" and vanishing:
        changes.append({"activation": "tanh"})
    scaled = ACTIVATIONS[experiment.activation].initialiser
    if not experiment.initialiser.startswith(scaled.split("_")[0]):
        changes.append({"initialiser": scaled})
    changes.append({"batch_norm": True})
    if len(experiment.hidden_widths) > 2:
        changes.append(_fewer_layers(experiment))
    return changes


def _overfitting(experiment: Experiment, records: Sequence[EpochRecord]) -> Flag | None:
    trained = [record for record in records if record.epoch]
    if len(trained) < 2:
        return None
    best, last = min(trained, key=lambda record: record.val_loss), trained[-1]
    if last.val_loss <= best.val_loss * (1 + LEVEL) or last.loss >= best.loss:
        return None
    text = (
        f"Validation loss rose from {best.val_loss:.3f} after epoch {best.epoch} to {last.val_loss:.3f} after epoch"
        f" {last.epoch}, while training loss fell from {best.loss:.3f} to {last.loss:.3f}."
    )
    changes: list[dict[str, object]] = [{"dropout": 0.3}] if experiment.hidden_widths and not experiment.dropout else []
    if not experiment.patience:
        changes.append({"patience": 3})
    if experiment.hidden_widths:
        changes.append({"l2": max(0.001, min(3 * experiment.l2, 0.1))})
    return _suggest(experiment, Flag("Overfitting", "", text), *changes)


def _underfitting(experiment: Experiment, records: Sequence[EpochRecord]) -> Flag | None:
    """Training accuracy is as low as validation accuracy, and lower than people's."""
    trained = [record for record in records if record.epoch]
    if len(trained) < 5:  # too early to say
        return None
    last = trained[-1]
    if last.accuracy >= PEOPLE or last.accuracy > last.val_accuracy + 0.02 or last.accuracy < 0.2:
        return None
    text = (
        f"After {wording.counted(last.epoch, 'epoch')} it is correct on {_percent(last.accuracy)} of the training"
        f" images and {_percent(last.val_accuracy)} of the validation images; people agree with the labels on"
        f" {_percent(PEOPLE)}."
    )
    changes: list[dict[str, object]] = []
    if experiment.l2:
        changes.append({"l2": 0.0})
    if experiment.dropout > 0.3:
        changes.append({"dropout": 0.3})
    if experiment.learning_rate < 0.001:
        changes.append({"learning_rate": 10 * experiment.learning_rate})
    changes.append({"epochs": min(2 * experiment.epochs, int(FIELDS["epochs"].high or 200))})
    return _suggest(experiment, Flag("Underfitting", "", text), *changes)


# --- One layer --------------------------------------------------------------------------------------------------------


def _dead(experiment: Experiment, layer: LayerState) -> Flag | None:
    if not ACTIVATIONS[experiment.activation].can_die or not layer.dead >= DEAD:
        return None
    text = (
        f"In {the_layer(layer.layer)}, {_percent(layer.dead)} of the units output 0 for all {layer.images:,} images"
        " measured: they learn nothing from these images."
    )
    flag = Flag("Dead units", layer.layer, text)
    return _suggest(experiment, flag, {"activation": "leaky_relu"}, _slower(experiment, 3))


def _saturated(experiment: Experiment, layer: LayerState) -> Flag | None:
    if not ACTIVATIONS[experiment.activation].can_saturate or not layer.saturated >= SATURATED:
        return None
    text = (
        f"In {the_layer(layer.layer)}, {_percent(layer.saturated)} of the values lie in the flat part of"
        f" {wording.choice(experiment.activation)}, where almost no gradient passes."
    )
    changes: list[dict[str, object]] = [{"batch_norm": True}]
    if experiment.activation == "sigmoid":
        changes.append({"activation": "tanh"})
    changes += [{"activation": "relu"}, _slower(experiment, 3)]
    return _suggest(experiment, Flag("Saturated units", layer.layer, text), *changes)


# --- Words and changes ------------------------------------------------------------------------------------------------


def _suggest(experiment: Experiment, flag: Flag, *changes: dict[str, object]) -> Flag:
    """The flag with the first change that is one."""
    for change in changes:
        changed = Experiment.of(experiment.model_dump() | change)
        if changed.digest != experiment.digest:
            return Flag(flag.title, flag.layer, flag.text, wording.settings(change), changed)
    return flag


def _slower(experiment: Experiment, factor: float) -> dict[str, object]:
    """A lower learning rate, to one significant digit."""
    return {"learning_rate": max(float(f"{experiment.learning_rate / factor:.1g}"), FIELDS["learning_rate"].low or 0.0)}


def _fewer_layers(experiment: Experiment) -> dict[str, object]:
    if experiment.widths is not None:
        return {"widths": experiment.widths[: len(experiment.widths) // 2]}
    return {"layers": experiment.layers // 2}


def _ratio(layers: Sequence[LayerState]) -> float:
    """Deviation of dCost/ds in the first over the last hidden layer (Glorot & Bengio 2010, figure 7)."""
    last = layers[-1].gradient_std
    return layers[0].gradient_std / last if last else math.nan


def _percent(share: float) -> str:
    """With the digit that tables give: "at most 12 %" must not stand above 12.5 %."""
    return wording.percent(share, 1)


def _times(ratio: float) -> str:
    return f"{ratio:.2g} times" if ratio < 0.95 else f"{ratio:,.{int(ratio < 10)}f} times"
