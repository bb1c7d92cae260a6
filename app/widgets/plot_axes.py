"""The axes and the view of the angle plot: clock times, degrees, and a wheel that zooms in time."""

from __future__ import annotations

from typing import Any

import pyqtgraph as pg

from app.widgets.format import MINUS, clock

SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
DEGREES = (1, 2, 5, 10, 20, 45, 90, 180, 360)
EDGE = 8.0  # pixels at the ends of the degree axis that stay free: the next plot's labels are there


class TimeAxis(pg.AxisItem):
    """Seconds as a clock reads, or frame numbers."""

    in_frames = False

    def __init__(self) -> None:
        super().__init__("bottom", maxTickLength=-4)
        self.setStyle(tickTextOffset=3)

    def tickSpacing(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, float]]:
        if self.in_frames:
            return list(super().tickSpacing(minVal, maxVal, size))
        room = max(1.0, size / 90)  # a label every 90 pixels
        wanted = (maxVal - minVal) / room
        return [(float(next((s for s in SECONDS if s >= wanted), SECONDS[-1])), 0.0)]

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        if self.in_frames:
            return [f"{v:.0f}" if v >= 0 and float(v).is_integer() else "" for v in values]
        return ["" if v < 0 else clock(v) if spacing < 1 else clock(v)[:-2] for v in values]


class DegreeAxis(pg.AxisItem):
    """Degrees, as wide for three figures as for one, so that the plots keep their place."""

    def __init__(self) -> None:
        super().__init__("left", maxTickLength=-4)
        self.setStyle(tickTextOffset=4)
        self.setWidth(52)

    def tickSpacing(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, float]]:
        wanted = (maxVal - minVal) / max(1.0, size / 26)
        # one figure beside the zero at least: a lone "0°" says nothing of the scale
        fits = [s for s in DEGREES if s <= 0.8 * max(abs(minVal), abs(maxVal))] or [DEGREES[0]]
        return [(float(next((s for s in fits if s >= wanted), fits[-1])), 0.0)]

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, list[float]]]:
        edge = EDGE * (maxVal - minVal) / max(1.0, size)
        levels = super().tickValues(minVal, maxVal, size)
        return [(s, [v for v in vs if minVal + edge <= v <= maxVal - edge]) for s, vs in levels]

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        return [
            (f"+{v:g}°" if v > 0 else f"{v:g}°").replace("-", MINUS) for v in (round(v, 3) for v in values)
        ]


class ViewBox(pg.ViewBox):
    """The wheel and the hand work in time; over the degree axis, in degrees."""

    def __init__(self) -> None:
        super().__init__(enableMenu=False)

    def wheelEvent(self, ev: Any, axis: int | None = None) -> None:
        super().wheelEvent(ev, axis=0 if axis is None else axis)

    def mouseDragEvent(self, ev: Any, axis: int | None = None) -> None:
        super().mouseDragEvent(ev, axis=0 if axis is None else axis)
