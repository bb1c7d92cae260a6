"""How the window looks, and what it remembers of that."""

from __future__ import annotations

import numpy as np
import pytest
from drivemaker import WAIT
from PySide6.QtCore import QByteArray, QSettings, Qt

from vbp.app.shell.window import MainWindow
from vbp.app.state.actions import PANELS
from vbp.app.state.marks import Marks
from vbp.app.state.settings import Settings
from vbp.session.document import Document
from vbp.session.note import Note


def test_the_layout_is_kept_and_can_be_reset(qtbot, make_window):
    window = make_window()
    qtbot.wait(50)
    window.docks["angle"].hide()
    window.docks["lrp"].setFloating(True)
    window.close()
    again = make_window()
    qtbot.waitUntil(lambda: not again.docks["angle"].isVisible(), timeout=WAIT)
    assert again.docks["lrp"].isFloating()
    again.actions_by_id["reset-layout"].trigger()
    qtbot.waitUntil(lambda: again.docks["angle"].isVisible(), timeout=WAIT)
    assert not any(dock.isFloating() for dock in again.docks.values())
    assert all(
        again.dockWidgetArea(dock) != Qt.DockWidgetArea.NoDockWidgetArea for dock in again.docks.values()
    )


def test_settings_are_kept(qtbot, make_window):
    window = make_window()
    window.top.opacity.setValue(40)
    window.actions_by_id["style"].trigger()
    window.actions_by_id["realtime"].trigger()
    window.close()
    again = make_window()
    assert again.presenter.overlay.opacity == 0.4
    assert again.presenter.overlay.style == "heat"
    assert not again.player.realtime


@pytest.mark.parametrize("junk", [b"\x00\xff\xfe not settings", b"[General]\nscheme=@Variant(\\0\\0", b""])
def test_a_damaged_settings_file_does_no_harm(qtbot, tmp_path, junk):
    path = tmp_path / "junk.ini"
    path.write_bytes(junk)
    window = MainWindow(Settings(QSettings(str(path), QSettings.Format.IniFormat)))
    window.show()
    qtbot.wait(50)
    window.close()


def test_settings_of_the_wrong_kind_count_as_absent(qtbot, settings, drive_folder, make_window):
    settings.set("overlay/style", "polka dots")
    settings.set("overlay/opacity", "very")
    settings.set("scheme", 7)
    settings.set("realtime", "perhaps")
    settings.set("recent/drives", '{"a": 1')
    settings.set("window/state", QByteArray(b"\x01\x02 nonsense"))
    settings.set("window/geometry", QByteArray(b"nonsense"))
    settings.set("device", 3)
    window = make_window()
    qtbot.wait(50)
    assert window.presenter.overlay.style == "paper"
    assert window.presenter.overlay.opacity == 0.8
    assert settings.recent() == []
    assert settings.number("overlay/opacity", 0.5, 0, 1) == 0.8
    settings.set("overlay/opacity", "nan")
    assert settings.number("overlay/opacity", 0.5, 0, 1) == 0.5
    settings.change_document(str(drive_folder), notes=(Note(1, 1), Note(999, 999)), a=3, b=50)
    marks = Marks(settings)
    marks.set_drive(drive_folder, np.arange(60, dtype=np.int64))
    assert (marks.bookmarks, marks.a, marks.b) == ([1], 3, 50)
    (key,) = [k for k in settings._store.allKeys() if k.startswith("documents/")]
    settings.set(key, "{}")
    assert settings.document(str(drive_folder)) == Document()


def test_recent_ones_are_few_and_each_once(settings):
    for k in [*range(30), 5]:
        settings.add_recent(f"/drives/{k}")
    assert settings.recent()[:2] == ["/drives/5", "/drives/29"]
    assert len(settings.recent()) == len(set(settings.recent())) == 12


# Its look.


@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080)])
def test_nothing_is_cut_off_at_the_default_layout(qtbot, make_window, size):
    window = make_window(size=size)
    qtbot.wait(100)
    assert (window.width(), window.height()) == size
    assert window.stack.width() * window.stack.height() > 0.2 * size[0] * size[1]
    for name, _, _ in PANELS:
        widget = window.docks[name].widget()
        if widget.isVisible():
            assert widget.width() >= widget.minimumSizeHint().width()
            assert widget.height() >= min(60, widget.minimumSizeHint().height())


def test_the_picture_alone_and_back(qtbot, make_window):
    window = make_window()
    qtbot.wait(50)
    before = {name: dock.isVisible() for name, dock in window.docks.items()}
    window.picture.activated.emit()
    assert not any(dock.isVisible() for dock in window.docks.values())
    window.picture.activated.emit()
    assert {name: dock.isVisible() for name, dock in window.docks.items()} == before


def test_panels_come_and_go_by_their_actions(qtbot, make_window):
    window = make_window()
    qtbot.wait(50)
    action = window.actions_by_id["panel-lrp"]
    assert action.isChecked()
    action.trigger()
    assert not window.docks["lrp"].isVisible()
    action.trigger()
    assert window.docks["lrp"].isVisible()
    window.docks["lrp"].close()
    assert not action.isChecked()
    behind = window.actions_by_id["panel-layers"]  # its tab is not the one on top
    behind.trigger()
    qtbot.waitUntil(lambda: "layers" in window.presenter.seen, timeout=WAIT)
    assert behind.isChecked()


def test_colours_switch_at_once(qtbot, open_window):
    window = open_window()
    dark = window.grab().toImage().pixelColor(5, 60).lightness()
    window.view.set_scheme("light")
    qtbot.wait(50)
    assert window.grab().toImage().pixelColor(5, 60).lightness() > dark + 80
    window.view.set_scheme("dark")


def test_the_bars_have_no_handles_and_what_is_painted_has_a_name(qtbot, make_window):
    window = make_window()
    assert not window.top.isMovable()
    assert not window.panels.transport.isMovable()
    for widget in (
        window.picture,
        window.panels.transport.timeline,
        window.top.opacity,
        *(dock.widget() for dock in window.docks.values()),
    ):
        assert widget.accessibleName()


def test_the_icon_of_every_frame_is_there_from_the_start(qtbot, make_window, settings):
    settings.set("realtime", False)
    window = make_window()
    kept = window.actions_by_id["realtime"].icon().pixmap(18, 18).toImage()
    window.actions_by_id["realtime"].trigger()
    assert window.actions_by_id["realtime"].icon().pixmap(18, 18).toImage() != kept
    window.actions_by_id["realtime"].trigger()
    assert window.actions_by_id["realtime"].icon().pixmap(18, 18).toImage() == kept


def test_a_long_start_page_and_a_long_notice_leave_the_panels_their_height(qtbot, make_window, settings):
    window = make_window()
    qtbot.wait(200)
    plot, whole = window.docks["angle"].height(), window.height()
    for k in range(12):
        settings.add_recent(f"/drives/of/june/{k}.bag")
    window.source.show_start()
    window.notice.show_message("what is accepted: " + "a folder of pictures, " * 25, "error")
    qtbot.wait(200)
    assert window.height() == whole
    assert window.docks["angle"].height() == plot


def test_a_floating_panel_comes_back_where_it_was(qtbot, make_window, monkeypatch):
    first = make_window()
    qtbot.wait(200)
    first.docks["steering"].setFloating(True)
    first.docks["steering"].move(240, 170)
    qtbot.wait(200)
    at = first.docks["steering"].pos()
    first.close()
    monkeypatch.setattr("vbp.app.control.view.FLOATS_MS", 1000)
    second = make_window()
    dock = second.docks["steering"]
    qtbot.waitUntil(dock.isFloating, timeout=WAIT)
    dock.move(0, 0)  # as some window managers do
    qtbot.waitUntil(lambda: (dock.pos() - at).manhattanLength() < 60, timeout=WAIT)  # a frame may be added


def test_a_window_that_is_closed_at_once_keeps_the_layout_of_before(make_window, settings):
    window = make_window()
    window.view.placed = False  # as before its first turn of the event loop
    window.close()
    assert settings.bytes("window/state").isEmpty()
    settings.set("window/state", QByteArray(b"of yesterday"))
    window = MainWindow(settings, scheme="dark")
    window.show()
    window.close()
    assert settings.bytes("window/state") == QByteArray(b"of yesterday")
    window.deleteLater()
