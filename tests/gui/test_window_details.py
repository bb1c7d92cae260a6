"""What a day's work in the window stumbled over: keys, texts, notices, and a crop that is drawn anew."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from drivemaker import WAIT, wait_shown
from handmaker import drag
from PySide6.QtCore import QPoint
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QApplication

from kerasmaker import tiny
from vbp.app import theme
from vbp.app.state.actions import ACTIONS
from vbp.app.widgets.checkpoint_strip import CheckpointStrip, Tile
from vbp.models.source import NetworkSource


def test_a_key_does_one_thing():
    keys = Counter(key for spec in ACTIONS for key in spec.keys)
    assert [key for key, n in keys.items() if n > 1] == []


@pytest.mark.parametrize(
    ("source", "title"),
    [
        ("/runs/june-12/last.safetensors", "june-12, last"),
        ("/runs/june-12/checkpoints/epoch-0.5.safetensors", "june-12, epoch 0.5"),
        ("/networks/mine.safetensors", "mine"),
        ("NetSVF", "NetSVF"),
        ("package.module:make", "package.module:make"),
    ],
)
def test_a_checkpoint_is_called_by_its_run(source, title):
    assert NetworkSource.parse(source).title == title


def test_the_list_of_networks_says_of_which_run_one_is(qtbot, make_window):
    window = make_window()
    window.top.set_network("/runs/june-12/last.safetensors")
    assert window.top.network.currentText() == "june-12, last"


def test_a_network_with_random_weights_is_doubted_over_every_mask(qtbot, open_window, tmp_path, monkeypatch):
    monkeypatch.setattr("vbp.models.known.WEIGHTS", tmp_path)
    window = open_window(network="NetSVF")
    panels = window.panels
    qtbot.waitUntil(lambda: window.presenter.complete(0), timeout=WAIT)
    assert "NetSVF has random weights" in panels.picture._warning
    assert "random weights" in panels.visualbackprop.view._warning
    assert "random weights" in panels.lrp.view._warning


def test_an_error_goes_with_the_next_network(qtbot, open_window, tmp_path):
    window = open_window(network="NetSVF")
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"\x80\x04 this is a pickle")
    window.drop(bad)
    qtbot.waitUntil(lambda: "bad.safetensors" in window.notice.message(), timeout=WAIT)
    window.network.use("NetSVF")
    assert window.notice.message() == ""


def test_a_keras_file_is_dropped_and_what_is_assumed_of_it_is_said(qtbot, open_window, tmp_path):
    window = open_window(network="NetSVF")
    window.drop(tiny(tmp_path / "mypilot"))  # Donkeycar's have no extension
    qtbot.waitUntil(lambda: window.player.ready.name.endswith("mypilot"), timeout=WAIT)
    assert "mypilot does not say" in window.notice.message() and "Assumed" in window.notice.message()
    qtbot.waitUntil(lambda: window.presenter.complete(0), timeout=WAIT)


def test_a_new_crop_is_drawn_beside_the_old_one(qtbot, open_window):
    window = open_window(network="NetSVF")
    window.notice.show_message("an error of before", "error")
    window.actions_by_id["crop"].trigger()
    assert window.notice.message() == ""  # it would lie over the crop's own line
    editor = window.crop.editor
    assert editor.isVisible()
    old = editor.on_screen()
    rect = editor._picture_rect()
    start = QPoint(int(rect.left() + 10), int(rect.top() + 10))
    assert not old.contains(start)
    end = start + QPoint(150, 40)
    drag(editor, start, end)
    new = editor.on_screen()
    assert abs(new.left() - start.x()) <= 1
    assert abs(new.top() - start.y()) <= 1
    assert new.width() / new.height() == pytest.approx(640 / 125, rel=0.01)
    assert new.right() >= end.x() - 1
    before = editor.box
    corner = rect.bottomRight().toPoint()
    drag(editor, corner - QPoint(2, 60), corner + QPoint(30, -40))
    assert editor.box == before  # at the edge there is no room


def test_the_name_of_a_checkpoint_and_its_angle_stand_apart(qtbot):
    theme.apply(QApplication.instance(), "dark")
    strip = CheckpointStrip()
    qtbot.addWidget(strip)
    strip.resize(160, 260)
    strip.set_room(strip.size())
    strip.set_tiles([Tile("epoch 10.125", words="", predicted_deg=-103.1, error_deg=3.0)], 640 / 125)
    image, rect = strip.grab().toImage(), strip.tile_rect(0).toRect()

    def columns(colour: QColor) -> list[int]:
        rows = range(rect.bottom() - round(strip.grid.lines * strip._line()), rect.bottom())
        across = range(rect.left(), rect.right())
        return [x for x in across if any(image.pixelColor(x, y) == colour for y in rows)]

    c = theme.colours()
    name, angle = columns(c.text), columns(c.predicted)
    assert name and angle
    assert max(name) + 3 < min(angle)


@pytest.mark.parametrize("title", ["phi", "Guided Backprop"])
def test_the_name_of_a_method_is_seen_to_its_lowest_line(qtbot, make_window, title):
    """The chooser, made twice as high, shows no more ink than it does."""
    window = make_window()
    qtbot.waitUntil(lambda: window.view.placed, timeout=WAIT)
    chooser = window.panels.lrp.chooser
    chooser.addItem(title, title)
    chooser.setEnabled(True)
    chooser.setCurrentIndex(chooser.findData(title))
    window.docks["lrp"].setFloating(False)

    def written() -> int:
        image = chooser.grab().toImage()
        ground = image.pixelColor(image.width() // 2 + 20, image.height() // 2)
        across = range(9, chooser.fontMetrics().horizontalAdvance(title) + 9)
        return sum(image.pixelColor(x, y) != ground for x in across for y in range(2, image.height() - 2))

    before = written()
    chooser.setMaximumHeight(60)
    chooser.setFixedHeight(40)
    qtbot.wait(20)
    assert written() == before


def test_an_export_is_seen_whole_in_the_status_line(qtbot, open_window, tmp_path):
    window = open_window()
    line = window.export.line
    for text in ("a-very-long-name-of-a-d…: 100 %, 1:02:03 left, 12 more", "x.mp4: 1 %"):
        line.show_text(text)
        assert line.bar.width() >= line.bar.fontMetrics().horizontalAdvance(text) + 8


def test_a_dropped_picture_of_nothing_is_said(qtbot, open_window, tmp_path: Path):
    window = open_window(frame=3)
    (tmp_path / "empty").mkdir()
    window.drop(tmp_path / "empty")
    assert "empty folder" in window.notice.message()
    wait_shown(qtbot, window, 3)
