"""Room for what is looked at: how panels stand, how they follow the window, and what the wheel of a mouse leaves alone."""

from __future__ import annotations

import base64
import math
import re
import struct
from itertools import pairwise
from pathlib import Path

import pytest
from drivemaker import WAIT
from PySide6.QtCore import QPoint, QPointF, QSize, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QDockWidget, QToolBar, QWidget

import vbp.app
from vbp.app.panels.layout import VERSION, WIDE, grid
from vbp.app.panels.layout_state import is_sound
from vbp.app.shell.window import MainWindow
from vbp.app.widgets.boxes import ComboBox, NumberBox
from vbp.explain import METHODS

SIGN = 1.0  # width by height of an input of traffic signs
HVF = 351 / 125


def turn_wheel(widget: QWidget, notches: int = -1) -> None:
    at = QPointF(widget.rect().center())
    event = QWheelEvent(
        at,
        widget.mapToGlobal(at),
        QPoint(),
        QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, event)


def map_heights(window: MainWindow) -> dict[str, int]:
    panels = {"visualbackprop": window.panels.visualbackprop, **window.panels.methods}
    shown = {name: panel for name, panel in panels.items() if window.docks[name].isVisible()}
    return {name: min(p.view.height(), round(p.view.width() / WIDE)) for name, p in shown.items()}


# The wheel of the mouse.


def test_the_wheel_over_a_closed_box_changes_nothing(qtbot, make_window):
    window = make_window()
    chosen: list[str] = []
    window.top.network_chosen.connect(chosen.append)
    for name in ("one", "two", "three"):
        window.top.network.addItem(name, name)
    for box in (window.top.network, window.top.style_box, window.panels.transport.speed):
        for focused in (False, True):
            if focused:
                box.setFocus()
            before = box.currentIndex()
            turn_wheel(box)
            turn_wheel(box, 1)
            turn_wheel(box, -2)
            assert box.currentIndex() == before
    assert chosen == []


def test_a_number_takes_the_wheel_only_with_the_keys(qtbot):
    box = NumberBox()
    qtbot.addWidget(box)
    box.show()
    qtbot.waitExposed(box)
    turn_wheel(box, 1)
    assert box.value() == 0
    box.activateWindow()
    box.setFocus()
    qtbot.waitUntil(box.hasFocus, timeout=WAIT)
    turn_wheel(box, 1)
    assert box.value() == 1


def test_every_box_of_the_window_is_one_of_ours() -> None:
    folder = Path(vbp.app.__path__[0])
    users = [
        p
        for p in folder.rglob("*.py")
        if re.search(r"import .*\bQ(ComboBox|\w*SpinBox)\b|\bQ(ComboBox|\w*SpinBox)\(", p.read_text("utf-8"))
    ]
    assert [p.name for p in users] == ["boxes.py"]
    assert issubclass(ComboBox, QWidget)


# Where the panels stand.


def test_maps_stand_in_as_many_columns_as_make_them_largest():
    assert grid(1, 650, 300, WIDE)[0] == 1
    assert grid(2, 650, 300, WIDE)[0] == 1
    assert grid(4, 650, 300, WIDE)[0] == 2
    assert grid(2, 650, 300, SIGN)[0] == 2
    assert grid(0, 650, 300, WIDE) == (0, 0)
    assert grid(6, 430, 122, HVF)[0] == 3  # low: rather dots in names than maps of no height
    for count in range(1, 8):
        columns, strip = grid(count, 650, 600, WIDE)
        assert strip * math.ceil(count / columns) <= 600


def test_four_maps_have_room_in_a_small_window(qtbot, make_window):
    window = make_window(size=(1280, 700))
    qtbot.waitUntil(lambda: window.view.placed, timeout=WAIT)
    window.actions_by_id["add-method"].trigger()
    window.actions_by_id["add-method"].trigger()
    qtbot.waitUntil(lambda: len(map_heights(window)) == 4, timeout=WAIT)
    qtbot.wait(50)
    assert min(map_heights(window).values()) >= 60
    assert window.picture.height() >= 400
    window.docks["method-2"].titleBarWidget().close_button.click()
    window.actions_by_id["panel-method-3"].trigger()
    qtbot.waitUntil(lambda: len(map_heights(window)) == 2, timeout=2000)
    qtbot.wait(50)
    assert min(map_heights(window).values()) >= 90


def test_another_input_and_back_leaves_the_maps_their_height(qtbot, make_window):
    window = make_window(size=(1280, 700))
    qtbot.waitUntil(lambda: window.view.placed, timeout=WAIT)
    before = map_heights(window)
    for _ in range(3):
        for aspect in (SIGN, HVF, WIDE):
            window.view.arrange_maps(aspect)
            qtbot.wait(20)
    assert all(abs(height - before[name]) <= 3 for name, height in map_heights(window).items())
    assert (window.width(), window.height()) == (1280, 700)


def test_maps_that_were_taken_away_stay_where_they_are(qtbot, make_window):
    window = make_window()
    qtbot.waitUntil(lambda: window.view.placed, timeout=WAIT)
    window.docks["lrp"].titleBarWidget().float_button.click()
    window.view.arrange_maps(SIGN)
    assert window.docks["lrp"].isFloating()
    window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, window.docks["visualbackprop"])
    window.view.arrange_maps(WIDE)
    left = window.dockWidgetArea(window.docks["visualbackprop"])
    assert left == Qt.DockWidgetArea.LeftDockWidgetArea


def test_a_larger_window_gives_its_panels_their_share(qtbot, make_window):
    window = make_window(size=(1280, 700))
    qtbot.waitUntil(lambda: window.view.placed, timeout=WAIT)
    for size in ((1900, 1000), (1000, 600), (1280, 700)):
        window.resize(*size)
        qtbot.wait(50)
        assert 0.42 < window.docks["lrp"].width() / window.width() < 0.55


# The window on its screen.


def test_the_first_window_is_no_larger_than_its_screen(qtbot, settings, monkeypatch):
    room = QSize(1280, 720)
    monkeypatch.setattr("PySide6.QtGui.QScreen.availableSize", lambda _: room)
    window = MainWindow(settings, scheme="dark")
    window.show()
    qtbot.waitExposed(window)
    qtbot.wait(50)
    assert window.width() <= 1280
    assert window.height() <= 720 - 30  # under a title of the desktop's
    window.close()
    window.deleteLater()


def test_a_small_window_stays_small(qtbot, make_window):
    window = make_window(size=(831, 539))
    qtbot.waitUntil(lambda: window.view.placed, timeout=WAIT)
    assert (window.width(), window.height()) == (831, 539)
    window.actions_by_id["reset-layout"].trigger()
    qtbot.wait(50)
    assert (window.width(), window.height()) == (831, 539)
    plot = window.docks["angle"].height()
    for maps in (3, 4, 5, 6, 7):
        window.actions_by_id["add-method"].trigger()
        qtbot.wait(50)
        assert (window.width(), window.height()) == (831, 539)
        assert window.picture.width() > 350
        assert window.docks["angle"].height() >= plot - 2
        views = [window.panels.visualbackprop.view, *(p.view for p in window.panels.methods.values())]
        sizes = {(v.width(), v.height()) for v in views if v.isVisible()}
        assert sum(v.isVisible() for v in views) == maps
        widths, heights = zip(*sizes, strict=True)
        assert max(heights) - min(heights) <= 1 and min(heights) >= 24
        assert max(widths) - min(widths) <= (1 if maps in (4, 6) else max(widths))


def test_the_numbers_of_a_method_never_widen_its_panel(qtbot, make_window):
    window = make_window(size=(1280, 700))
    qtbot.waitUntil(lambda: window.view.placed, timeout=WAIT)
    panel = window.panels.lrp
    panel.set_methods(METHODS)
    before = window.docks["lrp"].size()
    for method in METHODS.values():
        panel.choose(method.name)
        qtbot.wait(5)
        assert window.docks["lrp"].size() == before
        seen = [control.isVisible() for control in panel._controls.values()]
        assert all(seen) or (not any(seen) and panel.more.isVisible())
    panel.choose("fbi")
    panel.more.click()
    qtbot.waitUntil(panel.popup.isVisible, timeout=WAIT)
    assert len(panel._controls) == len(METHODS["fbi"].parameters) and all(
        c.isVisible() for c in panel._controls.values()
    )
    assert panel.popup.geometry().bottom() <= panel.view.mapToGlobal(QPoint(0, 0)).y()
    panel.popup.close()


@pytest.mark.parametrize("width", [831, 1000, 1100, 1280, 1366])
def test_no_more_of_the_bar_is_given_up_than_must_be(qtbot, make_window, width):
    window = make_window(size=(width, 600))
    qtbot.waitUntil(lambda: window.view.placed, timeout=WAIT)
    top = window.top
    for title in ("Angle", "Probability of the predicted class"):
        top.target.clear()
        top.target.addItem(title)
        qtbot.wait(5)
        shown = [w for w in map(top.widgetForAction, top.actions()) if w is not None and w.isVisible()]
        free = top.width() - sum(max(w.sizeHint().width(), w.minimumWidth()) for w in shown)
        hidden = [w.sizeHint().width() for _, w in top._given_up if not w.isVisible()]
        assert not hidden or free < min(hidden) + 4 * len(shown) + 40


def test_a_crop_is_set_without_making_the_window_wider(qtbot, open_window):
    window = open_window(network="NetSVF")
    window.resize(831, 539)
    qtbot.wait(50)
    window.actions_by_id["crop"].trigger()
    qtbot.waitUntil(lambda: window.crop.editor.bar.isVisible(), timeout=WAIT)
    qtbot.wait(50)
    assert window.width() == 831
    text = window.crop.editor.text
    assert text.height() >= text.heightForWidth(text.width())


@pytest.mark.parametrize("width", [831, 1000, 1280, 1900])
def test_all_of_the_bar_is_in_reach(qtbot, make_window, width):
    window = make_window(size=(width, 600))
    qtbot.waitUntil(lambda: window.view.placed, timeout=WAIT)
    top = window.top
    for widget in (top.network, top.device, top.style_box, top.opacity, top.target, top.panels):
        assert widget.isVisible()
        assert top.rect().contains(widget.geometry())
    shown = sorted(
        (w.geometry().left(), w.geometry().right())
        for w in map(top.widgetForAction, top.actions())
        if w.isVisible()
    )
    assert all(right <= left for (_, right), (left, _) in pairwise(shown))


def test_what_is_explained_can_be_chosen_in_a_menu(qtbot, make_window):
    window = make_window()
    for title, target in (("Angle", "output"), ("Magnitude", "magnitude")):
        window.top.target.addItem(title, target)
    menu = window.explain_menu
    menu.aboutToShow.emit()
    with qtbot.waitSignal(window.top.target_chosen, timeout=WAIT) as told:
        menu.actions()[1].trigger()
    assert told.args == ["magnitude"]
    assert window.top.target.currentText() == "Magnitude"
    menu.aboutToShow.emit()
    assert [a.isChecked() for a in menu.actions()] == [False, True]
    assert window.methods.target == "magnitude"


def test_a_panel_that_floats_has_a_frame(qtbot, make_window):
    window = make_window()
    qtbot.waitUntil(lambda: window.view.placed, timeout=WAIT)
    dock = window.docks["steering"]
    dock.titleBarWidget().float_button.click()
    qtbot.wait(50)
    edge = dock.grab().toImage()
    for at in (QPoint(0, 40), QPoint(edge.width() - 1, 40), QPoint(40, edge.height() - 1)):
        assert edge.pixelColor(at) != edge.pixelColor(5, 45)


def test_a_layout_that_somebody_changed_never_reaches_qt_which_would_crash(qtbot, make_window):
    """What Qt reads without looking: panels that are not there or twice, counts and numbers beyond all, half a layout."""
    window = make_window()
    qtbot.waitUntil(lambda: window.view.placed, timeout=WAIT)
    docks, bars = ({w.objectName() for w in window.findChildren(k)} for k in (QDockWidget, QToolBar))

    def sound(state: bytes) -> bool:
        return is_sound(state, VERSION, docks, bars)

    window.docks["notes"].setFloating(True)
    window.docks["lrp"].hide()
    window.view.add_method()
    state = bytes(window.saveState(VERSION).data())
    assert sound(state) and not sound(state + b"\0")
    assert not any(sound(state[:length]) for length in range(len(state)))
    names = [
        name.encode("utf-16-be") for name in ("dock-angle", "dock-notes", "dock-nones", "tools", "toolz")
    ]
    assert not sound(state.replace(names[1], names[0])) and not sound(state.replace(names[1], names[2]))
    assert not sound(state.replace(names[3], names[4]))
    for at in range(9, 21, 4):  # how many areas, which is the first, how wide it is
        assert not sound(state[:at] + struct.pack(">i", 2**31 - 1) + state[at + 4 :])
    before = window.saveState(VERSION)
    window.view.restore(base64.b64encode(state.replace(names[1], names[0])).decode())
    assert window.saveState(VERSION) == before
    window.docks["notes"].setFloating(False)
    window.view.restore(base64.b64encode(state).decode())
    assert window.docks["notes"].isFloating()


def test_the_slider_of_the_overlay_shows_that_it_has_the_keys(qtbot, make_window):
    window = make_window()
    window.activateWindow()
    without = window.top.opacity.grab().toImage()
    window.top.opacity.setFocus()
    qtbot.waitUntil(window.top.opacity.hasFocus, timeout=WAIT)
    assert window.top.opacity.grab().toImage() != without
