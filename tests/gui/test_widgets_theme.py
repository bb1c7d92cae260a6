"""The two schemes: told apart, switched while running, readable; icons take their colour."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QSize
from PySide6.QtGui import QAction, QColor, QFontMetricsF
from PySide6.QtWidgets import QApplication

from vbp.app import theme
from vbp.app.theme.colours import DARK, LIGHT, Colours
from vbp.app.widgets.picture import PictureView
from vbp.app.widgets.timeline import Timeline


@pytest.fixture(autouse=True)
def _back_to_dark(qapp: QApplication):
    theme.apply(qapp, "dark")
    yield
    theme.apply(qapp, "dark")


def luminance(colour: QColor) -> float:
    def linear(v: float) -> float:
        return v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4

    return 0.2126 * linear(colour.redF()) + 0.7152 * linear(colour.greenF()) + 0.0722 * linear(colour.blueF())


def contrast(a: QColor, b: QColor) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("c", [DARK, LIGHT], ids=["dark", "light"])
def test_text_and_series_can_be_read(c: Colours):
    for ground in (c.window, c.panel, c.raised):
        assert contrast(c.text, ground) >= 7
        assert contrast(c.muted, ground) >= 4.5
        for series in (c.driven, c.predicted, c.second, c.error, c.warning, c.accent):
            assert contrast(series, ground) >= 3


@pytest.mark.parametrize("c", [DARK, LIGHT], ids=["dark", "light"])
def test_driven_and_predicted_stay_apart_without_red_and_green(c: Colours):
    # deuteranopes keep the difference of blue against yellow
    def blueness(colour: QColor) -> float:
        return colour.blueF() - (colour.redF() + colour.greenF()) / 2

    assert abs(blueness(c.driven) - blueness(c.predicted)) > 0.3


def test_switching_the_scheme_repaints_widgets(qapp, qtbot):
    view, line = PictureView(), Timeline()
    for widget in (view, line):
        qtbot.addWidget(widget)
        widget.resize(300, 60)
    line.set_drive([0.0, 1.0, 2.0], [])
    for scheme, c in (("dark", DARK), ("light", LIGHT), ("dark", DARK)):
        theme.apply(qapp, scheme)
        assert theme.colours() is c
        assert view.grab().toImage().pixelColor(5, 5) == c.window
        at = line.track().center().toPoint()
        assert line.grab().toImage().pixelColor(at.x() - 20, at.y()) == c.panel


def test_changed_is_emitted_and_an_unknown_scheme_refused(qapp, qtbot):
    with qtbot.waitSignal(theme.changed, timeout=1000):
        theme.apply(qapp, "light")
    with pytest.raises(ValueError, match="purple"):
        theme.apply(qapp, "purple")
    assert theme.scheme() == "light"


def test_an_icon_follows_the_scheme(qapp):
    action = QAction("play")
    theme.set_icon(action, "play")

    def ink() -> QColor:
        return action.icon().pixmap(QSize(32, 32), 1.0).toImage().pixelColor(14, 16)

    assert ink() == DARK.text
    theme.apply(qapp, "light")
    assert ink() == LIGHT.text


def test_every_icon_draws_something(qapp):
    names = sorted(p.stem for p in theme.ICONS.glob("*.svg"))
    assert {"play", "pause", "step-back", "step-forward", "to-start", "to-end", "loop", "open"} <= set(names)
    for name in names:
        image = theme.icon(name).pixmap(QSize(24, 24), 2.0).toImage()
        inked = sum(
            image.pixelColor(x, y).alpha() > 0 for x in range(image.width()) for y in range(image.height())
        )
        assert inked > 20, name
    assert theme.icon("no-such-icon").isNull()


def test_figures_have_one_width(qapp):
    metrics = QFontMetricsF(theme.number_font(11))
    widths = {round(metrics.horizontalAdvance(d * 10), 3) for d in "0123456789"}
    assert len(widths) == 1
