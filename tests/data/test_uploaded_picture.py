"""Pictures that people bring: what the network sees of them, and that no file can do harm."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from fmnist_core.data import dataset, uploaded_picture
from fmnist_core.data.uploaded_picture import PictureError

FILES = ("PNG", "JPEG", "WEBP")


def file_of(image: Image.Image | NDArray[Any], kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, kind, **options)
    return buffer.getvalue()


def garment(height: int = 200, width: int = 300, paper: int = 255, cloth: int = 60) -> NDArray[np.uint8]:
    """A tall rectangle of cloth, left of the middle."""
    canvas = np.full((height, width), paper, np.uint8)
    canvas[20:180, 60:140] = cloth
    return canvas


def test_images_of_the_data_set_pass_unchanged() -> None:
    for image in dataset.load("sample").test_images[:200]:
        seen = uploaded_picture.read(file_of(image))
        assert (seen.image == image).all() and not seen.inverted


@pytest.mark.parametrize("kind", FILES)
def test_a_shop_picture_is_trimmed_centred_and_negated(kind: str) -> None:
    seen = uploaded_picture.read(file_of(garment(), kind))
    assert seen.inverted and seen.image.shape == (28, 28) and seen.image.dtype == np.uint8
    assert (seen.image[:, :6] < 12).all() and (seen.image[:, -6:] < 12).all()  # twice as tall as wide: 14 columns
    assert np.abs(seen.image[1:-1, 9:19].astype(int) - (255 - 60)).max() < 12
    assert [step.title for step in seen.steps] == ["Your picture", "Cropped, in grey", "What the network sees"]


def test_data_set_images_blown_up_on_white_paper_come_back() -> None:
    data = dataset.load("sample")
    for image in data.test_images[:50]:
        large = np.full((500, 400), 255, np.uint8)
        large[60:340, 70:350] = 255 - np.kron(image, np.ones((10, 10), np.uint8))
        assert np.abs(uploaded_picture.read(file_of(large)).image.astype(int) - image).mean() < 25


def test_a_light_garment_on_dark_stays_light_and_its_background_becomes_black() -> None:
    seen = uploaded_picture.read(file_of(garment(paper=40, cloth=220)))
    assert not seen.inverted
    assert seen.image[14, 1] == 0 and seen.image[14, 14] == pytest.approx((220 - 40) * 255 / 215, abs=1)


def test_whoever_looks_may_decide_about_the_negative() -> None:
    content = file_of(garment())
    assert not uploaded_picture.read(content, inverted=False).inverted
    assert uploaded_picture.read(content, inverted=True).inverted


def test_a_picture_without_an_even_background_is_cropped_to_its_middle() -> None:
    ramp = np.tile(np.linspace(0, 255, 400).astype(np.uint8), (200, 1))
    ramp[60:140, 160:240] = 250
    seen = uploaded_picture.read(file_of(ramp))
    assert "not uniform" in seen.steps[1].text
    assert seen.steps[1].image.shape == (200, 200)


def test_transparency_is_white_paper_or_black_where_white_hides_everything() -> None:
    canvas = np.zeros((100, 100, 4), np.uint8)
    canvas[20:80, 20:80, 3] = 255
    assert uploaded_picture.read(file_of(canvas)).image[14, 14] == 255  # black on nothing: negated
    canvas[20:80, 20:80, :3] = 255
    seen = uploaded_picture.read(file_of(canvas))  # white on nothing
    assert seen.image[14, 14] == 255 and not seen.inverted


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_every_kind_of_pixel_gives_the_same_picture(mode: str) -> None:
    grey = Image.fromarray(garment(cloth=0))
    if mode == "I;16":
        content = file_of(np.asarray(grey).astype(np.uint16) * 257)
    else:
        content = file_of(grey.convert("RGB").convert(mode), "JPEG" if mode == "CMYK" else "PNG")
    image = uploaded_picture.read(content).image
    assert np.abs(image.astype(int) - uploaded_picture.read(file_of(grey)).image).mean() < 3


def test_a_photograph_is_turned_upright() -> None:
    turned = Image.fromarray(np.rot90(garment()).copy())  # stored lying on its left side
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    upright = uploaded_picture.read(file_of(garment(), "JPEG", quality=95)).image
    seen = uploaded_picture.read(file_of(turned, "JPEG", quality=95, exif=exif)).image
    assert np.abs(seen.astype(int) - upright).mean() < 3


def test_of_an_animation_the_first_picture_counts() -> None:
    first, second = Image.fromarray(garment()), Image.fromarray(garment()[:, ::-1].copy() // 2)
    for kind in ("PNG", "WEBP"):
        options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
        content = file_of(first, kind, save_all=True, append_images=[second], **options)
        assert (uploaded_picture.read(content).image == uploaded_picture.read(file_of(first)).image).all()


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header declares that many pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def webp_bomb() -> bytes:
    """A WebP file whose header declares 16,384 x 16,384 pixels."""
    body = b"VP8X" + struct.pack("<I", 10) + b"\0" * 4 + b"\xff\x3f\0" * 2
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "0 bytes"),
        (b"\0" * (uploaded_picture.MOST_BYTES + 1), "5,000,001 bytes"),
        (b"GIF89a" + b"\0" * 50, "PNG, JPEG or WebP"),
        (file_of(garment(), "BMP"), "PNG, JPEG or WebP"),
        (file_of(garment(), "JPEG")[:900], "damaged"),
        (file_of(garment())[:-40], "damaged"),
        (bomb(6000, 5000), "6,000 x 5,000 pixels"),
        (bomb(60_000, 50_000), "at most 25 million"),
        (webp_bomb(), "16,384 x 16,384 pixels"),
        (file_of(garment()[:20]), "300 x 20 pixels"),
        (file_of(np.tile(garment()[:30], 2)), "at most 10 times"),
        (file_of(np.full((90, 90), 7, np.uint8)), "one shade"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(content: bytes, told: str) -> None:
    with pytest.raises(PictureError) as refused:
        uploaded_picture.read(content)
    text = str(refused.value)
    assert told in text and ";" in text and text.endswith(".") and "\n" not in text


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=400), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\x20\0\0\0WEBPVP8X"])
)
def test_random_bytes_are_refused(content: bytes, start: bytes) -> None:
    with pytest.raises(PictureError):
        uploaded_picture.read(start + content)


WHOLE = {kind: file_of(Image.fromarray(garment()).resize((90, 60)), kind) for kind in FILES}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(FILES), st.data())
def test_damaged_files_are_read_or_refused(kind: str, data: st.DataObject) -> None:
    content = bytearray(WHOLE[kind])
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=6)):
        content[place] = data.draw(st.integers(0, 255))
    try:
        assert uploaded_picture.read(bytes(content)).image.shape == (28, 28)
    except PictureError as refused:
        assert str(refused)


def test_a_drawing_is_averaged_square_by_square() -> None:
    fine = np.random.default_rng(0).integers(0, 256, (280, 280)).astype(np.uint8)
    seen = uploaded_picture.drawn(fine)
    assert seen.shape == (28, 28) and seen[3, 5] == round(fine[30:40, 50:60].mean())
    small = dataset.load("sample").test_images[0]
    assert (uploaded_picture.drawn(small) == small).all()


@pytest.mark.parametrize("canvas", [np.zeros((27, 28), np.uint8), np.zeros((30, 30), np.uint8), np.zeros((28, 28))])
def test_drawings_of_another_form_are_refused(canvas: NDArray[Any]) -> None:
    with pytest.raises(PictureError, match="multiple of 28"):
        uploaded_picture.drawn(canvas)


@pytest.mark.parametrize("kind", FILES)
def test_the_undamaged_files_are_read(kind: str) -> None:
    assert uploaded_picture.read(WHOLE[kind]).inverted
