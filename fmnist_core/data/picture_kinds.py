"""What an uploaded file is, by its first bytes: its name, what to do with it, and what reading it will need."""

from __future__ import annotations

import struct

_AS_JPEG = "save it as JPEG or PNG"
_UNPACK = "unpack it and choose a picture"
# First bytes, what such a file is, and the remedy.
_BEGINNINGS = (
    (b"GIF8", "a GIF picture", _AS_JPEG),
    (b"BM", "a BMP picture", _AS_JPEG),
    (b"II*\0", "a TIFF picture or a camera's raw file", _AS_JPEG),
    (b"MM\0*", "a TIFF picture or a camera's raw file", _AS_JPEG),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture", _AS_JPEG),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture", _AS_JPEG),
    (b"\xff\x0a", "a JPEG XL picture", _AS_JPEG),
    (b"8BPS", "a Photoshop file", _AS_JPEG),
    (b"\0\0\1\0", "an icon", _AS_JPEG),
    (b"%PDF", "a PDF document", "take a screenshot of the picture in it, or save that as JPEG"),
    (b"PK\3\4", "a zip archive or an office document", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!", "a rar archive", _UNPACK),
    (b"\x1f\x8b", "a gzip archive", _UNPACK),
)
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_AVIF = {b"avif", b"avis"}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # JPEG's markers of a frame's header, ITU-T T.81, table B.1
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length


def named(content: bytes) -> tuple[str, str] | None:
    """What a file that is no PNG, JPEG or WebP picture is, such as "a PDF document", and the remedy; None: unknown."""
    for beginning, kind, remedy in _BEGINNINGS:
        if content.startswith(beginning):
            return kind, remedy
    if content[4:8] == b"ftyp":
        return _by_brands(content)
    text = content[:1000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in text:
        return "an SVG drawing", "take a screenshot of it, or save it as PNG"
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page", "save the picture itself (in its context menu) and choose that"
    return None


def _by_brands(content: bytes) -> tuple[str, str]:
    """ISO/IEC 14496-12: the first box names the file's brands, four letters each, and a version after the first."""
    end = min(int.from_bytes(content[:4], "big"), 200)
    brands = {content[at : at + 4] for at in range(8, end, 4)}
    if brands & _AVIF:
        return "an AVIF picture", _AS_JPEG
    if brands & _HEIC:
        return (
            "a HEIC photo",
            "save it as JPEG, or set the camera to take JPEG (iPhone: Settings, Camera, Formats, Most Compatible;"
            " others: turn high efficiency off)",
        )
    return "a video", "choose a picture, such as a screenshot of it"


def webp_size(content: bytes) -> tuple[int, int] | None:
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


def jpeg_coefficients(content: bytes) -> int:
    """Bytes that a JPEG's decoder keeps until the end: 0 where it goes line by line.

    A picture in several scans, as all progressive ones are, is decoded from the coefficients of all scans, 2 bytes for
    each sample, at whatever size it is wanted. Raises: ValueError, struct.error, IndexError (damaged).
    """
    at, samples, count, progressive = 2, 0, 0, False
    while (at := content.index(b"\xff", at)) + 4 <= len(content):
        marker = content[at + 1]
        if marker in (0xFF, 0) or marker in _ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker == 0xDA:
            return 2 * samples if progressive or content[at + 4] < count else 0
        if marker in _FRAMES:
            height, width, count = struct.unpack_from(">HHB", content, at + 5)
            factors = [(byte >> 4, byte & 15) for byte in content[at + 11 : at + 10 + 3 * count : 3]]
            widest, tallest = (max(1, *pair) for pair in zip(*factors, strict=True))
            samples = width * height * sum(x * y for x, y in factors) // (widest * tallest)
            progressive = marker in _PROGRESSIVE
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    raise ValueError("no picture in it")
