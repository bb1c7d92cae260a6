"""The steering wheel of an exported picture: driven and predicted angle on one rim."""

from __future__ import annotations

import math

import cv2

from vbp.drives.base import Image
from vbp.palette import BORDER, DRIVEN, PREDICTED, Rgb, rgb

SHIFT = 4


def draw_wheel(
    image: Image, centre: tuple[int, int], radius: int, driven_rad: float, predicted_rad: float
) -> None:
    """Turned as driven, with a mark outside where the network wants its top. Left positive, as a driver sees it."""
    if radius < 12:
        return
    thick = max(3, radius // 9)
    outside, radius = radius, radius - thick - max(1, thick // 4)  # the prediction runs round the rim
    _circle(image, centre, radius, rgb(BORDER), thick)
    if math.isfinite(driven_rad):
        for spoke in (math.pi / 2, -math.pi / 2, math.pi):
            _spoke(image, centre, 0.22 * radius, radius - thick / 2, driven_rad + spoke, rgb(BORDER), thick)
        _circle(image, centre, round(0.22 * radius), rgb(BORDER), -1)
        _mark(image, centre, radius, driven_rad, rgb(DRIVEN), thick)
    if math.isfinite(predicted_rad):
        _mark(image, centre, outside, predicted_rad, rgb(PREDICTED), thick)


def _circle(image: Image, centre: tuple[int, int], radius: int, colour: Rgb, thick: int) -> None:
    cv2.circle(image, (centre[0] * 16, centre[1] * 16), radius * 16, colour, thick, cv2.LINE_AA, SHIFT)


def _spoke(
    image: Image, centre: tuple[int, int], inner: float, outer: float, angle: float, colour: Rgb, thick: int
) -> None:
    """A stroke from `inner` to `outer` at `angle`, counted from the top, positive to the left."""
    x, y = -math.sin(angle), -math.cos(angle)
    a, b = ((round((centre[0] + r * x) * 16), round((centre[1] + r * y) * 16)) for r in (inner, outer))
    cv2.line(image, a, b, colour, thick, cv2.LINE_AA, SHIFT)


def _mark(image: Image, centre: tuple[int, int], radius: int, angle: float, colour: Rgb, thick: int) -> None:
    start = -90 - math.degrees(angle)
    cv2.ellipse(
        image,
        (centre[0] * 16, centre[1] * 16),
        (radius * 16, radius * 16),
        0,
        start - 7,
        start + 7,
        colour,
        thick,
        cv2.LINE_AA,
        SHIFT,
    )
