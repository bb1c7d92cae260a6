"""Dark and light: one palette, one accent, the two series colours, tinted icons, figures that do not jump."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any, cast

from PySide6.QtCore import QByteArray, QObject, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QFont, QGuiApplication, QIcon, QPainter, QPalette, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication

from vbp.app.theme.colours import DARK, LIGHT, Colours
from vbp.app.theme.sheet import stylesheet

ICONS = Path(__file__).parent / "icons"
SCHEMES = ("system", "dark", "light")


class _Notifier(QObject):
    changed = Signal()


_notifier = _Notifier()
changed = _notifier.changed  # connect custom-painted widgets' update() to this
_state: dict[str, Any] = {"scheme": "system", "colours": DARK, "followed": None, "dressed": None}
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
    if _state["dressed"] == (app, c):
        return  # to dress every widget again, as it is, would take as long as making them
    _state["colours"], _state["dressed"] = c, (app, c)
    app.setPalette(_palette(c))
    app.setStyleSheet(stylesheet(c, ICONS))
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


def number_font(size: float = 0) -> QFont:
    """The application's font with figures of one width, `size` points (0: as it is)."""
    base = QApplication.font()
    which = (base.key(), size)
    if which not in _number_fonts:  # every paint event asks for it
        font = QFont(base)
        if size > 0:
            font.setPointSizeF(size)
        font.setFeature(QFont.Tag("tnum"), 1)
        _number_fonts[which] = font
    return QFont(_number_fonts[which])


_number_fonts: dict[tuple[str, float], QFont] = {}


def icon(name: str, tint: QColor | None = None) -> QIcon:
    """icons/NAME.svg in `tint` or the text's colour; an empty icon where there is none.

    The pixels are those of today's scheme: use `set_icon` for what outlives a switch.
    """
    c = colours()
    faint = QColor(c.muted)
    faint.setAlpha(110)
    which = (name, (tint or c.text).rgba(), faint.rgba())
    if which not in _icons:  # a window has hundreds, of a few dozen kinds
        _icons[which] = _drawn(ICONS / f"{name}.svg", tint or c.text, faint)
    return QIcon(_icons[which])


_icons: dict[tuple[str, int, int], QIcon] = {}


def _drawn(path: Path, normal: QColor, disabled: QColor) -> QIcon:
    out = QIcon()
    if not path.is_file():
        return out
    svg = path.read_text(encoding="utf-8")
    for mode, colour in ((QIcon.Mode.Normal, normal), (QIcon.Mode.Disabled, disabled)):
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
