"""Turning pictures as a video's display matrix says: a phone held upright films lying on its side."""

from __future__ import annotations

import struct
from typing import cast

import numpy as np
from av.buffer import Buffer
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from vbp.drives.base import Image

Turn = tuple[bool, bool, bool]  # transpose, then mirror left-right, then mirror top-bottom


def turn_of(frame: VideoFrame) -> Turn:
    """The turn that `frame` asks for, to the nearest right angle. (False, False, False) for none."""
    matrix = b""
    for side_data in frame.side_data:
        if getattr(side_data, "type", None) == Type.DISPLAYMATRIX:
            matrix = bytes(cast(Buffer, side_data))
    if len(matrix) < 36:
        return False, False, False
    # rows (a, b, u), (c, d, v), (x, y, w): a pixel goes from (p, q) to (a p + c q, b p + d q)
    a, b, _, c, d = struct.unpack("=5i", matrix[:20])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return False, a < 0, d < 0
    return True, c < 0, b < 0


def turned(image: Image, turn: Turn) -> Image:
    """`image` (H, W, 3) after `turn`, C-contiguous."""
    transpose, left_right, top_bottom = turn
    if transpose:
        image = image.swapaxes(0, 1)
    if left_right:
        image = image[:, ::-1]
    if top_bottom:
        image = image[::-1]
    return np.ascontiguousarray(image)
