"""The painted ground of the timeline: errors as bars, gaps hatched, both binned to pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QImage, QPainter, QPixmap

from vbp.app import theme
from vbp.frames.strengths import Usual

Floats = NDArray[np.float64]


def columns_of(n: int, width: int) -> NDArray[np.int64]:
    """The pixel column of each of n frames in a strip `width` pixels wide."""
    if n <= 1:
        return np.zeros(n, dtype=np.int64)
    return np.minimum(width - 1, np.arange(n, dtype=np.int64) * width // (n - 1))


def bin_max(values: Floats, width: int) -> Floats:
    """The largest known value of each pixel column, NaN where none is known.

    Fewer frames than columns: each frame fills the columns that are nearest to it.
    """
    n = len(values)
    if n == 0 or width <= 0:
        return np.full(max(0, width), np.nan)
    if n < width:
        nearest = np.rint(np.linspace(0, n - 1, width)).astype(np.int64)
        return np.asarray(values[nearest], dtype=np.float64)
    starts = np.arange(width, dtype=np.int64) * n // width
    return np.asarray(np.fmax.reduceat(values, starts), dtype=np.float64)


def gap_runs(gaps: list[tuple[int, int, str]], n: int, width: int) -> list[tuple[int, int]]:
    """Pixel columns first..last of the gaps, at least two wide, those that touch as one."""
    runs: list[tuple[int, int]] = []
    scale = (width - 1) / max(1, n - 1)
    for first, last, _ in sorted(gaps):
        lo = int(max(0, min(first, n - 1)) * scale)
        hi = max(lo + 1, round(max(0, min(last, n - 1)) * scale))
        if runs and lo <= runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], max(runs[-1][1], hi))
        else:
            runs.append((lo, hi))
    return runs


def paint_strip(
    errors: Floats, limit: float, runs: list[tuple[int, int]], width: int, height: int, dpr: float
) -> QPixmap:
    """The strip, width x height device pixels."""
    c = theme.colours()
    bars = bin_max(errors, width)
    known = np.isfinite(bars)
    part = np.clip(np.where(known, bars, 0.0) / limit, 0.0, 1.0)
    tall = np.where(known, np.maximum(np.rint(part * (height - 2)), max(1, round(dpr))), 0).astype(np.int64)
    rows = height - np.arange(height)[:, None]
    pixels = np.empty((height, width, 4), np.uint8)
    pixels[:] = _bgra(c.panel)
    # small errors recede, large ones stand out: by height first, by strength of colour second
    strength = (0.35 + 0.65 * part)[:, None]
    ink = (np.array(_bgra(c.error)) * strength + np.array(_bgra(c.panel)) * (1 - strength)).astype(np.uint8)
    np.copyto(pixels, ink[None], where=(rows <= tall)[..., None])
    image = QImage(pixels.data, width, height, width * 4, QImage.Format.Format_RGB32)
    pixmap = QPixmap.fromImage(image)
    painter = QPainter(pixmap)
    ground = QColor(c.window)
    hatch = QBrush(c.gap, Qt.BrushStyle.BDiagPattern)
    for lo, hi in runs:
        box = QRectF(lo, 0, hi - lo + 1, height)
        painter.fillRect(box, ground)
        painter.fillRect(box, hatch)
        for x in (lo, hi):
            painter.fillRect(QRectF(x, 0, 1, height), c.gap)
    painter.end()
    pixmap.setDevicePixelRatio(dpr)
    return pixmap


def paint_strengths(
    strengths: Floats, spreads: Floats, usual: Usual | None, width: int, height: int, dpr: float
) -> QPixmap | None:
    """How strong masks are, as brightness from `usual.low` to the median; weak and scattered ones in the colour of warnings."""
    if usual is None or not len(strengths):
        return None
    c = theme.colours()
    weakest = -bin_max(-np.nan_to_num(strengths, nan=np.nan, neginf=-1e30), width)
    known, low = np.isfinite(weakest), usual.low
    part = np.clip(np.where(known, weakest - low, 0.0) / max(usual.median - low, 1e-9), 0.0, 1.0)[:, None]
    dim, bright = np.array(_bgra(c.border)), np.array(_bgra(c.muted))
    ink = dim * (1 - part) + bright * part
    scattered = bin_max(usual.are_scattered(strengths, spreads).astype(np.float64), width) > 0
    ink[known & ((weakest < low) | scattered)] = _bgra(c.warning)
    ink[~known] = _bgra(c.window)
    return _line(ink, height, dpr)


def worth_words(strengths: Floats, spreads: Floats, usual: Usual, i: int) -> list[str]:
    """How strong the mask of frame `i` is among those that are known, and whether it is weak or scattered."""
    known = strengths[~np.isnan(strengths)]
    if np.isnan(strengths[i]):
        return []
    rank = f"mask stronger than on {100 * (known < strengths[i]).mean():.0f} % of the frames looked at"
    words = usual.words(float(strengths[i]), float(spreads[i]))
    return [rank, words] if words else [rank]


def paint_differences(differences: Floats, width: int, height: int, dpr: float) -> QPixmap:
    """By how much two networks differ, as strength of the second one's colour, up to the largest difference."""
    c = theme.colours()
    bars = bin_max(np.abs(differences), width)
    known = np.isfinite(bars)
    most = max(float(bars[known].max()) if known.any() else 0.0, 1e-6)
    part = (np.where(known, bars, 0.0) / most)[:, None]
    ink = np.array(_bgra(c.border)) * (1 - part) + np.array(_bgra(c.second)) * part
    ink[~known] = _bgra(c.window)
    return _line(ink, height, dpr)


def _line(ink: Floats, height: int, dpr: float) -> QPixmap:
    """A strip of one colour (4,) in each column."""
    pixels = np.repeat(ink.astype(np.uint8)[None], height, axis=0)
    width = len(ink)
    image = QImage(pixels.data, width, height, width * 4, QImage.Format.Format_RGB32)
    pixmap = QPixmap.fromImage(image)
    pixmap.setDevicePixelRatio(dpr)
    return pixmap


def _bgra(colour: QColor) -> tuple[int, int, int, int]:
    return colour.blue(), colour.green(), colour.red(), 255
