"""Text in exported pictures: one typeface, figures of equal width, aligned left, right or in the middle."""

from __future__ import annotations

from typing import Any

import cv2

from vbp.drives.base import Image
from vbp.lettering import write
from vbp.palette import Rgb
from vbp.readable import clean

REGULAR, MEDIUM, BOLD = 400, 500, 600
ELLIPSIS = "…"
MOST_WIDTHS = 4096  # texts


class Lettering:
    """Draws text. OpenCV 5 brings a typeface with figures of equal width; OpenCV 4 has only strokes.

    Belongs to one thread: OpenCV's typeface keeps the glyphs that it has drawn.
    """

    def __init__(self) -> None:
        self._face: Any = cv2.FontFace("sans") if hasattr(cv2, "FontFace") else None
        self._widths: dict[tuple[str, int, int], int] = {}  # most words come with every frame

    def width(self, text: str, size: int, weight: int = REGULAR) -> int:
        """Pixels from the first letter's origin to where the next one would stand."""
        asked = text, size, weight
        if asked not in self._widths:
            if len(self._widths) >= MOST_WIDTHS:
                self._widths.clear()
            self._widths[asked] = self._measured(*asked)
        return self._widths[asked]

    def _measured(self, text: str, size: int, weight: int) -> int:
        text = clean(text)  # half a character ends OpenCV 5 in a segmentation fault
        if self._face is None:
            return int(cv2.getTextSize(_plain(text), cv2.FONT_HERSHEY_SIMPLEX, size / 30, 1)[0][0])
        x, _, width, _ = cv2.getTextSize((1 << 14, 1 << 14), text, (0, 0), self._face, size, weight)
        return int(x + width)

    def draw(
        self,
        image: Image,
        text: str,
        x: int,
        baseline: int,
        size: int,
        colour: Rgb,
        weight: int = REGULAR,
        align: str = "left",
        room: int | None = None,
    ) -> int:
        """Draw into `image`, from `x` on, up to `x`, or around it; in `room` pixels, shortened where need be.

        Returns the width drawn.
        """
        text = clean(text)
        if room is not None:
            text = self._shorten(text, size, weight, room)
        width = self.width(text, size, weight)
        left = {"left": x, "right": x - width, "centre": x - width // 2}[align]
        if self._face is None:
            write(image, text, max(0, left), baseline, size, colour)
        else:
            cv2.putText(image, text, (left, baseline), colour, self._face, size, weight)
        return width

    def _shorten(self, text: str, size: int, weight: int, room: int) -> str:
        if self.width(text, size, weight) <= room:
            return text
        while text and self.width(text + ELLIPSIS, size, weight) > room:
            text = text[:-1]
        return text.rstrip() + ELLIPSIS if text else ""


def _plain(text: str) -> str:
    return text.replace("°", " deg")
