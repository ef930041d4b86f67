"""Study: the description of many runs, so that networks are compared over several seeds and not by one lucky run.

A study is a few variants, each trained with the same seeds. The variants are presets, or the combinations of up to
two hyperparameters' values on one base network, or the base network alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from fmnist_core.errors import BadValueError, unknown
from fmnist_core.experiment import wording
from fmnist_core.experiment.cost import check_flops, cost
from fmnist_core.experiment.hyperparameters import FIELDS, Experiment, ExperimentError, as_tuple
from fmnist_core.experiment.presets import PRESETS

MOST_RUNS, MOST_CHARACTERS = 300, 100_000
# What a study of presets takes from its base: how much is trained, and on what; the network is the preset's own.
SHARED = ("epochs", "batch_size", "training_fraction", "validation_fraction", "seed")


class StudyError(BadValueError):
    """A study that cannot be used; the text names the entry, the value and the remedy."""


@dataclass(frozen=True)
class Variant:
    """One network of a study. values: by field for axes, {"preset": name} for presets, {} for the base alone."""

    name: str
    experiment: Experiment
    values: dict[str, Any]


def _experiment(value: object) -> object:
    """A JSON object is as good as an experiment."""
    try:
        return Experiment.of(value) if isinstance(value, Mapping) else value
    except ExperimentError as error:
        raise ValueError(str(error)) from None


def _repeated(things: tuple[Any, ...]) -> list[Any]:
    """The things that appear a second time."""
    return [thing for index, thing in enumerate(things) if thing in things[:index]]


# The descriptions complete the sentence "... must be"; a wrong value's message is made from them.
class Axis(BaseModel):
    """A hyperparameter and the values it takes, in the order of the variants."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    field: str = Field(description="the name of a hyperparameter other than the seed")
    values: Annotated[tuple[Any, ...], BeforeValidator(as_tuple)] = Field(
        min_length=1, max_length=12, description="a list of 1 to 12 values"
    )

    @field_validator("field")
    @classmethod
    def _known(cls, name: str) -> str:
        if name == "seed":
            raise ValueError('The seed (seed) cannot be an axis; the number of seeds, "seeds", varies it.')
        if name not in FIELDS:
            raise ValueError(unknown("hyperparameter", name, FIELDS))
        return name

    @field_validator("values")
    @classmethod
    def _valid(cls, values: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
        """The values as an experiment holds them: 1 becomes 1.0 where the field is a float, a list a tuple."""
        name = info.data.get("field")
        if name is None:  # The field's own error is the one to report.
            return values
        try:
            validated = tuple(getattr(Experiment.of({name: value}), name) for value in values)
        except ExperimentError as error:
            raise ValueError(str(error)) from None
        for twice in _repeated(validated):
            shown = FIELDS[name].write(twice) or "null"
            raise ValueError(f"{FIELDS[name].title} ({name}) has the value {shown} twice; give each value once.")
        return validated


class Study(BaseModel):
    """A frozen, validated description of many runs: variants times seeds. The seeds are base.seed, base.seed + 1, ...

    Raises (on construction, by pydantic): ValidationError; `Study.of` and `from_json` raise StudyError.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(
        default="", max_length=80, pattern=r"^\P{Cc}*$", description="at most 80 characters without line breaks"
    )
    base: Annotated[Experiment, BeforeValidator(_experiment)] = Field(
        default=Experiment(), description="an object with one entry per hyperparameter"
    )
    presets: Annotated[tuple[str, ...], BeforeValidator(as_tuple)] = Field(
        default=(), description=f"a list of names among {', '.join(PRESETS)}"
    )
    axes: Annotated[tuple[Axis, ...], Field(max_length=2), BeforeValidator(as_tuple)] = Field(
        default=(), description="a list of at most 2 objects, each with a field and its values"
    )
    seeds: int = Field(default=3, ge=1, le=30, description="a whole number from 1 to 30")

    @field_validator("presets")
    @classmethod
    def _known(cls, presets: tuple[str, ...]) -> tuple[str, ...]:
        for name in presets:
            if name not in PRESETS:
                raise ValueError(unknown("preset", name, PRESETS))
        for twice in _repeated(presets):
            raise ValueError(f"The preset {twice} is named twice; name each preset once.")
        return presets

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        last, highest = self.base.seed + self.seeds - 1, int(FIELDS["seed"].high or 0)
        if last > highest:
            raise ValueError(f"Seed (seed) reaches {last}, but it must be at most {highest}; choose a lower one.")
        if self.presets and self.axes:
            raise ValueError(f"The study has presets ({', '.join(self.presets)}) and axes; keep one of the two.")
        for twice in _repeated(tuple(axis.field for axis in self.axes)):
            raise ValueError(f"{FIELDS[twice].title} ({twice}) is on both axes; choose another hyperparameter for one.")
        _check_effects(self.variants())
        return self

    def variants(self) -> tuple[Variant, ...]:
        """The networks to compare, no two alike: one per preset, or one per combination, the last axis fastest."""
        if self.presets:
            shared = {name: getattr(self.base, name) for name in SHARED}
            chosen = [PRESETS[name] for name in self.presets]
            return tuple(Variant(p.title, p.experiment.model_copy(update=shared), {"preset": p.name}) for p in chosen)
        if not self.axes:
            return (Variant(wording.name(self.base, leave_out=SHARED), self.base, {}),)
        fields = [axis.field for axis in self.axes]
        combinations = product(*(axis.values for axis in self.axes))
        settings = [dict(zip(fields, combination, strict=True)) for combination in combinations]
        return tuple(Variant(wording.settings(s), self.base.model_copy(update=s), s) for s in settings)

    def experiments(self) -> tuple[tuple[Variant, Experiment], ...]:
        """Every run, seed by seed: all variants with the first seed come first, so that early results compare."""
        seeds = range(self.base.seed, self.base.seed + self.seeds)
        variants = self.variants()
        return tuple((v, v.experiment.model_copy(update={"seed": seed})) for seed in seeds for v in variants)

    def flops(self, train_examples: Callable[[Experiment], int]) -> float:
        """Floating-point operations of all runs; `train_examples` tells how many images each trains on, 0 for none."""
        return sum(cost(experiment, train_examples(experiment)).flops for _, experiment in self.experiments())

    @property
    def title(self) -> str:
        """Its name, or what it varies in words."""
        presets = ", ".join(PRESETS[name].title for name in self.presets)
        axes = " × ".join(FIELDS[axis.field].title for axis in self.axes)
        return self.name or presets or axes or wording.name(self.base, leave_out=SHARED)

    @property
    def digest(self) -> str:
        """16 hexadecimal digits of a SHA-256: studies with the same trainings in the same order are equal here."""
        trainings = {"variants": [variant.experiment.digest for variant in self.variants()], "seeds": self.seeds}
        return hashlib.sha256(json.dumps(trainings, separators=(",", ":")).encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """All entries as one JSON object."""
        return self.model_dump_json()

    def to_short_json(self) -> str:
        """Only what differs from the defaults, for a link; `from_json` reads it back."""
        return json.dumps(self.model_dump(mode="json", exclude_defaults=True), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The study of `to_json`'s text. Raises: StudyError."""
        if len(text) > MOST_CHARACTERS:
            raise StudyError(f"The study has {len(text):,} characters, but at most {MOST_CHARACTERS:,} are allowed.")
        try:
            values = json.loads(text)
            if isinstance(values, dict):
                return cls.of(values)
        except (ValueError, RecursionError) as error:
            raise StudyError(f"The study is not valid JSON ({error}).") from None
        raise StudyError(f"The study must be a JSON object with entries such as {', '.join(cls.model_fields)}.")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Validate entries given as JSON types or as models. Raises: StudyError that names the first wrong one."""
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise StudyError(_sentence(error)) from None


def check_budget(study: Study, train_examples: Callable[[Experiment], int], budget: float) -> None:
    """Refuse a study that is too large for this server.

    Raises:
        StudyError: more than MOST_RUNS runs, or more than `budget` FLOPs in all; the sentence gives both numbers.
    """
    variants = len(study.variants())
    if variants * study.seeds > MOST_RUNS:
        raise StudyError(
            f"This study has {variants * study.seeds:,} runs ({variants} variants times {study.seeds} seeds), but at"
            f" most {MOST_RUNS} are allowed; choose fewer values or seeds."
        )
    remedy = "fewer variants, seeds or epochs, or a smaller training fraction"
    check_flops(study.flops(train_examples), budget, "This study", remedy, StudyError)


def _check_effects(variants: tuple[Variant, ...]) -> None:
    """Refuse two variants that would train alike: a comparison of a network with itself misleads."""
    seen: dict[str, Variant] = {}
    for variant in variants:
        first = seen.setdefault(variant.experiment.digest, variant)
        if first is not variant:
            raise ValueError(_same(first, variant))


def _same(first: Variant, second: Variant) -> str:
    both = f'"{first.name}" and "{second.name}" would be the same training'
    if "preset" in first.values:
        return f"{both}; leave one of these presets out."
    titles = [f"{FIELDS[name].title} ({name})" for name, value in first.values.items() if value != second.values[name]]
    has = "has" if len(titles) == 1 else "together have"
    return f"{wording.listed(titles)} {has} no effect here: {both}; leave it out, or choose a base where it matters."


def _sentence(error: ValidationError) -> str:
    """The first problem of a validation as one sentence for people."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    location = first["loc"] or ("?",)  # An entry whose name is half a surrogate pair has no location.
    model, depth = (Axis, 2) if location[0] == "axes" and len(location) > 2 else (Study, 0)
    path, entry = repr(".".join(map(str, location)))[:80], ".".join(map(str, location[: depth + 1]))
    field = model.model_fields.get(str(location[depth]))
    if field is None:
        return f"The study has an unknown entry {path}; the known ones are {', '.join(model.model_fields)}."
    if first["type"] == "missing":
        return f"The study lacks {entry!r}, which must be {field.description}."
    it = "it" if len(location) == depth + 1 else path
    return f"In the study, {entry!r} must be {field.description}, but {it} is {repr(first['input'])[:80]}."


# Where the initialisation matters: 0.02 of test accuracy over 5 seeds (p = 0.001), nothing with the base network.
DEEP = {"layers": 5, "units": 128, "activation": "tanh", "optimiser": "sgd", "learning_rate": 0.03, "batch_size": 32}
# Few images make short epochs, so that their snapshots show the top layer saturate and recover, as figure 2 of Glorot &
# Bengio (2010): with the sample of 6,000 images take all of them, or nothing is left to learn from.
SATURATING = {"layers": 4, "units": 128, "activation": "sigmoid", "optimiser": "sgd", "learning_rate": 1.0}
STANDARD_AND_GLOROT = Axis(field="initialiser", values=("standard_uniform", "glorot_uniform"))

STUDIES: dict[str, Study] = {
    "notebook": Study(name="The notebook's five", presets=("base", "dropout", "batch-norm", "l2", "lr-schedule")),
    "initialisation": Study(name="Glorot against standard initialisation", presets=("glorot", "standard")),
    "initialisation-deep": Study(
        name="Glorot against standard initialisation: five tanh layers, SGD",
        base=Experiment.of({**DEEP, "epochs": 5}),
        axes=(STANDARD_AND_GLOROT,),
        seeds=5,
    ),
    "initialisation-sigmoid": Study(
        name="Glorot against standard initialisation: saturating sigmoids",
        base=Experiment.of({**SATURATING, "batch_size": 10, "epochs": 30, "training_fraction": 0.05}),
        axes=(STANDARD_AND_GLOROT,),
    ),
}
