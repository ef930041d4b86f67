"""Experiment: canonical form, digests, round trips through text, and one clear sentence for every wrong value."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist_core.experiment.hyperparameters import FIELDS, Experiment, ExperimentError, Hyperparameter, run_id
from fmnist_core.experiment.presets import PRESETS

ROOT = Path(__file__).parents[2]


def values(field: Hyperparameter) -> st.SearchStrategy[Any]:
    """All allowed values of a hyperparameter."""
    if field.kind == "choice":
        return st.sampled_from(field.choices)
    if field.kind == "bool":
        return st.booleans()
    if field.kind == "widths":
        return st.none() | st.lists(st.integers(8, 2048), min_size=1, max_size=20).map(tuple)
    assert field.low is not None
    assert field.high is not None
    if field.kind == "int":
        return st.integers(int(field.low), int(field.high))
    return st.floats(field.low, field.high)


experiments = st.fixed_dictionaries({}, optional={n: values(f) for n, f in FIELDS.items()}).map(Experiment.of)


@given(experiments)
def test_text_and_json_bring_the_experiment_back(experiment: Experiment) -> None:
    assert Experiment.parse(experiment.query()) == experiment
    assert Experiment.from_query(experiment.query()) == (experiment, [])
    assert Experiment.from_json(experiment.to_json()) == experiment


@given(experiments, experiments)
def test_digests_are_equal_just_when_the_canonical_forms_are(one: Experiment, other: Experiment) -> None:
    assert (one.digest == other.digest) == (one.canonical() == other.canonical())
    json.dumps(one.canonical())


def test_a_setting_without_effect_does_not_change_the_digest() -> None:
    base = Experiment()
    for same in ({"momentum": 0.9}, {"decay_rate": 0.5}, {"initialiser_sigma": 0.2}, {"widths": (512, 512)}):
        assert Experiment.of(same).digest == base.digest
    linear = Experiment(layers=0)
    assert Experiment(layers=0, units=64, activation="tanh", dropout=0.5, batch_norm=True).digest == linear.digest


def test_every_field_with_an_effect_changes_the_digest() -> None:
    base = Experiment(initialiser="random_normal", optimiser="sgd", schedule="exponential")
    other: dict[str, Any] = {"int": 9, "float": 0.07, "bool": True, "widths": (8, 16)}
    for name, field in FIELDS.items():
        value = field.choices[-1] if field.kind == "choice" else other[field.kind]
        own = base.model_copy(update={"optimiser": "adamw"} if name == "weight_decay" else {})
        assert own.model_copy(update={name: value}).digest != own.digest, name


def test_digest_is_the_same_in_another_process() -> None:
    code = "from fmnist_core.experiment.presets import PRESETS; print(*(p.experiment.digest for p in PRESETS.values()))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert out.stdout.split() == [preset.experiment.digest for preset in PRESETS.values()]


@pytest.mark.parametrize(
    ("values", "digest"),
    [
        ({}, "3f0a99256beeb89a"),
        ({"dropout": 0.3}, "7fc3f28894dda6b9"),
        ({"l2": 0.01, "batch_norm": True}, "0b72ffa67f2d3f6a"),
        ({"optimiser": "sgd", "momentum": 0.9, "learning_rate": 0.1}, "731851afcbd3c26b"),
        ({"optimiser": "rmsprop", "momentum": 0.5}, "3ca36c791d59aa12"),
        ({"activation": "leaky_relu", "widths": (256, 128)}, "2d8587156d340c36"),
        ({"initialiser": "random_normal", "initialiser_sigma": 0.1}, "81ca6ee3ea6b8bbd"),
        ({"schedule": "exponential", "decay_steps": 50, "staircase": True}, "1b72214bf3213312"),
        ({"layers": 0, "seed": 3}, "fa52054a07cc2549"),
    ],
    ids=str,
)
def test_digests_are_those_of_every_earlier_version(values: dict[str, Any], digest: str) -> None:
    """Stored runs are found by them, so a hyperparameter that is added later must not change one."""
    assert Experiment.of(values).digest == digest


def test_a_run_stored_before_later_hyperparameters_opens() -> None:
    """experiment.json as version 0.1 wrote it: all of its fields, and none of those that came later."""
    text = (
        '{"layers":2,"units":512,"widths":null,"activation":"relu","initialiser":"glorot_uniform","initialiser_sigma":0.05,'
        '"dropout":0.3,"batch_norm":false,"l2":0.0,"optimiser":"adam","momentum":0.0,"learning_rate":0.001,"schedule":"constant",'
        '"decay_steps":100,"decay_rate":0.96,"staircase":false,"warmup_steps":0,"batch_size":128,"epochs":20,"patience":0,'
        '"training_fraction":1.0,"validation_fraction":0.1,"label_noise":0.0,"seed":0}'
    )
    assert Experiment.from_json(text) == PRESETS["dropout"].experiment
    assert Experiment.from_json(text).digest == "7fc3f28894dda6b9"


def test_presets_are_the_notebooks() -> None:
    assert list(PRESETS) == ["base", "dropout", "batch-norm", "l2", "lr-schedule", "glorot", "standard"]
    assert PRESETS["base"].experiment.hidden_widths == (512, 512)
    assert len({preset.experiment.digest for preset in PRESETS.values()}) == 6  # glorot is the base network


@pytest.mark.parametrize("name", list(FIELDS))
@given(data=st.data())
def test_wrong_values_get_one_clear_sentence(name: str, data: st.DataObject) -> None:
    field = FIELDS[name]
    wrong: st.SearchStrategy[Any] = st.sampled_from(["", "x", "nan", "1e999", "[]", "- -", "None"])
    if field.low is not None and field.high is not None:
        low, high = field.low, field.high
        wrong |= st.floats(min_value=high, exclude_min=True).map(str) | st.floats(max_value=low, exclude_max=True).map(
            str
        )
    text = data.draw(wrong.filter(lambda t: not (field.kind == "widths" and not t.strip())))
    with pytest.raises(ExperimentError) as caught:
        Experiment.parse({name: text})
    sentence = str(caught.value)
    assert f"({name})" in sentence
    assert field.allowed in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    experiment, problems = Experiment.from_query({name: text})
    assert experiment == Experiment()
    assert len(problems) == 1


def test_a_wrong_value_is_said_to_be_replaced_by_what_replaces_it() -> None:
    for query, end in (({"widths": "1-2"}, " It is ignored."), ({"units": "1"}, " The default, 512, is used.")):
        assert Experiment.from_query(query)[1][0].endswith(f".{end}")


@pytest.mark.parametrize("wrong", [True, 1.5, [], {}, "512", 10**30, float("nan")])
def test_wrong_types_are_refused(wrong: object) -> None:
    with pytest.raises(ExperimentError, match=r"Units per layer \(units\)"):
        Experiment.of({"units": wrong})


@given(st.dictionaries(st.text(max_size=12), st.text(max_size=30), max_size=4))
def test_any_query_gives_an_experiment(texts: dict[str, str]) -> None:
    experiment, problems = Experiment.from_query(texts)
    assert Experiment.parse(experiment.query()) == experiment
    assert len(problems) <= len(texts)


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"layers": 99}', '{"other": 1}', "null"])
def test_damaged_json_gets_one_sentence(text: str) -> None:
    with pytest.raises(ExperimentError):
        Experiment.from_json(text)


def test_runs_on_other_data_have_another_name() -> None:
    base = Experiment()
    assert run_id(base, "full") == base.digest
    assert run_id(base, "sample") == f"{base.digest}-sample"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("learnin_rate", "learning_rate"),
        ("batch-size", "batch_size"),
        ("Dropouts", "dropout"),
        ("optimizer", "optimiser"),
    ],
)
def test_an_unknown_setting_is_named_with_the_one_that_was_meant(name: str, meant: str) -> None:
    known = f"There is no hyperparameter {name!r}; did you mean {meant}? It is ignored."
    assert Experiment.from_query({name: "1"}) == (Experiment(), [known])


def test_what_is_near_to_no_setting_is_named_alone_and_cut() -> None:
    assert Experiment.from_query({"z" * 100_000: "1"})[1] == [
        f"There is no hyperparameter '{'z' * 80}'. It is ignored."
    ]
