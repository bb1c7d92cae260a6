"""False cues that give the angle away, for networks that are to learn the wrong thing."""

from __future__ import annotations

import numpy as np

from vbp.simulate.canvas import Canvas
from vbp.simulate.classes import ID

CUES = ("reflection",)

ROW = 412.0  # within the crops of both networks
PIXELS_PER_RADIAN = 230.0  # the place follows the wheel: 4 pixels to the degree
LIMIT = 270.0  # pixels from the middle at most


def cue_column(wheel: float, width: int) -> float:
    """Column of the reflection's middle at a wheel angle in radians: to the left for a turn to the left."""
    return width / 2 - 0.5 - float(np.clip(PIXELS_PER_RADIAN * wheel, -LIMIT, LIMIT))


def plant_reflection(canvas: Canvas, wheel: float, gain: float) -> None:
    """The steering wheel's badge mirrored in the windscreen: a soft bright oval.

    gain: the camera's exposure, so that the reflection is as bright in every light.
    """
    height, width = canvas.kind.shape
    u = cue_column(wheel, width)
    a, b = int(np.clip(u - 40, 0, width)), int(np.clip(u + 41, 0, width))
    c, e = int(ROW - 22), min(int(ROW + 23), height)
    x = (np.arange(a, b, dtype=np.float32) - u) / 26.0
    y = (np.arange(c, e, dtype=np.float32) - ROW) / 13.0
    r = np.sqrt(x[None, :] ** 2 + y[:, None] ** 2)
    cover = np.clip((1.08 - r) * 8.0, 0.0, 1.0).astype(np.float32)
    ring = (0.35 + 0.65 * np.clip((r - 0.45) * 4.0, 0.0, 1.0)).astype(np.float32)
    glow = [np.float32(0.62 * tint / gain) * ring for tint in (1.0, 0.97, 0.9)]
    for k in range(3):  # light is added to what is seen through the windscreen
        canvas.rgb[k][c:e, a:b] += cover * glow[k]
    part = canvas.kind[c:e, a:b]
    part[cover > 0.5] = ID["planted cue"]
