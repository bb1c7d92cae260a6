"""A picture with a mask over it, blended again whenever the overlay changes."""

from __future__ import annotations

import logging
import math
import time

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from vbp.app.state.overlay import Overlay
from vbp.app.widgets.picture import PictureView
from vbp.frames.strengths import Usual, weights
from vbp.overlay import Rect, blend, grey_to_rgb

log = logging.getLogger(__name__)
WARNING = QColor("#e2c15c")  # on its own dark ground, in both colour schemes


class MaskedView(PictureView):
    """Keeps the picture and the mask apart, so that a new overlay needs no new pass. Hidden, it does nothing."""

    painted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.overlay = Overlay()
        self.blend_ms = 0.0
        self._base: NDArray[np.uint8] | None = None
        self._mask: NDArray[np.float32] | None = None
        self._rect: Rect | None = None
        self._usual: Usual | None = None
        self._strength = math.nan
        self._own = True
        self._stale = False
        self._edited = ""

    def set_edited(self, text: str) -> None:
        """That the picture is not the recorded one, in words; "" where it is."""
        if text != self._edited:
            self._edited = text
            self.update()

    def set_masked(
        self, image: NDArray[np.uint8] | None, mask: NDArray[np.float32] | None, rect: Rect | None = None
    ) -> None:
        """`image` (H, W) or (H, W, 3) uint8; `mask` (h, w) float32 laid over `rect` of it (default: all)."""
        self._base, self._mask, self._rect = image, mask, rect
        self.refresh()

    def set_strength(self, strength: float, own: bool = True) -> None:
        """Of VisualBackProp's mask of the frame; own: that is the mask shown, which may have a fixed scale."""
        self._strength, self._own = strength, own
        self.refresh()

    def set_usual(self, usual: Usual | None) -> None:
        """What strengths the drive has, where that is known."""
        self._usual = usual
        self.refresh()

    def set_overlay(self, overlay: Overlay) -> None:
        self.overlay = overlay
        self.refresh()

    def refresh(self) -> None:
        """Blend again, when it is painted: what nobody sees costs nothing."""
        self._stale = True
        self.update()

    def _blend(self) -> None:
        self._stale = False
        began = time.perf_counter()
        try:
            self._hold(self.blended())
        except Exception:  # none may leave a paint event; the picture without its mask is still worth showing
            log.exception("blending")
            self._hold(grey_to_rgb(self._base) if self._base is not None else None)
        self.blend_ms = (time.perf_counter() - began) * 1e3

    def blended(self) -> NDArray[np.uint8] | None:
        """What is shown: the picture with its mask."""
        if self._base is None:
            return None
        image = grey_to_rgb(self._base)
        if self._mask is None or not self.overlay.shown:
            return image
        o = self.overlay
        faded, gain = weights(self._strength, self._usual, o.fade, o.fixed and self._own)
        return blend(image, self._mask, self._rect, o.style, o.opacity * faded, gain)

    def picture_rect(self) -> QRectF:
        if (
            self._stale
        ):  # the picture before may have had another size, and before the first one there is none
            self._blend()
        return super().picture_rect()

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._stale:
            self._blend()
        super().paintEvent(event)
        if self._edited and self._image is not None:
            self._paint_edited()
        self.painted.emit()

    def _paint_edited(self) -> None:
        """At the lower left: warnings stand at the top."""
        painter = QPainter(self)
        ground = self.picture_rect().intersected(self.viewport()).adjusted(4, 4, -4, -4)
        wide = min(ground.width(), self.fontMetrics().horizontalAdvance(self._edited) + 12)
        text = self.fontMetrics().elidedText(self._edited, Qt.TextElideMode.ElideRight, int(wide) - 8)
        high = min(ground.height(), self.fontMetrics().height() + 4)
        plate = QRectF(ground.left(), ground.bottom() - high, wide, high)
        painter.fillRect(plate, QColor(0, 0, 0, 190))
        painter.setPen(WARNING)
        painter.drawText(plate, int(Qt.AlignmentFlag.AlignCenter), text)
        painter.end()

    def _paint_warning(self, painter: QPainter, ground: QRectF) -> None:
        """The whole sentence, as half of it would mislead; at the top, as what the network sees lies below."""
        inner = ground.adjusted(8, 4, -8, -4)
        flags = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap)
        box = painter.boundingRect(inner, flags, self._warning or "")
        painter.fillRect(
            QRectF(ground.x(), ground.y(), ground.width(), box.height() + 8), QColor(0, 0, 0, 190)
        )
        painter.setPen(WARNING)
        painter.drawText(inner, flags, self._warning or "")
