"""Experiment: the one description of a run.

Each hyperparameter is declared once, on one line of `Experiment`. That line drives validation, the slider, the URL
parameter, the command line's flag, the digest and the docs. To add a hyperparameter, add a line here and use it
where the network is built or trained.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import CoreSchema, core_schema

from fmnist_core.errors import BadValueError
from fmnist_core.experiment.activations import ACTIVATIONS
from fmnist_core.experiment.initialisers import INITIALISERS
from fmnist_core.experiment.optimisers import OPTIMISERS

LOW_UNITS, HIGH_UNITS, HIGH_LAYERS = 8, 2048, 20
# Raise it when a default or the meaning of a field changes, so that old runs are not taken for new ones.
FORMAT = 1


class ExperimentError(BadValueError):
    """A hyperparameter has a value that cannot be used; the text names field, value and allowed range."""


def _rounded(value: float) -> float:
    """Six significant digits: a slider's 0.30000000000000004 is 0.3, and -0.0 is 0.0."""
    return float(f"{value:.6g}") + 0.0


def _widths(value: object) -> object:
    """A JSON list is as good as a tuple."""
    return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True)
class OneOf:
    """A text's allowed values, as pydantic and the screens read them."""

    choices: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> CoreSchema:
        """Only the choices are valid."""
        return core_schema.literal_schema(list(self.choices))


Number = Annotated[float, AfterValidator(_rounded)]
Width = Annotated[int, Field(ge=LOW_UNITS, le=HIGH_UNITS)]
Widths = Annotated[tuple[Width, ...], Field(min_length=1, max_length=HIGH_LAYERS)]


def _always(experiment: Experiment) -> bool:
    return True


def _any_hidden(experiment: Experiment) -> bool:
    return bool(experiment.hidden_widths)


def _uniform_widths(experiment: Experiment) -> bool:
    return experiment.widths is None


def _uses_momentum(experiment: Experiment) -> bool:
    return "momentum" in OPTIMISERS[experiment.optimiser].settings


def _has_decay(experiment: Experiment) -> bool:
    return experiment.schedule in ("exponential", "inverse_time")


def _gaussian(experiment: Experiment) -> bool:
    return experiment.initialiser == "random_normal"


def _hyper(
    default: Any,
    title: str,
    help: str,
    *,
    group: str,
    suggested: tuple[Any, ...],
    low: float | None = None,
    high: float | None = None,
    step: float | None = None,
    log: bool = False,
    basic: bool = False,
    in_loss: str = "",
    when: Callable[[Experiment], bool] = _always,
) -> Any:
    """One hyperparameter's declaration.

    suggested: values that show something, for page Compare to start with. in_loss: what it adds to the
    losses, so that they cannot be compared with others. when: for which experiments it has an effect.
    """
    extra: Any = {
        "group": group,
        "suggested": suggested,
        "step": step,
        "log": log,
        "in_loss": in_loss,
        "basic": basic,
        "when": when,
        "low": low,
        "high": high,
    }
    return Field(default, ge=low, le=high, title=title, description=help, json_schema_extra=extra)


# fmt: off
class Experiment(BaseModel):
    """A frozen, validated description of one training; equal experiments have equal digests on any machine.

    Raises (on construction, by pydantic): ValidationError; `Experiment.parse` and `from_json` raise ExperimentError.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    layers: int = _hyper(2, "Hidden layers", "The number of hidden layers between the pixels and the output.", group="network", suggested=(1, 2, 4), low=0, high=HIGH_LAYERS, step=1, basic=True, when=_uniform_widths)
    units: int = _hyper(512, "Units per layer", "The number of units in each hidden layer.", group="network", suggested=(64, 256, 1024), low=LOW_UNITS, high=HIGH_UNITS, step=8, basic=True, when=lambda e: e.widths is None and e.layers > 0)
    widths: Annotated[Widths | None, BeforeValidator(_widths)] = _hyper(None, "Width of each layer", "Units layer by layer, such as 512-256-128; replaces the two sliders above.", group="network", suggested=((256,), (256, 128), (256, 128, 64)))
    activation: Annotated[str, OneOf(tuple(ACTIVATIONS))] = _hyper("relu", "Activation", "The function that turns a hidden unit's pre-activation into its output.", group="network", suggested=("relu", "tanh", "sigmoid"), basic=True, when=_any_hidden)
    initialiser: Annotated[str, OneOf(tuple(INITIALISERS))] = _hyper("glorot_uniform", "Initialiser", "How the initial weights are drawn, before training starts.", group="network", suggested=("glorot_uniform", "standard_uniform", "he_normal"), basic=True)
    initialiser_sigma: Number = _hyper(0.05, "Standard deviation of the weights", "Standard deviation of the normal distribution from which the initial weights are drawn.", group="network", suggested=(0.01, 0.05, 0.2), low=0.0001, high=1.0, log=True, when=_gaussian)
    dropout: Number = _hyper(0.0, "Dropout", "Fraction of each hidden layer's units that is set to 0 at random in each training step.", group="regularisation", suggested=(0.0, 0.15, 0.3, 0.5), low=0.0, high=0.9, step=0.05, basic=True, when=_any_hidden)
    batch_norm: bool = _hyper(False, "Batch normalisation", "Standardises each unit's pre-activation over the batch, before the activation.", group="regularisation", suggested=(False, True), basic=True, when=_any_hidden)
    l2: Number = _hyper(0.0, "L2 penalty", "Adds this factor times the sum of the squared hidden weights to the loss.", group="regularisation", in_loss="L2 penalty", suggested=(0.0, 0.0001, 0.001, 0.01), low=0.0, high=0.1, step=0.001, basic=True, when=_any_hidden)
    label_smoothing: Number = _hyper(0.0, "Label smoothing", "Fraction of each training target that is moved from the correct class to all ten classes evenly.", group="regularisation", suggested=(0.0, 0.1, 0.3), low=0.0, high=0.9, step=0.05, in_loss="label smoothing")
    optimiser: Annotated[str, OneOf(tuple(OPTIMISERS))] = _hyper("adam", "Optimiser", "The rule that turns gradients into weight updates.", group="optimisation", suggested=("adam", "sgd", "rmsprop"), basic=True)
    momentum: Number = _hyper(0.0, "Momentum", "Fraction of the previous weight update that is carried over to the next.", group="optimisation", suggested=(0.0, 0.5, 0.9), low=0.0, high=0.99, step=0.01, basic=True, when=_uses_momentum)
    weight_decay: Number = _hyper(0.004, "Weight decay", "Each step also shrinks every weight by this fraction, times the learning rate.", group="optimisation", suggested=(0.0, 0.004, 0.1), low=0.0, high=1.0, step=0.001, basic=True, when=lambda e: "weight_decay" in OPTIMISERS[e.optimiser].settings)
    learning_rate: Number = _hyper(0.001, "Learning rate", "How far each step moves the weights.", group="optimisation", suggested=(0.0001, 0.001, 0.01), low=1e-6, high=10.0, log=True, basic=True)
    schedule: Annotated[str, OneOf(("constant", "exponential", "cosine", "inverse_time"))] = _hyper("constant", "Learning-rate schedule", "How the learning rate changes with the training step.", group="optimisation", suggested=("constant", "cosine"), basic=True)
    decay_steps: int = _hyper(100, "Decay steps", "Number of training steps (batches) after which the decay rate has been applied once.", group="optimisation", suggested=(50, 100, 400), low=1, high=100_000, step=10, basic=True, when=_has_decay)
    decay_rate: Number = _hyper(0.96, "Decay rate", "Factor of the exponential decay, or strength of the inverse-time decay, per decay steps.", group="optimisation", suggested=(0.8, 0.9, 0.96), low=0.01, high=1.0, step=0.01, basic=True, when=_has_decay)
    staircase: bool = _hyper(False, "Staircase", "Lowers the rate in jumps, once every decay steps, instead of gradually.", group="optimisation", suggested=(False, True), basic=True, when=_has_decay)
    warmup_steps: int = _hyper(0, "Warm-up steps", "Number of training steps over which the rate first rises linearly to its full value.", group="optimisation", suggested=(0, 100, 1000), low=0, high=10_000, step=10)
    clip_norm: Number = _hyper(0.0, "Gradient clipping", "Where the norm of all gradients together is larger than this, a step scales them down to it; 0 never does.", group="optimisation", suggested=(0.0, 0.1, 1.0), low=0.0, high=10.0, step=0.1)
    batch_size: int = _hyper(128, "Batch size", "The number of images in each training step.", group="training", suggested=(32, 128, 512), low=1, high=4096, step=1, log=True, basic=True)
    epochs: int = _hyper(20, "Epochs", "The number of passes over all training images.", group="training", suggested=(5, 10, 20), low=1, high=200, step=1, basic=True)
    patience: int = _hyper(0, "Early-stopping patience", "Stops after this many epochs without a lower validation loss and restores the best weights; 0 never stops early.", group="training", suggested=(0, 3), low=0, high=50, step=1)
    training_fraction: Number = _hyper(1.0, "Training fraction", "Fraction of the training images, after the validation split, that the network is trained on.", group="data", suggested=(0.01, 0.1, 1.0), low=0.01, high=1.0, step=0.01)
    validation_fraction: Number = _hyper(0.1, "Validation fraction", "Fraction of the training images that is used to watch for overfitting instead of training.", group="data", suggested=(0.1, 0.3, 0.5), low=0.05, high=0.5, step=0.01)
    label_noise: Number = _hyper(0.0, "Label noise", "Fraction of the training labels that is replaced by a wrong class.", group="data", suggested=(0.0, 0.2, 0.4), low=0.0, high=0.9, step=0.05)
    seed: int = _hyper(0, "Seed", "The start of all random numbers: initial weights, batch order, dropout, label noise.", group="training", suggested=(), low=0, high=2**31 - 1, step=1)
# fmt: on

    @property
    def hidden_widths(self) -> tuple[int, ...]:
        """Units of each hidden layer, first to last."""
        return self.widths if self.widths is not None else (self.units,) * self.layers

    @property
    def loss_terms(self) -> dict[str, Any]:
        """What this experiment's losses hold beside the plain cross-entropy, with its strength: {"L2 penalty": 0.01}."""
        own = {field.in_loss: getattr(self, n) for n, field in FIELDS.items() if field.in_loss and field.relevant(self)}
        return {term: strength for term, strength in own.items() if strength}

    def canonical(self) -> dict[str, Any]:
        """Every setting that has an effect, in JSON types: two experiments that train alike are equal here."""
        values = {n: getattr(self, n) for n, h in FIELDS.items() if n not in ("layers", "units") and h.relevant(self)}
        return values | {"widths": list(self.hidden_widths)}

    @property
    def digest(self) -> str:
        """16 hexadecimal digits of the SHA-256 of the canonical form.

        Settings at their default are left out, so that a hyperparameter added later keeps the old digests.
        """
        default = {name: field.default for name, field in FIELDS.items()} | {"widths": [512, 512]}
        own = {name: value for name, value in self.canonical().items() if value != default[name]}
        text = json.dumps({"format": FORMAT, **own}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """All fields as one JSON object."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The experiment of `to_json`'s text. Raises: ExperimentError."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ExperimentError(f"The experiment is not valid JSON ({error}).") from None
        if not isinstance(values, dict):
            raise ExperimentError("The experiment must be a JSON object with one entry per hyperparameter.")
        return cls.of(values)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Validate typed values. Raises: ExperimentError that names the first wrong field."""
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise ExperimentError(_sentence(error)) from None

    def changed(self, **values: Any) -> Self:
        """The experiment with other values. Raises: ExperimentError."""
        return self.of(self.model_dump() | values)

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> Self:
        """Validate values given as text (URL, command line). Raises: ExperimentError."""
        return cls.of({name: FIELDS[name].read(text) if name in FIELDS else text for name, text in texts.items()})

    def query(self) -> dict[str, str]:
        """The fields that differ from their default, as text for a URL or a command line; `parse` reads it back."""
        return {n: h.write(getattr(self, n)) for n, h in FIELDS.items() if getattr(self, n) != h.default}

    @classmethod
    def from_query(cls, texts: Mapping[str, str], ignore: Collection[str] = ()) -> tuple[Self, list[str]]:
        """An experiment from URL parameters; what is wrong is replaced by its default and named in the list."""
        good: dict[str, str] = {}
        problems = []
        for name, text in texts.items():
            if name in ignore:
                continue
            try:
                cls.parse({name: text})
                good[name] = text
            except ExperimentError as error:
                default = FIELDS[name].write(FIELDS[name].default) if name in FIELDS else ""
                instead = f" The default, {default}, is used." if default else " It is ignored."
                problems.append(f"{error}{instead}")
        return cls.parse(good), problems


@dataclass(frozen=True)
class Hyperparameter:
    """One hyperparameter as the screens and the command line need it; derived from `Experiment`'s declaration."""

    name: str
    kind: Literal["int", "float", "bool", "choice", "widths"]
    default: Any
    low: float | None
    high: float | None
    step: float | None
    log: bool
    choices: tuple[str, ...]
    title: str
    help: str
    group: str
    suggested: tuple[Any, ...]
    basic: bool
    in_loss: str
    relevant: Callable[[Experiment], bool]

    @property
    def allowed(self) -> str:
        """The allowed values, in words."""
        if self.kind == "choice":
            return "one of " + ", ".join(self.choices)
        if self.kind == "bool":
            return "true or false"
        if self.kind == "widths":
            return f"1 to {HIGH_LAYERS} whole numbers from {LOW_UNITS} to {HIGH_UNITS}, such as 512-256-128"
        kind = "a whole number" if self.kind == "int" else "a number"
        return f"{kind} from {_plain(self.low)} to {_plain(self.high)}"

    def read(self, text: str) -> Any:
        """The typed value of a text; a text of the wrong form is returned as it is, for validation to name it."""
        text = text.strip()
        try:
            if self.kind == "int":
                return int(text)
            if self.kind == "float":
                return float(text)
            if self.kind == "widths":
                return tuple(int(part) for part in text.replace(",", "-").split("-")) if text else None
        except ValueError:
            return text
        if self.kind == "bool":
            return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(
                text.lower(), text
            )
        return text

    def write(self, value: Any) -> str:
        """The text of a value; `read` gives the value back."""
        if self.kind == "widths":
            return "-".join(str(width) for width in value or ())
        if self.kind == "bool":
            return "true" if value else "false"
        return f"{value:.6g}" if self.kind == "float" else str(value)


def _plain(value: float | None) -> str:
    """A bound without a needless exponent."""
    if value is None or value == int(value):
        return "" if value is None else str(int(value))
    return f"{value:g}"


def _hyperparameter(name: str) -> Hyperparameter:
    field = Experiment.model_fields[name]
    extra: Any = field.json_schema_extra
    kinds: dict[Any, Any] = {int: "int", bool: "bool", float: "float", str: "choice"}
    return Hyperparameter(
        name=name,
        kind=kinds.get(field.annotation, "widths"),
        default=field.default,
        choices=next((part.choices for part in field.metadata if isinstance(part, OneOf)), ()),
        title=str(field.title),
        help=str(field.description),
        relevant=extra["when"],
        **{key: extra[key] for key in ("low", "high", "step", "log", "group", "suggested", "basic", "in_loss")},
    )


FIELDS: dict[str, Hyperparameter] = {name: _hyperparameter(name) for name in Experiment.model_fields}


def _sentence(error: ValidationError) -> str:
    """The first problem of a validation as one sentence for people."""
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    if name not in FIELDS:
        return f"There is no hyperparameter {name!r}; the known ones are {', '.join(FIELDS)}."
    field = FIELDS[name]
    value = first["input"]
    shown = repr(value) if isinstance(value, str) else "not a finite number" if _not_finite(value) else str(value)
    return f"{field.title} ({name}) is {shown[:80]}, but it must be {field.allowed}."


def _not_finite(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def run_id(experiment: Experiment, data_name: str) -> str:
    """Name of the run of an experiment: its digest on the full data set, `digest-NAME` on any other."""
    return experiment.digest if data_name == "full" else f"{experiment.digest}-{data_name}"
