"""Page Inspect: its URL, what it measures against the plain way, and each section as a script."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from streamlit.testing.v1 import AppTest

from fmnist_core.data import dataset
from fmnist_core.data.dataset import CLASSES
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.findings import evaluation, layer_measures
from fmnist_core.network import forward
from fmnist_core.store.run_store import RunStore
from fmnist_core.ui.components.sketch import canvas
from fmnist_core.ui.inspect import class_scores, inspect_view
from fmnist_core.ui.inspect.inspect_view import View
from fmnist_core.ui.shared import histogram_view
from tests.support import screens
from tests.support.screens import ROOT, button, plain, unfolded, url
from tests.support.trained_runs import EXPERIMENT, store_trained, trained

pytestmark = pytest.mark.usefixtures("no_workers")


def opened(**query: str) -> AppTest:
    return screens.opened("pages/Inspect.py", **query)


def texts(app: AppTest) -> str:
    return "\n".join([screens.texts(app), *(part.value for part in [*app.success, *app.header])])


def segments(app: AppTest, label: str) -> Any:
    return next(one for one in app.segmented_control if one.label == label)


def html(app: AppTest) -> str:
    return "".join(one.proto.body for one in app.get("html"))


# --- The URL ---------------------------------------------------------------------------------------------------------


views = st.builds(
    View,
    run=st.sampled_from(["", "0123456789abcdef", "0123456789abcdef-sample"]),
    epoch=st.none() | st.integers(0, 200),
    section=st.sampled_from(list(inspect_view.SECTIONS)),
    figures=st.sampled_from(list(inspect_view.FIGURES)),
    cell=st.none() | st.tuples(st.integers(0, 9), st.integers(0, 9)),
    order=st.sampled_from(list(inspect_view.ORDERS)),
    image=st.integers(0, 9_999),
    part=st.sampled_from(list(inspect_view.PARTS)),
    quantity=st.sampled_from(list(inspect_view.QUANTITIES)),
    layer=st.sampled_from(["hidden_1", "hidden_20", "output"]),
    kind=st.sampled_from(list(histogram_view.KINDS)),
    source=st.sampled_from(list(inspect_view.SOURCES)),
)


@given(views)
def test_a_view_comes_back_from_its_address(view: View) -> None:
    assert inspect_view.View.from_query(view.query()) == (view, [])


@given(st.dictionaries(st.sampled_from([*View.__dataclass_fields__, "colour"]), st.text(max_size=12), max_size=5))
def test_any_address_gives_a_view_and_sentences(texts: dict[str, str]) -> None:
    view, problems = inspect_view.View.from_query(texts)
    assert inspect_view.View.from_query(view.query()) == (view, [])
    assert all(problem.endswith(".") for problem in problems)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cell", "6"),
        ("cell", "6-10"),
        ("cell", "-"),
        ("image", "-1"),
        ("layer", "hidden_21"),
        ("section", "x"),
        ("run", ".."),
    ],
)
def test_what_cannot_be_used_is_named(name: str, text: str) -> None:
    view, problems = inspect_view.View.from_query({name: text})
    assert view == View() and len(problems) == 1 and repr(text) in problems[0] and problems[0].startswith(name)


# --- Measures --------------------------------------------------------------------------------------------------------


def test_layers_are_measured_as_written_out() -> None:
    data, weights = dataset.load("sample"), trained(EXPERIMENT, 1)[-1]
    weights["hidden_2/bias"] = np.where(np.arange(16) < 4, np.float32(-100), weights["hidden_2/bias"])
    images, labels = data.train_images[:200], data.train_labels[:200]
    first, second, output = layer_measures.measure_layers(EXPERIMENT, weights, images, labels)
    values = {one.name: one.values for one in forward.layers(EXPERIMENT, weights, images)}
    for one, name in ((first, "activation_1"), (second, "activation_2"), (output, "output")):
        assert one.activation_std == pytest.approx(values[name].std(), rel=1e-5)
    assert first.state.dead == (values["activation_1"] == 0).all(axis=0).mean()
    assert second.state.dead == (values["activation_2"] == 0).all(axis=0).mean() >= 4 / 16
    assert output.state.dead == 0 and all(one.state.finite for one in (first, second, output))
    wrong = values["output"] - np.eye(10, dtype=np.float32)[labels]
    assert output.state.gradient_std == pytest.approx(wrong.std(), rel=1e-5)


def test_a_layer_without_numbers_is_a_result() -> None:
    data, weights = dataset.load("sample"), trained(EXPERIMENT, 0)[-1]
    weights["hidden_2/kernel"] = np.full((32, 16), np.inf, np.float32)
    looks = layer_measures.measure_layers(EXPERIMENT, weights, data.train_images[:50], data.train_labels[:50])
    assert [one.state.finite for one in looks][1:] == [False, False]
    assert np.isfinite(looks[1].activations).all()


def test_nearest_images_are_those_of_all_distances_in_each_layer() -> None:
    data, weights = dataset.load("sample"), trained(EXPERIMENT, 1)[-1]
    images = data.train_images[:1100]  # three blocks
    found = layer_measures.nearest(EXPERIMENT, weights, data.test_images[3], images, 5)
    assert list(found) == ["rescale", "activation_1", "activation_2", "output"]
    for name, near in found.items():
        values = forward.layer(EXPERIMENT, weights, images, name)
        asked = forward.layer(EXPERIMENT, weights, data.test_images[3:4], name)
        distances = np.linalg.norm(values.astype(float) - asked, axis=1)
        np.testing.assert_allclose(near.distances[0], np.sort(distances)[:5], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(distances[near.indices[0]], np.sort(distances)[:5], rtol=1e-4, atol=1e-6)


def test_thinned_epochs_keep_both_ends() -> None:
    assert layer_measures.thinned((0, 1, 2), 5) == (0, 1, 2)
    assert layer_measures.thinned(tuple(range(201)), 21) == tuple(range(0, 201, 10))


def test_belief_is_told_with_its_numbers() -> None:
    labels = np.zeros(400, np.uint8)
    sure = np.tile(np.array([0.99, 0.01], np.float32), (400, 1))
    sure[:100] = (0.01, 0.99)
    text = class_scores.believed(evaluation.reliability(sure, labels))
    assert "99.0 %" in text and "75.0 %" in text and text.endswith("overconfident.")
    honest = np.tile(np.array([0.75, 0.25], np.float32), (400, 1))
    honest[:100] = (0.25, 0.75)
    assert "beyond the noise" in class_scores.believed(evaluation.reliability(honest, labels))


@pytest.mark.parametrize("text", [None, 7, "", "?", "AAAA", "A" * 1048, "é" * 1048, "/" * 5000])
def test_only_drawings_are_taken_from_a_browser(text: object) -> None:
    assert canvas.decoded(text) is None


def test_a_drawing_arrives_as_it_was_drawn() -> None:
    drawn = np.random.default_rng(0).integers(0, 256, (28, 28)).astype(np.uint8)
    found = canvas.decoded(base64.b64encode(drawn.tobytes()).decode())
    assert found is not None and (found == drawn).all()


# --- The page --------------------------------------------------------------------------------------------------------


def test_without_a_run_the_page_says_what_to_do() -> None:
    app = opened()
    assert "Train one first" in texts(app)
    assert "Train the base network" in [link.proto.label for link in app.get("page_link")]


def test_mistakes_show_figures_and_images_of_the_epoch(tmp_path: Path) -> None:
    identity = store_trained(tmp_path / "runs")
    app = opened(run=identity)
    data = dataset.load("sample")
    probabilities = RunStore(tmp_path / "runs", 10**9).find(identity).probabilities(3)  # type: ignore[union-attr]
    right = int((probabilities.argmax(axis=1) == data.test_labels).sum())
    assert f"**{right:,} of 1,000** test images are correct" in texts(app)
    first = evaluation.mistakes(probabilities, data.test_labels)[0]
    assert f"Test image {first}: {CLASSES[data.test_labels[first]]}" in html(app)
    assert f"24 of {1000 - right:,} images" in texts(app)
    button(app, "Show 24 more").click().run()
    assert f"48 of {1000 - right:,} images" in texts(app)


def test_a_cell_is_chosen_without_a_mouse_and_is_in_the_address(tmp_path: Path) -> None:
    app = opened(run=store_trained(tmp_path / "runs"))
    next(box for box in app.selectbox if box.label == "True class").set_value(6).run()
    assert "cell" not in url(app)
    next(box for box in app.selectbox if box.label == "Predicted class").set_value(6).run()
    assert url(app)["cell"] == "6-6" and "All mistakes" in [one.label for one in app.button]
    assert html(app).count("Shirt ✓") >= 1
    follow = next(box for box in app.selectbox if box.label.startswith("Follow"))
    row = follow.options[0].removeprefix("Test image ")
    follow.set_value(int(row)).run()
    assert url(app)["section"] == "image" and url(app).get("image", "0") == row
    assert f"Test image {row}: Shirt" in html(app)


def test_an_empty_cell_says_so(tmp_path: Path) -> None:
    assert "no such image" in texts(opened(run=store_trained(tmp_path / "runs"), cell="1-9"))


def test_classes_have_a_table_and_their_calibration(tmp_path: Path) -> None:
    app = opened(run=store_trained(tmp_path / "runs"), section="classes")
    assert not app.dataframe
    table = unfolded(app, "class scores").dataframe[0].value
    assert list(table["class"]) == [*CLASSES, "mean"] and table["images"].iloc[-1] == 1000
    assert "of its predictions are correct" in texts(app)
    assert [one.label for one in app.metric] == ["Expected calibration error"]
    assert "precision **0." in texts(app)


def test_one_image_is_followed_into_every_layer(tmp_path: Path) -> None:
    app = opened(run=store_trained(tmp_path / "runs"), section="image", image="12", epoch="2")
    shown = html(app)
    for title in ("Pixels", "Hidden layer 1", "Hidden layer 2", "Output"):
        assert f"<b>{title}" in shown
    assert "of 32 units above 0" in shown and "5,400 of the images" in texts(app)
    before = url(app)["image"]
    button(app, "Next mistake").click().run()
    assert url(app)["image"] != before


@pytest.mark.parametrize("order", inspect_view.ORDERS)
def test_the_next_image_is_the_next_of_the_chosen_cell(tmp_path: Path, order: str) -> None:
    identity = store_trained(tmp_path / "runs")
    found = RunStore(tmp_path / "runs", 10**9).find(identity).probabilities(3)  # type: ignore[union-attr]
    labels = dataset.load("sample").test_labels
    rows = evaluation.cell(found, labels, 6, 0, doubtful_first=order == "doubtful")
    app = opened(run=identity, section="image", cell="6-0", order=order, image=str(rows[0]))
    button(app, "Next Shirt predicted as T-shirt/top").click().run()
    assert url(app)["image"] == str(rows[1]) and url(app)["cell"] == "6-0"


def test_an_image_that_the_data_set_lacks_is_replaced_and_named(tmp_path: Path) -> None:
    app = opened(run=store_trained(tmp_path / "runs"), section="image", image="9999")
    assert "no test image 9,999" in texts(app) and "Test image 999:" in html(app)


@pytest.mark.parametrize("quantity", inspect_view.QUANTITIES)
def test_inside_has_histograms_of_everything(tmp_path: Path, quantity: str) -> None:
    app = opened(run=store_trained(tmp_path / "runs"), section="inside", quantity=quantity, layer="hidden_2")
    assert len(app.get("vega_lite_chart")) == 1 and not app.info


def test_inside_shows_kernels_and_units(tmp_path: Path) -> None:
    identity = store_trained(tmp_path / "runs")
    app = opened(run=identity, section="inside", part="kernels")
    assert "32 units of hidden layer 1 after epoch 3" in texts(app) and html(app).count("<img") == 2
    app = opened(run=identity, section="inside", part="units")
    assert len(app.get("vega_lite_chart")) == 2


def test_a_network_without_hidden_layers_can_be_inspected(tmp_path: Path) -> None:
    identity = store_trained(tmp_path / "runs", Experiment(layers=0, epochs=3))
    for query in (
        {"section": "image"},
        {"section": "health"},
        {"section": "inside"},
        {"section": "inside", "part": "kernels"},
    ):
        assert not opened(run=identity, **query).error
    assert "no hidden layer" in texts(opened(run=identity, section="inside", part="units"))


def test_a_healthy_run_is_called_so_and_a_sick_one_links_to_train(tmp_path: Path) -> None:
    app = opened(run=store_trained(tmp_path / "runs"), section="health")
    assert "No sign of trouble" in texts(app)
    assert "Measured on 500 training images" in texts(app) and "dCost/ds: how the cost" in texts(app)
    shares, said = app.dataframe[0].value["dead units"], texts(app)
    assert f"at most {shares.max():.1f} % of a layer's units" in said
    broken = store_trained(tmp_path / "runs", Experiment(widths=(32, 16), epochs=3, learning_rate=0.5), broken=True)
    app = opened(run=broken, section="health")
    assert "Diverged" in texts(app) and "in epoch 2" in texts(app)
    assert "Try: Learning rate 0.05" in [link.proto.label for link in app.get("page_link")]
    assert "No sign of trouble" in texts(opened(run=broken, section="health", epoch="1"))


@pytest.mark.parametrize("section", ["mistakes", "classes", "image"])
def test_answers_that_are_no_numbers_are_told(tmp_path: Path, section: str) -> None:
    app = opened(run=store_trained(tmp_path / "runs", broken=True), section=section)
    assert "outputs of this network are NaN" in texts(app)


@pytest.mark.parametrize("part", inspect_view.PARTS)
def test_the_inside_of_a_diverged_network_can_be_looked_at(tmp_path: Path, part: str) -> None:
    assert not opened(run=store_trained(tmp_path / "runs", broken=True), section="inside", part=part).error


def test_an_uploaded_picture_is_answered_or_refused(tmp_path: Path) -> None:
    app = opened(run=store_trained(tmp_path / "runs"), section="try", source="upload")
    canvas = np.full((200, 200), 255, np.uint8)
    canvas[20:180, 70:130] = 90
    buffer = io.BytesIO()
    Image.fromarray(canvas).save(buffer, "PNG")
    app.file_uploader[0].upload("dress.png", buffer.getvalue(), "image/png").run()
    assert "the network predicts" in texts(app) and "What the network sees" in html(app)
    segments(app, "Picture").set_value("draw").run()
    assert "source" not in url(app) and not app.file_uploader
    segments(app, "Picture").set_value("upload").run()
    assert url(app)["source"] == "upload" and "still here" in texts(app) and "What the network sees" in html(app)
    button(app, "Remove it").click().run()
    assert "What the network sees" not in html(app)
    app.file_uploader[0].upload("bad.png", buffer.getvalue()[:60], "image/png").run()
    assert "damaged" in plain(app.error[0].value) and "the network predicts" not in texts(app)
    app.file_uploader[0].upload("IMG_1.HEIC", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(90), "").run()
    assert "This is a HEIC photo" in plain(app.error[0].value) and "still here" not in texts(app)


def test_the_pages_code_needs_no_tensorflow_and_no_numba() -> None:
    code = (
        "import sys\n"
        "from fmnist_core.ui.inspect import health_flags, inside_layers, try_it\n"
        "bad = {'tensorflow', 'keras', 'umap', 'openTSNE', 'numba', 'sklearn', 'scipy'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
