"""The network's crop that the user set by hand, kept for each camera and each recording."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from vbp.app.state.settings import Settings
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


def kept_crop(settings: Settings, source: str) -> ChosenCrop | None:
    """What was set for a camera's address or a recording's path; None also where the settings were damaged."""
    try:
        found = json.loads(settings.text(_key(source), ""))
        numbers = [found[name] for name in ("x", "y", "width", "height", "of_width", "of_height")]
    except (ValueError, TypeError, KeyError):
        return None
    if not all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n <= MOST for n in numbers):
        return None
    x, y, width, height, of_width, of_height = numbers
    if not (0 < width <= of_width - x and 0 < height <= of_height - y):
        return None
    return ChosenCrop(Rect(x, y, width, height), of_width, of_height)


def keep_crop(settings: Settings, source: str, crop: ChosenCrop | None) -> None:
    """None: the network's own rule again."""
    if crop is None:
        settings.remove(_key(source))
    else:
        size = {"of_width": crop.of_width, "of_height": crop.of_height}
        settings.set(_key(source), json.dumps(asdict(crop.rect) | size))


def _key(source: str) -> str:
    # An address may hold characters that an INI key cannot, and words that nobody else should read.
    return "crops/" + hashlib.sha256(source.encode()).hexdigest()[:16]
