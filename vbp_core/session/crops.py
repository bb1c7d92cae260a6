"""The network's crop that the user set by hand."""

from __future__ import annotations

from dataclasses import dataclass

from vbp.overlay import Rect

MOST = 1_000_000  # of pixels along a side, far beyond any camera


@dataclass(frozen=True)
class ChosenCrop:
    """A rectangle in the pixels of a picture of `of_width` x `of_height`; 0 x 0: of any, as it is."""

    rect: Rect
    of_width: int
    of_height: int

    def at(self, height: int, width: int) -> Rect:
        """The same part of a picture of another size: a camera may come back with another one."""
        if (height, width) == (self.of_height, self.of_width) or not self.of_width:
            return self.rect
        sx, sy = width / self.of_width, height / self.of_height
        x, y = min(width - 1, round(self.rect.x * sx)), min(height - 1, round(self.rect.y * sy))
        return Rect(
            x,
            y,
            min(width - x, max(1, round(self.rect.width * sx))),
            min(height - y, max(1, round(self.rect.height * sy))),
        )
