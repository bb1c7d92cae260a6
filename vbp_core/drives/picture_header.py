"""The size of a picture from its first bytes, without decoding: a small file can claim a huge picture."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass


@dataclass(frozen=True)
class Header:
    """What a picture file says of itself: where it says two things, the larger one.

    `whole` is False where the file is known to be cut off. bytes: of one value of one channel. passes: how often the
    picture is gone over, in a JPEG that becomes sharper bit by bit.
    """

    kind: str
    width: int
    height: int
    whole: bool = True
    bytes: int = 1
    passes: int = 1


def read_header(data: bytes) -> Header | None:
    """The header of a JPEG, PNG, WebP, BMP, TIFF or PNM file, by content; None for anything else.

    Never raises. EXIF rotation is not applied: width and height are those of the stored pixels.
    """
    try:
        for reader in (_jpeg, _png, _webp, _bmp, _pnm, _tiff):
            header = reader(data)
            if header is not None:
                return header
    except (struct.error, IndexError, ValueError, OverflowError):
        pass
    return None


# Markers of a JPEG that nothing belongs to: padding, an escaped 0xFF, TEM, RST0 to RST7, SOI
_NO_SEGMENT = frozenset({0xFF, 0x00, 0x01, *range(0xD0, 0xD9)})


def _jpeg(data: bytes) -> Header | None:
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    at, width, height = 2, 0, 0
    while (at := data.find(b"\xff", at)) >= 0 and at + 4 <= len(
        data
    ):  # what is between two segments is passed over
        marker = data[at + 1]
        if marker in _NO_SEGMENT:
            at += 1 if marker == 0xFF else 2
            continue
        if marker == 0xDA:  # the scan; inside it 0xFF is escaped, so this marker can only be the end
            whole = data.find(b"\xff\xd9", at) >= 0
            return Header("JPEG", width, height, whole, passes=data.count(b"\xff\xda", at))
        (length,) = struct.unpack_from(">H", data, at + 2)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            size = struct.unpack_from(">HH", data, at + 5)
            height, width = max(height, size[0]), max(width, size[1])
        at += 2 + max(length, 2)
    return Header("JPEG", width, height, whole=False)


def _png(data: bytes) -> Header | None:
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return None
    if len(data) < 24:
        return Header("PNG", 0, 0, whole=False)
    at, width, height, deep = 8, 0, 0, 1
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        if name == b"IEND":
            return Header("PNG", width, height, bytes=deep)
        if at + 12 + length > len(data):
            break  # a decoder may take memory for all that it claims to be
        if name in (b"IHDR", b"fcTL") and length >= 12:  # of the picture, of one of several
            size = struct.unpack_from(">II", data, at + (8 if name == b"IHDR" else 12))
            width, height = max(width, size[0]), max(height, size[1])
            deep = max(deep, 2 if name == b"IHDR" and data[at + 16] == 16 else 1)
        at += 12 + length
    return Header("PNG", width, height, whole=False)


def _webp(data: bytes) -> Header | None:
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    if len(data) < 30:
        return Header("WebP", 0, 0, whole=False)
    whole = struct.unpack_from("<I", data, 4)[0] + 8 <= len(data)
    chunk = data[12:16]
    if chunk == b"VP8 ":
        width, height = (n & 0x3FFF for n in struct.unpack_from("<HH", data, 26))
    elif chunk == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
    return Header("WebP", width, height, whole)


def _bmp(data: bytes) -> Header | None:
    if data[:2] != b"BM" or len(data) < 26:
        return None
    pixels_at, info_size = struct.unpack_from("<II", data, 10)
    if info_size == 12:
        width, height = struct.unpack_from("<HH", data, 18)
    elif info_size >= 16:
        width, height = (abs(n) for n in struct.unpack_from("<ii", data, 18))
    else:
        return None
    return Header("BMP", width, height, whole=pixels_at < len(data))


_PNM = re.compile(
    rb"P([1-6])(?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,9})\s(?:\s|#[^\n]*\n)*(\d{0,5})"
)


def _pnm(data: bytes) -> Header | None:
    match = _PNM.match(data[:4096])
    if match is None:
        return None
    kind, width, height = (int(group) for group in match.groups()[:3])
    whole, deep = True, 2 if int(match[4] or 0) > 255 else 1
    if kind in (5, 6):
        whole = len(data) > match.end() + width * height * (3 if kind == 6 else 1) * deep
    return Header("PNM", width, height, whole, deep)


# Kinds of numbers in a TIFF file, by struct's letters: BYTE, SHORT, LONG; LONG8 of the larger kind of file
_TIFF_NUMBERS = {1: "B", 3: "H", 4: "I", 16: "Q"}


def _tiff(data: bytes) -> Header | None:
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        return None
    (at,) = struct.unpack_from(order + "I", data, 4)
    if at + 2 > len(data):
        return Header("TIFF", 0, 0, whole=False)
    (count,) = struct.unpack_from(order + "H", data, at)
    size = {256: 0, 257: 0, 258: 8}  # width, height, bits of a value (or where these are written)
    for k in range(count):
        entry = at + 2 + 12 * k
        if entry + 12 > len(data):
            return Header("TIFF", 0, 0, whole=False)
        tag, kind, n = struct.unpack_from(order + "HHI", data, entry)
        if tag not in size:
            continue
        letter = _TIFF_NUMBERS.get(kind)
        if letter is None:
            return Header("TIFF", 0, 0, whole=False)
        place = entry + 8
        if n * struct.calcsize(letter) > 4:
            (place,) = struct.unpack_from(order + "I", data, place)
        size[tag] = max(size[tag], struct.unpack_from(order + letter, data, place)[0])
    return Header("TIFF", size[256], size[257], bytes=max(1, size[258] // 8))
