"""Nothing that is written is cut off, whatever the size of the window; panels float and come back."""

from __future__ import annotations

import numpy as np
import pytest
from drivemaker import WAIT
from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtWidgets import QApplication, QWidget

from vbp.app import theme
from vbp.app.panels.live_plot import SPAN_S, LivePlot
from vbp.app.panels.masked import MaskedView
from vbp.app.panels.method import MethodPanel
from vbp.app.panels.spec import SpecPanel
from vbp.app.panels.status import StatusLine
from vbp.app.panels.title import Caption, PanelDock, PanelTitle, place_beside
from vbp.app.widgets.boxes import ComboBox
from vbp.app.widgets.checkpoint_strip import best_grid
from vbp.app.widgets.line_plot import NumberAxis
from vbp.app.widgets.notice import Notice
from vbp.explain import METHODS
from vbp.overlay import Rect

STAGES = {"decode": 6.9, "preprocess": 0.8, "forward": 127.1, "mask": 22.6, "lrp": 1112.5, "overlay": 5.7}


def test_a_stage_in_the_status_line_is_there_as_a_whole_or_not_at_all(qtbot):
    line = StatusLine()
    qtbot.addWidget(line)
    line.set_device("CPU, 2 threads")
    line.set_path("own kernels")
    for stage, ms in STAGES.items():
        line.measured(stage, ms)
    line.refresh(19.8, 20.0, 3, True)
    line.show_progress(1, 2)
    line.show()
    seen = set()
    for width in range(500, 1400, 25):
        line.resize(width, 24)
        qtbot.wait(1)
        text = line.stages.text()
        seen.add(text)
        assert text == "" or text.endswith(" ms")
        room = line.stages.contentsRect().width()
        assert text == "" or line.stages.fontMetrics().horizontalAdvance(text) <= room
        assert line.skipped.width() >= line.skipped.sizeHint().width()
        assert "lrp 1112.5" in line.stages.toolTip()
    assert "" in seen and len(seen) == len(STAGES) + 1
    assert max(seen, key=len).count("   ") == len(STAGES) - 1
    line.resize(700, 24)
    line.end_progress()  # its room is that of the stages again
    line.refresh(19.8, 20.0, 3, True)
    qtbot.wait(1)
    assert "forward 127.1" in line.stages.text()


@pytest.mark.parametrize("width", [300, 411, 600, 1100])
def test_a_notice_is_read_whole_with_its_buttons(qtbot, width):
    ground = QWidget()
    qtbot.addWidget(ground)
    ground.resize(width, 400)
    notice = Notice()
    notice.lie_over(ground)
    ground.show()
    names = ("Radians", "Degrees", "−1 to 1", "How it is read…")
    text = "/drives/of/june/labels.csv does not state the unit of its column steering; what are its numbers?"
    notice.show_message(text, "warning", [(name, list) for name in names])
    qtbot.wait(5)
    assert notice.label.width() >= 180
    assert notice.label.height() >= notice.label.heightForWidth(notice.label.width())
    places = [button.geometry() for button in notice.actions_shown()]
    for button, place in zip(notice.actions_shown(), places, strict=True):
        assert button.width() >= button.sizeHint().width()
        assert notice.rect().contains(place) and not place.intersects(notice.label.geometry())
        assert sum(place.intersects(other) for other in places) == 1
    assert notice.height() < 200
    notice.show_message("another one")
    qtbot.wait(5)
    assert notice.height() < 80


def test_a_notice_over_a_narrow_picture_is_read_in_lines(qtbot):
    window = QWidget()
    qtbot.addWidget(window)
    window.resize(831, 400)
    ground = QWidget(window)
    ground.setGeometry(320, 40, 120, 300)
    notice = Notice()
    notice.lie_over(ground)
    window.show()
    notice.show_message("net does not say how its pictures and its output are meant. " * 3, "info")
    qtbot.wait(5)
    assert notice.width() >= 300 and window.rect().contains(notice.geometry())
    assert notice.label.height() >= notice.label.heightForWidth(notice.label.width())
    ground.setGeometry(700, 50, 120, 300)
    qtbot.wait(5)
    assert notice.y() == 50 and window.rect().contains(notice.geometry())
    ground.setGeometry(0, 40, 600, 300)
    qtbot.wait(5)
    assert notice.geometry().topLeft() == ground.pos() and notice.width() == 600


def test_maps_in_a_row_stand_at_one_height(qtbot):
    """Whether a method has numbers, for which a narrow panel has a line over its map, or none."""
    ends = []
    for method in ("lrp", "phi"):
        panel = MethodPanel("lrp", "", method, chooser=True)
        qtbot.addWidget(panel)
        panel.set_methods(METHODS)
        panel.resize(210, 90)
        panel.show()
        panel.show_map(np.zeros((125, 640), np.uint8), None)
        qtbot.wait(5)
        map_at = panel.view.picture_rect().translated(panel.view.pos())
        ends.append((map_at.top(), map_at.bottom()))
    assert ends[0] == ends[1]


def test_a_panels_name_ends_in_dots_where_it_has_no_room(qtbot):
    dock = PanelDock("VisualBackProp")
    title = PanelTitle(dock)
    dock.setTitleBarWidget(title)
    qtbot.addWidget(dock)
    dock.show()
    seen = set()
    for width in (90, 120, 140, 200, 300):
        dock.resize(width, 80)
        qtbot.wait(1)
        name = title.name
        seen.add(name.shown_text())
        assert name.fontMetrics().horizontalAdvance(name.shown_text()) <= name.contentsRect().width()
    assert "VisualBackProp" in seen and any(text.endswith("…") for text in seen)


def test_a_crop_is_read_whole_in_the_form(qtbot):
    form = SpecPanel()
    qtbot.addWidget(form)
    form.resize(330, 400)
    form.show()
    form.set_picture((1920, 1080), Rect(0, 252, 640, 228))
    qtbot.wait(5)
    crop = form.fields.crop
    assert crop.fontMetrics().horizontalAdvance(crop.text()) <= crop.width() - 14
    form.set_picture((19200, 10800), Rect(10100, 10252, 10640, 10228))
    assert crop.cursorPosition() == 0  # of one that is too long the beginning is seen


def test_a_colour_bar_lies_within_a_picture_that_has_room_for_it(qtbot):
    theme.apply(QApplication.instance(), "dark")
    view = MaskedView()
    qtbot.addWidget(view)
    view.resize(400, 200)
    view.set_masked(np.full((200, 200, 3), 255, np.uint8), np.zeros((200, 200), np.float32))
    view.set_sides(("against", "for"))
    edge = view.grab().toImage()
    beside = {edge.pixelColor(x, y).name() for x in range(302, 400) for y in range(200)}
    assert beside == {theme.colours().window.name()}
    assert any(edge.pixelColor(x, 195).name() != "#ffffff" for x in range(200, 300))


def test_what_does_not_fit_into_a_box_ends_in_dots(qtbot):
    box = ComboBox()
    qtbot.addWidget(box)
    box.addItem("NetSVF-of-a-long-run/epoch-0.5")
    box.resize(box.sizeHint())
    assert box.shown_text() == box.currentText()
    box.resize(90, box.height())
    assert box.shown_text().startswith("Net") and box.shown_text().endswith("…")
    narrow = box.grab().toImage()
    box.setItemText(0, box.shown_text())
    assert box.grab().toImage() == narrow


@pytest.mark.parametrize("size", [(831, 539), (1280, 700)])
def test_every_method_is_called_by_all_of_its_name(qtbot, make_window, size):
    window = make_window(size=size)
    qtbot.waitUntil(lambda: window.view.placed, timeout=WAIT)
    window.actions_by_id["add-method"].trigger()
    window.actions_by_id["add-method"].trigger()
    chooser = window.panels.methods["method-2"].chooser
    chooser.setEnabled(True)
    qtbot.wait(50)
    for method in METHODS.values():
        chooser.clear()
        chooser.addItem(method.title)
        if len(method.title) <= len("Guided Backprop"):
            assert chooser.shown_text() == method.title


def test_a_caption_gives_up_its_beginning_first(qtbot):
    caption = Caption(Qt.AlignmentFlag.AlignLeft)
    qtbot.addWidget(caption)
    caption.set_text("network's input, 640×125, crop set by hand")
    width = caption.fontMetrics().horizontalAdvance
    for text in (caption.text(), "640×125, crop set by hand", "crop set by hand", ""):
        caption.resize(width(text) + 3 if text else 12, 20)
        assert caption.shown_text() == text


def test_an_axis_has_two_numbers_at_least(qtbot):
    axis = NumberAxis("bottom", 56)
    for last in (1.0, 4.0, 32.0, 100.0, 0.3):
        ((step, _),) = axis.tickSpacing(-0.05 * last, 1.05 * last, 90)
        assert 2 <= 1 + 1.05 * last // step <= 6
    assert axis.tickSpacing(0, 32, 800)[0][0] == 5


def test_a_checkpoint_is_seen_with_all_of_its_text_where_they_scroll():
    for height in (60, 100, 140, 200):
        grid = best_grid(6, 260, height, 2.0, 18, 150)
        assert grid.height + grid.lines * 18 <= height or grid.width == 64


# Panels that float.


def test_a_panel_floats_beside_the_window_where_there_is_room():
    screen, panel = QRect(0, 0, 1920, 1080), QRect(900, 300, 400, 200)
    for window in (
        QRect(0, 0, 1400, 1080),
        QRect(500, 0, 1420, 1080),
        QRect(0, 0, 1920, 700),
        QRect(0, 300, 1920, 780),
    ):
        place = QRect(place_beside(panel, window, screen), panel.size())
        assert screen.contains(place) and not place.intersects(window)
    full = place_beside(panel, screen, screen)
    assert full != panel.topLeft() and (full - panel.topLeft()).manhattanLength() < 100
    for panel in (QRect(0, 880, 1920, 200), QRect(0, 0, 1920, 1080), QRect(0, 300, 400, 780)):
        assert screen.contains(QRect(place_beside(panel, screen, screen), panel.size()))


def test_a_panel_can_be_undocked_again_and_again(qtbot, make_window):
    """Qt, animating it, leaves a panel that is docked for the second time where it floated."""
    window = make_window(size=(1000, 600))
    qtbot.waitUntil(lambda: window.view.placed, timeout=WAIT)
    dock = window.docks["lrp"]
    qtbot.wait(50)
    place = dock.geometry()
    for _ in range(3):
        dock.titleBarWidget().float_button.click()
        qtbot.wait(30)
        assert dock.isFloating()
        dock.titleBarWidget().float_button.click()
        qtbot.wait(300)
        assert dock.geometry() == place


# A camera that is lost.


def test_the_live_plot_moves_on_while_no_frame_comes(qtbot):
    plot = LivePlot()
    qtbot.addWidget(plot)
    plot.resize(QSize(600, 200))
    plot.show()
    plot.begin(False)
    for k in range(100):
        plot.history.add(k * 1.0, 3.0)
    plot.refresh()

    def right() -> float:
        return float(plot._upper.vb.viewRange()[0][1])

    qtbot.waitUntil(lambda: right() == pytest.approx(99.0), timeout=WAIT)
    plot.wait(7.5)
    qtbot.waitUntil(lambda: right() == pytest.approx(106.5), timeout=WAIT)
    assert float(plot._upper.vb.viewRange()[0][0]) == pytest.approx(106.5 - SPAN_S)
    plot.history.add(108.0, 3.0)
    plot.wait(0.0)
    qtbot.waitUntil(lambda: right() == pytest.approx(108.0), timeout=WAIT)
    plot.hold(True)
    plot.wait(5.0)
    plot._draw_curves()
    assert right() == pytest.approx(108.0)
