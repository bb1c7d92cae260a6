"""Figure 2b in an exported picture: every layer's averaged feature map, and the mask there."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from vbp.drives.base import Image
from vbp.export.lettering import Lettering
from vbp.overlay import Rect
from vbp.palette import MUTED, PANEL, rgb
from vbp.results import Layer

GAP = 3


def layers_aspect(layers: int, input_aspect: float) -> float:
    """Width / height of the two columns: maps at the left, masks at the right."""
    return 2 * input_aspect / max(1, layers)


def layers_tile(image: Image, tile: Rect, layers: Sequence[Layer], lettering: Lettering, unit: float) -> None:
    """Each pair as large as its share of `tile`, its number before it; every map stretched to the shape of the input."""
    part = image[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width]
    part[:] = rgb(PANEL)
    if not layers:
        return
    gap, size = max(1, round(GAP * unit)), round(12 * unit)
    gutter = lettering.width(str(len(layers)), size) + 4 * gap
    width = max(1, (tile.width - gutter - gap) // 2)
    for n, layer in enumerate(layers):
        top, end = n * tile.height // len(layers), (n + 1) * tile.height // len(layers) - gap
        height = max(1, end - top)
        for column, values in enumerate((layer.feature_map, layer.mask)):
            grey = np.asarray(np.clip(values, 0, 1) * 255 + 0.5, dtype=np.uint8)
            shown = cv2.resize(grey, (width, height), interpolation=cv2.INTER_LINEAR)
            x = gutter + column * (width + gap)
            part[top : top + height, x : x + width] = shown[..., None]
        if height >= size:
            base = top + (height + round(0.7 * size)) // 2
            lettering.draw(part, str(n + 1), gutter - 2 * gap, base, size, rgb(MUTED), align="right")
