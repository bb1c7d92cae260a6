"""The frame before and the one on the screen, with their masks and errors."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from vbp.app.widgets.compare import ComparedFrame, CompareView
from vbp.drives.base import Image
from vbp.frames.strengths import Usual, weights
from vbp.overlay import Overlay, Rect, lay
from vbp.readable import shown_error, signed
from vbp.results import FrameResult

KEPT = 8
SMALL = 260  # logical pixels of height; below, only the part that the network sees is shown


@dataclass(frozen=True)
class Seen:
    """What is kept of a frame that was shown: no activations, so it is small."""

    image: Image
    crop: Rect
    mask: NDArray[np.float32]
    predicted_deg: float
    driven_deg: float
    strength: float = math.nan
    words: tuple[str, ...] = ()  # of a classifier, instead of the angles


class ComparePanel(QWidget):
    """`wanted`: a frame that should be fetched, as the one before was not shown."""

    wanted = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.view = CompareView()
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self.view)
        self._live = False
        self._overlay = Overlay()
        self._usual: Usual | None = None
        self._seen: OrderedDict[int, Seen] = OrderedDict()
        self._index: int | None = None
        self._small = False
        self._shown = False

    def set_usual(self, usual: Usual | None) -> None:
        """What strengths the masks of the drive have, where that is known."""
        self._usual = usual
        self.refresh()

    def set_seen(self, seen: bool) -> None:
        self._shown = seen
        self.refresh()

    def set_live(self, live: bool) -> None:
        """Another source. live: a camera, so the frame before is the one that was shown before."""
        self._live = live
        self.forget()

    def forget(self) -> None:
        """Another drive or network: what was kept is discarded."""
        self._seen.clear()
        self._index = None
        self.view.set_pair(None, None)

    def set_overlay(self, overlay: Overlay) -> None:
        self._overlay = overlay
        self.refresh()

    def add(self, record: FrameResult, current: bool, words: Sequence[str] = ()) -> None:
        """A frame with its result. current: it is the one on the screen. words: lines that stand for the angles."""
        result = record.result
        if record.image is None or result is None:
            if current:
                self._index = None
            return
        mask = result.map()
        if mask is None:
            return
        angles = math.degrees(result.angle_rad), math.degrees(record.driven_rad)
        self._seen[record.index] = Seen(
            record.image, result.crop, mask, *angles, result.strength, tuple(words)
        )
        self._seen.move_to_end(record.index)
        while len(self._seen) > KEPT:
            self._seen.popitem(last=False)
        if current:
            self._index = record.index
        self.refresh()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._small != (self.height() < SMALL):
            self.refresh()

    def want_missing(self) -> None:
        """Called when the playback rests: ask for the frame before, if it is not here."""
        if self._live or not self._shown or self._index is None:
            return
        if self._index > 0 and self._index - 1 not in self._seen:
            self.wanted.emit(self._index - 1)

    def refresh(self) -> None:
        if self._shown:
            self._small = self.height() < SMALL
            self.view.set_pair(self._compared(self._before()), self._compared(self._index))

    def _before(self) -> int | None:
        if self._index is None or not self._live:
            return self._index - 1 if self._index is not None else None
        return max((i for i in self._seen if i < self._index), default=None)

    def _compared(self, index: int | None) -> ComparedFrame | None:
        seen = self._seen.get(index) if index is not None else None
        if seen is None or index is None:
            return None
        driven = seen.driven_deg
        image = seen.image
        faded, gain = weights(seen.strength, self._usual, self._overlay)
        image = lay(image, seen.mask, seen.crop, self._overlay, faded, gain)
        if self._small:  # what the network sees says more than the whole picture as a stamp
            r = seen.crop
            image = np.ascontiguousarray(image[r.y : r.y + r.height, r.x : r.x + r.width])
        lines = list(seen.words) or [
            f"predicted {signed(seen.predicted_deg)}°   driven {signed(driven)}°",
            f"error {signed(shown_error(driven, seen.predicted_deg))}°",
        ]
        return ComparedFrame(image, f"frame {index}", lines)
