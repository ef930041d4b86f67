"""Page Data: its URL, its draws, its pictures and figures against NumPy, and the page itself."""

from __future__ import annotations

import io
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from streamlit.testing.v1 import AppTest

from fmnist_core import dataset
from fmnist_core.charts import images
from fmnist_core.ui import data_grid, data_view
from fmnist_core.ui.data_view import SPLITS, View

ROOT = Path(__file__).parent.parent
IMAGES = 6000
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
def sample(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> dataset.Dataset:
    """The embedded sample as the only data set there is."""
    monkeypatch.delenv("FMNIST_DATA", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path_factory.getbasetemp() / "keras"))
    monkeypatch.setattr(dataset, "DEBIAN_FOLDER", Path("/nonexistent"))
    data = dataset.load()
    assert data.name == "sample"
    return data


# --- The URL --------------------------------------------------------------------------------------------------------


@given(views)
def test_a_link_brings_back_the_view(view: View) -> None:
    assert data_view.from_query(view.query(), IMAGES) == (view, [])


@given(st.sampled_from([field.name for field in fields(View)]), st.text(max_size=12))
def test_any_text_in_the_url_is_a_value_or_one_sentence(name: str, text: str) -> None:
    view, problems = data_view.from_query({name: text}, IMAGES)
    assert data_view.from_query(view.query(), IMAGES) == (view, [])
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
        ("image", "6000", "whole number from 0 to 5,999"),
        ("classes", "0-10", "The default, 0-1-2-3-4-5-6-7-8-9, is used."),
        ("split", "all", "one of training, validation, test"),
        ("validation_fraction", "0.9", "0.5"),
    ],
)
def test_wrong_parameters_are_named(name: str, text: str, told: str) -> None:
    view, (problem,) = data_view.from_query({name: text, "seed" if name != "seed" else "number": "7"}, IMAGES)
    assert told in problem
    assert 7 in (view.seed, view.number)


def test_unknown_parameter_is_named() -> None:
    assert data_view.from_query({"colour": "red"}, IMAGES)[1] == [
        "There is no setting 'colour' on page Data; it is left out."
    ]


# --- Draws and pictures ---------------------------------------------------------------------------------------------


@given(st.integers(0, 9_999), st.integers(1, 20), st.integers(0, 9))
def test_draws_are_of_the_class_without_repeats_and_grow(seed: int, number: int, label: int) -> None:
    labels = np.tile(np.arange(10, dtype=np.uint8), 30)
    rows = data_grid.part_rows(labels, "training", 0.1)
    drawn = data_grid.drawn(labels, rows, label, number, seed)
    assert set(drawn) <= set(rows.tolist())
    assert len(set(drawn.tolist())) == number
    assert (labels[drawn] == label).all()
    assert data_grid.drawn(labels, rows, label, number + 1, seed)[:number].tolist() == drawn.tolist()


def test_parts_are_the_split() -> None:
    labels = np.tile(np.arange(10, dtype=np.uint8), 30)
    train, validation = (set(data_grid.part_rows(labels, split, 0.2)) for split in SPLITS[:2])
    assert not train & validation
    assert len(validation) == 60
    assert len(data_grid.part_rows(labels, "test", 0.2)) == len(labels)


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


# --- The page -------------------------------------------------------------------------------------------------------


def page(**query: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=20)
    app.switch_page("pages/Data.py")
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def test_page_shows_the_grid_of_the_link(sample: dataset.Dataset) -> None:
    app = page(split="test", number="7", classes="3-4", seed="12")
    assert not app.exception
    assert "7 images of each class, drawn at random from the test images" in app.caption[0].value
    assert app.slider(key="data number").value == 7
    assert app.number_input(key="data seed").value == 12


def test_new_draw_takes_the_next_seed_and_the_link_follows(sample: dataset.Dataset) -> None:
    app = page(number="3")
    app.button[0].click().run()
    assert app.number_input(key="data seed").value == 1
    assert {name: values[0] for name, values in app.query_params.items()} == {"number": "3", "seed": "1"}


def test_no_class_chosen_is_said(sample: dataset.Dataset) -> None:
    app = page(classes="none")
    assert "No class is chosen" in app.info[0].value
    assert not app.exception


def test_wrong_link_is_told_until_something_moves(sample: dataset.Dataset) -> None:
    app = page(number="99")
    assert "number is '99'" in app.warning[0].value
    app.slider(key="data number").set_value(4).run()
    assert not app.warning


def test_limits_hold_on_the_server(sample: dataset.Dataset) -> None:
    app = page()
    app.number_input(key="data seed").set_value(123_456).run()
    assert not app.exception
    assert app.query_params == {}
