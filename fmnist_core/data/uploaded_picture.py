"""Turn an uploaded picture into the network's input: 28 x 28 grey values, light on black.

The steps are those by which Fashion-MNIST itself was made (Xiao, Rasul & Vollgraf 2017, arXiv 1708.07747, section 2):
trim what is as the edge is, bring the longer side to 28 pixels, centre, negate. Two differences: the picture is made
smaller by averaging, not by leaving out pixels, and so isn't sharpened; a background that is not even is not trimmed.
"""

from __future__ import annotations

import io
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from fmnist_core.data import picture_kinds
from fmnist_core.errors import LabError

SIDE = 28
FORMATS = ("PNG", "JPEG", "WEBP")
MOST_MB = 25  # of 1024 x 1024 bytes; the same as server.maxUploadSize in .streamlit/config.toml
MOST_MEMORY = 160_000_000  # bytes that decoding may take
# Pixels. JPEG is decoded at an eighth of its size: telephones take up to 108 million. PNG takes 4 bytes a pixel and a
# strip more; WebP's decoder holds four copies.
MOST_PIXELS = {"PNG": 25_000_000, "JPEG": 120_000_000, "MPO": 120_000_000, "WEBP": 10_000_000}
ALLOWED = (
    f"PNG, JPEG or WebP, up to {MOST_MB} MB (JPEG up to {MOST_PIXELS['JPEG'] // 10**6} million pixels, PNG"
    f" {MOST_PIXELS['PNG'] // 10**6}, WebP {MOST_PIXELS['WEBP'] // 10**6})"
)
NARROWEST = 10
SHOWN = 320  # pixels of the longer side of what is kept to be shown
WORKED, STRIP = 1024, 64  # pixels of the longer side that the steps work on, at least; lines of a strip then
ORIENTATION = 0x0112  # EXIF
EVEN, TOLERANCE = 0.9, 26  # An even background: 90 % of the edge within 26 of 255 (10 %) of its median.
FAINT = 12  # grey values between the darkest and the lightest; with fewer there is nothing to see
# Decoding takes up to MOST_MEMORY for a moment: one picture at a time, whoever brings them, and in one thread, since
# the C library keeps what each thread has freed (30 people with 48 megapixels: 880 MB by 30 threads, 200 by one).
_READER = ThreadPoolExecutor(1, "picture")

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


@dataclass(frozen=True)
class Picture:
    """An uploaded picture, small enough to be kept: all that `seen` needs.

    steps: the first two. small: uint8 (28, 28), not yet inverted. level, middle: grey values of the background, and of
    the object on average. trimmed: whether the background becomes black.
    """

    steps: tuple[Step, Step]
    small: Grey
    level: int
    middle: float
    trimmed: bool

    def seen(self, inverted: bool | None = None) -> Seen:
        """The picture as the network sees it.

        inverted: whether light and dark are exchanged; None: where the background is lighter than the object.
        """
        inverted = self.level > self.middle if inverted is None else inverted
        final = _light_on_black(self.small, self.level, inverted, self.trimmed)
        exchanged = "Light and dark are inverted" if inverted else "Light and dark are unchanged"
        why = f"the background has grey value {self.level}, the object {self.middle:.0f} on average"
        last = Step("What the network sees", f"{exchanged}: {why}. 28 x 28 pixels.", final)
        return Seen(final, inverted, (*self.steps, last))


def read(content: bytes) -> Picture:
    """A PNG, JPEG or WebP file, ready for the network; of an animation the first picture.

    Size and number of pixels are checked on the file's header, before anything is decoded. A picture of 28 x 28 pixels
    is neither trimmed nor resized.

    Raises:
        PictureError: not such a file, damaged, too large, too small, or of one shade only.
    """
    _check_bytes(content)
    return _READER.submit(lambda: _prepared(*_decoded(content))).result()


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
    if len(content) > MOST_MB * 1024**2:
        raise PictureError(
            f"The picture has {len(content) / 1024**2:.1f} MB, but at most {MOST_MB} are allowed; save it smaller, or"
            " as JPEG."
        )


def _decoded(content: bytes) -> tuple[Image.Image, Grey]:
    """The upright picture in colour, for the screen, and in grey, on white. Raises: PictureError."""
    try:
        _check_size(*(picture_kinds.webp_size(content) or (SIDE, SIDE)), "WEBP")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size is checked here, by format
            with Image.open(io.BytesIO(content), formats=FORMATS) as file:
                _check_size(*file.size, file.format or FORMATS[0])
                if file.format not in ("PNG", "WEBP"):
                    _draft(file, content)
                return _flat(file)
    except PictureError:
        raise
    except UnidentifiedImageError:
        raise _unknown(content) from None
    except Image.DecompressionBombError:
        raise PictureError("The picture has more pixels than any screen; make it smaller first.") from None
    except Exception as error:  # Decoders of damaged files raise nearly anything; none of it is worth a crash.
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise PictureError(
            f"The picture is damaged and cannot be read ({reason}); save it again, or choose another one."
        ) from None


def _unknown(content: bytes) -> PictureError:
    known = picture_kinds.named(content)
    if known:
        kind, remedy = known
        return PictureError(f"This is {kind}, but only PNG, JPEG and WebP pictures can be read; {remedy}.")
    begins = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in content[:8])
    return PictureError(
        f"The file is not a readable PNG, JPEG or WebP picture (it begins with {begins}); choose another one."
    )


def _draft(file: Image.Image, content: bytes) -> None:
    """Have a JPEG decoded at a half, a quarter or an eighth where that is enough. Raises: PictureError."""
    needed = picture_kinds.jpeg_coefficients(content)
    width, height = file.size
    if needed > MOST_MEMORY:
        raise PictureError(
            f"The picture is a progressive JPEG of {width:,} x {height:,} pixels, which takes {needed // 10**6:,} MB to"
            f" read, but at most {MOST_MEMORY // 10**6} are allowed; save it smaller, or not progressive."
        )
    file.draft("RGB", (width * WORKED // max(file.size), height * WORKED // max(file.size)))


def _check_size(width: int, height: int, kind: str) -> None:
    size = f"{width:,} x {height:,} pixels"
    if width * height > MOST_PIXELS[kind]:
        most = MOST_PIXELS[kind] // 10**6
        raise PictureError(f"The picture has {size}, but at most {most} million are allowed; make it smaller first.")
    if min(width, height) < SIDE:
        raise PictureError(f"The picture has {size}, but it must have at least {SIDE} a side; choose a larger one.")
    if max(width, height) > NARROWEST * min(width, height):
        raise PictureError(f"The picture has {size}, but one side may be at most {NARROWEST} times the other; crop it.")


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


def _prepared(colour: Image.Image, grey: Grey) -> Picture:
    if np.ptp(grey) < FAINT:
        raise PictureError(
            f"The picture has only one shade (grey values {grey.min()} to {grey.max()}); choose one in which a garment"
            " stands out from its background."
        )
    level, object_ = _background(grey)
    middle = float(grey[object_].mean()) if object_ is not None else float(_inner(grey).mean())
    if grey.shape == (SIDE, SIDE):
        square, object_, text = grey, None, "It already has 28 x 28 pixels and is used as it is."
    elif object_ is not None:
        square = _around(grey, object_, level)
        text = f"Trimmed to what differs from the uniform background (grey value {level}), and padded to a square."
    else:
        square, text = _centre(grey), "The background is not uniform: the central square is used."
    small = np.asarray(Image.fromarray(square).resize((SIDE, SIDE), Image.Resampling.BOX))
    steps = (
        Step("Your picture", "Upright, without transparency.", _thumbnail(colour)),
        Step("Cropped, in grey", text, _thumbnail(Image.fromarray(square))),
    )
    return Picture(steps, small, level, middle, trimmed=object_ is not None)


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
