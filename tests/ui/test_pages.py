"""Each page as a script: what it shows, what it says to bad input, and what it must not import."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as text
from streamlit.source_util import page_icon_and_name
from streamlit.testing.v1 import AppTest

from fmnist_core.experiment.hyperparameters import FIELDS, Experiment, run_id
from fmnist_core.experiment.presets import PRESETS
from fmnist_core.ui.home import home_page
from fmnist_core.ui.shared import estimate, server
from fmnist_core.ui.shared.pages import Page
from tests.support.screens import ROOT, opened, plain, texts, unfolded, url
from tests.support.stored_runs import store_run

pytestmark = pytest.mark.usefixtures("no_workers")


def control(app: AppTest, name: str) -> Any:
    """The widget of a hyperparameter; its key ends with a number that counts its comings to the screen."""
    kinds = ("slider", "select_slider", "selectbox", "toggle", "number_input", "text_input")
    return next(w for kind in kinds for w in app.get(kind) if (w.key or "").rsplit(" ", 1)[0] == f"train {name}")


def presets(app: AppTest) -> Any:
    return next(group for group in app.button_group if (group.key or "").startswith("train preset "))


def stored(tmp_path: Path, experiment: Experiment, losses: list[float], **metrics: Any) -> str:
    """A run in the store with these validation losses, in which shirts and T-shirts are confused most."""
    counts = np.diag([90] * 10)
    counts[6, 0], counts[0, 6] = 17, 4
    facts: dict[str, Any] = {"confusion": counts.tolist(), "best_epoch": int(np.argmin(losses[1:])) + 1} | metrics
    return store_run(tmp_path / "runs", experiment, losses, **facts).run_id


# --- Home -------------------------------------------------------------------------------------------------------------


def test_home_without_runs_says_what_to_do() -> None:
    app = opened("app.py")
    assert app.title[0].value == "Fashion-MNIST Lab"
    assert [heading.value for heading in app.header] == ["Follow the path", "Play", "Teach a class", "Runs so far"]
    assert "press Train" in app.info[0].value


def test_home_lists_runs_and_ticks_the_path(tmp_path: Path) -> None:
    stored(tmp_path, PRESETS["base"].experiment, [2.3, 0.5, 0.4])
    stored(tmp_path, Experiment(units=16), [2.3, 0.5], stopped=True)
    app = opened("app.py")
    links = [link.proto.label for link in app.get("page_link")]
    assert "Base network: 0.890" in links and "Dropout" in links
    assert "Units per layer 16" in links and "stopped after 1 epoch · test loss 0.350" in texts(app)


def test_home_puts_the_seeds_of_a_network_on_one_line_and_keeps_single_runs_in_sight(tmp_path: Path) -> None:
    several = [
        stored(tmp_path, Experiment(units=16, seed=seed), [2.3, 0.5], test_accuracy=0.8 + 0.05 * seed)
        for seed in range(3)
    ]
    stopped = stored(tmp_path, Experiment(units=16, seed=3), [2.3, 0.5], stopped=True)
    alone = stored(tmp_path, Experiment(units=32), [2.3, 0.5])
    app = opened("app.py")
    links = {plain(link.proto.label): link.proto.query_string for link in app.get("page_link")}
    assert set(links["Units per layer 16"].removeprefix("runs=").split(".")) == set(several)
    assert links["Units per layer 32"] == "units=32" and links["Units per layer 16, seed 3"] == "units=16&seed=3"
    assert "3 seeds · test loss 0.350" in texts(app) and "0.850\u00a0±\u00a00.050" in texts(app)
    shown = opened("pages/Compare.py", runs=".".join(several))
    assert re.search(r"\*\*Units per layer 16.*\*\* \| 3 \|", texts(shown))
    grouped = home_page.by_network(server.store().runs())
    assert sorted(sorted(run.run_id for run in own) for own in grouped) == sorted([sorted(several), [stopped], [alone]])


@given(text.text(max_size=90), text.integers(1, 60))
def test_a_long_name_is_parted_and_nothing_of_it_is_lost(name: str, longest: int) -> None:
    start, rest = home_page.in_two(name, longest)
    assert len(start) <= longest and name in (start + rest, f"{start}, {rest}", f"{start} {rest}")
    assert (rest == "") == (name == start)


def test_a_damaged_run_is_named_on_home(tmp_path: Path) -> None:
    identity = stored(tmp_path, Experiment(units=16), [2.3, 0.5])
    (tmp_path / "runs" / identity / "metrics.json").write_text("{")
    app = opened("app.py")
    app.run()
    assert any(identity in plain(warning.value) for warning in app.warning)


# --- Train: controls and URL ------------------------------------------------------------------------------------------


def test_train_shows_the_base_network_before_training() -> None:
    app = opened("pages/Train.py")
    shown = texts(app)
    for words in ("669,706", "softmax", "cross-entropy", "Base network"):
        assert words in shown
    assert [button.label for button in app.button if button.label == "Train"] == ["Train"]
    assert url(app) == {}


def test_every_basic_control_explains_itself_in_one_sentence() -> None:
    app = opened("pages/Train.py", schedule="exponential", optimiser="sgd", initialiser="random_normal")
    unfolded(app, "more settings")
    shown = Experiment(schedule="exponential", optimiser="sgd", initialiser="random_normal")
    for name, field in FIELDS.items():
        if field.relevant(shown):
            assert control(app, name).help == field.help


def test_the_url_sets_the_controls_and_controls_set_the_url() -> None:
    app = opened("pages/Train.py", units="64", dropout="0.3", schedule="cosine")
    assert control(app, "units").value == 64
    assert control(app, "dropout").value == 0.3
    control(app, "layers").set_value(4).run()
    assert url(app) == {"units": "64", "dropout": "0.3", "schedule": "cosine", "layers": "4"}
    assert "Hidden layers 4" in texts(app)


def test_wrong_url_parameters_are_named_and_replaced() -> None:
    app = opened("pages/Train.py", units="99999", colour="red", dropout="0.2", epochs="ten")
    sentences = [plain(warning.value) for warning in app.warning]
    assert len(sentences) == 3
    for words in ("99999", "'colour'", "'ten'"):
        assert any(words in sentence for sentence in sentences)
    assert url(app) == {"dropout": "0.2"}


def test_a_preset_sets_everything_and_reset_brings_the_base_back() -> None:
    app = opened("pages/Train.py", layers="5")
    presets(app).set_value("l2").run()
    assert url(app) == {"l2": "0.01"}
    next(button for button in app.button if button.label == "Reset").click().run()
    assert url(app) == {} and control(app, "layers").value == 2


def test_widths_that_cannot_be_read_are_named_and_not_taken() -> None:
    app = unfolded(opened("pages/Train.py"), "more settings")
    control(app, "widths").set_value("512-abc").run()
    assert "512-abc" in plain(app.warning[0].value) and url(app) == {}
    control(app, "widths").set_value("64-32").run()
    assert url(app) == {"widths": "64-32"}


def test_a_control_that_comes_back_shows_the_value_it_had() -> None:
    app = opened("pages/Train.py", schedule="exponential")
    control(app, "decay_steps").set_value(500).run()
    control(app, "schedule").set_value("constant").run()
    control(app, "schedule").set_value("exponential").run()
    assert control(app, "decay_steps").value == 500
    app.switch_page("pages/Data.py").run()
    app.switch_page("pages/Train.py")
    for name, value in app.session_state["state of train"].query.items():  # as the menu's link does
        app.query_params[name] = value
    app.run()
    assert control(app, "decay_steps").value == 500 and url(app)["decay_steps"] == "500"


def test_a_training_over_the_budget_is_refused_in_one_sentence() -> None:
    app = opened("pages/Train.py", layers="20", units="2048", epochs="200")
    next(button for button in app.button if button.label == "Train").click().run()
    assert "FMNIST_COMPUTE_BUDGET" in plain(app.error[0].value)


def test_short_runs_do_not_change_estimates(tmp_path: Path) -> None:
    estimate._correction.clear()
    stored(tmp_path, Experiment(units=16), [2.3, 0.5], seconds=1.9)
    assert estimate._correction() == 1.0
    stored(tmp_path, Experiment(units=32), [2.3, 0.5], seconds=60.0)  # on a busy machine, by its fixed costs alone
    estimate._correction.clear()
    assert estimate._correction() == 1.0
    stored(tmp_path, Experiment(layers=5, units=2048, epochs=1), [2.3, 0.5], seconds=2000.0, train_examples=54_000)
    estimate._correction.clear()
    assert estimate._correction() > 1.0
    estimate._correction.clear()


# --- Train: results ---------------------------------------------------------------------------------------------------


def test_a_stored_run_opens_with_intervals_and_measured_sentences(tmp_path: Path) -> None:
    stored(tmp_path, Experiment(units=16), [2.3, 0.5, 0.4, 0.6])
    app = opened("pages/Train.py", units="16")
    shown = texts(app)
    assert {metric.label: metric.value for metric in app.metric}["Test accuracy"] == "0.890"
    assert "95 % interval 0.8" in shown and "921 images" in shown
    assert "lowest after epoch 2 (0.400) and rose by 50 % to 0.600" in shown and "overfitting" in shown
    assert "Most confused: Shirt predicted as T-shirt/top, 17 of 107" in shown
    assert [button.proto.label for button in app.get("download_button")] == [
        "History (CSV)", "Model (Keras)", "TensorBoard logs (zip)",
    ]  # fmt: skip
    links = [one.label for one in app.button]
    assert any("dropout" in link for link in links)


def test_the_penalty_in_a_test_loss_is_told(tmp_path: Path) -> None:
    stored(tmp_path, Experiment(units=16, l2=0.01), [2.3, 0.5], test_penalty=0.12)
    assert "0.120 of it is the L2 penalty" in texts(opened("pages/Train.py", units="16", l2="0.01"))


def test_a_stopped_run_is_marked_and_can_be_trained_in_full(tmp_path: Path) -> None:
    stored(tmp_path, Experiment(units=16), [2.3, 0.5], stopped=True)
    app = opened("pages/Train.py", units="16")
    assert "stopped after 1 of 20 epochs" in texts(app)
    assert "Train in full" in [button.label for button in app.button]


def test_a_diverged_run_opens_and_says_why(tmp_path: Path) -> None:
    nan = float("nan")
    stored(tmp_path, Experiment(units=16), [2.3, nan], test_loss=nan, test_loss_std=nan, best_epoch=0)
    app = opened("pages/Train.py", units="16")
    shown = texts(app)
    assert "ended after epoch 1: the loss diverged" in shown
    assert "Most confused" not in shown and "Dashed" not in shown
    figures = {metric.label: metric.value for metric in app.metric}
    assert figures["Test loss"] == figures["Test accuracy"] == "diverged"
    assert figures["Lowest validation loss"] == "–"
    next(one for one in app.button if "a tenth of the learning rate" in one.label).click().run()
    assert not app.exception and url(app) == {"units": "16", "learning_rate": "0.0001"}
    assert "nan" not in texts(opened("app.py"))


def test_after_one_epoch_nothing_is_said_of_how_validation_loss_went(tmp_path: Path) -> None:
    stored(tmp_path, Experiment(units=16, epochs=1), [2.3, 0.5])
    app = opened("pages/Train.py", units="16", epochs="1")
    assert "1 epoch" in [caption.value for caption in app.caption]
    assert "One epoch says little: train twice as long" in [one.label for one in app.button]


def test_a_title_leaves_out_what_has_no_effect() -> None:
    app = opened("pages/Train.py", layers="3", widths="64-32")
    assert "**Width of each layer 64-32**" in [text.value for text in app.markdown]


def test_train_is_disabled_while_ones_own_training_is_under_way() -> None:
    app = opened("pages/Train.py", units="16", epochs="1")
    next(button for button in app.button if button.label == "Train").click().run()
    control(app, "units").set_value(32).run()
    assert "Your training is running: Units per layer 16, epochs 1." in texts(app)
    assert next(button for button in app.button if button.label == "Train").disabled


def test_older_runs_are_a_link(tmp_path: Path) -> None:
    for place in range(home_page.LATEST + 1):
        stored(tmp_path, Experiment(units=16 + 8 * place), [2.3, 0.5])
    links = {link.proto.label: link.proto.query_string for link in opened("app.py").get("page_link")}
    assert links["1 older run"] == "runs="


def test_weights_open_as_histograms(tmp_path: Path) -> None:
    stored(tmp_path, Experiment(units=16), [2.3, 0.5, 0.4])
    app = opened("pages/Train.py", units="16")
    assert "Layer" not in [box.label for box in app.selectbox]
    unfolded(app, "weights")
    assert "Layer" in [box.label for box in app.selectbox]


# --- All --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", Page)
def test_damaged_data_is_one_sentence_and_the_page_stays_up(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FMNIST_DATA", str(tmp_path / "nothing"))
    app = opened(page.path)
    assert app.error and all(str(tmp_path / "nothing") in plain(error.value) for error in app.error)


PAGE_ALONE = """
import sys
from streamlit.source_util import page_icon_and_name
from streamlit.testing.v1 import AppTest
import fmnist_core.engine.service
fmnist_core.engine.service.Engine.start = lambda self: None
app = AppTest.from_file("app.py", default_timeout=60)
app = (app if sys.argv[1] == "app.py" else app.switch_page(sys.argv[1])).run()
assert not app.exception, app.exception
print(*sorted({"tensorflow", "keras", "umap", "numba", "sklearn", "scipy", "openTSNE"} & set(sys.modules)))
"""


@pytest.mark.parametrize("page", Page)
@pytest.mark.parametrize("with_run", [False, True])
def test_the_app_process_stays_free_of_tensorflow(page: Page, with_run: bool, tmp_path: Path) -> None:
    """Each page in a fresh process, before the first training and after it."""
    if with_run:
        stored(tmp_path, Experiment(units=16), [2.3, 0.5, 0.4])
    command = [sys.executable, "-c", PAGE_ALONE, page.path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_run_names_of_sample_and_full_data_differ() -> None:
    assert run_id(Experiment(), "full") != run_id(Experiment(), "sample")


def _loss_page(smoothing: float) -> None:
    from fmnist_core.experiment.hyperparameters import Experiment
    from fmnist_core.ui.train import train_page

    train_page.reading_aid(Experiment(label_smoothing=smoothing))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_explained_with_its_smoothed_targets(smoothing: float) -> None:
    app = AppTest.from_function(_loss_page, kwargs={"smoothing": smoothing}, default_timeout=30).run()
    assert not app.exception
    shown = "\n".join(part.value for part in [*app.markdown, *app.latex])
    assert (r"\sum_{k=1}^{10} y_k \ln p_k" in shown) == ("0.82" in shown) == ("0.02" in shown) == bool(smoothing)


# --- Batch normalisation with batches of one --------------------------------------------------------------------------


def test_batches_of_one_are_named_before_training_and_after(tmp_path: Path) -> None:
    query = {"batch_norm": "true", "batch_size": "1", "epochs": "2", "units": "16"}
    app = opened("pages/Train.py", **query)
    assert "nothing to standardise" in texts(app) and "Choose a batch size of 32." in texts(app)
    stored(tmp_path, Experiment.parse(query), [2.3, 0.4, 0.9])
    app = opened("pages/Train.py", **query)
    assert "nothing to standardise" in texts(app) and "overfitting" not in texts(app)
    assert any("32" in button.label for button in app.button) and not any("overfit" in b.label for b in app.button)
    assert "nothing to standardise" not in texts(opened("pages/Train.py", **query | {"batch_size": "32"}))


def test_only_who_looks_at_a_run_opens_it(no_workers: None, tmp_path: Path) -> None:
    """A list of runs, or a comparison, does not keep a run from making room; its own page does."""
    run = store_run(tmp_path / "runs", Experiment(units=16, layers=1, epochs=1))

    def used(page: str, **query: str) -> bool:
        os.utime(run.path, (0, 0))
        opened(page, **query)
        return run.path.stat().st_mtime > 0

    assert not used("app.py") and not used("pages/Compare.py", runs=run.run_id)
    assert used("pages/Train.py", **run.experiment.query()) and used("pages/Inspect.py", run=run.run_id)


@pytest.mark.parametrize("page", [page for page in Page if page is not Page.HOME])
def test_a_page_in_small_letters_is_the_page_with_its_settings(page: Page) -> None:
    setting = {Page.TRAIN: {"units": "64"}, Page.COMPARE: {"curve": "gap"}, Page.INSPECT: {"section": "health"}}
    query = setting.get(page, {"seed": "7"})
    alias = f"pages/0_{page.title.lower()}.py"
    assert page_icon_and_name(ROOT / alias)[1] == page.title.lower()
    app = opened(alias, **query)
    assert url(app) == query and app.title[0].value == opened(page.path).title[0].value
