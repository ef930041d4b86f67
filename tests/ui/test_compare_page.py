"""Page Compare as a script: studies, chosen runs and races; what it says, and what it says to bad input."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from fmnist_core.data import dataset
from fmnist_core.engine.service import StudySnapshot
from fmnist_core.experiment.hyperparameters import FIELDS, Experiment, run_id
from fmnist_core.experiment.presets import PRESETS
from fmnist_core.experiment.study import STUDIES, Study
from fmnist_core.findings.run_tables import of_study
from fmnist_core.store.run_store import RunStore, StoreError
from fmnist_core.ui.compare import compare_view, comparison_results
from fmnist_core.ui.compare.compare_view import View
from fmnist_core.ui.shared import server
from tests.support.screens import opened, plain, pressed, texts, unfolded, url
from tests.support.stored_runs import store_run, store_study

pytestmark = pytest.mark.usefixtures("no_workers")
PAGE = "pages/Compare.py"
SMALL = {"units": 16, "layers": 1, "epochs": 3}


def one_axis(seeds: int = 5) -> Study:
    return Study.of({"base": SMALL, "axes": [{"field": "dropout", "values": (0.0, 0.3)}], "seeds": seeds})


def link(study: Study, **query: str) -> AppTest:
    return opened(PAGE, study=study.to_short_json(), **query)


# --- A study ----------------------------------------------------------------------------------------------------------


def test_the_notebook_s_five_are_one_press_away_and_their_cost_is_told() -> None:
    app = opened(PAGE)
    shown = texts(app)
    assert "5 networks × 3 seeds" in shown and "**15** runs to train · about" in shown
    assert [button.label for button in app.button if button.label == "Train all"] == ["Train all"]
    assert url(app) == {}


def test_a_study_that_is_there_is_told_apart_from_noise(tmp_path: Path) -> None:
    study = one_axis()
    store_study(tmp_path / "runs", study)
    app = link(study)
    shown = texts(app)
    assert "Dropout 0.3 lowers test loss by 0.05" in shown and "raises test accuracy by 0.05" in shown
    assert "over 5 seeds" in shown and "95 % for all 2 comparisons together" in shown
    assert "| **Dropout 0** | 5 |" in shown
    assert not [button for button in app.button if button.label in ("Train all", "Continue")]
    assert [button.proto.label for button in app.get("download_button")] == [
        "Table (CSV)", "Histories (CSV)", "Definition (JSON)"
    ]  # fmt: skip


def test_no_difference_is_called_so(tmp_path: Path) -> None:
    study = one_axis()
    store_study(tmp_path / "runs", study, gain=0.0)
    assert "Dropout 0.3 shows no difference beyond the noise" in texts(link(study))


def test_one_seed_cannot_tell_but_two_single_runs_have_mcnemar_s_test(tmp_path: Path) -> None:
    study = one_axis(seeds=1)
    store_study(tmp_path / "runs", study, gain=0.1)
    shown = texts(link(study))
    assert "One seed is not enough" in shown
    assert "On the same 1,000 test images" in shown or "On the same 10,000 test images" in shown


def test_results_show_while_others_are_missing(tmp_path: Path) -> None:
    study = one_axis()
    store_study(tmp_path / "runs", study)
    app = link(Study.of(dict(study) | {"seeds": 6}))
    assert "**10** of 12 runs are trained · **2** runs to train" in texts(app)
    assert "over 5 seeds" in texts(app)


def test_files_hold_what_is_stored_when_their_button_is_pressed(tmp_path: Path) -> None:
    study = one_axis(seeds=3)
    store_study(tmp_path / "runs", one_axis(seeds=2))
    data = dataset.load()
    table, histories, definition = comparison_results.files(
        of_study(study, data.name, server.stored), View(study=study), data
    )
    assert len(table[1]().splitlines()) == 5
    store_study(tmp_path / "runs", study)  # the last runs come after the page was drawn
    assert len(table[1]().splitlines()) == 7
    assert set(pd.read_csv(io.BytesIO(histories[1]()))["seed"]) == {0, 1, 2}
    assert Study.from_json(definition[1]()) == study


def test_two_axes_give_a_heat_map_page(tmp_path: Path) -> None:
    axes = [{"field": "dropout", "values": (0.0, 0.3)}, {"field": "activation", "values": ("relu", "tanh")}]
    study = Study.of({"base": SMALL, "axes": axes, "seeds": 2})
    store_study(tmp_path / "runs", study)
    app = link(study)
    assert "Against the hyperparameters" in [header.value for header in app.header]
    assert "Click a cell to see its runs" in texts(app)


def test_a_heat_map_is_a_table_too_and_leads_to_its_runs_without_a_mouse(tmp_path: Path) -> None:
    axes = [{"field": "batch_norm", "values": (False, True)}, {"field": "widths", "values": ((32,), (32, 16))}]
    study = Study.of({"base": SMALL, "axes": axes, "seeds": 2})
    runs = store_study(tmp_path / "runs", study)
    app = unfolded(link(study), "as a table")
    head, _, *rows = next(text.value for text in app.markdown if "| Batch normalisation | Width" in text.value).split(
        "\n"
    )
    own = [run for run in runs if run.experiment.hidden_widths == (32, 16) and not run.experiment.batch_norm]
    mean = np.mean([run.metrics["test_accuracy"] for run in own])
    assert head == "| Batch normalisation | Width of each layer 32 | Width of each layer 32-16 |"
    assert len(rows) == 2 and rows[0].startswith("| no |") and f"| {100 * mean:.1f}\u00a0% ±\u00a00." in rows[0]
    box = next(box for box in app.selectbox if box.label == "Runs of")
    assert len(box.options) == 4
    box.select("Width of each layer 32-16, batch normalisation no").run()
    links = [one.proto.query_string for one in app.get("page_link") if one.proto.label.startswith("Seed ")]
    assert len(links) == 2 and all("widths=32-16" in query and "batch_norm" not in query for query in links)


@pytest.mark.parametrize("curve", compare_view.CURVES)
@pytest.mark.parametrize("x", compare_view.AXES)
def test_every_curve_is_drawn_over_every_axis(curve: str, x: str, tmp_path: Path) -> None:
    study = one_axis(seeds=2)
    store_study(tmp_path / "runs", study)
    app = link(study, curve=curve, x=x, each="true")
    assert not app.exception and url(app)["study"] == study.to_short_json()


def test_a_study_of_one_network_opens_from_its_link() -> None:
    app = opened(PAGE, study=Study.of({"base": SMALL, "seeds": 4}).to_short_json())
    assert not app.exception and "1 network × 4 seeds" in texts(app)


def test_controls_change_the_study_and_the_link() -> None:
    app = opened(PAGE)
    app.button_group(key="compare kind 1").set_value("one").run()
    assert json.loads(url(app)["study"])["axes"] == [{"field": "dropout", "values": [0.0, 0.15, 0.3, 0.5]}]
    values = next(box for box in app.text_input if box.label == "Values")
    values.set_value("0, 0.2").run()
    assert json.loads(url(app)["study"])["axes"] == [{"field": "dropout", "values": [0.0, 0.2]}]
    next(box for box in app.text_input if box.label == "Values").set_value("0, 7").run()
    assert "7" in plain(app.warning[0].value) and "is unchanged" in plain(app.warning[0].value)
    next(box for box in app.selectbox if box.label == "Hyperparameter").set_value("activation").run()
    assert json.loads(url(app)["study"])["axes"][0]["field"] == "activation"
    next(slider for slider in app.slider if slider.label == "Seeds").set_value(7).run()
    assert json.loads(url(app)["study"])["seeds"] == 7


def test_a_study_over_the_budget_is_refused_with_its_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMNIST_COMPUTE_BUDGET", "1e9")
    app = pressed(opened(PAGE), "Train all")
    assert "FMNIST_COMPUTE_BUDGET" in plain(app.error[0].value) and "1.0e+09" in plain(app.error[0].value)


def test_a_press_queues_every_missing_run_and_stop_takes_them_back() -> None:
    app = pressed(opened(PAGE), "Train all")
    digest = STUDIES["notebook"].digest
    snapshot = server.engine().study(digest)
    assert snapshot and snapshot.state == "running" and len(snapshot.names) == 15
    app = pressed(app, "Stop")
    snapshot = server.engine().study(digest)
    assert snapshot and snapshot.state == "stopped"
    assert server.engine().status().queue_length == 0


def test_a_study_whose_finished_run_is_deleted_is_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    study = STUDIES["notebook"]
    names = tuple(run_id(experiment, dataset.load().name) for _, experiment in study.experiments())
    looks = []

    def snapshot(digest: str) -> StudySnapshot:
        looks.append(digest)
        return StudySnapshot(study, "running", names, names[:1], {}, ())

    monkeypatch.setattr(server, "study", snapshot)
    assert "1 of 15 runs" in opened(PAGE).get("progress")[0].proto.text
    assert len(looks) == 2  # by the page, and by its first look at the progress


# --- Stored runs ------------------------------------------------------------------------------------------------------


def test_without_runs_the_page_says_what_to_do() -> None:
    assert "No network has been trained here yet" in opened(PAGE, runs="").info[0].value


def test_chosen_runs_are_compared_and_can_be_deleted_and_brought_back(tmp_path: Path) -> None:
    runs = store_study(tmp_path / "runs", one_axis(seeds=2))
    app = opened(PAGE, runs=".".join(run.run_id for run in runs))
    assert "over 2 seeds" in texts(app) or "2 seeds" in texts(app)
    app = pressed(app, "Delete 4 chosen runs")
    assert RunStore(tmp_path / "runs", 10**9).runs() == [] and url(app) == {"runs": ""}
    app = pressed(app, "Undo")
    assert len(RunStore(tmp_path / "runs", 10**9).runs()) == 4 and len(url(app)["runs"].split(".")) == 4


def test_the_table_of_runs_shows_a_few_columns_at_a_time(tmp_path: Path) -> None:
    run = store_run(tmp_path / "runs", Experiment.of(SMALL), test_accuracy=0.8, test_loss=0.5)
    RunStore(tmp_path / "runs", 10**9).annotate(run.run_id, note="for the lesson")
    app = opened(PAGE, runs="")
    assert list(app.dataframe[0].value) == ["chosen", "network", "seed", "accuracy", "loss"]
    app.button_group(key="compare columns").set_value("Names and notes").run()
    assert list(app.dataframe[0].value) == ["chosen", "network", "seed", "name", "note", "kept"]
    assert app.dataframe[0].value["note"].tolist() == ["for the lesson"]


def test_a_run_that_is_gone_is_named(tmp_path: Path) -> None:
    run = store_run(tmp_path / "runs", Experiment.of(SMALL), test_accuracy=0.8, test_loss=0.5)
    gone = "0123456789abcdef"
    assert gone in opened(PAGE, runs=f"{run.run_id}.{gone}").warning[0].value


# --- A race -----------------------------------------------------------------------------------------------------------


def test_a_race_is_set_started_and_shown(tmp_path: Path) -> None:
    app = opened(PAGE, race=json.dumps([{"epochs": 3}, {"epochs": 3, "dropout": 0.3}]))
    assert "**Base network** against **Dropout 0.3**" in texts(app)
    app = pressed(app, "Start the race")
    [left, right] = server.race([Experiment(epochs=3), Experiment(epochs=3, dropout=0.3)])
    assert left.active and right.experiment.dropout == 0.3
    app = pressed(app, "Stop")
    assert not server.race([Experiment(epochs=3), Experiment(epochs=3, dropout=0.3)])[0].active


def test_a_network_does_not_race_itself() -> None:
    app = opened(PAGE, race="[{},{}]")
    assert next(button for button in app.button if button.label == "Start the race").disabled


# --- The link ---------------------------------------------------------------------------------------------------------

names = st.text("0123456789abcdef", min_size=16, max_size=16)
studies = st.sampled_from([*STUDIES.values(), one_axis(), Study.of({"base": SMALL, "seeds": 4})])
views = st.one_of(
    st.builds(
        View,
        study=studies,
        curve=st.sampled_from(list(compare_view.CURVES)),
        x=st.sampled_from(list(compare_view.AXES)),
    ),
    st.builds(View, study=st.none(), runs=st.lists(names, unique=True, max_size=5).map(tuple), each=st.booleans()),
    st.builds(
        View,
        study=st.none(),
        race=st.sampled_from(
            [(PRESETS["base"].experiment, PRESETS["l2"].experiment), (Experiment(units=8), Experiment())]
        ),
        baseline=st.text(max_size=20),
    ),
)


@given(views)
def test_every_view_survives_its_link(view: View) -> None:
    assert View.from_query(view.query()) == (view, [])


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"study": "{"}, "not valid JSON"),
        ({"study": '{"seeds": 99}'}, "1 to 30"),
        ({"study": '{"axes": [{"field": "dropout", "values": [7]}]}'}, "Dropout (dropout) is 7"),
        ({"study": "[" * 5000}, "not valid JSON"),
        ({"runs": "../../etc"}, "must be ids of stored runs"),
        ({"runs": ".".join(["0123456789abcdef"] * 61)}, "at most 60"),
        ({"race": "7"}, "JSON list of two"),
        ({"race": '[{"units": 1}, {}]'}, "Units per layer (units) is 1"),
        ({"x": "north"}, "one of epoch, step, seconds"),
        ({"colour": "red"}, "'colour'"),
    ],
)
def test_wrong_links_are_named_and_the_page_stays_up(query: dict[str, str], words: str) -> None:
    app = opened(PAGE, **query)
    assert len(app.warning) == 1 and words in plain(app.warning[0].value)


def test_a_run_that_cannot_be_deleted_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = store_run(tmp_path / "runs", Experiment.of(SMALL), test_accuracy=0.8, test_loss=0.5)
    app = opened(PAGE, runs=run.run_id)

    def refuse(self: RunStore, run_id: str) -> None:
        raise StoreError(f"The run store cannot be written: {run_id} stays.")

    monkeypatch.setattr(RunStore, "delete", refuse)
    app = pressed(app, "Delete 1 chosen run")
    assert any("cannot be written" in plain(warning.value) for warning in app.warning)


@pytest.mark.parametrize("field", ["momentum", "decay_steps", "staircase", "warmup_steps", "validation_fraction"])
def test_any_hyperparameter_can_be_chosen_as_an_axis(field: str) -> None:
    base = SMALL | {"optimiser": "sgd", "schedule": "exponential"}
    app = link(Study.of({"base": base, "axes": [{"field": "dropout", "values": (0.0, 0.3)}]}))
    [chosen] = [box for box in app.selectbox if box.label == "Hyperparameter"]
    app = chosen.select(field).run()
    assert not app.exception and not app.warning
    (axis,) = Study.from_json(url(app)["study"]).axes
    assert (axis.field, axis.values) == (field, FIELDS[field].suggested)
