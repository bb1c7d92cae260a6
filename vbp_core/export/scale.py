"""What the colours over an exported picture mean, and that a mask is of several frames."""

from __future__ import annotations

from typing import Protocol

from vbp.drives.base import Image
from vbp.explain.registry import METHODS
from vbp.export.facts import Facts, title_of
from vbp.export.frames import map_of
from vbp.export.job import Settings
from vbp.export.layouts import Places
from vbp.export.lettering import Lettering
from vbp.frames.strengths import full_words
from vbp.overlay import Rect, ramp, sides
from vbp.palette import MUTED, TEXT, WINDOW, rgb
from vbp.results import VBP


class Drawn(Protocol):
    """The picture that it is drawn in."""

    facts: Facts
    settings: Settings
    places: Places
    lettering: Lettering

    def px(self, units: float) -> int: ...


def draw_scale(image: Image, tile: Rect, panel: str, smoothed: str, on: Drawn) -> None:
    """What the colours mean, and that the mask is of several frames: in the line above a picture, at its right.

    Where no line is above, a mask of several frames is told in the picture.
    """
    px, text, s = on.px, on.lettering, on.settings
    if on.places.header is None:
        if smoothed:
            box = Rect(tile.x, tile.y, min(tile.width, text.width(smoothed, px(12)) + px(12)), px(20))
            _part(image, box)[:] = _part(image, box) // 4
            text.draw(image, smoothed, box.x + px(6), box.y + px(14), px(12), rgb(TEXT))
        return
    shown = map_of(s, panel)
    signed = shown is not None and METHODS[shown.method].signed
    low, high = "", full_words(s.overlay, on.facts.usual, panel in ("camera", VBP))
    if shown is not None and signed:
        low, high = sides(shown.target, on.facts.of_classes)
    title = title_of(panel, s, on.facts.of_classes)
    base, right, wide, size = tile.y - px(8), tile.x + tile.width, px(44), px(12)
    room = tile.width - text.width(title, px(14)) - px(12)
    widths = [text.width(words, size) + px(8) for words in (smoothed, low, high) if words]
    if not s.overlay.bar or wide + sum(widths) > room:
        if smoothed:  # which is said, whatever else has to go
            left = right - min(text.width(smoothed, size) + px(8), tile.width)
            _part(image, Rect(left, base - px(13), right - left, px(18)))[:] = rgb(WINDOW)
            text.draw(image, smoothed, right, base, size, rgb(TEXT), align="right")
        return
    x = right - text.draw(image, high, right, base, size, rgb(MUTED), align="right") - px(8) - wide
    _part(image, Rect(x, base - px(9), wide, px(8)))[:] = ramp(s.overlay, wide, px(8), signed)
    if low:
        x -= px(8)
        text.draw(image, low, x, base, size, rgb(MUTED), align="right")
        x -= text.width(low, size)
    if smoothed:
        text.draw(image, smoothed, x - px(8), base, size, rgb(TEXT), align="right")


def _part(image: Image, rect: Rect) -> Image:
    return image[rect.y : rect.y + rect.height, rect.x : rect.x + rect.width]
