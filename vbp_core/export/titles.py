"""The card before a part of a reel: its first picture, darkened, with a title and what there is to say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vbp.drives.base import Image
from vbp.export.lettering import BOLD, MEDIUM, Lettering
from vbp.palette import MUTED, TEXT, rgb

CARD_S = 2.0  # for which it stays


def title_card(picture: Image, lines: Sequence[str], unit: float) -> Image:
    """Like `picture`, uint8 RGB (H, W, 3), with the first line large. unit: pixels to one of a picture 720 high."""
    card: Image = np.asarray(picture // 5, dtype=np.uint8)
    height, width = card.shape[:2]
    text, room = Lettering(), round(width * 0.9)
    sizes = [40, *[22] * (len(lines) - 1)]
    sizes = [max(10, round(size * unit)) for size in sizes]
    y = (height - round(1.6 * sum(sizes))) // 2
    for k, (line, size) in enumerate(zip(lines, sizes, strict=True)):
        y += round(1.6 * size)
        weight, colour = (BOLD, TEXT) if k == 0 else (MEDIUM, MUTED)
        text.draw(card, line, width // 2, y, size, rgb(colour), weight, "centre", room)
    return card
