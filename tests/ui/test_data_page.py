"""Page Data: its URL, its draws, its pictures and figures against NumPy, and the page itself."""

from __future__ import annotations

import io
import os
import threading
import time
from dataclasses import fields
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from streamlit.testing.v1 import AppTest

from fmnist_core.charts import dataset_charts as charts
from fmnist_core.charts import images, preparation
from fmnist_core.data import class_pixels, dataset
from fmnist_core.data.dataset import draw
from fmnist_core.ui.data import data_source, image_grid
from fmnist_core.ui.data.data_view import SPLITS, View
from tests.support.screens import plain

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("no_workers")
IMAGES = len(dataset.load().train_images)
needs_full = pytest.mark.skipif(
    not dataset.DEBIAN_FOLDER.is_dir() and not os.environ.get("CI"), reason="needs the package dataset-fashion-mnist"
)
views = st.builds(
    View,
    split=st.sampled_from(SPLITS),
    number=st.integers(1, 20),
    classes=st.sets(st.integers(0, 9)).map(sorted).map(tuple),
    seed=st.integers(0, 9_999),
    validation_fraction=st.integers(5, 50).map(lambda percent: percent / 100),
    image=st.integers(0, IMAGES - 1),
)


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dataset.Dataset:
    """The embedded sample as the only data set there is."""
    monkeypatch.delenv("FMNIST_DATA", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("FMNIST_MIRROR", "http://127.0.0.1:1")
    data_source._downloader.clear()
    monkeypatch.setattr(dataset, "DEBIAN_FOLDER", Path("/nonexistent"))
    data = dataset.load()
    assert data.name == "sample"
    return data


# --- The URL --------------------------------------------------------------------------------------------------------


@given(views)
def test_a_link_brings_back_the_view(view: View) -> None:
    assert View.from_query(view.query()) == (view, [])


@given(st.sampled_from([field.name for field in fields(View)]), st.text(max_size=12))
def test_any_text_in_the_url_is_a_value_or_one_sentence(name: str, text: str) -> None:
    view, problems = View.from_query({name: text})
    assert View.from_query(view.query()) == (view, [])
    if problems:
        assert view == View()
        assert name in problems[0]
        assert problems[0].endswith("is used.")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("number", "21", "number is '21', but it must be a whole number from 1 to 20. The default, 5, is used."),
        ("number", "1_0", "whole number"),
        ("seed", "-1", "whole number from 0 to 9,999"),
        ("image", str(IMAGES), f"whole number from 0 to {IMAGES - 1:,}"),
        ("classes", "0-10", "The default, 0-1-2-3-4-5-6-7-8-9, is used."),
        ("split", "all", "one of training, validation, test"),
        ("validation_fraction", "0.9", "0.5"),
    ],
)
def test_wrong_parameters_are_named(name: str, text: str, told: str) -> None:
    view, (problem,) = View.from_query({name: text, "seed" if name != "seed" else "number": "7"})
    assert told in problem
    assert 7 in (view.seed, view.number)


def test_unknown_parameter_is_named() -> None:
    known = "split, number, classes, seed, validation_fraction, image"
    sentence = f"There is no setting 'colour' on page Data; the known ones are {known}. It is ignored."
    assert View.from_query({"colour": "red"})[1] == [sentence]


# --- Draws and pictures ---------------------------------------------------------------------------------------------


@given(st.integers(0, 9_999), st.integers(1, 20), st.integers(0, 9))
def test_draws_are_of_the_class_without_repeats_and_grow(seed: int, number: int, label: int) -> None:
    labels = np.tile(np.arange(10, dtype=np.uint8), 30)
    rows = image_grid.part_rows(labels, "training", 0.1)
    drawn = draw(labels, rows, label, number, seed)
    assert set(drawn) <= set(rows.tolist())
    assert len(set(drawn.tolist())) == number
    assert (labels[drawn] == label).all()
    assert draw(labels, rows, label, number + 1, seed)[:number].tolist() == drawn.tolist()


def test_parts_are_the_split() -> None:
    labels = np.tile(np.arange(10, dtype=np.uint8), 30)
    train, validation = (set(image_grid.part_rows(labels, split, 0.2)) for split in SPLITS[:2])
    assert not train & validation
    assert len(validation) == 60
    assert len(image_grid.part_rows(labels, "test", 0.2)) == len(labels)


def test_strip_keeps_every_pixel() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    pixels = np.asarray(images.enlarged(images.strip(pictures, 4), 3))[::3, ::3]
    assert pixels.shape == (28, 4 * 29 - 1, 2)
    for place in range(3):
        own = pixels[:, place * 29 : place * 29 + 28]
        assert np.array_equal(own[..., 0], pictures[place])
        assert (own[..., 1] == 255).all()
    assert not pixels[:, 28, 1].any()
    assert not pixels[:, 87:, 1].any()


def test_sheet_is_a_png_with_all_rows() -> None:
    row = images.Row("Coat", "#56b4e9", np.full((5, 28, 28), 200, np.uint8), "")
    one, ten = (Image.open(io.BytesIO(images.sheet([row] * n, 5, "caption"))) for n in (1, 10))
    assert one.format == "PNG"
    assert ten.height > 8 * (one.height - 40)


# --- Figures --------------------------------------------------------------------------------------------------------


def test_class_pixels_are_what_plain_numpy_says(sample: dataset.Dataset) -> None:
    found = class_pixels.describe(sample.train_images, sample.train_labels, sample.test_images, sample.test_labels, 10)
    flat = sample.train_images.reshape(-1, 784).astype(float)
    means = np.array([flat[sample.train_labels == label].mean(axis=0) for label in range(10)])
    assert np.allclose(found.means.reshape(10, 784), means, atol=1e-3)
    assert found.intensities.sum() == sample.train_images.size
    assert found.intensities[3, 255] == (sample.train_images[sample.train_labels == 3] == 255).sum()
    shirts, coats = (flat[sample.train_labels == label] for label in (6, 4))
    wrong = sum(
        (np.linalg.norm(own - means[other], axis=1) < np.linalg.norm(own - means[label], axis=1)).sum()
        for own, label, other in ((shirts, 6, 4), (coats, 4, 6))
    )
    assert found.mixed_up[4, 6] == pytest.approx(wrong / (len(shirts) + len(coats)), abs=0.001)
    test = sample.test_images.reshape(-1, 1, 784).astype(float)
    nearest = np.linalg.norm(test - means, axis=2).argmin(axis=1)
    assert found.accuracy == pytest.approx((nearest == sample.test_labels).mean(), abs=0.002)


def test_closest_pairs_are_the_highest_shares_once_each() -> None:
    nearer = np.array([[0.0, 0.4, 0.1], [0.2, 0.0, 0.0], [0.3, 0.1, 0.0]])
    found = class_pixels.ClassPixels(
        np.array([10, 10, 30]), np.zeros((3, 28, 28), np.float32), np.zeros((3, 256), np.int64), nearer, 0
    )
    assert found.mixed_up[0, 2] == pytest.approx((0.1 * 10 + 0.3 * 30) / 40)
    assert [pair[:2] for pair in found.closest_pairs(9)] == [(0, 1), (0, 2), (1, 2)]


def test_intensities_are_shares_of_what_is_not_black() -> None:
    values = np.zeros((2, 256), np.int64)
    values[0, [0, 1, 255]] = 50, 20, 30
    values[1, 0] = 100
    rows = charts.intensity_rows(values, ("a", "b"))
    assert rows[rows["class"] == "a"]["share"].tolist()[::16] == [0.4, 0.6]
    assert rows.groupby("class")["black"].first().tolist() == [0.5, 1.0]
    assert not rows[rows["class"] == "b"]["share"].any()


def test_charts_hold_the_figures() -> None:
    counts = {part: np.full(10, number) for part, number in (("training", 54), ("validation", 6), ("test", 10))}
    balance = charts.balance(counts, dataset.CLASSES).to_dict()
    assert "same number" in balance["title"]
    (rows,) = balance["datasets"].values()
    assert sum(row["images"] for row in rows) == 700
    counts["test"][3] = 9
    assert "same number" not in charts.balance(counts, dataset.CLASSES).to_dict()["title"]
    shares = np.full((10, 10), 0.25)
    rows = charts.similarity_rows(shares, dataset.CLASSES)
    assert len(rows) == 90
    assert charts.similarity_map(rows, dataset.CLASSES).to_dict()
    assert charts.similarity_map(rows.assign(share=0.0), dataset.CLASSES).to_dict()


def test_patch_is_the_square_with_the_most_contrast() -> None:
    image = np.zeros((28, 28), np.uint8)
    image[14:21, 7:10] = 255
    assert preparation.patch(image) == (14, 7)
    assert preparation.patch(np.zeros((28, 28), np.uint8)) == (0, 0)
    assert "1.00" in preparation.before_and_after(image, "told")


# --- The page -------------------------------------------------------------------------------------------------------


def page(**query: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=20)
    app.switch_page("pages/Data.py")
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def slider(app: AppTest, label: str) -> Any:
    return next(one for one in app.slider if one.label == label)


def number(app: AppTest, label: str) -> Any:
    return next(one for one in app.number_input if one.label == label)


def test_page_shows_the_grid_of_the_link(sample: dataset.Dataset) -> None:
    app = page(split="test", number="7", classes="3-4", seed="12")
    assert not app.exception
    assert "7 images of each class, drawn at random from the test images" in app.caption[0].value
    assert slider(app, "Images of each class").value == 7
    assert number(app, "Seed").value == 12


def test_new_draw_takes_the_next_seed_and_the_link_follows(sample: dataset.Dataset) -> None:
    app = page(number="3")
    app.button(key="data new draw").click().run()
    assert number(app, "Seed").value == 1
    assert {name: values[0] for name, values in app.query_params.items()} == {"number": "3", "seed": "1"}


def test_no_class_chosen_is_said(sample: dataset.Dataset) -> None:
    app = page(classes="none")
    assert "No class is chosen" in app.info[0].value
    assert not app.exception


def test_wrong_link_is_told_until_something_moves(sample: dataset.Dataset) -> None:
    app = page(number="99")
    assert "number is '99'" in plain(app.warning[0].value)
    slider(app, "Images of each class").set_value(4).run()
    assert not app.warning


def test_limits_hold_on_the_server(sample: dataset.Dataset) -> None:
    app = page()
    number(app, "Seed").set_value(123_456).run()
    assert not app.exception
    assert app.query_params == {}


def test_offline_download_is_one_sentence_and_can_be_tried_again(sample: dataset.Dataset) -> None:
    app = page()
    assert "embedded sample" in " ".join(text.value for text in app.markdown)
    app.button(key="data download").click().run()
    wait_for_download("failed")
    app.run()
    assert "127.0.0.1 cannot be reached" in plain(app.error[0].value)
    assert app.button(key="data download").label == "Resume the download"


@needs_full
def test_full_set_is_used_as_soon_as_it_has_arrived(
    sample: dataset.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FMNIST_CACHE", str(tmp_path / "cache"))
    handler = partial(SimpleHTTPRequestHandler, directory="/usr/share/datasets/fashion-mnist")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("FMNIST_MIRROR", f"http://127.0.0.1:{server.server_port}")
        app = page(image="5999")
        app.button(key="data download").click().run()
        wait_for_download("done")
        server.shutdown()
    app.run()
    assert not app.exception
    assert "60,000" in app.markdown[0].value
    assert number(app, "Training image (0 to 59,999)").max == 59_999
    assert (tmp_path / "keras" / "datasets" / "fashion-mnist").is_dir()


def wait_for_download(state: str) -> None:
    until = time.monotonic() + 60
    while data_source._downloader().status.state != state:
        assert time.monotonic() < until, data_source._downloader().status
        time.sleep(0.05)


def test_damaged_named_folder_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMNIST_DATA", str(tmp_path))
    app = page()
    assert not app.exception
    assert f"{tmp_path} is empty" in plain(app.error[0].value)
