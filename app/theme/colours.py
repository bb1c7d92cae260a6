"""The colours of the two schemes."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtGui import QColor

from vbp import palette


@dataclass(frozen=True)
class Colours:
    """What a custom-painted widget may use. Red (`mask`) belongs to the mask alone."""

    dark: bool
    window: QColor  # behind the docks and around the picture
    panel: QColor  # lists, plots, pictures' ground
    raised: QColor  # buttons, key caps
    border: QColor
    text: QColor
    muted: QColor  # labels, units, axes
    accent: QColor  # what can be grabbed or is chosen
    driven: QColor  # the driver's angle, everywhere
    predicted: QColor  # the network's angle, everywhere
    second: QColor  # that of a second network beside it
    error: QColor  # actual - predicted, and errors in words
    warning: QColor
    mask: QColor
    gap: QColor  # frames that are missing
    bookmark: QColor


DARK = Colours(
    dark=True,
    window=QColor(palette.WINDOW),
    panel=QColor(palette.PANEL),
    raised=QColor(palette.RAISED),
    border=QColor(palette.BORDER),
    text=QColor(palette.TEXT),
    muted=QColor(palette.MUTED),
    accent=QColor(palette.ACCENT),
    driven=QColor(palette.DRIVEN),
    predicted=QColor(palette.PREDICTED),
    second=QColor(palette.SECOND),
    error=QColor(palette.ERROR),
    warning=QColor(palette.WARNING),
    mask=QColor(palette.MASK),
    gap=QColor(palette.GAP),
    bookmark=QColor(palette.WARNING),
)
LIGHT = Colours(
    dark=False,
    window=QColor("#eceef0"),
    panel=QColor("#fafbfc"),
    raised=QColor("#ffffff"),
    border=QColor("#cfd4da"),
    text=QColor("#1d2126"),
    muted=QColor("#59626c"),
    accent=QColor("#1f6fd1"),
    driven=QColor("#5f7388"),
    predicted=QColor("#cc6200"),
    second=QColor("#4a3fd0"),
    error=QColor("#a8448a"),
    warning=QColor("#8f6a00"),
    mask=QColor("#e0261b"),
    gap=QColor("#aab0b8"),
    bookmark=QColor("#a07800"),
)
