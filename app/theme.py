"""Dark and light: one palette, one accent, the two series colours, tinted icons, figures that do not jump."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from PySide6.QtCore import QByteArray, QObject, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QFont, QGuiApplication, QIcon, QPainter, QPalette, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication

ICONS = Path(__file__).parent / "icons"
SCHEMES = ("system", "dark", "light")


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
    muted=QColor("#626b75"),
    accent=QColor("#1f6fd1"),
    driven=QColor("#5f7388"),
    predicted=QColor("#d96c00"),
    error=QColor("#a8448a"),
    warning=QColor("#8f6a00"),
    mask=QColor("#e0261b"),
    gap=QColor("#aab0b8"),
    bookmark=QColor("#a07800"),
)


class _Notifier(QObject):
    changed = Signal()


_notifier = _Notifier()
changed = _notifier.changed  # connect custom-painted widgets' update() to this
_state: dict[str, Any] = {"scheme": "system", "colours": DARK, "followed": None}
_icon_users: list[tuple[weakref.ref[QObject], str]] = []


def colours() -> Colours:
    """The colours in force."""
    return cast(Colours, _state["colours"])


def scheme() -> str:
    """What was asked for: "system", "dark" or "light"."""
    return str(_state["scheme"])


def apply(app: QApplication, scheme: str = "system") -> None:
    """Dress the application in `scheme`; "system" follows the desktop, also when it changes later."""
    if scheme not in SCHEMES:
        raise ValueError(f"colour scheme {scheme!r} is not one of {', '.join(SCHEMES)}")
    _state["scheme"] = scheme
    if _state["followed"] is not app:
        _state["followed"] = app
        app.setStyle("Fusion")
        QGuiApplication.styleHints().colorSchemeChanged.connect(lambda _: _dress(app))
    _dress(app)


def _dress(app: QApplication) -> None:
    asked = scheme()
    if asked == "system":
        dark = QGuiApplication.styleHints().colorScheme() != Qt.ColorScheme.Light
    else:
        dark = asked == "dark"
    c = DARK if dark else LIGHT
    _state["colours"] = c
    app.setPalette(_palette(c))
    app.setStyleSheet(_stylesheet(c))
    _retint()
    changed.emit()


def _palette(c: Colours) -> QPalette:
    p = QPalette()
    role = QPalette.ColorRole
    on_accent = QColor("#10151b") if c.dark else QColor("#ffffff")
    for which, colour in (
        (role.Window, c.window),
        (role.WindowText, c.text),
        (role.Base, c.panel),
        (role.AlternateBase, c.window),
        (role.ToolTipBase, c.raised),
        (role.ToolTipText, c.text),
        (role.PlaceholderText, c.muted),
        (role.Text, c.text),
        (role.Button, c.raised),
        (role.ButtonText, c.text),
        (role.BrightText, c.text),
        (role.Link, c.accent),
        (role.LinkVisited, c.accent),
        (role.Highlight, c.accent),
        (role.HighlightedText, on_accent),
        (role.Accent, c.accent),
        (role.Light, c.raised.lighter(115)),
        (role.Midlight, c.raised),
        (role.Mid, c.border),
        (role.Dark, c.border.darker(115)),
        (role.Shadow, QColor(0, 0, 0)),
    ):
        p.setColor(which, colour)
    faint = QColor(c.muted)
    faint.setAlpha(120)
    for which in (role.WindowText, role.Text, role.ButtonText):
        p.setColor(QPalette.ColorGroup.Disabled, which, faint)
    p.setColor(QPalette.ColorGroup.Disabled, role.Highlight, c.border)
    return p


def _stylesheet(c: Colours) -> str:
    hover = c.raised.lighter(118) if c.dark else c.raised.darker(104)
    names = {
        k: getattr(c, k).name() for k in ("window", "panel", "raised", "border", "text", "muted", "accent")
    }
    return _SHEET.format(**names, hover=hover.name())


_SHEET = """
QToolTip {{ background: {raised}; color: {text}; border: 1px solid {border}; padding: 4px 6px; }}
QMainWindow::separator {{ background: {window}; width: 5px; height: 5px; }}
QMainWindow::separator:hover {{ background: {accent}; }}
QDockWidget {{ color: {muted}; titlebar-close-icon: none; }}
QDockWidget::title {{ background: {window}; padding: 4px 8px; text-align: left; }}
QToolBar {{ background: {window}; border: none; padding: 3px 6px; spacing: 4px; }}
QToolBar::separator {{ background: {border}; width: 1px; margin: 5px 5px; }}
QToolButton {{ background: transparent; border: 1px solid transparent; border-radius: 4px; padding: 4px; }}
QToolButton:hover {{ background: {hover}; }}
QToolButton:checked, QToolButton:pressed {{ background: {raised}; border-color: {border}; }}
QToolButton:focus {{ border-color: {accent}; }}
QStatusBar {{ background: {window}; color: {muted}; }}
QStatusBar::item {{ border: none; }}
QMenu {{ background: {panel}; border: 1px solid {border}; padding: 4px; }}
QMenu::separator {{ height: 1px; background: {border}; margin: 4px 8px; }}
"""


def number_font(size: float = 0) -> QFont:
    """The application's font with figures of one width, `size` points (0: as it is)."""
    font = QFont(QApplication.font())
    if size > 0:
        font.setPointSizeF(size)
    font.setFeature(QFont.Tag("tnum"), 1)
    return font


def icon(name: str) -> QIcon:
    """app/icons/NAME.svg in the colours in force; an empty icon where there is none.

    The pixels are those of today's scheme: use `set_icon` for what outlives a switch.
    """
    path = ICONS / f"{name}.svg"
    out = QIcon()
    if not path.is_file():
        return out
    svg = path.read_text(encoding="utf-8")
    c = colours()
    faint = QColor(c.muted)
    faint.setAlpha(110)
    for mode, colour in ((QIcon.Mode.Normal, c.text), (QIcon.Mode.Disabled, faint)):
        tinted = svg.replace("currentColor", colour.name())
        renderer = QSvgRenderer(QByteArray(tinted.encode()))
        for side in _ICON_SIDES:
            out.addPixmap(_render(renderer, side, colour.alphaF()), mode)
    return out


_ICON_SIDES = (16, 20, 24, 32, 40, 48, 64)  # those of 100 % to 200 %; Qt takes the next larger one


def _render(renderer: QSvgRenderer, side: int, opacity: float) -> QPixmap:
    pixmap = QPixmap(side, side)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setOpacity(opacity)
    renderer.render(painter, QRectF(0, 0, side, side))
    painter.end()
    return pixmap


def set_icon(target: Any, name: str) -> None:
    """Give `target` (QAction, button) the icon, and again whenever the colours change."""
    global _icon_users
    _icon_users = [(ref, n) for ref, n in _icon_users if ref() is not None and ref() is not target]
    _icon_users.append((weakref.ref(target), name))
    target.setIcon(icon(name))


def _retint() -> None:
    for ref, name in _icon_users:
        target: Any = ref()
        if target is None:
            continue
        try:
            target.setIcon(icon(name))
        except RuntimeError:  # its C++ half is gone
            continue
