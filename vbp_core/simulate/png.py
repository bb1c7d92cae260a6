"""Palette PNGs of class numbers: what any viewer shows in colours and we read back as numbers.

OpenCV reads a palette PNG as colours and writes none.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from vbp.reading import unpack

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def encode(numbers: NDArray[np.uint8], palette: NDArray[np.uint8], level: int = 2) -> bytes:
    """(H, W) uint8 and (256, 3) RGB -> a PNG file."""
    height, width = numbers.shape
    # filter 2, "up": rows repeat what is above them
    rows = np.full((height, width + 1), 2, np.uint8)
    rows[0, 1:] = numbers[0]
    rows[1:, 1:] = numbers[1:] - numbers[:-1]
    used = int(numbers.max()) + 1
    return b"".join(
        [
            _SIGNATURE,
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", palette[:used].tobytes()),
            _chunk(b"IDAT", zlib.compress(rows.tobytes(), level)),
            _chunk(b"IEND", b""),
        ]
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def decode(data: bytes) -> NDArray[np.uint8]:
    """A PNG of `encode` -> (H, W) uint8. Raises ValueError for any other."""
    if not data.startswith(_SIGNATURE):
        raise ValueError("is not a PNG")
    at, size, packed = len(_SIGNATURE), (0, 0), b""
    while at + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        if kind == b"IHDR" and length == len(body) == 13:
            width, height, *layout = struct.unpack(">IIBBBBB", body)
            if layout != [8, 3, 0, 0, 0] or not 0 < width * height <= 2**26:
                raise ValueError("is not a PNG of 8-bit palette numbers")
            size = (height, width)
        elif kind == b"IDAT":
            packed += body
        at += 12 + length
    height, width = size
    try:
        rows = np.frombuffer(unpack("zlib", packed, height * (width + 1) + 1), np.uint8)
    except ValueError as error:
        raise ValueError("is a damaged PNG") from error
    if not height or len(rows) != height * (width + 1):
        raise ValueError("is a truncated PNG")
    rows = rows.reshape(height, width + 1)
    if not (rows[:, 0] == 2).all():
        raise ValueError("is a PNG that was not written by vbp")
    return np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8)
