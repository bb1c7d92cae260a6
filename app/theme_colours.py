"""The colours of the two schemes."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtGui import QColor


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
    error: QColor  # actual - predicted, and errors in words
    warning: QColor
    mask: QColor
    gap: QColor  # frames that are missing
    bookmark: QColor


# Orange, blue and reddish purple stay apart under all common kinds of colour blindness; the driven
# grey differs from each of them in saturation, and in lightness from its ground.
DARK = Colours(
    dark=True,
    window=QColor("#17191c"),
    panel=QColor("#1f2226"),
    raised=QColor("#2a2e33"),
    border=QColor("#363b42"),
    text=QColor("#e3e6ea"),
    muted=QColor("#929aa4"),
    accent=QColor("#4f9cf0"),
    driven=QColor("#a9bacb"),
    predicted=QColor("#f79a3a"),
    error=QColor("#d88abf"),
    warning=QColor("#e2c15c"),
    mask=QColor("#ff3b30"),
    gap=QColor("#5a6068"),
    bookmark=QColor("#e2c15c"),
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
    error=QColor("#a8448a"),
    warning=QColor("#8f6a00"),
    mask=QColor("#e0261b"),
    gap=QColor("#aab0b8"),
    bookmark=QColor("#a07800"),
)
