"""The picture in the making."""

from __future__ import annotations

import numpy as np

from vbp.simulate.classes import ID
from vbp.simulate.noise import Array


class Canvas:
    """The picture in the making: three (H, W) arrays of linear light; per pixel the class, the distance in
    metres, and whether the ground there is in shadow."""

    def __init__(self, height: int, width: int) -> None:
        self.rgb = [np.zeros((height, width), np.float32) for _ in range(3)]
        self.kind = np.zeros((height, width), np.uint8)
        self.shadow = np.zeros((height, width), np.bool_)
        self.depth = np.full((height, width), np.inf, np.float32)

    def lay(
        self,
        rows: slice,
        columns: slice,
        colour: list[Array] | tuple[float, float, float],
        cover: Array,
        kind: str | None,
    ) -> None:
        """Blend `colour` over a part by `cover` 0..1; the class follows where most of a pixel is covered."""
        for k in range(3):
            part = self.rgb[k][rows, columns]
            part += (colour[k] - part) * cover
        if kind is not None:
            self.kind[rows, columns][cover > 0.5] = ID[kind]
