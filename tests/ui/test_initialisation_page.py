"""Page Initialisation as a script: every part, its numbers, what it says to bad input; and the command `init`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from fmnist_core.cli import commands
from fmnist_core.data import dataset
from fmnist_core.engine.analyses import Analysis, initial_analysis, table1_analysis
from fmnist_core.engine.service import EngineStatus
from fmnist_core.errors import LabError
from fmnist_core.experiment import table1_plan
from fmnist_core.experiment.hyperparameters import FIELDS, Experiment, run_id
from fmnist_core.experiment.recording import JobContext
from fmnist_core.experiment.study import STUDIES, Study
from fmnist_core.experiment.table1_plan import Measured
from fmnist_core.findings import initial_sentences, layers_over_epochs
from fmnist_core.findings.run_tables import Trained, of_study
from fmnist_core.findings.table1_ledger import Ledger, TableSoFar, ledger_path
from fmnist_core.findings.table1_result import available
from fmnist_core.jobs import initial_look, table1_trainings
from fmnist_core.store.run_store import RunStore
from fmnist_core.ui.initialisation import (
    after_glorot,
    compared_in_training,
    initialisation_view,
    notebook_comparison,
    why_it_matters,
)
from fmnist_core.ui.initialisation.initialisation_view import PARTS, View
from fmnist_core.ui.shared import server
from fmnist_core.ui.shared.pages import Page
from tests.support.screens import opened, plain, pressed, texts, url
from tests.support.stored_runs import store_study

pytestmark = pytest.mark.usefixtures("no_workers")
PAGE = Page.INITIALISATION.path
NOBODY = JobContext(lambda event, lane: None)  # listens
SMALL: dict[str, Any] = {"part": "live", "layers": 2, "units": 16}


def looked(**values: Any) -> dict[str, Any]:
    """What a worker measures for a view, in the store."""
    view = View(**(SMALL | values))
    asked = (view.layers, view.units, view.activation, view.initialisers, view.gain, view.seed)
    wanted = initial_analysis(*asked, dataset.load().name)
    initial_look.look_job(wanted.params, NOBODY)
    found = server.results().find("", wanted.name)
    assert found
    facts: dict[str, Any] = found.facts
    return facts


def live(**values: Any) -> AppTest:
    return opened(PAGE, **View(**(SMALL | values)).query())


def widget(app: AppTest, label: str) -> Any:
    kinds = ("slider", "select_slider", "selectbox", "multiselect", "number_input")
    found: list[Any] = [found for kind in kinds for found in app.get(kind)]
    return next(each for each in found if each.label == label)


@pytest.mark.parametrize("part", PARTS)
def test_every_part_opens_by_its_link(part: str) -> None:
    app = opened(PAGE, part=part)
    assert app.title[0].value == "Weight initialisation" and not app.error and not app.warning


# --- Why --------------------------------------------------------------------------------------------------------------


def test_the_signal_vanishes_or_explodes_with_the_slider() -> None:
    app = opened(PAGE)
    assert "**vanishes**" in texts(app) and "1.7 \\cdot 10^{-5}" in texts(app) and url(app) == {}
    slider = widget(app, "Factor of each layer, n Var[W]")
    app = slider.set_value(1.0).run()
    assert "**keeps its size**" in texts(app) and url(app) == {"factor": "1"}
    app = widget(app, "Factor of each layer, n Var[W]").set_value(3.0).run()
    assert "**explodes**" in texts(app) and "5.9 \\cdot 10^{4}" in texts(app)


@pytest.mark.parametrize("factor", initialisation_view.FACTORS)
def test_the_sentence_follows_from_the_factor(factor: float) -> None:
    power = (1 / 3 if factor == initialisation_view.STANDARD_FACTOR else factor) ** 10
    word = "vanishes" if power < 0.1 else "explodes" if power > 10 else "keeps its size"
    assert f"**{word}**" in why_it_matters.effect(factor)


def test_the_factors_of_a_real_network_are_those_of_the_equations() -> None:
    app = opened(PAGE, layers="3", units="100")
    table = next(part.value for part in app.markdown if part.value.startswith("| Layer"))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    assert [row[0] for row in rows] == ["1", "2 to 3", "output"]
    # Standard: Var[W] = 1 / (3 n). Normalised: 2 / (n + n').
    expected = [(784, 100), (100, 100), (100, 10)]
    for row, (n, after) in zip(rows, expected, strict=True):
        factors = (1 / 3, after / (3 * n), 2 * n / (n + after), 2 * after / (n + after))
        assert [float(cell) for cell in row[2:]] == [float(f"{factor:.3g}") for factor in factors]


# --- At the start, live -----------------------------------------------------------------------------------------------


def test_a_look_shows_what_was_measured() -> None:
    facts = looked()
    app = live()
    shown = app.dataframe[0].value
    summary = [row for network in facts["networks"] for row in network["summary"]]
    assert len(shown) == 6
    for name in ("activation_std", "gradient_std", "weight_gradient_std"):
        assert shown[name].tolist() == [row[name] for row in summary]
    first, last = (facts["networks"][0]["layers"][place]["activation"]["std"] for place in (0, 1))
    assert f"from {first:.2g} in the first to {last:.2g} in the last hidden layer" in texts(app)
    assert "2 hidden layers of 16 units, tanh, gain 1, seed 0; 300 images" in texts(app)
    heads = [head.value for head in app.header]
    assert heads[:2] == ["Figure 6: activations", "Figure 7: back-propagated gradients"]
    assert {"Figure 8: weight gradients", "Singular values", "The numbers"} <= set(heads)
    assert [button.proto.label for button in app.get("download_button")] == ["Table (CSV)"]


def test_what_is_not_measured_yet_is_asked_for_while_the_earlier_one_stays() -> None:
    facts = looked()
    app = live()
    app = widget(app, "Gain").set_value(2.0).run()
    assert url(app) == {"part": "live", "layers": "2", "units": "16", "gain": "2"}
    wanted = initial_analysis(2, 16, "tanh", View().initialisers, 2.0, 0, dataset.load().name)
    snapshot = server.engine().analysis(wanted.name)
    assert snapshot and snapshot.active
    assert app.dataframe[0].value["activation_std"][0] == facts["networks"][0]["summary"][0]["activation_std"]
    changed = looked(gain=2.0)["networks"][0]["summary"][0]["activation_std"]
    app = app.run()
    assert app.dataframe[0].value["activation_std"][0] == changed and "× 2" in texts(app)


def test_a_warm_worker_s_answer_is_on_the_page_without_another_look(monkeypatch: pytest.MonkeyPatch) -> None:
    ready = EngineStatus(ready=True, workers=1, queue_length=0, message="")
    monkeypatch.setattr("fmnist_core.engine.service.Engine.status", lambda self: ready)

    def at_once(analysis: Analysis[Any]) -> None:
        initial_look.look_job(analysis.params, NOBODY)

    monkeypatch.setattr(server, "submit_analysis", at_once)
    app = live(gain=3.0)
    assert len(app.dataframe) == 1 and "gain 3, seed 0; 300 images" in texts(app)
    assert "Measuring" not in texts(app) and not app.button


def test_zeros_are_told_and_all_units_are_equal() -> None:
    looked(initialisers=("zeros", "glorot_uniform"))
    app = live(initialisers=("zeros", "glorot_uniform"))
    assert "all 16 units of each hidden layer are equal" in texts(app) and "drawn at random" in texts(app)
    rows = app.dataframe[0].value
    assert rows.loc[rows["initialiser"] == "zeros", "distinct_units"].tolist() == [1, 1, 1]


def test_an_explosion_is_named_with_its_layer() -> None:
    values: dict[str, Any] = {"layers": 20, "units": 64, "activation": "relu", "gain": 100.0}
    facts = looked(**values, initialisers=("he_normal", "glorot_uniform"))
    begun = facts["networks"][0]["breakdown"]["layer"].removeprefix("hidden_")
    shown = texts(live(**values, initialisers=("he_normal", "glorot_uniform")))
    assert f"from hidden layer {begun} on, values are infinite or undefined" in shown
    assert "**The paper's point**" not in shown


def test_lsuv_can_be_watched_layer_by_layer() -> None:
    looked(activation="relu", initialisers=("lsuv",))
    app = live(activation="relu", initialisers=("lsuv",))
    slider = widget(app, "Applied up to layer")
    assert list(slider.options) == ["1", "2", "output"] and slider.value == "output"
    app = slider.set_value("1").run()
    assert not app.exception and "LSUV at work" in [head.value for head in app.header]


def test_dead_units_and_saturation_are_told() -> None:
    facts = looked(gain=10.0)
    shown = texts(live(gain=10.0))
    worst = max(layer["saturated"] for network in facts["networks"] for layer in network["layers"][:-1])
    assert worst > 0.3 and f"{worst:.1%} of the activations are saturated".replace("%", " %") in shown


def test_a_network_over_the_budget_is_refused_and_nothing_is_computed() -> None:
    app = live(layers=20, units=2048)
    assert (
        len(app.error) == 1
        and "million weights" in plain(app.error[0].value)
        and "fewer layers" in plain(app.error[0].value)
    )
    assert server.engine().status().queue_length == 0 and not app.dataframe
    app = next(button for button in app.button if button.label == "Use 700 units per layer").click().run()
    assert not app.error and url(app)["units"] == "700"


def test_controls_reach_as_far_as_addresses() -> None:
    app = live()
    for label, low, high in (("Gain", "0.01", "100"), ("Units per layer", "8", "2,048")):
        options = list(widget(app, label).options)
        assert (options[0], options[-1]) == (low, high)


def test_no_initialiser_at_all_is_left_as_it_was() -> None:
    app = widget(live(), "Initialisers side by side").set_value([]).run()
    assert (
        plain(app.warning[0].value) == "Initialisers side by side: at least one is needed. It is unchanged."
        and url(app).get("initialisers") is None
    )


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("part", "all", ["why", "table1"]),
        ("layers", "21", ["1 to 20"]),
        ("layers", "0", ["1 to 20"]),
        ("units", "4", ["8 to 2048"]),
        ("gain", "nan", ["0.01 to 100"]),
        ("gain", "1000", ["0.01 to 100"]),
        ("activation", "step", ["tanh"]),
        ("initialisers", "he", ["he_normal"]),
        ("initialisers", "zeros.zeros", ["1 to 3 different ones"]),
        ("initialisers", "zeros.lsuv.orthogonal.he_normal", ["1 to 3 different ones"]),
        ("factor", "-1", ["0.05 to 10"]),
        ("learning_rate", "0", ["learning_rate"]),
        ("rate", "0", ["learning_rate"]),
        ("trained_layers", "0", ["1 to 20"]),
        ("seeds", "1", ["2 to 30"]),
        ("plan", "slow", ["quick", "full"]),
        ("colour", "red", ["no setting", "Initialisation"]),
    ],
)
def test_a_bad_parameter_is_one_sentence(name: str, value: str, told: list[str]) -> None:
    app = opened(PAGE, **{name: value})
    [warning] = app.warning
    assert repr(value)[1:-1] in plain(warning.value) or name == "colour"
    assert all(word in plain(warning.value) for word in told) and name not in url(app)


hyper = {name: FIELDS[name].choices for name in ("activation", "initialiser")}
views = st.builds(
    View,
    part=st.sampled_from(list(PARTS)),
    factor=st.sampled_from(initialisation_view.FACTORS),
    layers=st.integers(1, 20),
    units=st.integers(8, 2048),
    activation=st.sampled_from(hyper["activation"]),
    initialisers=st.lists(st.sampled_from(hyper["initialiser"]), unique=True, min_size=1, max_size=3).map(tuple),
    gain=st.floats(0.01, 100).map(lambda gain: float(f"{gain:.6g}")),
    seed=st.integers(0, 9_999),
    trained_layers=st.integers(1, 20),
    learning_rate=st.floats(1e-6, 10).map(lambda rate: float(f"{rate:.6g}")),
    batch_size=st.integers(1, 4096),
    training_fraction=st.integers(1, 100).map(lambda share: share / 100),
    plan=st.sampled_from(list(initialisation_view.PLANS)),
    seeds=st.integers(2, 30),
)


@given(views)
def test_a_view_comes_back_from_its_address(view: View) -> None:
    assert View.from_query(view.query()) == (view, [])


@given(st.dictionaries(st.sampled_from([*View.__dataclass_fields__, "x"]), st.text(max_size=30), max_size=4))
def test_any_address_gives_a_view_that_can_be_shown(texts: dict[str, str]) -> None:
    view, _ = View.from_query(texts)
    assert View.from_query(view.query()) == (view, [])


def test_the_settings_of_the_trained_networks_are_read_by_their_old_names() -> None:
    old = {"depth": "3", "width": "32", "function": "relu", "rate": "0.1", "batch": "64", "share": "0.2"}
    query = {
        "trained_layers": "3",
        "trained_units": "32",
        "trained_activation": "relu",
        "learning_rate": "0.1",
        "batch_size": "64",
        "training_fraction": "0.2",
    }
    assert View.from_query(old) == View.from_query(query) and View.from_query(query)[0].query() == query
    assert View.from_query({"depth": "3", "trained_layers": "4"})[0].trained_layers == 4
    app = opened(PAGE, part="training", **old)
    assert not app.warning and url(app) == {"part": "training", **query}


# --- What the numbers say ---------------------------------------------------------------------------------------------


def test_the_paper_s_point_is_made_by_its_own_network() -> None:
    facts = looked(layers=5, units=200)
    told = initial_sentences.sentences(facts)
    layers = initial_sentences.hidden(facts["networks"][0])
    back, weights = (layers[0][name]["std"] / layers[-1][name]["std"] for name in ("gradient", "weight_gradient"))
    assert back < 0.25 and f"{back:.2g} times" in told[-1] and f"{weights:.2g} times" in told[-1]
    assert told[0].startswith("**Standard uniform**: The standard deviation of the activations shrinks to ")
    rows = initial_sentences.table(facts)
    assert list(rows.columns) == list(initial_sentences.TABLE) and len(rows) == 12
    assert rows["mean_singular_value"].isna().tolist() == [False] * 5 + [True] + [False] * 5 + [True]


def test_captions_compare_first_and_last_layer_by_their_numbers() -> None:
    facts = looked(layers=5, units=100, activation="sigmoid")
    layers = initial_sentences.hidden(facts["networks"][0])
    ratio = layers[-1]["weight_gradient"]["std"] / layers[0]["weight_gradient"]["std"]
    told = initial_sentences.spreads(facts, "weight_gradient")
    assert ratio > 500 and f"Standard uniform: 1/{ratio:,.0f} as large in layer 1 as in the last." in told
    shown = texts(live(layers=5, units=100, activation="sigmoid"))
    assert told in shown and "about as large" not in shown.split("∂Cost/∂W, which training applies")[1].split("\n")[0]
    assert "of the 784 pixels are 0 in at least 90 % of these images" in shown


# --- During training --------------------------------------------------------------------------------------------------

TRAINED: dict[str, Any] = {
    "part": "training",
    "trained_layers": 2,
    "trained_units": 16,
    "epochs": 2,
    "batch_size": 256,
}


def test_the_same_network_is_trained_from_each_initialiser() -> None:
    view = View(**TRAINED, initialisers=("zeros", "lsuv", "he_normal"))
    experiments = [experiment for _, experiment in compared_in_training.study_of(view).experiments()]
    assert [experiment.initialiser for experiment in experiments] == ["zeros", "lsuv", "he_normal"]
    assert len({experiment.model_copy(update={"initialiser": "zeros"}) for experiment in experiments}) == 1
    assert experiments[0].optimiser == "sgd" and experiments[0].hidden_widths == (16, 16)


def test_the_live_network_can_be_trained() -> None:
    app = opened(PAGE, **View(**TRAINED, layers=3, units=32, activation="sigmoid").query())
    [button] = [one for one in app.button if one.label.startswith("Use the network of the live part")]
    assert button.label.endswith("3 sigmoid layers of 32 units")
    app = button.click().run()
    query = url(app)
    names = ("trained_layers", "trained_units", "trained_activation", "epochs")
    assert tuple(query[name] for name in names) == ("3", "32", "sigmoid", "2")
    assert not any(one.label.startswith("Use the network") for one in app.button)


def test_steps_within_the_first_window_are_called_that() -> None:
    told = compared_in_training._steps_text
    assert (told(50.0), told(51.0), told(1234.0), told(math.nan)) == ("the first 50", "51", "1,234", "never")


def test_training_is_asked_for_and_stops() -> None:
    app = pressed(opened(PAGE, **View(**TRAINED).query()), "Train all")
    snapshot = server.study(compared_in_training.study_of(View(**TRAINED)).digest)
    assert snapshot and snapshot.state == "running" and len(snapshot.names) == 2
    pressed(app, "Stop")
    assert server.engine().status().queue_length == 0


@pytest.mark.parametrize("function", ["tanh", "sigmoid"])
def test_layers_are_followed_over_training(function: str, tmp_path: Path) -> None:
    view = View(**TRAINED, trained_activation=function)
    study = compared_in_training.study_of(view)
    store_study(tmp_path / "runs", study)
    app = opened(PAGE, **view.query())
    assert [head.value for head in app.header] == [
        "How fast they learn", "Activations over training", "Gradients over training"
    ]  # fmt: skip
    runs = of_study(study, dataset.load().name, server.stored)
    target = layers_over_epochs.reached_by_all(runs)
    step = layers_over_epochs.steps_to(runs[0].run.step_losses, target)
    first = min(layers_over_epochs.WINDOW, len(runs[0].run.step_losses))
    when = f"within the first {first} steps" if step == first else f"at step {step:,}"
    assert f"first reaches {target:.2f}, the lowest loss that all of them reach, {when};" in texts(app)
    [link] = [link.proto for link in app.get("page_link") if "over 5 seeds" in link.proto.label]
    more = Study.from_json(parse_qs(link.query_string)["study"][0])
    assert link.page == "Compare" and more.variants() == study.variants() and more.seeds == 5


def test_saturation_is_told_with_its_layer_and_epoch_and_what_became_of_it() -> None:
    rows = pd.DataFrame(
        [(0, "hidden_1", 0.0), (0, "hidden_2", 0.1), (1, "hidden_2", 0.9), (2, "hidden_1", 0.2), (2, "hidden_2", 0.3)],
        columns=["epoch", "layer", "value"],
    ).assign(measure="saturated")
    [told] = compared_in_training.saturation("Glorot uniform", rows)
    assert "after epoch 1, 90 % of the activations in hidden layer 2 are saturated; after epoch 2, 30 %." in told
    assert compared_in_training.saturation("Glorot uniform", rows.assign(value=0.01)) == []


def test_figure_2_s_link_trains_the_ready_made_network() -> None:
    wanted = STUDIES["initialisation-sigmoid"].base
    view = initialisation_view.training(wanted)
    assert initialisation_view.trained(view).digest == wanted.digest


# --- The notebook's comparison ----------------------------------------------------------------------------------------


def test_the_notebook_s_comparison_with_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    brief = {**dict(STUDIES["initialisation"]), "base": Experiment(epochs=1)}
    small = Study.of(brief)
    monkeypatch.setattr(notebook_comparison, "SAME", small)
    store_study(tmp_path / "runs", small, gain=0.0)
    shown = texts(opened(PAGE, part="notebook"))
    assert "| Glorot initialisation | 3 |" in shown
    assert "Standard initialisation shows no difference beyond the noise" in shown
    assert "exactly as many" in shown and "0.0 s less than" in shown and "no difference beyond the noise." in shown


def test_a_difference_in_time_is_called_the_machine_s(tmp_path: Path) -> None:
    study = Study.of({**dict(STUDIES["initialisation"]), "base": Experiment(epochs=1)})
    trained = of_study(study, dataset.load().name, server.stored)
    assert notebook_comparison.time_sentence(trained) == ""
    store_study(tmp_path / "runs", study)
    for one in of_study(study, dataset.load().name, server.stored):
        seconds = 20.0 if "Standard" in one.model else 10.0
        one.run.metrics["seconds"] = seconds + 0.01 * one.seed
        trained.append(Trained(one.model, one.run))
    told = notebook_comparison.time_sentence(trained)
    assert "takes 10.0 s more than" in told and "not to the initialisation" in told


# --- Table 1 ----------------------------------------------------------------------------------------------------------


def noted(tmp_path: Path, activations: tuple[str, ...], seeds: int = 2) -> None:
    """Results of the quick table's trainings, as a worker notes them."""
    plan, data = table1_plan.plan("quick", seeds), dataset.load()
    ledger = Ledger(tmp_path / "runs" / "table1.jsonl")
    rng = np.random.default_rng(0)
    for row in table1_plan.ROWS:
        if row.activation in activations:
            for training in plan.searched(row):
                _, rate, seed = training
                error = (
                    15 + abs(math.log(rate / 0.1)) + rng.uniform(0, 0.1) - (row.initialiser == table1_plan.NORMALISED)
                )
                name = run_id(plan.experiment(row, rate, seed, available(data)), data.name)
                ledger.add(name, Measured(error, error / 30, error + 0.5, 1.0))


def test_table_1_tells_its_cost_before_it_begins_and_goes_on_with_what_is_there(tmp_path: Path) -> None:
    app = opened(PAGE, part="table1", seeds="2")
    assert "The quick table trains 72 networks of 5 x 100 units" in texts(app)
    assert [button.label for button in app.button] == ["Make the table"]
    noted(tmp_path, ("softsign",))
    app = opened(PAGE, part="table1", seeds="2")
    [button] = app.button
    assert button.label == "Continue" and "24 of 72 trainings are done; the rest take about" in texts(app)
    app = pressed(app, "Continue")
    name = table1_analysis(table1_plan.plan("quick", 2), dataset.load()).name
    snapshot = server.engine().analysis(name)
    assert snapshot and snapshot.active and [button.label for button in app.button] == ["Stop"]
    app = pressed(app, "Stop")
    assert not server.engine().analysis(name).active  # type: ignore[union-attr]
    assert [button.label for button in app.button] == ["Continue"]


def test_a_complete_table_is_shown_without_training(tmp_path: Path) -> None:
    noted(tmp_path, table1_plan.ACTIVATIONS)
    app = opened(PAGE, part="table1", seeds="2")
    assert not app.button and "With tanh, 2 seeds are too few to decide" in texts(app) and "In bold: " not in texts(app)
    assert [button.proto.label for button in app.get("download_button")] == ["Table (CSV)", "Result (JSON)"]
    assert len(app.get("arrow_vega_lite_chart") or app.get("vega_lite_chart")) == 3


def test_the_full_protocol_tells_its_cost_and_is_refused_over_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMNIST_COMPUTE_BUDGET", "1e18")
    assert "The full table trains 60 networks of 5 x 1,000 units" in texts(opened(PAGE, part="table1", plan="full"))
    monkeypatch.setenv("FMNIST_COMPUTE_BUDGET", "1e9")
    app = opened(PAGE, part="table1", plan="full")
    assert "FMNIST_COMPUTE_BUDGET" in plain(app.error[0].value) and not app.button


def test_a_worker_s_table_is_the_ledger_s(tmp_path: Path) -> None:
    noted(tmp_path, table1_plan.ACTIVATIONS)
    plan, data = table1_plan.plan("quick", 2), dataset.load()
    wanted = table1_analysis(plan, data)
    assert table1_trainings.table_job(wanted.params, NOBODY) is True
    found = server.results().find("", wanted.name)
    assert found and found.facts["rows"] == json.loads(
        json.dumps(TableSoFar(plan, data, Ledger(ledger_path())).facts()["rows"])
    )


# --- After Glorot -----------------------------------------------------------------------------------------------------


def test_each_later_initialisation_has_its_reference_and_its_look() -> None:
    shown = texts(opened(PAGE, part="after"))
    for number in ("1502.01852", "1312.6120", "1511.06422", "10.1007/3-540-49430-8_2", "10.1016/j.neunet.2021.11.020"):
        assert number in shown
    assert "Not in this app" in shown
    for view in (*(later.look for later in after_glorot.LATER if later.look), after_glorot.REFUSED):
        assert View.from_query(view.query()) == (view, [])
        initial_analysis(view.layers, view.units, view.activation, view.initialisers, view.gain, view.seed, "full")


def test_a_way_opens_the_look_and_its_address() -> None:
    app = opened(PAGE, part="after")
    app = next(button for button in app.button if button.label.startswith("All units equal")).click().run()
    assert url(app) == after_glorot.REFUSED.query() and not app.exception


# --- The command ------------------------------------------------------------------------------------------------------


def test_init_prints_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--layers", "3", "--units", "32", "--activation", "tanh", "--data", "sample", "--json", "-"]
    assert commands.main(["init", *flags, "--initialisers", "standard_uniform,glorot_uniform"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result["initialisers"]) == ["standard_uniform", "glorot_uniform"]
    for layers in result["initialisers"].values():
        assert list(layers) == ["hidden_1", "hidden_2", "hidden_3", "output"]
        for measures in layers.values():
            assert set(measures) == {
                "activation_std", "gradient_std", "weight_gradient_std", "mean_singular_value", "saturated"
            }  # fmt: skip
    standard, glorot = result["initialisers"].values()
    assert standard["hidden_3"]["activation_std"] < glorot["hidden_3"]["activation_std"]


def test_init_prints_a_table_with_dashes_for_what_is_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--layers", "20", "--units", "32", "--activation", "linear", "--gain", "100", "--data", "sample"]
    assert commands.main(["init", *flags, "--initialisers", "he_normal"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 22
    first, last = (lines[place].split()[2] for place in (1, -1))
    assert float(first) > 10 and last == "–"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--layers", "0"], ["layers", "0", "1 to 20"]),
        (["--layers", "many"], ["layers", "'many'"]),
        (["--units", "4"], ["units", "4"]),
        (["--gain", "much"], ["gain", "'much'"]),
        (["--gain", "1e9"], ["Gain", "1e+09"]),
        (["--activation", "step"], ["activation", "'step'"]),
        (["--initialisers", "glorot_uniform,he"], ["'he'", "he_normal"]),
        (["--layers", "20", "--units", "2048"], ["million weights"]),
    ],
)
def test_init_refuses_a_bad_value_in_one_line(
    flags: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert commands.main(["init", *flags]) == 2
    said = capsys.readouterr()
    assert said.out == "" and len(said.err.strip().splitlines()) == 1 and all(word in said.err for word in words)


def test_looks_are_refused_before_a_worker_is_asked() -> None:
    with pytest.raises(LabError, match="million weights"):
        initial_analysis(20, 2048, "tanh", ("zeros",), 1.0, 0, "sample")


def test_the_store_is_not_filled_with_runs(tmp_path: Path) -> None:
    looked()
    assert RunStore(tmp_path / "runs", 10**9).runs() == []
