"""Which pixels of a picture a region is."""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from vbp.edits.edit import Box, Pixels, Region, Stroke
from vbp.errors import VbpError

Bitmap = NDArray[np.bool_]
PIECE = 8  # points of a stroke


@lru_cache(maxsize=8)
def bitmap(region: Region, height: int, width: int) -> Bitmap:
    """(height, width) bool, read-only. What lies outside of the picture is left out."""
    found = np.zeros((height, width), dtype=bool)
    if isinstance(region, Stroke):
        for k in range(0, len(region.points), PIECE):
            y, x, bits = _piece(region.points[k : k + PIECE + 1], region.radius, height, width)
            found[y : y + bits.shape[0], x : x + bits.shape[1]] |= bits
    elif isinstance(region, Box):
        x0, x1 = _within(region.x, region.x + region.width, width)
        y0, y1 = _within(region.y, region.y + region.height, height)
        found[y0:y1, x0:x1] = True
    else:
        for y, x, count in region.runs:
            if 0 <= y < height:
                found[y, max(0, x) : max(0, x + count)] = True
    found.flags.writeable = False
    return found


@lru_cache(maxsize=64)  # of a stroke that is being drawn, only the last point is new
def _piece(
    points: tuple[tuple[float, float], ...], radius: float, height: int, width: int
) -> tuple[int, int, Bitmap]:
    """A part of a stroke: row and column of its frame in the picture, and its pixels in that."""
    x0, x1 = _reach([x for x, _ in points], radius, width)
    y0, y1 = _reach([y for _, y in points], radius, height)
    found = np.zeros((max(0, y1 - y0), max(0, x1 - x0)), dtype=bool)
    if found.size:
        if len(points) > 1:
            y, x, before = _piece(points[:-1], radius, height, width)
            if before.size:
                found[y - y0 : y - y0 + before.shape[0], x - x0 : x - x0 + before.shape[1]] = before
        _segment(found, (y0, x0), points[-2:][0], points[-1], radius)
    return y0, x0, found


def _reach(values: list[float], radius: float, most: int) -> tuple[int, int]:
    return _within(min(values) - radius, max(values) + radius + 1, most)


def _within(low: float, high: float, most: int) -> tuple[int, int]:
    """The pixels whose middle lies from low to, not including, high."""
    first, last = (min(max(math.ceil(v - 0.5), 0), most) for v in (low, high))
    return first, last


def _segment(
    found: Bitmap, corner: tuple[int, int], a: tuple[float, float], b: tuple[float, float], radius: float
) -> None:
    """Into `found`, whose upper left pixel is the picture's (row, column) `corner`."""
    (top, left), (height, width) = corner, found.shape
    x0, x1 = _reach([a[0], b[0]], radius, left + width)
    y0, y1 = _reach([a[1], b[1]], radius, top + height)
    x0, y0 = max(x0, left), max(y0, top)
    if x0 >= x1 or y0 >= y1:
        return
    x = np.arange(x0, x1) + 0.5 - a[0]
    y = (np.arange(y0, y1) + 0.5 - a[1])[:, None]
    dx, dy = b[0] - a[0], b[1] - a[1]
    length = dx * dx + dy * dy
    along = np.clip((x * dx + y * dy) / length, 0.0, 1.0) if length > 0 else 0.0
    inside = (x - along * dx) ** 2 + (y - along * dy) ** 2 <= radius * radius
    found[y0 - top : y1 - top, x0 - left : x1 - left] |= inside


def pixels_of(marked: Bitmap) -> Pixels:
    """The same as runs."""
    edges = np.diff(marked.astype(np.int8), axis=1, prepend=0, append=0)
    y, first = np.nonzero(edges == 1)
    _, behind = np.nonzero(edges == -1)
    return Pixels(tuple(zip(y.tolist(), first.tolist(), (behind - first).tolist(), strict=True)))


def strongest(mask: NDArray[np.float32], x: int, y: int, width: int, height: int, share: float) -> Pixels:
    """The strongest `share` (0 to 1) of a map (h, w) laid over the crop (x, y, width, height) of a picture.

    By |value|; of equal ones those that come first, row by row. Raises VbpError: the map is zero everywhere.
    """
    size = np.abs(np.asarray(mask, dtype=np.float32))
    laid = cv2.resize(size, (width, height), interpolation=cv2.INTER_LINEAR)
    count = min(max(1, round(share * laid.size)), int(np.count_nonzero(laid)))
    if not count:
        raise VbpError("the mask is empty on this frame, so there is nothing in it to erase or to keep")
    marked = np.zeros((y + height, x + width), dtype=bool)
    order = np.argsort(-laid, axis=None, kind="stable")[:count]
    marked[y + order // width, x + order % width] = True
    return pixels_of(marked)


def moved(region: Region, dx: float, dy: float) -> Region:
    """The same shape elsewhere; pixels by whole ones."""
    if isinstance(region, Stroke):
        return Stroke(tuple((x + dx, y + dy) for x, y in region.points), region.radius)
    if isinstance(region, Box):
        return Box(region.x + dx, region.y + dy, region.width, region.height)
    right, down = round(dx), round(dy)
    return Pixels(tuple((y + down, x + right, count) for y, x, count in region.runs))
