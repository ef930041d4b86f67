"""Pictures that people bring: what the network sees of them, and that no file can do harm."""

from __future__ import annotations

import gzip
import io
import struct
import subprocess
import sys
import tomllib
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from fmnist_core.data import dataset, uploaded_picture
from fmnist_core.data.uploaded_picture import PictureError, Seen

FILES = ("PNG", "JPEG", "WEBP")


def file_of(image: Image.Image | NDArray[Any], kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, kind, **options)
    return buffer.getvalue()


def seen_in(content: bytes) -> Seen:
    return uploaded_picture.read(content).seen()


def garment(height: int = 200, width: int = 300, paper: int = 255, cloth: int = 60) -> NDArray[np.uint8]:
    """A tall rectangle of cloth, left of the middle."""
    canvas = np.full((height, width), paper, np.uint8)
    canvas[20:180, 60:140] = cloth
    return canvas


def test_images_of_the_data_set_pass_unchanged() -> None:
    for image in dataset.load("sample").test_images[:200]:
        seen = seen_in(file_of(image))
        assert (seen.image == image).all() and not seen.inverted


@pytest.mark.parametrize("kind", FILES)
def test_a_shop_picture_is_trimmed_centred_and_negated(kind: str) -> None:
    seen = seen_in(file_of(garment(), kind))
    assert seen.inverted and seen.image.shape == (28, 28) and seen.image.dtype == np.uint8
    assert (seen.image[:, :6] < 12).all() and (seen.image[:, -6:] < 12).all()  # twice as tall as wide: 14 columns
    assert np.abs(seen.image[1:-1, 9:19].astype(int) - (255 - 60)).max() < 12
    assert [step.title for step in seen.steps] == ["Your picture", "Cropped, in grey", "What the network sees"]


def test_data_set_images_blown_up_on_white_paper_come_back() -> None:
    data = dataset.load("sample")
    for image in data.test_images[:50]:
        large = np.full((500, 400), 255, np.uint8)
        large[60:340, 70:350] = 255 - np.kron(image, np.ones((10, 10), np.uint8))
        assert np.abs(seen_in(file_of(large)).image.astype(int) - image).mean() < 25


def test_a_light_garment_on_dark_stays_light_and_its_background_becomes_black() -> None:
    seen = seen_in(file_of(garment(paper=40, cloth=220)))
    assert not seen.inverted
    assert seen.image[14, 1] == 0 and seen.image[14, 14] == pytest.approx((220 - 40) * 255 / 215, abs=1)


def test_whoever_looks_may_decide_about_the_negative() -> None:
    content = file_of(garment())
    assert not uploaded_picture.read(content).seen(inverted=False).inverted
    assert uploaded_picture.read(content).seen(inverted=True).inverted


def test_a_picture_without_an_even_background_is_cropped_to_its_middle() -> None:
    ramp = np.tile(np.linspace(0, 255, 400).astype(np.uint8), (200, 1))
    ramp[60:140, 160:240] = 250
    seen = seen_in(file_of(ramp))
    assert "not uniform" in seen.steps[1].text
    assert seen.steps[1].image.shape == (200, 200)


def test_transparency_is_white_paper_or_black_where_white_hides_everything() -> None:
    canvas = np.zeros((100, 100, 4), np.uint8)
    canvas[20:80, 20:80, 3] = 255
    assert seen_in(file_of(canvas)).image[14, 14] == 255  # black on nothing: negated
    canvas[20:80, 20:80, :3] = 255
    seen = seen_in(file_of(canvas))  # white on nothing
    assert seen.image[14, 14] == 255 and not seen.inverted


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_every_kind_of_pixel_gives_the_same_picture(mode: str) -> None:
    grey = Image.fromarray(garment(cloth=0))
    if mode == "I;16":
        content = file_of(np.asarray(grey).astype(np.uint16) * 257)
    else:
        content = file_of(grey.convert("RGB").convert(mode), "JPEG" if mode == "CMYK" else "PNG")
    image = seen_in(content).image
    assert np.abs(image.astype(int) - seen_in(file_of(grey)).image).mean() < 3


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_turned_upright(kind: str, orientation: int) -> None:
    """EXIF 2.32, table 6: the side of the stored picture at which the photograph's top and left are."""
    scene = garment()
    scene[20:60, 60:100] = 0  # no turn and no mirror leaves it as it is
    turned = np.rot90(scene, {3: 2, 4: 2, 5: 1, 6: 1, 7: 3, 8: 3}.get(orientation, 0))
    stored = Image.fromarray((turned if orientation in (1, 3, 6, 8) else turned[:, ::-1]).copy())
    if orientation in (5, 7):
        stored = Image.fromarray(scene).transpose(
            Image.Transpose.TRANSPOSE if orientation == 5 else Image.Transpose.TRANSVERSE
        )
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = seen_in(file_of(scene, kind, quality=95)).image
    seen = seen_in(file_of(stored, kind, quality=95, exif=exif)).image
    assert np.abs(seen.astype(int) - upright).mean() < 3


def test_of_an_animation_the_first_picture_counts() -> None:
    first, second = Image.fromarray(garment()), Image.fromarray(garment()[:, ::-1].copy() // 2)
    for kind in ("PNG", "WEBP"):
        options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
        content = file_of(first, kind, save_all=True, append_images=[second], **options)
        assert (seen_in(content).image == seen_in(file_of(first)).image).all()


def png(width: int, height: int, bits: int, colours: int, rows: bytes) -> bytes:
    """A PNG file. colours: 0 for grey, 2 for red, green and blue. rows: each after a byte 0."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header declares that many pixels."""
    return png(width, height, 8, 0, b"\0")


def webp_bomb() -> bytes:
    """A WebP file whose header declares 16,384 x 16,384 pixels."""
    body = b"VP8X" + struct.pack("<I", 10) + b"\0" * 4 + b"\xff\x3f\0" * 2
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("dress.jpg", file_of(garment(), "JPEG"))
    return buffer.getvalue()


def jpeg_of(width: int, height: int, frame: int, factors: tuple[int, ...], scanned: int | None = None) -> bytes:
    """The header of a JPEG, ITU-T T.81. frame: marker, 0xC2 is progressive. factors: of each component's sampling.

    scanned: components in the first scan; all where it is not given.
    """
    count = len(factors)
    components = b"".join(bytes([number + 1, factor, 0]) for number, factor in enumerate(factors))
    sof = struct.pack(">HBHHB", 8 + 3 * count, 8, height, width, count) + components
    scans = scanned or count
    sos = struct.pack(">HB", 6 + 2 * scans, scans) + b"\1\0" * scans + b"\0\x3f\0"
    return (
        b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xff"
        + bytes([frame])
        + sof
        + b"\xff\xda"
        + sos
        + b"\0" * 50
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "0 bytes"),
        (b"\0" * (uploaded_picture.MOST_MB * 1024**2 + 1), "25.0 MB, but at most 25"),
        (b"\1\2\3\4" * 9, "begins with"),
        (b"plain text", "begins with plain te"),
        (b"GIF89a" + b"\0" * 50, "This is a GIF picture"),
        (file_of(garment(), "BMP"), "This is a BMP picture"),
        (file_of(garment(), "TIFF"), "This is a TIFF picture"),
        (file_of(garment(), "AVIF"), "This is an AVIF picture"),
        (file_of(garment(), "JPEG2000"), "This is a JPEG 2000 picture"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 90, "This is a HEIC photo"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf" + b"\0" * 90, "Most Compatible"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf" + b"\0" * 90, "This is an AVIF picture"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  " + b"\0" * 90, "This is a video"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "This is an SVG drawing"),
        (b"\xef\xbb\xbf <!DOCTYPE html><html>", "This is a web page"),
        (b"%PDF-1.7\n" + b"\0" * 50, "This is a PDF document"),
        (zipped(), "unpack it"),
        (gzip.compress(file_of(garment())), "This is a gzip archive"),
        (
            jpeg_of(8_200, 6_100, 0xC2, (0x11, 0x11, 0x11)),
            "progressive JPEG of 8,200 x 6,100 pixels, which takes 300 MB",
        ),
        (jpeg_of(8_200, 6_100, 0xC0, (0x11, 0x11, 0x11), scanned=1), "which takes 300 MB"),
        (jpeg_of(12_000, 10_100, 0xC0, (0x22, 0x11, 0x11)), "at most 120 million"),
        (jpeg_of(65_500, 65_500, 0xC0, (0x11,)), "more pixels than any screen"),
        (file_of(garment(), "JPEG")[:900], "damaged"),
        (file_of(garment())[:-40], "damaged"),
        (bomb(6000, 5000), "6,000 x 5,000 pixels, but at most 25 million"),
        (bomb(60_000, 50_000), "more pixels than any screen"),
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


def photo(width: int, height: int, **options: Any) -> bytes:
    """A garment in front of a wall, with the noise of a sensor."""
    scene = np.full((height, width, 3), 225, np.uint8)
    scene[height // 5 : 4 * height // 5, width // 3 : 2 * width // 3] = (40, 60, 120)
    noise = np.random.default_rng(0).integers(0, 24, (height // 8, width // 8, 1), np.uint8)
    scene += np.kron(noise, np.ones((8, 8, 1), np.uint8))
    return file_of(scene, "JPEG", quality=90, **options)


@pytest.mark.parametrize(
    ("width", "height", "more"), [(4000, 3000, {}), (8064, 6048, {}), (8064, 6048, {"progressive": True})]
)
def test_a_photograph_from_a_telephone_is_read_in_bounded_memory(width: int, height: int, more: dict[str, Any]) -> None:
    """The peak of another process, in which nothing else happens."""
    code = (
        "import resource, sys\n"
        "from fmnist_core.data import uploaded_picture\n"
        "content = sys.stdin.buffer.read()\n"
        "from PIL import JpegImagePlugin\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "before = peak()\n"
        "seen = uploaded_picture.read(content).seen()\n"
        "print(peak() - before, seen.inverted, seen.image[14, 14], seen.image[14, 0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=photo(width, height, **more), capture_output=True, check=True
    )
    taken, inverted, middle, edge = done.stdout.decode().split()
    assert inverted == "True" and int(middle) > 150 and int(edge) < 30
    assert int(taken) < (1.2 * uploaded_picture.MOST_MEMORY if more else 80_000_000)


def test_several_pictures_in_one_file_are_read() -> None:
    """MPO, as some telephones and cameras write it under the ending .jpg."""
    first = Image.fromarray(garment())
    content = file_of(first, "MPO", save_all=True, append_images=[first], quality=95)
    assert np.abs(seen_in(content).image.astype(int) - seen_in(file_of(first)).image).mean() < 3


def test_16_bits_a_channel_and_transparency_in_palettes_are_read() -> None:
    deep = garment()[:, :, None].repeat(3, axis=2).astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in deep)
    plain = seen_in(file_of(garment())).image
    assert (seen_in(png(300, 200, 16, 2, rows)).image == plain).all()
    palette = Image.fromarray(garment()).convert("P")
    assert np.abs(seen_in(file_of(palette, transparency=0)).image.astype(int) - plain).mean() < 3


def test_the_sentence_and_the_servers_limit_agree() -> None:
    config = tomllib.loads((Path(__file__).parents[2] / ".streamlit" / "config.toml").read_text())
    assert config["server"]["maxUploadSize"] == uploaded_picture.MOST_MB
    assert f"up to {uploaded_picture.MOST_MB} MB" in uploaded_picture.ALLOWED


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
        assert seen_in(bytes(content)).image.shape == (28, 28)
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
    assert seen_in(WHOLE[kind]).inverted
