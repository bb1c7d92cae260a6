"""The window: what its parts show, how it takes bad input, what it remembers."""

from __future__ import annotations

import math
import threading
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest
from drivemaker import WAIT, number_of, wait_shown, write_drive
from PySide6.QtCore import QByteArray, QMimeData, QPointF, QSettings, Qt, QTimer, QUrl
from PySide6.QtGui import QDropEvent, QKeySequence

import vbp.app.player.drive_thread
from vbp.app.dialogs.keys import KeysPage
from vbp.app.panels.info import describe
from vbp.app.player.messages import DriveFailed
from vbp.app.shell.trouble import Hooks
from vbp.app.shell.window import MainWindow
from vbp.app.state.actions import ACTIONS, PANELS, keys_table, plain, shown_key
from vbp.app.state.document import Document
from vbp.app.state.marks import Marks
from vbp.app.state.settings import Settings
from vbp.drives.base import OpenOptions
from vbp.errors import NeedsAngleUnitError

# The table of actions.


def test_no_key_does_two_things():
    # R is the recording's with a camera, and the pace's with a drive: never both are enabled.
    for left_out in ("record", "realtime"):
        keys = [QKeySequence(k).toString() for spec in ACTIONS if spec.id != left_out for k in spec.keys]
        assert all(keys)
        assert len(keys) == len(set(keys))
    ids = [spec.id for spec in ACTIONS]
    assert len(ids) == len(set(ids))


def test_every_action_is_in_a_menu_on_the_keys_page_and_says_its_key(qtbot, make_window):
    window = make_window()
    page = keys_table()
    assert len(page) == len(ACTIONS)
    for spec, (group, text, keys) in zip(ACTIONS, page, strict=True):
        action = window.actions_by_id[spec.id]
        assert action in window.menus[spec.group].actions()
        assert group == spec.group
        assert text
        for key in spec.keys:
            assert shown_key(key) in keys
            assert shown_key(key) in action.toolTip()
        assert callable(attrgetter(spec.slot)(window))
        assert plain(spec.text)


def test_the_keys_page_opens(qtbot, make_window):
    window = make_window()
    window.actions_by_id["keys"].trigger()
    assert window.view.keys.isVisible()
    assert window.view.keys.findChildren(KeysPage)


def test_keys_reach_the_player(qtbot, open_window):
    window = open_window()
    with qtbot.waitActive(window, timeout=WAIT):  # keys go to the active window alone
        window.activateWindow()
    window.setFocus()
    for key, modifier, expected in (
        (Qt.Key.Key_Right, Qt.KeyboardModifier.NoModifier, 1),
        (Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier, 11),
        (Qt.Key.Key_Left, Qt.KeyboardModifier.NoModifier, 10),
        (Qt.Key.Key_End, Qt.KeyboardModifier.NoModifier, 59),
        (Qt.Key.Key_Home, Qt.KeyboardModifier.NoModifier, 0),
    ):
        qtbot.keyClick(window, key, modifier)
        wait_shown(qtbot, window, expected)
    qtbot.keyClick(window, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: window.player.playing, timeout=WAIT)
    qtbot.keyClick(window, Qt.Key.Key_Space)
    assert not window.player.playing
    qtbot.keyClick(window, Qt.Key.Key_Plus)
    assert window.player.speed == 2.0
    qtbot.keyClick(window, Qt.Key.Key_0)
    assert window.player.speed == 1.0


# What it shows.


def test_an_untrained_network_is_said_to_be_one(qtbot, open_window, tmp_path, monkeypatch):
    monkeypatch.setattr("vbp.models.registry.WEIGHTS", tmp_path)
    window = open_window(network="NetSVF", frame=10)
    assert "untrained" in window.presenter.untrained


def test_an_open_drive_fills_the_window(qtbot, open_window):
    window = open_window(network="NetSVF", frame=10)
    p = window.presenter
    qtbot.waitUntil(lambda: p.complete(10), timeout=WAIT)
    shot = window.player.shown_frame.shot
    assert p.predicted_deg[10] == pytest.approx(math.degrees(shot.angle_rad))
    assert np.isnan(p.predicted_deg[11])
    assert p.driven_deg[10] == pytest.approx(math.degrees(0.3 * math.sin(1)), abs=1e-3)
    assert window.panels.lrp.view.blended().shape == (*shot.input.shape[:2], 3)
    assert "drive" in window.windowTitle()
    assert "60 frames" in window.windowTitle()
    assert p.untrained == ""
    assert "NetSVF" in window.top.network.currentText()
    assert window.panels.status.device.text().startswith("CPU")
    assert "udacity-csv" in window.panels.info.text.toPlainText()


def test_the_mask_is_red_over_the_crop_and_follows_the_slider(qtbot, open_window):
    window = open_window(network="NetSVF")
    plain_picture = window.player.shown_frame.image.astype(int)

    def redness() -> float:
        return float((window.picture.blended().astype(int) - plain_picture)[..., 0].sum())

    window.top.opacity.setValue(100)
    strong = redness()
    window.top.opacity.setValue(30)
    weak = redness()
    assert strong > weak > 0
    window.actions_by_id["overlay"].trigger()
    assert redness() == 0
    window.actions_by_id["overlay"].trigger()
    assert redness() == weak
    window.actions_by_id["style"].trigger()
    assert window.presenter.overlay.style == "heat"
    crop = window.player.shown_frame.shot.crop
    changed = np.abs(window.picture.blended().astype(int) - plain_picture).sum(axis=2)
    assert changed[crop.y :].any()
    assert not changed[: crop.y].any()


def test_lrp_follows_its_slider_and_its_switch(qtbot, open_window):
    window = open_window(network="NetSVF")
    qtbot.waitUntil(lambda: window.presenter.complete(0), timeout=WAIT)
    maps = []
    window.player.explained.connect(lambda m: maps.append(m.relevance.copy()))
    panel = window.panels.lrp
    assert panel.parameters() == {"eps": pytest.approx(100, rel=0.02), "bias": 1.0}
    panel.set_parameter("eps", 1e-3)
    qtbot.waitUntil(lambda: len(maps) >= 1, timeout=WAIT)
    panel.set_parameter("eps", 1e4)
    qtbot.waitUntil(lambda: len(maps) >= 2, timeout=WAIT)
    assert np.isfinite(maps).all()
    assert not np.array_equal(maps[0], maps[-1])
    count = len(maps)
    panel.set_parameter("bias", 0)
    assert panel.parameters()["bias"] == 0.0
    qtbot.waitUntil(lambda: len(maps) > count, timeout=WAIT)


def test_layers_are_made_only_when_seen(qtbot, open_window):
    window = open_window(network="NetSVF")
    assert window.presenter.layers_frame is None
    window.docks["layers"].raise_()
    qtbot.waitUntil(lambda: window.presenter.layers_frame is not None, timeout=WAIT)
    assert len(window.panels.layers.rows.layers) == 10


def test_compare_shows_the_frame_before_also_after_a_jump(qtbot, open_window):
    window = open_window(network="NetSVF")
    window.docks["compare"].raise_()
    window.player.seek(30)
    wait_shown(qtbot, window, 30, masked=True)
    compare = window.panels.compare
    qtbot.waitUntil(lambda: 29 in compare._seen, timeout=WAIT)
    assert window.player.shown_frame.index == 30
    left, right = compare._compared(29), compare._compared(30)
    assert (left.title, right.title) == ("frame 29", "frame 30")
    assert "error" in right.lines[-1]
    assert number_of(compare._seen[29].image) == 29


def test_another_network_explains_the_same_frame(qtbot, open_window):
    window = open_window(network="NetSVF", frame=20)
    first = window.player.shown_frame.shot.angle_rad
    window.network.use("NetHVF")
    qtbot.waitUntil(lambda: window.player.ready.name == "NetHVF", timeout=WAIT)
    wait_shown(qtbot, window, 20, masked=True)
    qtbot.waitUntil(lambda: window.player.shown_frame.shot.angle_rad != first, timeout=WAIT)
    assert np.isfinite(window.presenter.predicted_deg).sum() == 1


def test_the_whole_drive_is_predicted(qtbot, open_window):
    window = open_window(network="NetSVF")
    window.actions_by_id["predict"].trigger()
    qtbot.waitUntil(lambda: not window.player.predicting, timeout=WAIT)
    assert np.isfinite(window.presenter.predicted_deg).all()
    assert not window.actions_by_id["predict"].isChecked()
    window.actions_by_id["worst"].trigger()
    error = np.abs(window.presenter.driven_deg - window.presenter.predicted_deg)
    wait_shown(qtbot, window, int(error.argmax()))


def test_predicting_can_be_stopped(qtbot, open_window, tmp_path):
    window = open_window(write_drive(tmp_path / "long", frames=300), network="NetSVF")
    window.actions_by_id["predict"].trigger()
    assert window.player.predicting
    window.panels.status.cancel.click()
    assert not window.player.predicting
    assert not window.actions_by_id["predict"].isChecked()


def test_the_plot_and_the_timeline_seek(qtbot, open_window):
    window = open_window()
    window.panels.angle.seek_requested.emit(33)
    wait_shown(qtbot, window, 33)
    window.panels.transport.timeline.seek_requested.emit(12)
    wait_shown(qtbot, window, 12)


def test_what_the_recording_holds_is_readable(qtbot, open_window, tmp_path):
    window = open_window(write_drive(tmp_path / "gaps", frames=8, broken=(3,)))
    words = describe(window.player.drive)
    assert "udacity-csv" in words
    assert "radians" in words
    assert "positive to the left" in words


# Bad input.


OF_DIALOGS = ("quit", "open", "open-folder", "open-network", "open-run", "open-session", "full-screen")


def test_a_path_that_is_no_recording_is_one_notice(qtbot, make_window, tmp_path):
    window = make_window()
    for path in (tmp_path / "missing", tmp_path / "empty", tmp_path / "words.txt"):
        if path.name == "empty":
            path.mkdir()
        elif path.suffix:
            path.write_text("nothing to see")
        window.source.open_drive(path)
        qtbot.waitUntil(lambda p=path: p.name in window.notice.message(), timeout=WAIT)
        assert window.stack.currentWidget() is window.start_page
    assert window.player.frames == 0
    for spec in ACTIONS:  # nothing is open: no action may stumble over it
        if spec.id not in OF_DIALOGS:
            attrgetter(spec.slot)(window)(
                *([] if spec.argument is None else [spec.argument]), *([True] if spec.checkable else [])
            )


def test_an_unstated_unit_is_asked_for_once(qtbot, make_window, drive_folder, monkeypatch):
    opened = vbp.app.player.drive_thread.open_drive

    def asks(path, options: OpenOptions):
        if options.angle_unit is None:
            raise NeedsAngleUnitError(f"{path} does not say whether its angles are radians or degrees")
        return opened(path, OpenOptions())

    monkeypatch.setattr(vbp.app.player.drive_thread, "open_drive", asks)
    window = make_window()
    window.source.open_drive(drive_folder, frame=7)
    qtbot.waitUntil(lambda: "radians or degrees" in window.notice.message(), timeout=WAIT)
    buttons = {b.text(): b for b in window.notice._buttons}
    assert set(buttons) >= {"Radians", "Degrees"}
    buttons["Degrees"].click()
    wait_shown(qtbot, window, 7)
    assert window.player.options.angle_unit == "deg"
    assert window.notice.message() == ""


def test_a_file_that_is_no_network_leaves_the_one_in_use(qtbot, open_window, tmp_path):
    window = open_window(network="NetSVF")
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"\x80\x04 this is a pickle")
    window.drop(bad)
    qtbot.waitUntil(lambda: "bad.safetensors" in window.notice.message(), timeout=WAIT)
    assert window.top.network.currentData() == "NetSVF"
    window.player.seek(5)
    wait_shown(qtbot, window, 5, masked=True)


def test_a_first_network_that_is_gone_gives_way_to_the_default(qtbot, make_window, tmp_path):
    window = make_window(str(tmp_path / "gone.safetensors"))
    qtbot.waitUntil(lambda: window.player.ready is not None, timeout=WAIT)
    assert window.player.ready.name == "NetSVF"
    assert "gone.safetensors" in window.notice.message()


def test_an_unknown_device_is_one_notice(qtbot, make_window):
    window = make_window("NetSVF")
    qtbot.waitUntil(lambda: window.player.ready is not None, timeout=WAIT)
    window.network.use_device("abacus")
    qtbot.waitUntil(lambda: "abacus" in window.notice.message(), timeout=WAIT)
    assert window.player.ready is not None


def test_an_unexpected_error_is_told_once_and_the_program_goes_on(qtbot, open_window):
    window = open_window()
    hooks = Hooks(window.unexpected.emit, window.close)
    try:

        def fail() -> None:
            raise ZeroDivisionError("an odd number")

        QTimer.singleShot(0, fail)
        qtbot.waitUntil(lambda: "an odd number" in window.notice.message(), timeout=WAIT)
        window.notice.dismiss()
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
        qtbot.wait(100)
        assert window.notice.message() == ""
    finally:
        hooks.remove()
    window.player.seek(4)
    wait_shown(qtbot, window, 4)


def test_a_network_that_breaks_shows_the_picture_and_one_notice(qtbot, open_window, monkeypatch):
    window = open_window(network="NetSVF")
    qtbot.waitUntil(lambda: window.presenter.complete(0), timeout=WAIT)

    def broken(*_args, **_kwargs):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(window.player._model.engine, "run", broken)
    for index in (3, 4):
        window.player.seek(index)
        wait_shown(qtbot, window, index)
        assert window.player.shown_frame.shot is None
        assert number_of(window.player.shown_frame.image) == index
    assert "out of memory" in window.notice.message()


# Opening.


def test_a_drop_opens(qtbot, make_window, drive_folder):
    window = make_window()
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(drive_folder))])
    event = QDropEvent(
        QPointF(50, 50),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    window.dropEvent(event)
    wait_shown(qtbot, window, 0)
    assert window.settings.recent() == [str(drive_folder)]


def test_recent_recordings_stand_on_the_start_page(qtbot, open_window, drive_folder):
    window = open_window()
    window.actions_by_id["close-drive"].trigger()
    assert window.stack.currentWidget() is window.start_page
    assert [row.path for row in window.start_page.rows] == [str(drive_folder)]
    window.source.fill_recent()
    assert [a.text() for a in window.recent_menu.actions()] == [str(drive_folder)]
    window.start_page.open_requested.emit(str(drive_folder))
    wait_shown(qtbot, window, 0)


def test_closing_a_drive_stops_everything_of_it(qtbot, open_window):
    window = open_window(network="NetSVF")
    window.player.play()
    qtbot.waitUntil(lambda: window.player.shown_frame.index > 2, timeout=WAIT)
    window.actions_by_id["close-drive"].trigger()
    assert not window.player.playing
    qtbot.wait(200)
    assert window.player.shown_frame is None
    assert window.stack.currentWidget() is window.start_page


# What it remembers.


def test_marks_and_bookmarks_come_back(qtbot, open_window, drive_folder, make_window):
    window = open_window()
    window.player.seek(10)
    wait_shown(qtbot, window, 10)
    for name in ("mark-a", "bookmark"):
        window.actions_by_id[name].trigger()
    window.player.seek(20)
    wait_shown(qtbot, window, 20)
    for name in ("mark-b", "bookmark"):
        window.actions_by_id[name].trigger()
    window.close()
    again = make_window()
    again.source.open_drive(drive_folder)
    wait_shown(qtbot, again, 20)
    assert (again.marks.bookmarks, again.marks.a, again.marks.b) == ([10, 20], 10, 20)
    again.actions_by_id["next-bookmark"].trigger()
    wait_shown(qtbot, again, 10)
    again.actions_by_id["previous-bookmark"].trigger()
    wait_shown(qtbot, again, 20)
    again.actions_by_id["clear-marks"].trigger()
    again.actions_by_id["bookmark"].trigger()
    assert (again.marks.bookmarks, again.marks.a, again.marks.b) == ([10], None, None)


def test_marks_keep_their_order(qtbot, open_window):
    window = open_window()
    window.marks.set_part(10, 20)
    window.player.seek(40)
    window.playback.mark_a()
    assert (window.marks.a, window.marks.b) == (40, None)
    window.player.seek(5)
    window.playback.mark_b()
    assert (window.marks.a, window.marks.b) == (None, 5)


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
    settings.change_document(str(drive_folder), bookmarks=(1, 999), a=3, b=50)
    marks = Marks(settings)
    marks.set_drive(drive_folder, 60)
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


@pytest.mark.shared
def test_the_real_drive_plays(qtbot, make_window, shared: Path):
    window = make_window("NetSVF")
    window.source.open_drive(shared / "data" / "udacity-ch2", frame=100)
    wait_shown(qtbot, window, 100, masked=True)
    assert window.player.frames == 900
    crop = window.player.shown_frame.shot.crop
    assert (crop.x, crop.y, crop.width, crop.height) == (0, 355, 640, 125)
    seen: list[int] = []
    window.player.shown.connect(lambda frame: seen.append(frame.index))
    window.player.play()
    qtbot.waitUntil(lambda: len(seen) > 20, timeout=WAIT)
    assert seen == sorted(set(seen))
    window.player.pause()
    qtbot.waitUntil(lambda: window.presenter.complete(window.player.target), timeout=WAIT)


# What a day of work with it brought up.


def test_the_keys_page_says_what_a_key_does():
    rows = {text for _, text, _ in keys_table()}
    assert "Go to the largest error" in rows
    assert "Next overlay style" in rows


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


def test_nothing_of_a_closed_drive_stays_on_the_screen(qtbot, open_window):
    window = open_window(network="NetSVF")
    assert window.panels.steering._frame
    window.player.skipped = 87
    window.source.close_drive()
    window.presenter.refresh_status()
    assert not window.panels.steering._frame
    assert not window.panels.visualbackprop._left.text()
    assert "87" not in window.panels.status.skipped.text()


def test_a_file_that_is_no_network_is_not_offered_again(qtbot, make_window, tmp_path):
    window = make_window("NetSVF")
    qtbot.waitUntil(lambda: window.player.ready is not None, timeout=WAIT)
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"no weights")
    window.drop(bad)
    qtbot.waitUntil(lambda: "bad.safetensors" in window.notice.message(), timeout=WAIT)
    assert window.top.network.findData(str(bad)) < 0
    assert window.player.network_name == "NetSVF"  # what another device, or predicting, would take
    window.network.use_device("abacus")  # a device that is not there says nothing against the network
    qtbot.waitUntil(lambda: "abacus" in window.notice.message(), timeout=WAIT)
    assert window.top.network.currentData() == "NetSVF"


def test_a_question_with_buttons_names_no_option_of_the_command_line(qtbot, make_window, tmp_path):
    window = make_window()
    failed = DriveFailed(0, tmp_path, "x.csv does not say its unit; pass --angle-unit rad or deg", True)
    window.source.on_open_failed(failed)
    assert window.notice.message() == "x.csv does not say its unit; what are its numbers?"
    assert len(window.notice.actions_shown()) == 3


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


def test_the_demo_drive_is_one_click_away(make_window, qtbot):
    """Installed with the program, it opens from the start page, with its angles."""
    window = make_window()
    button = window.start_page.demo
    qtbot.waitUntil(button.isVisible, timeout=5000)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: window.player.shown_frame is not None, timeout=30000)
    assert len(window.player.drive) == 1200
    assert np.isfinite(window.player.drive.angle_rad).all()


def test_a_signal_closes_the_window_only_between_events(qtbot, open_window):
    window = open_window()
    window.close_soon()  # perhaps from within a paint event
    assert window.isVisible()
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=WAIT)


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


def test_a_recording_that_does_not_open_offers_the_way_back(qtbot, open_window, tmp_path):
    window = open_window(frame=17)
    junk = tmp_path / "junk.bin"
    junk.write_bytes(b"no recording")
    window.source.open_drive(junk)
    qtbot.waitUntil(lambda: bool(window.notice.actions_shown()), timeout=WAIT)
    assert "junk.bin" in window.notice.message()
    (button,) = window.notice.actions_shown()
    assert button.text() == "Back to drive"
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    wait_shown(qtbot, window, 17, masked=False)
    assert window.player.path.name == "drive"
