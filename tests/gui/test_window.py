"""The window: what its parts show, how it takes bad input, what it remembers."""

from __future__ import annotations

import math
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest
from drivemaker import WAIT, number_of, wait_shown, write_drive
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent, QKeySequence

from vbp.app.dialogs.keys import KeysPage
from vbp.app.panels.info import describe
from vbp.app.state.actions import ACTIONS, keys_table, plain, shown_key

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
    monkeypatch.setattr("vbp.models.known.WEIGHTS", tmp_path)
    window = open_window(network="NetSVF", frame=10)
    assert "random weights" in window.presenter.untrained


def test_an_open_drive_fills_the_window(qtbot, open_window):
    window = open_window(network="NetSVF", frame=10)
    p = window.presenter
    qtbot.waitUntil(lambda: p.complete(10), timeout=WAIT)
    result = window.player.shown_frame.result
    table = window.predictions.table
    assert table.predicted[10] == pytest.approx(math.degrees(result.angle_rad))
    assert np.isnan(table.predicted[11])
    assert table.driven[10] == pytest.approx(math.degrees(0.3 * math.sin(1)), abs=1e-3)
    assert window.panels.lrp.view.blended().shape == (*result.input.shape[:2], 3)
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
    crop = window.player.shown_frame.result.crop
    changed = np.abs(window.picture.blended().astype(int) - plain_picture).sum(axis=2)
    assert changed[crop.y :].any()
    assert not changed[: crop.y].any()


def test_lrp_follows_its_slider_and_its_switch(qtbot, open_window):
    window = open_window(network="NetSVF")
    qtbot.waitUntil(lambda: window.presenter.complete(0), timeout=WAIT)
    maps = []
    window.explanations.explained.connect(lambda m: maps.append(m.relevance.copy()))
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
    first = window.player.shown_frame.result.angle_rad
    window.network.use("NetHVF")
    qtbot.waitUntil(lambda: window.player.ready.name == "NetHVF", timeout=WAIT)
    wait_shown(qtbot, window, 20, masked=True)
    qtbot.waitUntil(lambda: window.player.shown_frame.result.angle_rad != first, timeout=WAIT)
    assert np.isfinite(window.predictions.table.predicted).sum() == 1


def test_the_whole_drive_is_predicted(qtbot, open_window):
    window = open_window(network="NetSVF")
    window.actions_by_id["predict"].trigger()
    qtbot.waitUntil(lambda: not window.predictions.running, timeout=4 * WAIT)
    assert np.isfinite(window.predictions.table.predicted).all()
    assert not window.actions_by_id["predict"].isChecked()
    window.actions_by_id["worst"].trigger()
    error = np.abs(window.predictions.table.driven - window.predictions.table.predicted)
    wait_shown(qtbot, window, int(error.argmax()))


def test_predicting_can_be_stopped(qtbot, open_window, tmp_path):
    window = open_window(write_drive(tmp_path / "long", frames=300), network="NetSVF")
    window.actions_by_id["predict"].trigger()
    assert window.predictions.running
    window.panels.status.cancel.click()
    assert not window.predictions.running
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


@pytest.mark.shared
def test_the_real_drive_plays(qtbot, make_window, shared: Path):
    window = make_window("NetSVF")
    window.source.open_drive(shared / "data" / "udacity-ch2", frame=100)
    wait_shown(qtbot, window, 100, masked=True)
    assert window.player.frames == 900
    crop = window.player.shown_frame.result.crop
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


def test_nothing_of_a_closed_drive_stays_on_the_screen(qtbot, open_window):
    window = open_window(network="NetSVF")
    assert window.panels.steering._frame
    window.player.source.skipped = 87
    window.source.close_drive()
    window.presenter.refresh_status()
    assert not window.panels.steering._frame
    assert not window.panels.visualbackprop._left.text()
    assert "87" not in window.panels.status.skipped.text()


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
    window.end_soon()  # perhaps from within a paint event
    assert window.isVisible()
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=WAIT)
