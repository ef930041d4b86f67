"""The map of images: what the server sends and believes, and a journey over one in a real browser."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra import numpy as arrays
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect
from streamlit.testing.v1 import AppTest

from fmnist_core.charts.images import atlas, atlas_columns
from fmnist_core.data import dataset
from fmnist_core.ui.components.scatter import scatter_map
from tests.support.app_server import Server, new_page

ROOT = Path(__file__).parents[2]


def cloud(at: Any, **changes: Any) -> scatter_map.Cloud:
    count = len(at)
    values: dict[str, Any] = {
        "points": np.asarray(at, np.float32),
        "colours": np.arange(count, dtype=np.uint8) % 2,
        "palette": ("#cc6677", "#5d50c6"),
        "names": ("One", "Two"),
        "true": np.arange(count, dtype=np.uint8) % 2,
        "predicted": np.zeros(count, np.uint8),
        "confidence": np.linspace(0, 1, count, dtype=np.float32),
        "numbers": np.arange(count, dtype=np.int32),
        "atlas": "",
        "classes": ("One", "Two"),
    }
    return scatter_map.Cloud(**(values | changes))


def read(message: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header, and the arrays: read independently of how they are written."""
    (length,) = struct.unpack_from("<I", message)
    header = json.loads(message[4 : 4 + length])
    n, d, at = header["n"], header["dimensions"], 4 + length
    values: dict[str, Any] = {}
    kinds = {"points": ("<i2", n * d), "numbers": ("<u2", n), "colours": ("u1", n), "true": ("u1", n)}
    for name, (kind, count) in (kinds | {"predicted": ("u1", n), "confidence": ("u1", n), "lasso": ("u1", -1)}).items():
        values[name] = np.frombuffer(message, kind, count, at)
        at += values[name].nbytes
    return header, values


@given(
    arrays.arrays(
        np.float32,
        some.tuples(some.integers(1, 40), some.integers(2, 3)),
        elements=some.floats(-(2.0**100), 2.0**100, width=32),
    )
)
def test_points_arrive_in_the_views_box_with_their_shape_kept(points: np.ndarray) -> None:
    header, held = read(scatter_map.message(cloud(points), 620, None, (), "map"))
    seen = held["points"].reshape(points.shape) * header["reach"] / 32767
    assert np.abs(seen).max() <= 1 + 1e-6
    low, high = points.min(0).astype(float), points.max(0).astype(float)
    half = (high - low).max() / 2
    back = seen * (half or 1) + (low + high) / 2
    assert np.abs(back - points).max() <= max(half, 1e-30) / 30_000 + 1e-6 * np.abs(points).max()


def test_maps_that_share_a_box_keep_their_places_and_points_outside_it() -> None:
    box = np.array([[-1, -1], [1, 1]], np.float32)
    header, held = read(scatter_map.message(cloud([[0, 0], [0.5, -1], [3, 0]], corners=box), 620, None, (), "map"))
    assert header["reach"] == 3
    np.testing.assert_allclose(
        held["points"].reshape(-1, 2) * 3.0 / 32767, np.array([[0, 0], [0.5, -1], [3, 0]]), atol=1e-4
    )


def test_ten_thousand_points_are_about_a_hundred_kilobytes() -> None:
    points = np.random.default_rng(0).normal(size=(10_000, 2))
    assert len(scatter_map.message(cloud(points), 620, 3, range(5_000), "map")) < 105_000


def test_marks_are_told_and_those_of_another_map_are_not() -> None:
    header, held = read(scatter_map.message(cloud(np.eye(3, 2)), 620, 7, (0, 2, 9), "map"))
    assert header["picked"] is None
    assert np.flatnonzero(np.unpackbits(held["lasso"])).tolist() == [0, 2]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"points": np.full((3, 2), np.nan, np.float32)}, "points"),
        ({"points": np.zeros((3, 4), np.float32)}, "points"),
        ({"true": np.zeros(2, np.uint8)}, "true"),
        ({"colours": np.full(3, 2, np.uint8)}, "colours"),
        ({"numbers": np.full(3, 70_000, np.int32)}, "numbers"),
        ({"names": ("One",)}, "names"),
    ],
)
def test_what_does_not_fit_together_is_named(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=f"^{word}"):
        cloud(np.zeros((3, 2)), **changes)


@pytest.mark.parametrize("sent", [-1, 5, 1.0, "1", True, None, [1], {"a": 1}])
def test_a_point_that_is_not_there_is_not_opened(sent: object) -> None:
    assert scatter_map._validated(sent, None, 5) == scatter_map.Picked(None, None)


@pytest.mark.parametrize("sent", [[0, 5], [0] * 6, ["0"], [0, None], [True], "012", 3, {"0": 1}, None])
def test_a_lasso_that_cannot_be_is_not_believed(sent: object) -> None:
    assert scatter_map._validated(None, sent, 5) == scatter_map.Picked(None, None)


def test_what_can_be_is_believed() -> None:
    assert scatter_map._validated(4, [3, 1, 1], 5) == scatter_map.Picked(4, (1, 3))
    assert scatter_map._validated(0, [], 5) == scatter_map.Picked(0, ())


@pytest.mark.parametrize("count", [1, 2, 7, 1_000])
def test_an_atlas_holds_every_image_where_it_is_looked_for(count: int) -> None:
    images = dataset.load("sample").test_images[:count]
    picture = np.asarray(Image.open(io.BytesIO(atlas(images))).convert("L"), int)
    across = atlas_columns(count)
    for index in {0, count // 2, count - 1}:
        top, left = 28 * (index // across), 28 * (index % across)
        found = picture[top : top + 28, left : left + 28]
        errors = [np.abs(found - image).mean() for image in images.astype(int)]
        assert int(np.argmin(errors)) == index
        assert errors[index] < 12


SCRIPT = """
import numpy as np
import streamlit as st
from fmnist_core.data import dataset
from fmnist_core.charts import theme
from fmnist_core.charts.images import atlas
from fmnist_core.ui.components.scatter import scatter_map as scatter

st.set_page_config(layout="wide")
data = dataset.load("sample")
count = 600
labels = data.test_labels[:count]
epoch = st.number_input("Epoch", 0, 9, 9)
colouring = st.radio("Colour by", ["class", "confidence"])
deep = st.checkbox("Deep")
rng = np.random.default_rng(0)
angle = labels * 2 * np.pi / 10
# Ten separate heaps on a circle; one lone point in the middle.
points = np.c_[np.cos(angle), np.sin(angle), 0 * angle] * (1 + epoch) + rng.normal(0, 0.05 * (1 + epoch), (count, 3))
points[0] = 0
predicted = np.where(np.arange(count) == 0, (labels + 1) % 10, labels).astype(np.uint8)
confidence = np.linspace(1, 0, count, dtype=np.float32)
continuous = colouring == "confidence"


def changed(did):
    if did.point is not None:
        st.session_state.picked = did.point
    if did.lasso is not None:
        st.session_state.lasso = did.lasso


did = scatter.show(
    scatter.Cloud(
        points=points[:, : 3 if deep else 2].astype(np.float32),
        colours=(confidence * 31).astype(np.uint8) if continuous else labels,
        palette=tuple(f"hsl({7 * k} 60% 50%)" for k in range(32)) if continuous else theme.CLASS_COLOURS,
        names=() if continuous else dataset.CLASSES,
        true=labels,
        predicted=predicted,
        confidence=confidence,
        numbers=np.arange(count, dtype=np.int32) + 1000,
        atlas=scatter.atlas_url(atlas(data.test_images[:count]), "test"),
        classes=dataset.CLASSES,
        gradient=("Confidence", "0 %", "100 %") if continuous else None,
        corners=np.array([[-12] * (3 if deep else 2), [12] * (3 if deep else 2)], np.float32),
    ),
    key="map",
    picked=st.session_state.get("picked"),
    lasso=st.session_state.get("lasso", ()),
    on_change=changed,
    file="test map",
)
st.text(f"opened {st.session_state.get('picked')}, now {did.point}, chosen {len(st.session_state.get('lasso', ()))}")
"""


def test_the_map_stands_in_a_script_and_its_atlas_has_an_address() -> None:
    app = AppTest.from_string(SCRIPT, default_timeout=30).run()
    assert not app.exception
    assert app.text[0].value == "opened None, now None, chosen 0"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with nothing but the map."""
    folder = tmp_path_factory.mktemp("scatter")
    (folder / "map.py").write_text(SCRIPT)
    server = Server(folder / "runs", folder / "map.py")
    yield server
    server.close()


@pytest.fixture
def page(server: Server, browser: Browser) -> Iterator[Page]:
    page = new_page(browser, 1200, 950, reduced_motion=True)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(server.url)
    expect(page.get_by_role("application")).to_be_visible()
    yield page
    page.context.close()
    assert not errors


def canvas(page: Page) -> Locator:
    return page.get_by_role("application")


def centre(page: Page) -> tuple[float, float]:
    box = canvas(page).bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def told(page: Page) -> Locator:
    return page.get_by_test_id("stText")


def entry(page: Page, name: str) -> Locator:
    return page.get_by_title(f"Show or hide {name}", exact=True)


def away(page: Page, right: float, down: float, steps: int = 3) -> None:
    """Move the pointer to a place told from the middle of the map."""
    x, y = centre(page)
    page.mouse.move(x + right, y + down, steps=steps)


def point_at(page: Page, right: float, down: float, words: str) -> None:
    """Move the pointer there until the card shows these words, as a hand does: points that still move come by late."""
    card = page.locator(".card")
    for _ in range(20):
        away(page, right + 40, down + 40)
        away(page, right, down)
        try:
            expect(card).to_contain_text(words, timeout=1_000)
            expect(card).to_be_visible(timeout=1_000)
            return
        except AssertionError:
            continue
    expect(card).to_contain_text(words)


def heap(page: Page) -> float:
    """How far right of the middle the first class lies at first sight, at epoch 9."""
    box = canvas(page).bounding_box()
    assert box
    return 10 / 12 * 0.47 * min(box["width"], box["height"])


def to_epoch(page: Page, epoch: int) -> None:
    field = page.get_by_role("spinbutton", name="Epoch")
    field.fill(str(epoch))
    field.press("Enter")


def first_class() -> int:
    """How many points the first heap has: all of the first class but the lone point in the middle."""
    return int((dataset.load("sample").test_labels[1:600] == 0).sum())


@pytest.mark.browser
def test_a_pointer_shows_the_image_and_a_click_opens_it(page: Page) -> None:
    away(page, 0, 0)
    card = page.locator(".card")
    truth = dataset.load("sample").test_labels[0]
    for words in (
        dataset.CLASSES[truth],
        f"✗ predicted {dataset.CLASSES[(truth + 1) % 10]}",
        "confidence 100 %",
        "image 1,000",
    ):
        expect(card).to_contain_text(words)
    picture = card.locator("canvas")
    expect(picture).to_be_visible()
    pixels = picture.evaluate(
        "c => [...c.getContext('2d').getImageData(0, 0, 28, 28).data].filter((_, k) => k % 4 == 0)"
    )
    image = dataset.load("sample").test_images[0].astype(int)
    assert np.abs(np.reshape(pixels, (28, 28)) - image).mean() < 12
    page.mouse.down()
    page.mouse.up()
    expect(told(page)).to_have_text("opened 0, now 0, chosen 0")
    to_epoch(page, 8)
    expect(told(page)).to_have_text("opened 0, now None, chosen 0")
    away(page, 60, 60)
    expect(card).to_be_hidden()


@pytest.mark.browser
def test_the_images_are_loaded_once_and_stay_over_reruns(page: Page) -> None:
    atlases = "performance.getEntriesByType('resource').map(entry => entry.name).filter(name => name.endsWith('.webp'))"
    page.wait_for_function(f"{atlases}.length > 0")
    for epoch in (8, 7):
        to_epoch(page, epoch)
        page.get_by_text("confidence" if epoch == 8 else "class", exact=True).click()
        expect(page.locator(".gradient")).to_have_count(1 if epoch == 8 else 0)
    assert len(page.evaluate(atlases)) == 1
    assert page.evaluate(f"fetch({atlases}[0], {{cache: 'no-store'}}).then(answer => answer.status)") == 200


@pytest.mark.browser
def test_the_legend_counts_hides_and_isolates_and_keeps_its_filter(page: Page) -> None:
    counts = np.bincount(dataset.load("sample").test_labels[:600], minlength=10)
    for name, count in zip(dataset.CLASSES, counts, strict=True):
        expect(entry(page, name)).to_have_text(f"{name}{count}")
    card, first = page.locator(".card"), entry(page, "T-shirt/top")
    away(page, heap(page), 0)
    expect(card).to_contain_text("T-shirt/top")
    first.click()
    expect(first).to_have_attribute("aria-pressed", "false")
    away(page, heap(page), 0)
    expect(card).to_be_hidden()
    to_epoch(page, 8)
    page.get_by_text("confidence", exact=True).click()
    expect(page.locator(".gradient")).to_contain_text("Confidence0 %100 %")
    page.get_by_text("class", exact=True).click()
    expect(first).to_have_attribute("aria-pressed", "false")
    page.get_by_role("button", name="Show all").click()
    expect(first).to_have_attribute("aria-pressed", "true")
    entry(page, "Bag").dblclick()
    pressed = [entry(page, name).get_attribute("aria-pressed") for name in dataset.CLASSES]
    assert pressed == ["true" if name == "Bag" else "false" for name in dataset.CLASSES]
    page.get_by_role("button", name="Only Coat").press("Enter")
    expect(entry(page, "Coat")).to_have_attribute("aria-pressed", "true")
    expect(entry(page, "Bag")).to_have_attribute("aria-pressed", "false")


@pytest.mark.browser
def test_a_lasso_takes_the_points_inside_it_until_it_is_cleared(page: Page) -> None:
    far, lasso = heap(page), page.get_by_role("button", name="Lasso")
    lasso.click()
    expect(lasso).to_have_attribute("aria-pressed", "true")
    around = [(70, 0), (0, 80), (-70, 0), (0, -80), (70, 0)]

    def draw() -> None:
        away(page, far + around[0][0], around[0][1])
        page.mouse.down()
        for right, down in around[1:]:
            away(page, far + right, down)
        page.mouse.up()

    draw()
    expect(told(page)).to_have_text(f"opened None, now None, chosen {first_class()}")
    chosen = page.locator(".chosen")
    expect(chosen).to_have_text(f"{first_class()} images selected ✕")
    page.keyboard.press("Escape")
    expect(told(page)).to_have_text("opened None, now None, chosen 0")
    expect(chosen).to_be_hidden()
    expect(lasso).to_have_attribute("aria-pressed", "false")
    page.keyboard.down("Shift")
    draw()
    page.keyboard.up("Shift")
    expect(told(page)).to_have_text(f"opened None, now None, chosen {first_class()}")


@pytest.mark.browser
def test_zoom_and_pan_stay_when_points_move_and_reset_undoes_them(page: Page) -> None:
    card, far = page.locator(".card"), heap(page)
    away(page, 0, 0)
    for _ in range(4):
        page.mouse.wheel(0, -200)
    zoom = float(np.exp(4 * 200 * 0.002))
    away(page, 30, 90)
    page.mouse.down()
    away(page, -90, 50)
    page.mouse.up()
    to_epoch(page, 0)
    expect(told(page)).to_contain_text("now None")
    for right, name in ((0, f"image {1000:,}"), (far / 10 * zoom, "T-shirt/top")):
        point_at(page, right - 120, -40, name)
    away(page, 200, 200)
    expect(card).to_be_hidden()
    page.get_by_role("button", name="Reset view").click()
    away(page, 0, 0)
    expect(card).to_contain_text("image 1,000")


@pytest.mark.browser
def test_everything_goes_by_the_keyboard(page: Page) -> None:
    live = page.locator(".live")
    canvas(page).focus()
    page.keyboard.press("ArrowRight")
    expect(live).to_contain_text("Image 1,000.")
    page.keyboard.press("ArrowRight")
    expect(live).to_contain_text("True class T-shirt/top.")
    page.keyboard.press("Enter")
    expect(told(page)).to_contain_text("chosen 0")
    expect(told(page)).not_to_contain_text("opened None")
    opened = int(told(page).inner_text().split(",")[0].removeprefix("opened "))
    assert dataset.load("sample").test_labels[opened] == 0
    expect(page.locator(".card")).to_be_hidden()


@pytest.mark.browser
def test_a_map_in_three_dimensions_turns(page: Page) -> None:
    away(page, 0, 0)
    page.get_by_text("Deep").click()
    before = canvas(page).screenshot()
    expect(page.get_by_role("checkbox", name="Deep")).to_be_checked()
    away(page, 100, 100)
    page.mouse.down()
    away(page, 250, 130)
    page.mouse.up()
    assert canvas(page).screenshot() != before
    away(page, 0, 0)
    expect(page.locator(".card")).to_contain_text("image 1,000")


DISTINCT = """
const component = document.querySelector("[data-testid=stBidiComponentIsolated]");
const canvas = component.shadowRoot.querySelector(".stage > canvas");
const seen = window.seen = new Set();
const look = () => {
  const row = canvas.getContext("2d").getImageData(0, canvas.height / 2, canvas.width, 1).data;
  seen.add(row.join());
  requestAnimationFrame(look);
};
look();
"""


@pytest.mark.browser
@pytest.mark.parametrize("calm", [False, True])
def test_points_move_smoothly_unless_the_reader_wants_less_motion(page: Page, calm: bool) -> None:
    page.emulate_media(reduced_motion="reduce" if calm else "no-preference")
    page.evaluate(DISTINCT)
    to_epoch(page, 0)
    if calm:
        page.wait_for_function("window.seen.size > 1")
        frames = "let n = 40; const next = () => n-- ? requestAnimationFrame(next) : done(seen.size); next();"
        assert page.evaluate(f"new Promise(done => {{ {frames} }})") == 2
    else:
        page.wait_for_function("window.seen.size > 4")


@pytest.mark.browser
def test_the_picture_can_be_taken_away(page: Page, tmp_path: Path) -> None:
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download picture").click()
    assert waiting.value.suggested_filename == "test map.png"
    waiting.value.save_as(tmp_path / "map.png")
    box = canvas(page).bounding_box()
    assert box
    with Image.open(tmp_path / "map.png") as picture:
        assert picture.width > box["width"] + 150
        legend = np.asarray(picture.convert("RGB").crop((picture.width - 200, 0, *picture.size)))
    assert len(np.unique(legend.reshape(-1, 3), axis=0)) > 20
