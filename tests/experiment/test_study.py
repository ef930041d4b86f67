"""Study: its variants and runs, its name for each, round trips through JSON, and one sentence for every wrong entry."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fmnist_core.experiment.cost import cost
from fmnist_core.experiment.hyperparameters import FIELDS, Experiment, Hyperparameter
from fmnist_core.experiment.presets import PRESETS
from fmnist_core.experiment.study import MOST_CHARACTERS, MOST_RUNS, STUDIES, Axis, Study, StudyError, check_budget
from fmnist_core.experiment.wording import setting

ROOT = Path(__file__).parents[2]
FULL = 54_000


def axis(name: str, *values: Any) -> dict[str, Any]:
    return {"field": name, "values": list(values)}


def examples(experiment: Experiment) -> int:
    return round(60_000 * (1 - experiment.validation_fraction) * experiment.training_fraction)


# --- Variants and runs ----------------------------------------------------------------------------------------------


def test_the_base_alone_is_one_variant() -> None:
    (only,) = Study(base=Experiment(dropout=0.3, epochs=5)).variants()
    assert (only.name, only.values) == ("Dropout 0.3", {})
    assert only.experiment == Experiment(dropout=0.3, epochs=5)
    assert Study(base=Experiment(epochs=5, seed=3)).variants()[0].name == "Base network"


def test_presets_keep_their_network_and_take_how_much_is_trained_from_the_base() -> None:
    shared = {"epochs": 5, "batch_size": 64, "training_fraction": 0.5, "validation_fraction": 0.2, "seed": 7}
    base = Experiment.of({**shared, "dropout": 0.9, "layers": 1, "learning_rate": 1.0})
    study = Study.of({"base": base, "presets": list(PRESETS)[:5]})
    for variant, preset in zip(study.variants(), PRESETS.values(), strict=False):
        assert variant.name == preset.title
        assert variant.values == {"preset": preset.name}
        assert variant.experiment == Experiment.of({**preset.experiment.model_dump(), **shared})


def test_two_axes_are_all_combinations_with_the_last_fastest() -> None:
    study = Study.of({"axes": [axis("dropout", 0, 0.3), axis("l2", 0, 0.01)], "base": {"units": 64}})
    assert [variant.name for variant in study.variants()] == [
        "Dropout 0, L2 penalty 0",
        "Dropout 0, L2 penalty 0.01",
        "Dropout 0.3, L2 penalty 0",
        "Dropout 0.3, L2 penalty 0.01",
    ]
    last = study.variants()[-1]
    assert last.values == {"dropout": 0.3, "l2": 0.01}
    assert last.experiment == Experiment(units=64, dropout=0.3, l2=0.01)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("activation", "relu", "Activation ReLU"),
        ("activation", "leaky_relu", "Activation leaky ReLU"),
        ("initialiser", "glorot_uniform", "Initialiser Glorot uniform"),
        ("initialiser", "random_normal", "Initialiser random normal"),
        ("batch_norm", True, "Batch normalisation"),
        ("batch_norm", False, "No batch normalisation"),
        ("widths", (512, 256), "Width of each layer 512-256"),
        ("widths", None, "Same width for each layer"),
        ("batch_size", 128, "Batch size 128"),
    ],
)
def test_values_in_words(field: str, value: Any, text: str) -> None:
    assert setting(field, value) == text


def test_names_stay_whole_inside_a_list() -> None:
    study = Study.of({"axes": [axis("batch_norm", False), axis("optimiser", "sgd")]})
    assert study.variants()[0].name == "No batch normalisation, optimiser SGD"
    study = Study.of({"axes": [axis("batch_norm", True), axis("l2", 0.1)]})
    assert study.variants()[0].name == "Batch normalisation, L2 penalty 0.1"


def test_runs_come_seed_by_seed() -> None:
    study = Study.of({"axes": [axis("dropout", 0, 0.3)], "base": {"seed": 40}, "seeds": 3})
    found = [(variant.name, experiment.dropout, experiment.seed) for variant, experiment in study.experiments()]
    assert found == [(f"Dropout {value:g}", value, seed) for seed in (40, 41, 42) for value in (0.0, 0.3)]


def test_values_are_held_as_the_experiment_holds_them() -> None:
    study = Study.of({"axes": [axis("dropout", 0, 0.30000000000000004), axis("widths", None, [64, 32])]})
    assert study.axes[0].values == (0.0, 0.3)
    assert study.axes[1].values == (None, (64, 32))


def test_ready_made_studies() -> None:
    assert [v.values["preset"] for v in STUDIES["notebook"].variants()] == list(PRESETS)[:5]
    # glorot is the base network, so that a study of both would compare a network with itself.
    assert PRESETS["glorot"].experiment == PRESETS["base"].experiment
    assert [v.values["preset"] for v in STUDIES["initialisation"].variants()] == ["glorot", "standard"]
    for name in ("initialisation-deep", "initialisation-sigmoid"):
        variants = STUDIES[name].variants()
        assert [v.experiment.initialiser for v in variants] == ["standard_uniform", "glorot_uniform"]
    deep = STUDIES["initialisation-deep"].variants()
    assert {(v.experiment.hidden_widths, v.experiment.activation, v.experiment.optimiser) for v in deep} == {
        ((128,) * 5, "tanh", "sgd")
    }
    for study in STUDIES.values():
        assert study.seeds >= 3
        check_budget(study, examples, 1e15)


# --- Cost -----------------------------------------------------------------------------------------------------------


def test_flops_are_the_sum_over_all_runs() -> None:
    study = Study.of({"axes": [axis("training_fraction", 0.1, 1.0), axis("units", 8, 64)], "seeds": 4})
    assert study.flops(examples) == pytest.approx(sum(cost(e, examples(e)).flops for _, e in study.experiments()))
    assert study.flops(lambda _: 0) == 0


def test_the_budget_is_enforced_with_needed_and_allowed() -> None:
    study = STUDIES["notebook"]
    needed = study.flops(examples)
    check_budget(study, examples, needed)
    with pytest.raises(StudyError) as caught:
        check_budget(study, examples, needed / 2)
    one_sentence(str(caught.value))
    assert f"{needed:.1e}" in str(caught.value)
    assert f"{needed / 2:.1e}" in str(caught.value)
    assert "2.0 times" in str(caught.value)


def test_too_many_runs_are_refused_with_the_count() -> None:
    tens = [axis("units", *range(8, 88, 8)), axis("learning_rate", 0.1, 0.01, 0.001)]
    check_budget(Study.of({"axes": tens, "seeds": MOST_RUNS // 30}), examples, 1e18)
    with pytest.raises(StudyError, match=r"330 runs \(30 variants times 11 seeds\).*at most 300"):
        check_budget(Study.of({"axes": tens, "seeds": MOST_RUNS // 30 + 1}), examples, 1e18)


# --- JSON and digest ------------------------------------------------------------------------------------------------


def allowed(field: Hyperparameter) -> st.SearchStrategy[Any]:
    """Allowed values of a hyperparameter as JSON gives them."""
    if field.kind == "choice":
        return st.sampled_from(field.choices)
    if field.kind == "bool":
        return st.booleans()
    if field.kind == "widths":
        return st.none() | st.lists(st.integers(8, 2048), min_size=1, max_size=4)
    low, high = field.low or 0, field.high or 0
    return st.integers(int(low), int(high)) if field.kind == "int" else st.floats(low, high)


bases = st.fixed_dictionaries(
    {"seed": st.integers(0, 2**31 - 31)},
    optional={n: allowed(f) for n, f in FIELDS.items() if n != "seed"},
)
axes = st.sampled_from([f for f in FIELDS.values() if f.name != "seed"]).flatmap(
    lambda f: st.fixed_dictionaries(
        {"field": st.just(f.name), "values": st.lists(allowed(f), min_size=1, max_size=12, unique_by=repr)}
    )
)
shared = {"name": st.text(max_size=80), "base": bases, "seeds": st.integers(1, 30)}
by_presets = st.fixed_dictionaries({"presets": st.lists(st.sampled_from(list(PRESETS)), unique=True)}, optional=shared)
by_axes = st.fixed_dictionaries({"axes": st.lists(axes, max_size=2, unique_by=lambda a: a["field"])}, optional=shared)


@given(by_presets | by_axes)
def test_a_study_comes_back_from_json_or_gets_one_sentence(values: dict[str, Any]) -> None:
    """Values without effect, values alike when rounded, and control characters are drawn too, and refused."""
    try:
        study = Study.of(values)
    except StudyError as error:
        one_sentence(str(error))
        return
    back = Study.from_json(study.to_json())
    assert back == study
    assert back.digest == study.digest
    assert back.experiments() == study.experiments()
    runs = [experiment.digest for _, experiment in study.experiments()]
    assert len(set(runs)) == len(runs) == len(study.variants()) * study.seeds
    assert len({variant.name for variant in study.variants()}) == len(study.variants())
    for variant, experiment in study.experiments():
        assert Experiment.of(experiment.model_dump()) == experiment
        assert experiment.model_copy(update={"seed": study.base.seed}) == variant.experiment


@given(by_axes.filter(lambda values: values["axes"]))
def test_equal_trainings_are_found_just_where_canonical_forms_are_equal(values: dict[str, Any]) -> None:
    base = Experiment.of(values.get("base", {}))
    experiments = [base]
    for one in values["axes"]:
        experiments = [
            Experiment.of({**e.model_dump(), one["field"]: value}) for e in experiments for value in one["values"]
        ]
    alike = max(Counter(json.dumps(e.canonical(), sort_keys=True) for e in experiments).values()) > 1
    try:
        Study.of({"base": base, "axes": values["axes"]})
        assert not alike
    except StudyError as error:
        assert alike, error


plain_text = st.text(
    st.characters(exclude_characters="."), max_size=8
)  # A full stop would look like a second sentence.
leaves = st.none() | st.booleans() | st.integers() | st.floats() | plain_text | st.sampled_from(list(FIELDS))
entries = st.sampled_from(["field", "values", "units", "x"])
trees = st.recursive(leaves, lambda t: st.lists(t, max_size=3) | st.dictionaries(entries, t, max_size=3), max_leaves=8)


@given(st.dictionaries(plain_text | st.sampled_from(list(Study.model_fields)), trees))
def test_any_json_gives_a_study_or_one_sentence(values: dict[str, Any]) -> None:
    try:
        Study.from_json(json.dumps(values))
    except StudyError as error:
        one_sentence(str(error))


def test_digests_follow_the_trainings() -> None:
    study = Study.of({"axes": [axis("dropout", 0, 0.3)]})
    same = Study.of({"axes": [axis("dropout", 0, 0.3)], "name": "Other", "base": {"momentum": 0.9}})
    assert same.digest == study.digest
    changes: list[dict[str, Any]] = [{"seeds": 4}, {"base": {"seed": 1}}, {"base": {"l2": 0.1}}]
    others = [Study.of({**study.model_dump(), **change}) for change in changes]
    others.append(Study.of({"axes": [axis("dropout", 0.3, 0)]}))
    assert len({study.digest, *(other.digest for other in others)}) == 5


def test_digest_is_the_same_in_another_process() -> None:
    code = "from fmnist_core.experiment.study import STUDIES; print(*(s.digest for s in STUDIES.values()))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert out.stdout.split() == [study.digest for study in STUDIES.values()]


# --- Wrong entries --------------------------------------------------------------------------------------------------


def one_sentence(text: str) -> None:
    assert text.endswith((".", "?"))
    assert not any(character in text for character in "\n\r\x00")
    assert ". " not in text.replace("... ", "")
    text.encode()


WRONG: list[tuple[Any, str]] = [
    ("", "not valid JSON"),
    ("{", "not valid JSON"),
    (b"\xff", "not valid JSON"),
    ("[" * 50_000, "not valid JSON"),
    ("1" * 5_000, "not valid JSON"),
    ("[1]", "must be a JSON object"),
    ("null", "must be a JSON object"),
    ({"x": 1}, "unknown entry 'x'.*name, base, presets, axes, seeds"),
    ({"\ud800": 1}, "unknown entry"),
    ({"axes": [{"\ud800": 1}]}, "'axes' must be a list"),
    ({"name": 3}, "'name' must be at most 80 characters.*it is 3"),
    ({"name": "a" * 81}, "'name' must be at most 80 characters"),
    ({"name": "a\nb"}, "without line breaks"),
    ({"name": "\ud800"}, "'name' must be"),
    ({"base": 3}, "'base' must be an object.*it is 3"),
    ({"base": {"units": 4}}, r"Units per layer \(units\) is 4.*from 8 to 2048"),
    ({"base": {"unit": 4}}, "no hyperparameter 'unit'"),
    ({"presets": "base"}, "'presets' must be a list.*it is 'base'"),
    ({"presets": [3]}, "'presets' must be a list.*'presets.0' is 3"),
    ({"presets": ["big"]}, "no preset 'big'.*base, dropout"),
    ({"presets": ["base", "base"]}, "preset base is named twice"),
    ({"presets": ["base", "glorot"]}, '"Base network" and "Glorot initialisation" would be the same training'),
    ({"presets": ["base"], "axes": [axis("l2", 0)]}, r"presets \(base\) and axes; keep one"),
    ({"axes": 3}, "'axes' must be a list of at most 2 objects.*it is 3"),
    ({"axes": [3]}, "'axes' must be.*'axes.0' is 3"),
    ({"axes": [axis("l2", 0), axis("dropout", 0), axis("units", 8)]}, "at most 2"),
    ({"axes": [{}]}, "lacks 'axes.0.field'"),
    ({"axes": [{"field": "l2"}]}, "lacks 'axes.0.values', which must be a list of 1 to 12 values"),
    ({"axes": [{"field": "l2", "values": 0.1}]}, "'axes.0.values' must be a list of 1 to 12 values.*0.1"),
    ({"axes": [axis("l2")]}, "1 to 12 values"),
    ({"axes": [axis("units", *range(8, 21))]}, "1 to 12 values"),
    ({"axes": [{**axis("l2", 0), "x": 1}]}, "unknown entry 'axes.0.x'.*field, values"),
    ({"axes": [axis("seed", 1, 2)]}, r"seed \(seed\) cannot be an axis"),
    ({"axes": [axis("dropouts", 1)]}, "no hyperparameter 'dropouts'"),
    ({"axes": [axis("dropout", 0, 2)]}, r"Dropout \(dropout\) is 2.*from 0 to 0.9"),
    ({"axes": [axis("dropout", "0.1")]}, r"Dropout \(dropout\) is '0.1'"),
    ({"axes": [axis("dropout", float("nan"))]}, r"Dropout \(dropout\) is not a finite number"),
    ({"axes": [axis("batch_norm", 1)]}, r"\(batch_norm\) is 1.*true or false"),
    ({"axes": [axis("dropout", 0.1, 0.10000000001)]}, r"\(dropout\) has the value 0.1 twice"),
    ({"axes": [axis("widths", None, None)]}, r"\(widths\) has the value null twice"),
    ({"axes": [axis("l2", 0), axis("l2", 0.1)]}, r"\(l2\) is on both axes"),
    ({"axes": [axis("momentum", 0, 0.9)]}, r"Momentum \(momentum\) has no effect here.*0.9"),
    ({"axes": [axis("optimiser", "sgd", "adam"), axis("momentum", 0, 0.9)]}, r"Momentum.*has no effect.*Adam"),
    ({"axes": [axis("momentum", 0, 0.9), axis("optimiser", "sgd", "adam")]}, r"Momentum.*has no effect.*Adam"),
    ({"axes": [axis("units", 8, 16), axis("widths", None, [16, 16])]}, r"units\) and .*widths\) together have no"),
    ({"seeds": 0}, "'seeds' must be a whole number from 1 to 30, but it is 0"),
    ({"seeds": 31}, "from 1 to 30"),
    ({"seeds": True}, "from 1 to 30"),
    ({"seeds": 2.5}, "from 1 to 30"),
    ({"seeds": 2, "base": {"seed": 2**31 - 1}}, "Seed .seed. reaches 2147483648.*at most 2147483647"),
]


@pytest.mark.parametrize(("wrong", "words_of_it"), WRONG)
def test_wrong_entries_get_one_sentence(wrong: Any, words_of_it: str) -> None:
    with pytest.raises(StudyError, match=words_of_it) as caught:
        Study.from_json(json.dumps(wrong) if isinstance(wrong, dict) else wrong)
    one_sentence(str(caught.value))


def test_long_texts_are_refused_unread() -> None:
    text = Study().to_json()
    assert Study.from_json(text + " " * (MOST_CHARACTERS - len(text))) == Study()
    with pytest.raises(StudyError, match="100,001 characters, but at most 100,000"):
        Study.from_json(text + " " * (MOST_CHARACTERS + 1 - len(text)))


def test_a_study_cannot_be_changed_or_built_wrong() -> None:
    with pytest.raises(ValidationError):
        Study().seeds = 5
    with pytest.raises(ValidationError):
        Axis(field="seed", values=(1,))
    with pytest.raises(StudyError):
        Study.of({1: 2})  # type: ignore[dict-item]


def test_study_stays_light() -> None:
    code = (
        "import sys, fmnist_core.experiment.study, fmnist_core.findings.statistics;"
        "print([n for n in ('tensorflow', 'keras', 'streamlit', 'scipy', 'pandas') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_hyperparameter_but_the_seed_can_be_an_axis_with_values_that_differ() -> None:
    effective = {"initialiser": "random_normal", "optimiser": "sgd", "schedule": "exponential"}
    assert [name for name, field in FIELDS.items() if not field.suggested] == ["seed"]
    for name, field in FIELDS.items():
        if field.suggested:
            base = {key: value for key, value in effective.items() if key != name}
            base |= {"optimiser": "adamw"} if name == "weight_decay" else {}
            study = Study.of({"base": base, "axes": [{"field": name, "values": field.suggested}]})
            assert len(study.variants()) >= 2 and study.axes[0].values == field.suggested
