"""Experiment: the one description of a run.

Each hyperparameter is declared once, as a field of `Experiment` with its help below it. The declaration drives
validation, the slider, the URL parameter, the command line's flag, the digest and the docs. To add a hyperparameter,
add a field and use it where the network is built or trained.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from fmnist_core.errors import MOST_QUOTED, BadValueError, quoted, unknown
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


def as_tuple(value: object) -> object:
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
Widths = Annotated[tuple[Width, ...], Field(min_length=1, max_length=HIGH_LAYERS), BeforeValidator(as_tuple)]
ActivationName = Annotated[str, OneOf(tuple(ACTIVATIONS))]
InitialiserName = Annotated[str, OneOf(tuple(INITIALISERS))]
OptimiserName = Annotated[str, OneOf(tuple(OPTIMISERS))]
ScheduleName = Annotated[str, OneOf(("constant", "exponential", "cosine", "inverse_time"))]


def _hidden(experiment: Experiment) -> bool:
    return bool(experiment.hidden_widths)


def _uniform(experiment: Experiment) -> bool:
    return experiment.widths is None


def _one_width(experiment: Experiment) -> bool:
    return experiment.widths is None and experiment.layers > 0


def _uses(setting: str) -> Callable[[Experiment], bool]:
    return lambda experiment: setting in OPTIMISERS[experiment.optimiser].settings


def _decays(experiment: Experiment) -> bool:
    return experiment.schedule in ("exponential", "inverse_time")


def _gaussian(experiment: Experiment) -> bool:
    return experiment.initialiser == "random_normal"


def _hyper(
    group: str,
    default: Any,
    title: str,
    suggested: tuple[Any, ...],
    *,
    when: Callable[[Experiment], bool] = lambda experiment: True,
    **facts: Any,
) -> Any:
    """One hyperparameter's declaration; the text below it is its help. facts: further fields of `Hyperparameter`."""
    extra: Any = {"group": group, "suggested": suggested, "relevant": when, **facts}
    return Field(default, ge=facts.get("low"), le=facts.get("high"), title=title, json_schema_extra=extra)


_network = partial(_hyper, "network")
_regularisation = partial(_hyper, "regularisation")
_optimisation = partial(_hyper, "optimisation")
_training = partial(_hyper, "training")
_data = partial(_hyper, "data")


class Experiment(BaseModel):
    """A frozen, validated description of one training; equal experiments have equal digests on any machine.

    Raises (on construction, by pydantic): ValidationError; `Experiment.parse` and `from_json` raise ExperimentError.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    layers: int = _network(2, "Hidden layers", (1, 2, 4), low=0, high=HIGH_LAYERS, step=1, basic=True, when=_uniform)
    """The number of hidden layers between the pixels and the output."""
    units: int = _network(
        512, "Units per layer", (64, 256, 1024), low=LOW_UNITS, high=HIGH_UNITS, step=8, basic=True, when=_one_width
    )
    """The number of units in each hidden layer."""
    widths: Widths | None = _network(None, "Width of each layer", ((256,), (256, 128), (256, 128, 64)))
    """Units layer by layer, such as 512-256-128; replaces the two sliders above."""
    activation: ActivationName = _network("relu", "Activation", ("relu", "tanh", "sigmoid"), basic=True, when=_hidden)
    """The function that turns a hidden unit's pre-activation into its output."""
    initialiser: InitialiserName = _network(
        "glorot_uniform", "Initialiser", ("glorot_uniform", "standard_uniform", "he_normal"), basic=True
    )
    """How the initial weights are drawn, before training starts."""
    initialiser_sigma: Number = _network(
        0.05, "Standard deviation of the weights", (0.01, 0.05, 0.2), low=0.0001, high=1.0, log=True, when=_gaussian
    )
    """Standard deviation of the normal distribution from which the initial weights are drawn."""
    dropout: Number = _regularisation(
        0.0, "Dropout", (0.0, 0.15, 0.3, 0.5), low=0.0, high=0.9, step=0.05, basic=True, when=_hidden
    )
    """Fraction of each hidden layer's units that is set to 0 at random in each training step."""
    batch_norm: bool = _regularisation(False, "Batch normalisation", (False, True), basic=True, when=_hidden)
    """Standardises each unit's pre-activation over the batch, before the activation."""
    l2: Number = _regularisation(
        0.0,
        "L2 penalty",
        (0.0, 1e-4, 1e-3, 0.01),
        low=0.0,
        high=0.1,
        step=1e-3,
        basic=True,
        in_loss="L2 penalty",
        when=_hidden,
    )
    """Adds this factor times the sum of the squared hidden weights to the loss."""
    label_smoothing: Number = _regularisation(
        0.0, "Label smoothing", (0.0, 0.1, 0.3), low=0.0, high=0.9, step=0.05, in_loss="label smoothing"
    )
    """Fraction of each training target that is moved from the correct class to all ten classes evenly."""
    optimiser: OptimiserName = _optimisation("adam", "Optimiser", ("adam", "sgd", "rmsprop"), basic=True)
    """The rule that turns gradients into weight updates."""
    momentum: Number = _optimisation(
        0.0, "Momentum", (0.0, 0.5, 0.9), low=0.0, high=0.99, step=0.01, basic=True, when=_uses("momentum")
    )
    """Fraction of the previous weight update that is carried over to the next."""
    weight_decay: Number = _optimisation(
        0.004,
        "Weight decay",
        (0.0, 0.004, 0.1),
        low=0.0,
        high=1.0,
        step=0.001,
        basic=True,
        when=_uses("weight_decay"),
    )
    """Each step also shrinks every weight by this fraction, times the learning rate."""
    learning_rate: Number = _optimisation(
        0.001, "Learning rate", (0.0001, 0.001, 0.01), low=1e-6, high=10.0, log=True, basic=True
    )
    """How far each step moves the weights."""
    schedule: ScheduleName = _optimisation("constant", "Learning-rate schedule", ("constant", "cosine"), basic=True)
    """How the learning rate changes with the training step."""
    decay_steps: int = _optimisation(
        100, "Decay steps", (50, 100, 400), low=1, high=100_000, step=10, basic=True, when=_decays
    )
    """Number of training steps (batches) after which the decay rate has been applied once."""
    decay_rate: Number = _optimisation(
        0.96, "Decay rate", (0.8, 0.9, 0.96), low=0.01, high=1.0, step=0.01, basic=True, when=_decays
    )
    """Factor of the exponential decay, or strength of the inverse-time decay, per decay steps."""
    staircase: bool = _optimisation(False, "Staircase", (False, True), basic=True, when=_decays)
    """Lowers the rate in jumps, once every decay steps, instead of gradually."""
    warmup_steps: int = _optimisation(0, "Warm-up steps", (0, 100, 1000), low=0, high=10_000, step=10)
    """Number of training steps over which the rate first rises linearly to its full value."""
    clip_norm: Number = _optimisation(0.0, "Gradient clipping", (0.0, 0.1, 1.0), low=0.0, high=10.0, step=0.1)
    """Where the norm of all gradients together is larger than this, a step scales them down to it; 0 never does."""
    batch_size: int = _training(128, "Batch size", (32, 128, 512), low=1, high=4096, step=1, log=True, basic=True)
    """The number of images in each training step."""
    epochs: int = _training(20, "Epochs", (5, 10, 20), low=1, high=200, step=1, basic=True)
    """The number of passes over all training images."""
    patience: int = _training(0, "Early-stopping patience", (0, 3), low=0, high=50, step=1)
    """Stops after this many epochs without a lower validation loss and restores the best weights; 0 never stops
    early."""
    training_fraction: Number = _data(1.0, "Training fraction", (0.01, 0.1, 1.0), low=0.01, high=1.0, step=0.01)
    """Fraction of the training images, after the validation split, that the network is trained on."""
    validation_fraction: Number = _data(0.1, "Validation fraction", (0.1, 0.3, 0.5), low=0.05, high=0.5, step=0.01)
    """Fraction of the training images that is used to watch for overfitting instead of training."""
    label_noise: Number = _data(0.0, "Label noise", (0.0, 0.2, 0.4), low=0.0, high=0.9, step=0.05)
    """Fraction of the training labels that is replaced by a wrong class."""
    seed: int = _training(0, "Seed", (), low=0, high=2**31 - 1, step=1)
    """The start of all random numbers: initial weights, batch order, dropout, label noise."""

    @property
    def hidden_widths(self) -> tuple[int, ...]:
        """Units of each hidden layer, first to last."""
        return self.widths if self.widths is not None else (self.units,) * self.layers

    @property
    def loss_terms(self) -> dict[str, Any]:
        """What this experiment's losses hold beside the cross-entropy, with its strength: {"L2 penalty": 0.01}."""
        terms = {
            field.in_loss: getattr(self, n) for n, field in FIELDS.items() if field.in_loss and field.relevant(self)
        }
        return {term: strength for term, strength in terms.items() if strength}

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
        changed = {name: value for name, value in self.canonical().items() if value != default[name]}
        text = json.dumps({"format": FORMAT, **changed}, sort_keys=True, separators=(",", ":"))
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
    """One hyperparameter as the screens and the command line need it; derived from `Experiment`'s declaration.

    suggested: values that show something, for page Compare to start with. relevant: for which experiments it has an
    effect. basic: shown without a click. in_loss: what it adds to the losses, which then compare with no others.
    """

    name: str
    kind: Literal["int", "float", "bool", "choice", "widths"]
    default: Any
    choices: tuple[str, ...]
    title: str
    help: str
    group: str
    suggested: tuple[Any, ...]
    relevant: Callable[[Experiment], bool]
    low: float | None = None
    high: float | None = None
    step: float | None = None
    log: bool = False
    basic: bool = False
    in_loss: str = ""

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
        return f"{kind} from {_plain(self.low or 0)} to {_plain(self.high or 0)}"

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
        words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        return words.get(text.lower(), text) if self.kind == "bool" else text

    def write(self, value: Any) -> str:
        """The text of a value; `read` gives the value back."""
        if self.kind == "widths":
            return "-".join(str(width) for width in value or ())
        if self.kind == "bool":
            return "true" if value else "false"
        return f"{value:.6g}" if self.kind == "float" else str(value)


def _plain(bound: float) -> str:
    """A bound without a needless exponent."""
    return str(int(bound)) if bound == int(bound) else f"{bound:g}"


def _hyperparameter(name: str, field: FieldInfo) -> Hyperparameter:
    kinds: dict[Any, Any] = {int: "int", bool: "bool", float: "float", str: "choice"}
    extra: Any = field.json_schema_extra
    return Hyperparameter(
        name=name,
        kind=kinds.get(field.annotation, "widths"),
        default=field.default,
        choices=next((part.choices for part in field.metadata if isinstance(part, OneOf)), ()),
        title=str(field.title),
        help=" ".join(str(field.description).split()),
        **extra,
    )


FIELDS: dict[str, Hyperparameter] = {
    name: _hyperparameter(name, field) for name, field in Experiment.model_fields.items()
}


def _sentence(error: ValidationError) -> str:
    """The first problem of a validation as one sentence for people."""
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    if name not in FIELDS:
        return unknown("hyperparameter", name, FIELDS)
    field = FIELDS[name]
    value = first["input"]
    not_finite = isinstance(value, float) and not math.isfinite(value)
    shown = "not a finite number" if not_finite else str(value)[:MOST_QUOTED]
    if isinstance(value, str):
        shown = quoted(value)
    return f"{field.title} ({name}) is {shown}, but it must be {field.allowed}."


def run_id(experiment: Experiment, data_name: str) -> str:
    """Name of the run of an experiment: its digest on the full data set, `digest-NAME` on any other."""
    return experiment.digest if data_name == "full" else f"{experiment.digest}-{data_name}"
