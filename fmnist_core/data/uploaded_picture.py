"""Turn an uploaded picture into the network's input: 28 x 28 grey values, light on black.

The steps are those by which Fashion-MNIST itself was made (Xiao, Rasul & Vollgraf 2017, arXiv 1708.07747, section 2):
trim what is as the edge is, bring the longer side to 28 pixels, centre, negate. Two differences: the picture is made
smaller by averaging, not by leaving out pixels, and so isn't sharpened; a background that is not even is not trimmed.
"""

from __future__ import annotations

import io
import struct
import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from fmnist_core.errors import LabError

SIDE = 28
FORMATS = ("PNG", "JPEG", "WEBP")
MOST_BYTES = 5_000_000
MOST_PIXELS = 25_000_000  # 24 megapixels, as telephones take them; decoded with transparency 100 MB
MOST_WEBP = 10_000_000  # WebP's decoder holds four copies
NARROWEST = 10
SHOWN = 320  # pixels of the longer side of what is kept to be shown
WORKED, STRIP = 1024, 64  # pixels of the longer side that the steps work on, at least; lines of a strip then
ORIENTATION = 0x0112  # EXIF
EVEN, TOLERANCE = 0.9, 26  # An even background: 90 % of the edge within 26 of 255 (10 %) of its median.
FAINT = 12  # grey values between the darkest and the lightest; with fewer there is nothing to see
# Decoding takes up to 160 MB for a moment: one picture at a time, whoever brings them.
_DECODING = threading.Lock()

Grey = NDArray[np.uint8]


class PictureError(LabError):
    """A picture that cannot be used; the text says why, and what to do."""


@dataclass(frozen=True)
class Step:
    """One change of the picture. text: a sentence. image: its result, uint8 (height, width) or (height, width, 3)."""

    title: str
    text: str
    image: NDArray[np.uint8]


@dataclass(frozen=True)
class Seen:
    """What the network sees, uint8 (28, 28), whether it was inverted, and the steps that led there."""

    image: Grey
    inverted: bool
    steps: tuple[Step, ...]


def read(content: bytes, inverted: bool | None = None) -> Seen:
    """A PNG, JPEG or WebP file as the network sees it; of an animation the first picture.

    inverted: whether light and dark are exchanged; None: where the background is lighter than the object.
    Size and number of pixels are checked on the file's header, before anything is decoded. A picture of 28 x 28 pixels
    is neither trimmed nor resized.

    Raises:
        PictureError: not such a file, damaged, too large, too small, or of one shade only.
    """
    _check_bytes(content)
    with _DECODING:
        colour, grey = _decoded(content)
    return _seen(colour, grey, inverted)


def drawn(canvas: Grey) -> Grey:
    """A drawing on a square canvas as the network sees it, uint8 (28, 28): the mean of each square of pixels.

    canvas: uint8, light on black, its side a multiple of 28. Raises: PictureError.
    """
    sides = canvas.shape
    if canvas.dtype != np.uint8 or len(sides) != 2 or sides[0] != sides[1] or not sides[0] or sides[0] % SIDE:
        raise PictureError(
            f"The drawing has shape {sides} and type {canvas.dtype}, but it must be a square of grey values"
            f" (uint8) with a multiple of {SIDE} pixels a side."
        )
    square = sides[0] // SIDE
    return np.asarray(np.rint(canvas.reshape(SIDE, square, SIDE, square).mean(axis=(1, 3))), np.uint8)


# --- Reading a file ---------------------------------------------------------------------------------------------------


def _check_bytes(content: bytes) -> None:
    if not content:
        raise PictureError("The picture is empty (0 bytes); choose another one.")
    if len(content) > MOST_BYTES:
        raise PictureError(
            f"The picture has {len(content):,} bytes, but at most {MOST_BYTES:,} are allowed; save it smaller, or as"
            " JPEG."
        )


def _decoded(content: bytes) -> tuple[Image.Image, Grey]:
    """The upright picture in colour, for the screen, and in grey, on white. Raises: PictureError."""
    try:
        _check_size(*(_webp_size(content) or (SIDE, SIDE)), MOST_WEBP)
        with Image.open(io.BytesIO(content), formats=FORMATS) as file:
            _check_size(*file.size)
            file.draft("RGB", (WORKED, WORKED))  # decodes a JPEG at a half, a quarter or an eighth where that is enough
            return _flat(file)
    except PictureError:
        raise
    except UnidentifiedImageError:
        begins = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in content[:8])
        raise PictureError(
            f"The file is not a readable PNG, JPEG or WebP picture (it begins with {begins}); choose another one."
        ) from None
    except Image.DecompressionBombError:
        raise _too_large("more pixels than any screen") from None
    except Exception as error:  # Decoders of damaged files raise nearly anything; none of it is worth a crash.
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise PictureError(
            f"The picture is damaged and cannot be read ({reason}); save it again, or choose another one."
        ) from None


def _webp_size(content: bytes) -> tuple[int, int] | None:
    """Width and height that a WebP file's header declares: Pillow's decoder takes memory for them when it opens."""
    head, kind = content[:30], content[12:16]
    if len(head) < 30 or head[:4] != b"RIFF" or head[8:12] != b"WEBP":
        return None
    if kind == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack("<HH", head[26:30])
    return width & 0x3FFF, height & 0x3FFF


def _check_size(width: int, height: int, most: int = MOST_PIXELS) -> None:
    size = f"{width:,} x {height:,} pixels"
    if width * height > most:
        raise _too_large(size, most)
    if min(width, height) < SIDE:
        raise PictureError(f"The picture has {size}, but it must have at least {SIDE} a side; choose a larger one.")
    if max(width, height) > NARROWEST * min(width, height):
        raise PictureError(f"The picture has {size}, but one side may be at most {NARROWEST} times the other; crop it.")


def _too_large(size: str, most: int = MOST_PIXELS) -> PictureError:
    return PictureError(
        f"The picture has {size}, but at most {most // 1_000_000} million are allowed; make it smaller first."
    )


def _flat(file: Image.Image) -> tuple[Image.Image, Grey]:
    """The first picture, small enough to work on, upright, without transparency: in colour, and in grey."""
    file.seek(0)
    upright = file.getexif().get(ORIENTATION)
    picture = _shrunk(file)
    if upright:
        picture.getexif()[ORIENTATION] = upright
        picture = ImageOps.exif_transpose(picture)
    return _on_background(picture)


def _shrunk(file: Image.Image) -> Image.Image:
    """The picture as RGB or RGBA, its longer side under 2 * WORKED: squares of pixels averaged, strip by strip, since
    converting the whole would take three times its memory.
    """
    mode = "RGBA" if file.has_transparency_data else "RGB"
    square = max(1, max(file.size) // WORKED)
    width, height = file.size
    small = Image.new(mode, (-(-width // square), -(-height // square)))
    for top in range(0, height, STRIP * square):
        part = _eight_bits(file.crop((0, top, width, min(top + STRIP * square, height)))).convert(mode)
        small.paste(part.reduce(square), (0, top // square))
    return small


def _eight_bits(part: Image.Image) -> Image.Image:
    """8 bits per pixel: unchanged, or scaled from 16 bits, which Pillow would clip at 255."""
    if not part.mode.startswith("I"):
        return part
    return Image.fromarray(np.clip(np.asarray(part, np.float32) / 257, 0, 255).astype(np.uint8))


def _on_background(picture: Image.Image) -> tuple[Image.Image, Grey]:
    """On white; where nothing can be seen there, as of a white drawing on nothing, on black."""
    if picture.mode != "RGBA":
        return picture.convert("RGB"), np.asarray(picture.convert("L"))
    for paper in ("white", "black"):
        flat = Image.alpha_composite(Image.new("RGBA", picture.size, paper), picture).convert("RGB")
        grey = np.asarray(flat.convert("L"))
        if np.ptp(grey) >= FAINT:
            break
    return flat, grey


# --- The way to 28 x 28 -----------------------------------------------------------------------------------------------


def _seen(colour: Image.Image, grey: Grey, inverted: bool | None) -> Seen:
    if np.ptp(grey) < FAINT:
        raise PictureError(
            f"The picture has only one shade (grey values {grey.min()} to {grey.max()}); choose one in which a garment"
            " stands out from its background."
        )
    level, object_ = _background(grey)
    middle = float(grey[object_].mean()) if object_ is not None else float(_inner(grey).mean())
    inverted = level > middle if inverted is None else inverted
    if grey.shape == (SIDE, SIDE):
        square, object_, text = grey, None, "It already has 28 x 28 pixels and is used as it is."
    elif object_ is not None:
        square = _around(grey, object_, level)
        text = f"Trimmed to what differs from the uniform background (grey value {level}), and padded to a square."
    else:
        square, text = _centre(grey), "The background is not uniform: the central square is used."
    small = np.asarray(Image.fromarray(square).resize((SIDE, SIDE), Image.Resampling.BOX))
    final = _light_on_black(small, level, inverted, blacken=object_ is not None)
    exchanged = "Light and dark are inverted" if inverted else "Light and dark are unchanged"
    why = f"the background has grey value {level}, the object {middle:.0f} on average"
    steps = (
        Step("Your picture", "Upright, without transparency.", _thumbnail(colour)),
        Step("Cropped, in grey", text, _thumbnail(Image.fromarray(square))),
        Step("What the network sees", f"{exchanged}: {why}. 28 x 28 pixels.", final),
    )
    return Seen(final, inverted, steps)


def _background(grey: Grey) -> tuple[int, NDArray[np.bool_] | None]:
    """Grey value of the background, and where the picture differs from it: None where the background is not even."""
    edge = np.concatenate([grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]]).astype(np.int16)
    level = int(np.median(edge))
    even = (np.abs(edge - level) <= TOLERANCE).mean() >= EVEN
    differs = np.abs(grey.astype(np.int16) - level) > TOLERANCE
    return level, differs if even and differs.any() else None


def _inner(grey: Grey) -> Grey:
    """The middle quarter of the area."""
    height, width = grey.shape
    return grey[height // 4 : -(height // 4), width // 4 : -(width // 4)]


def _around(grey: Grey, differs: NDArray[np.bool_], level: int) -> Grey:
    """The smallest square around all that differs from the background, filled up with the background."""
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    part = grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = part.shape
    side = max(height, width)
    square = np.full((side, side), level, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = part
    return square


def _centre(grey: Grey) -> Grey:
    """The largest square in the middle."""
    height, width = grey.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return grey[top : top + side, left : left + side]


def _light_on_black(small: Grey, level: int, inverted: bool, blacken: bool) -> Grey:
    """Inverted if asked for. blacken: the background becomes black, and white stays white."""
    values = 255 - small.astype(np.float32) if inverted else small.astype(np.float32)
    dark = 255 - level if inverted else level
    if blacken and dark < 255 - FAINT:
        values = np.clip(values - dark, 0, None) * (255 / (255 - dark))
    return np.rint(values).astype(np.uint8)


def _thumbnail(picture: Image.Image) -> NDArray[np.uint8]:
    small = picture.copy()
    small.thumbnail((SHOWN, SHOWN))
    return np.asarray(small)
