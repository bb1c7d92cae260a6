"""The window with a camera in it: a real MJPEG server on loopback, with a clock drawn into its frames."""

from __future__ import annotations

import math
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from drivemaker import WAIT, write_drive
from PySide6.QtCore import QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QImage

import vbp.app.dialogs.camera
from livemaker import MjpegServer, draw_clock, jpeg, read_clock, scene
from vbp.app.control.snapshot import write_png
from vbp.app.dialogs.camera import NONE_FOUND, Asked, parse_rate, parse_size
from vbp.app.panels.live_history import History
from vbp.app.player.live_thread import LiveRequest
from vbp.app.shell.window import MainWindow
from vbp.app.state.crops import ChosenCrop
from vbp.app.widgets.crop_editor import moved, shaped, sized
from vbp.drives.opening import open_drive
from vbp.errors import VbpError
from vbp.live.address import parse_address
from vbp.live.cameras import CameraInfo
from vbp.overlay import Rect

W, H = 640, 480
PICTURE = scene(W, H)


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    with MjpegServer() as camera:
        yield camera


@pytest.fixture
def live(qtbot, make_window, server) -> Callable[..., MainWindow]:
    """A window that shows the server's camera (with masks, where there is a network)."""

    def make(network: str | None = None, fps: float = 15.0, **request) -> MainWindow:
        window = make_window(network)
        if network is not None:
            qtbot.waitUntil(lambda: window.player.ready is not None, timeout=4 * WAIT)
        server.play(lambda n: PICTURE, fps)
        window.camera.open(LiveRequest(parse_address(server.url), **request))
        shown(qtbot, window, masked=network is not None)
        return window

    return make


def shown(qtbot, window: MainWindow, after: int = 0, masked: bool = False) -> None:
    def done() -> bool:
        frame = window.player.shown_frame
        return frame is not None and frame.index > after and (frame.shot is not None or not masked)

    qtbot.waitUntil(done, timeout=WAIT)


def text_of(window: MainWindow) -> str:
    return window.panels.status.rate.text()


# Frames.


def test_frames_come_with_masks_and_the_clock_in_them_is_the_delay(qtbot, live):
    window = live("NetSVF")
    seen: list[tuple[int, float]] = []

    def painted() -> None:
        frame = window.player.shown_frame
        if frame is not None and frame.shot is not None:
            number, drawn_ms = read_clock(frame.image)
            now_ms = time.monotonic_ns() // 1_000_000 % 2**32
            seen.append((number, now_ms - drawn_ms))

    window.picture.painted.connect(painted)
    qtbot.waitUntil(lambda: len({n for n, _ in seen}) > 8, timeout=WAIT)
    numbers = [n for n, _ in seen]
    assert numbers == sorted(numbers)  # never back
    shot = window.player.shown_frame.shot
    assert shot.crop == Rect(0, 355, 640, 125)
    plain = window.player.shown_frame.image.astype(int)
    redder = window.picture.blended().astype(int) - plain
    assert redder[355:, :, 0].sum() > 0
    assert not redder[:355].any()
    # What the window tells begins when the frame arrived: a little after it was drawn, never before.
    told = list(window.live.delays_ms)
    assert told and min(told) > 0
    assert np.median(told) <= np.median([ms for _, ms in seen]) + 2
    assert np.median(list(window.live.beyond_ms)) < np.median(told)
    window.live.tick()
    assert text_of(window).startswith("live ")
    assert f" ms · {window.player.skipped} skipped" in text_of(window)
    # LRP comes behind it, and the wheel and the plot show the prediction.
    qtbot.waitUntil(lambda: window.panels.lrp.view.blended() is not None, timeout=WAIT)
    assert math.isfinite(window.panels.live_plot.history.predicted_deg[-1])
    assert np.isnan(window.panels.live_plot.history.driven_deg).all()
    assert window.docks["angle"].widget() is window.panels.live_plot
    assert window.panels.live_bar.isVisible()
    assert not window.panels.transport.isVisible()


def test_without_a_network_the_picture_is_shown_all_the_same(qtbot, live, server):
    window = live()
    assert window.player.shown_frame.shot is None
    assert window.picture.blended().shape == (H, W, 3)


def test_the_newest_frame_wins_and_those_left_out_are_counted(qtbot, live, monkeypatch):
    window = live("NetSVF", fps=30.0)
    engine = window.player._model.engine
    run = engine.run

    def slow(*args, **kwargs):
        time.sleep(0.15)
        return run(*args, **kwargs)

    monkeypatch.setattr(engine, "run", slow)
    arrived, behind = [0], []
    model = window.player._model
    deliver, run_frame = window.player.live._deliver, model._run
    monkeypatch.setattr(
        window.player.live, "_deliver", lambda frame: (arrived.append(frame.index), deliver(frame))
    )
    monkeypatch.setattr(
        model, "_run", lambda frame: (behind.append(arrived[-1] - frame.index), run_frame(frame))
    )
    before = window.player.skipped
    qtbot.waitUntil(lambda: len(behind) > 8 and window.player.skipped > before, timeout=WAIT)
    frame = window.player.shown_frame
    assert window.player.skipped < frame.index
    # Nothing queues up: what the network takes is the newest frame, or came while it was taken.
    assert np.median(behind[1:]) <= 1


def test_a_silent_camera_is_marked_and_comes_back(qtbot, live, server):
    window = live()
    server.pause()
    qtbot.waitUntil(lambda: "no frame for" in window.picture._old, timeout=WAIT)
    assert "no frame for" in window.panels.live_bar.camera.text()
    dimmed = window.picture.grab().toImage()
    server.play(lambda n: PICTURE, 15.0)
    qtbot.waitUntil(lambda: not window.picture._old, timeout=WAIT)
    window.live.tick()
    fresh = window.picture.grab().toImage()
    assert brightness(dimmed) < 0.8 * brightness(fresh)
    assert text_of(window).startswith("live ")


def brightness(image: QImage) -> float:
    image = image.convertToFormat(QImage.Format.Format_Grayscale8)
    data = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return float(data[40:, : image.width()].mean())


def test_a_server_that_dies_is_taken_again(qtbot, live, server):
    window = live()
    server.pause()
    server.kill()
    qtbot.waitUntil(lambda: "camera lost, trying again" in window.picture._old, timeout=WAIT)
    assert text_of(window) == "lost"
    index = window.player.shown_frame.index
    server.start()
    server.play(lambda n: PICTURE, 15.0)
    shown(qtbot, window, index)
    qtbot.waitUntil(lambda: window.live.state.phase == "live", timeout=WAIT)
    window.live.tick()
    assert window.picture._old == ""
    assert window.live.state.reconnects == 1
    assert "Reconnected" in window.live.describe()


# Freeze.


def test_freeze_holds_the_picture_and_the_camera_goes_on(qtbot, live, server):
    window = live("NetSVF")
    window.actions_by_id["play"].trigger()
    assert window.player.frozen
    frame = window.player.shown_frame
    sent = server.sent
    qtbot.waitUntil(lambda: server.sent > sent + 10, timeout=WAIT)
    assert window.player.shown_frame is frame
    assert text_of(window) == "frozen"
    assert window.picture._old == ""  # a frozen picture is known to be old
    # Its panels can be looked into: LRP with another eps is made of the frozen frame.
    made = []
    window.player.explained.connect(made.append)
    window.panels.lrp.set_parameter("eps", 1.0)
    qtbot.waitUntil(lambda: bool(made), timeout=WAIT)
    assert all(m.frame.index == frame.index for m in made)
    # Another network sees the frozen frame too.
    window.network.use("NetHVF")
    qtbot.waitUntil(
        lambda: (
            window.player.shown_frame.shot is not None
            and window.player.shown_frame.shot.input.shape == (125, 351)
        ),
        timeout=WAIT,
    )
    assert window.player.shown_frame.index == frame.index
    window.actions_by_id["play"].trigger()
    assert not window.player.frozen
    skipped = window.player.skipped
    shown(qtbot, window, frame.index + 5, masked=True)
    assert window.player.skipped - skipped < 10  # what passed while frozen was not skipped


# Recording and snapshots.


def test_record_stop_and_open_the_recording(qtbot, live, settings, tmp_path):
    settings.set("record/folder", str(tmp_path))
    window = live("NetSVF")
    window.actions_by_id["record"].trigger()
    qtbot.waitUntil(
        lambda: window.record.current is not None and window.record.current.frames >= 12, timeout=WAIT
    )
    window.live.tick()
    assert " MB" in window.panels.live_bar.recording.text()
    assert str(tmp_path.name) in window.panels.live_bar.recording.text()
    window.actions_by_id["record"].trigger()
    qtbot.waitUntil(lambda: "Recorded" in window.notice.message(), timeout=WAIT)
    assert not window.actions_by_id["record"].isChecked()
    assert window.panels.live_bar.recording.text() == ""
    opener = window.notice.actions_shown()[0]
    assert opener.text() == "Open the recording"
    opener.click()
    qtbot.waitUntil(lambda: window.player.drive is not None, timeout=WAIT)
    assert window.player.live is None
    assert len(window.player.drive) >= 12
    assert window.panels.transport.isVisible()
    assert not window.panels.live_bar.isVisible()
    assert window.docks["angle"].widget() is window.panels.angle
    (folder,) = (tmp_path / "vbp").iterdir()
    with open_drive(folder) as drive:
        numbers = [read_clock(drive.frame(i))[0] for i in range(0, len(drive), 4)]
    assert numbers == sorted(numbers)


def test_closing_the_window_ends_a_recording_well(qtbot, live, settings, tmp_path):
    settings.set("record/folder", str(tmp_path))
    window = live()
    window.actions_by_id["record"].trigger()
    qtbot.waitUntil(
        lambda: window.record.current is not None and window.record.current.frames >= 5, timeout=WAIT
    )
    window.close()
    assert window.threads_left == []
    (folder,) = (tmp_path / "vbp").iterdir()
    with open_drive(folder) as drive:
        assert len(drive) >= 5


def test_frozen_the_recording_goes_on_with_its_predictions(qtbot, live, tmp_path, settings, monkeypatch):
    monkeypatch.setattr("vbp.app.player.live_thread.PATIENCE_S", 60.0)  # a busy machine is no reason to fail
    monkeypatch.setattr("vbp.app.player.live_thread.WAITING", 1000)
    settings.set("record/folder", str(tmp_path))
    window = live("NetSVF", fps=10.0)
    window.actions_by_id["record"].trigger()
    qtbot.waitUntil(
        lambda: window.record.current is not None and window.record.current.frames >= 3, timeout=WAIT
    )
    window.actions_by_id["play"].trigger()
    held = window.player.shown_frame
    frames = window.record.current.frames
    qtbot.waitUntil(lambda: window.record.current.frames >= frames + 10, timeout=WAIT)
    # A crop that is set meanwhile shows on the frozen picture, whatever else the network runs.
    window.player.set_crop(ChosenCrop(Rect(0, 100, 640, 125), W, H))
    qtbot.waitUntil(lambda: window.player.shown_frame.shot.crop.y == 100, timeout=WAIT)
    assert window.player.shown_frame.index == held.index
    window.source.open_drive(write_drive(tmp_path / "other"))  # ends the recording, and keeps it
    qtbot.waitUntil(lambda: "Recorded" in window.notice.message(), timeout=WAIT)
    folder = next((tmp_path / "vbp").iterdir())
    with open_drive(folder) as drive:
        assert len(drive) >= frames + 10
    rows = (folder / "frames.csv").read_text().splitlines()
    column = rows[0].split(",").index("predicted_rad")
    predicted = [row.split(",")[column] for row in rows[1 + frames :]]
    assert any(predicted)


def test_a_crop_outside_the_picture_is_said(qtbot, make_window, server):
    window = make_window("NetSVF")
    server.play(lambda n: PICTURE, 10.0)
    window.camera.open(LiveRequest(parse_address(server.url)), crop=Rect(100, 0, 640, 125))
    qtbot.waitUntil(lambda: "does not lie in the frame" in window.notice.message(), timeout=WAIT)
    shown(qtbot, window)  # the picture is shown all the same


def test_a_recording_that_cannot_be_written_is_said(qtbot, live, settings, tmp_path):
    (tmp_path / "vbp").write_text("a file where the folder should be")
    settings.set("record/folder", str(tmp_path))
    window = live()
    window.actions_by_id["record"].trigger()
    qtbot.waitUntil(lambda: str(tmp_path) in window.notice.message(), timeout=WAIT)
    assert not window.actions_by_id["record"].isChecked()
    shown(qtbot, window, window.player.shown_frame.index)  # the camera goes on


def test_a_snapshot_is_the_picture_with_its_mask(qtbot, live, settings, tmp_path):
    settings.set("snapshot/folder", str(tmp_path))
    window = live("NetSVF")
    window.actions_by_id["play"].trigger()
    expected = window.picture.blended()
    for _ in range(2):
        window.notice.dismiss()
        window.actions_by_id["snapshot"].trigger()
        qtbot.waitUntil(lambda: "Snapshot:" in window.notice.message(), timeout=WAIT)
    files = sorted((tmp_path / "vbp").iterdir())
    assert len(files) == 2  # the second did not take the place of the first
    assert all(str(f.parent) in window.notice.message() for f in files)
    assert (cv2.imread(str(files[0]))[..., ::-1] == expected).all()


def test_a_snapshot_that_cannot_be_written_is_said(qtbot, live, settings, tmp_path):
    (tmp_path / "vbp").write_text("in the way")
    settings.set("snapshot/folder", str(tmp_path))
    window = live()
    window.actions_by_id["snapshot"].trigger()
    qtbot.waitUntil(lambda: "cannot be written" in window.notice.message(), timeout=WAIT)


def test_snapshots_never_replace_a_file(tmp_path):
    image = np.zeros((4, 4, 3), np.uint8)
    paths = [write_png(image, tmp_path / "new", "a") for _ in range(3)]
    assert [p.name for p in paths] == ["a.png", "a-2.png", "a-3.png"]
    assert len(list((tmp_path / "new").iterdir())) == 3  # nothing temporary is left


# The crop.


def drag(qtbot, editor, start: QPointF, end: QPointF) -> None:
    """From pixel to pixel of the picture."""

    def at(p: QPointF) -> QPoint:
        return editor.on_screen(QRectF(p.x(), p.y(), 0, 0)).topLeft().toPoint()

    qtbot.mousePress(editor, Qt.MouseButton.LeftButton, pos=at(start))
    qtbot.mouseMove(editor, at((start + end) / 2))
    qtbot.mouseMove(editor, at(end))
    qtbot.mouseRelease(editor, Qt.MouseButton.LeftButton, pos=at(end))


def test_the_crop_is_dragged_kept_and_used_again(qtbot, live, server):
    window = live("NetSVF")
    window.actions_by_id["crop"].trigger()
    editor = window.crop.editor
    assert editor.isVisible() and window.focusWidget() is editor
    assert editor.box == QRectF(0, 355, 640, 125)
    drag(qtbot, editor, QPointF(300, 400), QPointF(300, 300))  # moved up
    assert abs(editor.box.y() - 255) <= 3
    drag(qtbot, editor, QPointF(640, editor.box.bottom()), QPointF(320, 255 + 62))  # its corner drawn in
    box = editor.box
    assert box.width() / box.height() == pytest.approx(640 / 125, rel=0.01)
    assert abs(box.width() - 320) <= 6
    assert box.x() == 0
    # Seen at once, before it is applied.
    crop = window.player.crop.rect
    qtbot.waitUntil(lambda: window.player.shown_frame.shot.crop == crop, timeout=WAIT)
    qtbot.keyClick(editor, Qt.Key.Key_Right)
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    assert not editor.isVisible()
    kept = window.player.crop
    assert kept.rect == Rect(crop.x + 1, crop.y, crop.width, crop.height)
    assert window.settings.document(server.url).crop == kept
    # Esc changes nothing.
    window.actions_by_id["crop"].trigger()
    qtbot.keyClick(editor, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    assert window.player.crop != kept
    qtbot.keyClick(editor, Qt.Key.Key_Escape)
    assert window.player.crop == kept
    # Opened again, the camera has its crop; another source has none; and back to the default.
    window.source.close_drive()
    window.camera.open(LiveRequest(parse_address(server.url)))
    shown(qtbot, window, masked=True)
    assert window.player.shown_frame.shot.crop == kept.rect
    window.actions_by_id["crop"].trigger()
    qtbot.keyClick(editor, Qt.Key.Key_Backspace)
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    assert window.settings.document(server.url).crop is None
    qtbot.waitUntil(lambda: window.player.shown_frame.shot.crop == Rect(0, 355, 640, 125), timeout=WAIT)


def test_the_crop_of_a_recording_is_set_the_same_way(qtbot, open_window, drive_folder):
    window = open_window(network="NetSVF", frame=3)
    window.actions_by_id["crop"].trigger()
    editor = window.crop.editor
    before = window.player.shown_frame.shot
    qtbot.keyClick(editor, Qt.Key.Key_Up, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.player.shown_frame.shot.crop.y == before.crop.y - 10, timeout=WAIT)
    assert window.player.shown_frame.index == 3
    window.actions_by_id["predict"].trigger()
    qtbot.waitUntil(lambda: np.isfinite(window.presenter.predicted_deg).all(), timeout=WAIT)
    # The whole drive was predicted with that crop as well.
    shot = window.player.shown_frame.shot
    assert window.presenter.predicted_deg[3] == pytest.approx(math.degrees(shot.angle_rad), abs=1e-3)
    assert shot.angle_rad != before.angle_rad
    window.source.open_drive(write_drive(drive_folder.parent / "other"))
    qtbot.waitUntil(
        lambda: window.player.shown_frame is not None and window.player.shown_frame.shot is not None
    )
    assert window.player.crop is None
    window.source.open_drive(drive_folder)
    qtbot.waitUntil(lambda: window.player.crop is not None, timeout=WAIT)


def test_a_crop_needs_a_picture_and_a_network(qtbot, make_window):
    window = make_window()
    window.actions_by_id["crop"].trigger()
    assert "open a recording or a camera" in window.notice.message()
    window.actions_by_id["snapshot"].trigger()
    assert "There is no picture yet" in window.notice.message()


def test_crops_are_kept_as_they_are_and_follow_the_size(settings):
    crop = ChosenCrop(Rect(10, 20, 320, 62), 640, 480)
    settings.change_document("rtsp://a/b?c=[d]=/", crop=crop)
    assert settings.document("rtsp://a/b?c=[d]=/").crop == crop
    assert settings.document("rtsp://a/other").crop is None
    assert crop.at(480, 640) == crop.rect
    assert crop.at(960, 1280) == Rect(20, 40, 640, 124)
    assert crop.at(1, 1) == Rect(0, 0, 1, 1)
    settings.change_document("rtsp://a/b?c=[d]=/", crop=None)
    assert settings.document("rtsp://a/b?c=[d]=/").crop is None


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"x": 1}', '{"x":0,"y":0,"width":9,"height":9}'])
def test_damaged_settings_give_no_crop(settings, text):
    settings.change_document("a", crop=ChosenCrop(Rect(0, 0, 1, 1), 2, 2))
    (key,) = settings._store.allKeys()
    settings.set(key, text)
    assert settings.document("a").crop is None
    settings.remove(key)
    settings.change_document("a", crop=ChosenCrop(Rect(0, 0, 9, 9), 4, 4))  # beyond the picture
    assert settings.document("a").crop is None


@pytest.mark.parametrize("aspect", [5.12, 1.0, 0.4])
def test_a_crop_keeps_its_shape_and_stays_inside(aspect):
    rng = np.random.default_rng(1)
    box = shaped(QRectF(100, 100, 200, 10), aspect, W, H)
    for _ in range(300):
        corner = (int(rng.integers(2)), int(rng.integers(2)))
        to = QPointF(*(rng.uniform(-300, 1200, 2)))
        new = sized(box, corner, to, aspect, W, H)
        fixed = (box.left() if corner[0] else box.right(), box.top() if corner[1] else box.bottom())
        now = (new.left() if corner[0] else new.right(), new.top() if corner[1] else new.bottom())
        assert now == pytest.approx(fixed)
        box = moved(new, QPointF(*(rng.uniform(-500, 500, 2))), W, H)
        assert box.width() / box.height() == pytest.approx(aspect)
        assert box.left() >= -1e-6 and box.top() >= -1e-6
        assert box.right() <= W + 1e-6 and box.bottom() <= H + 1e-6
        assert box.width() > 1 and box.height() > 1


# Measured angles.


def test_a_measured_angle_fills_wheel_plot_and_error(qtbot, live):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    quit_sending = threading.Event()

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            while not quit_sending.wait(0.02):
                out.sendto(b'{"angle": 12.5, "unit": "deg", "speed": 7.0}\n', ("127.0.0.1", port))

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    window = live("NetSVF", angles=f"udp://127.0.0.1:{port}")
    history = window.panels.live_plot.history
    qtbot.waitUntil(lambda: np.isfinite(history.driven_deg[-1:]).any(), timeout=WAIT)
    assert history.driven_deg[-1] == pytest.approx(12.5)
    lines = {name: number for name, number, _, _ in window.panels.steering.lines()}
    assert lines["driven"] == "+12.5"
    assert lines["speed"] == "7.0"
    assert lines["error"] != "–"
    window.panels.live_plot._draw_curves()
    assert np.isfinite(window.panels.live_plot._error).any()
    assert window.panels.live_bar.angles.text()
    quit_sending.set()
    sender.join()
    qtbot.waitUntil(lambda: "no angle comes in any more" in window.player.live.angles_text, timeout=WAIT)
    window.live.tick()
    assert "no angle comes in any more" in window.panels.live_bar.angles.text()


def test_a_source_of_angles_that_is_none_is_said_and_the_camera_goes_on(qtbot, live):
    window = live(angles="serial:/dev/null")
    qtbot.waitUntil(lambda: "is no source of angles" in window.notice.message(), timeout=WAIT)
    shown(qtbot, window, window.player.shown_frame.index)


# Hours.


def test_the_history_keeps_the_newest_and_does_not_grow():
    history = History(capacity=100)
    held = history.bytes
    for i in range(1050):
        history.add(i * 0.05, i, -i)
        history.add(i * 0.05, -1.0)  # not later than the last
    assert history.bytes == held
    assert len(history) == 100
    assert history.predicted_deg.tolist() == list(range(950, 1050))
    assert history.driven_deg[-1] == -1049
    assert history.times[-1] == pytest.approx(1049 * 0.05)
    history.forget_predicted()
    assert np.isnan(history.predicted_deg).all()
    history.clear()
    assert len(history) == 0


def test_the_plot_shows_the_last_minute(qtbot, live):
    window = live()
    plot = window.panels.live_plot
    for i in range(3000):
        plot.history.add(100 + i * 0.05, 3.0, 2.0)
    plot._draw_curves()
    x0, x1 = plot.view_range()
    assert x1 == pytest.approx(plot.history.times[-1], abs=2)
    assert x1 - x0 == pytest.approx(60, abs=1)
    assert len(plot._times) < 1300
    plot.hold(True)
    kept = plot.view_range()
    plot.history.add(1000.0, 3.0)
    plot._draw_curves()
    assert plot.view_range() == kept
    plot.hold(False)
    plot._draw_curves()
    assert plot.view_range()[1] == pytest.approx(1000, abs=2)


# The dialog.


def test_the_dialog_without_a_camera_says_what_to_do(qtbot, make_window, monkeypatch):
    monkeypatch.setattr(vbp.app.dialogs.camera, "list_cameras", list)
    window = make_window()
    window.start_page.camera.click()
    dialog = window.camera.dialog
    qtbot.waitUntil(lambda: dialog.said.text() == NONE_FOUND, timeout=WAIT)
    assert dialog.said.isVisible()
    assert dialog.list.count() == 0
    dialog.open_button.click()
    assert dialog.isVisible()
    assert "no camera is named" in dialog.error.text()
    dialog.address.setEditText("ftp://somewhere/else")
    dialog.open_button.click()
    assert "ftp" in dialog.error.text()
    dialog.address.setEditText("rtsp://user:secret@127.0.0.1:9/x")
    assert dialog.error.text() == ""
    assert not dialog.size_box.isEnabled() and not dialog.exposure.isEnabled()
    assert "stream" in dialog.reason.text()
    dialog.address.setEditText("0")
    assert dialog.size_box.isEnabled() and dialog.exposure.isEnabled()
    dialog.size_box.setEditText("big")
    dialog.open_button.click()
    assert "640×480" in dialog.error.text()
    dialog.ask(Asked("0"), [], [], without_exposure="0")
    assert dialog.size_box.isEnabled()
    assert not dialog.exposure.isEnabled()
    assert "does not say how it exposes" in dialog.reason.text()
    dialog.reject()


def test_cameras_are_listed_with_what_they_can(qtbot, make_window, monkeypatch):
    known = [
        CameraInfo("usb-1", "/dev/video0", "Road camera", ((640, 480), (1280, 720)), (15.0, 30.0)),
        CameraInfo("usb-2", "/dev/video2", "Other", problem="it is used by another program"),
    ]
    monkeypatch.setattr(vbp.app.dialogs.camera, "list_cameras", lambda: known)
    window = make_window()
    chosen = []
    window.actions_by_id["camera"].trigger()
    dialog = window.camera.dialog
    dialog.chosen.disconnect()
    dialog.chosen.connect(chosen.append)
    qtbot.waitUntil(lambda: dialog.list.count() == 2, timeout=WAIT)
    assert not dialog.said.isVisible()
    assert "1280×720" in dialog.list.item(0).text() and "15 / 30 per second" in dialog.list.item(0).text()
    assert "another program" in dialog.list.item(1).text()
    dialog.list.setCurrentRow(0)
    assert dialog.address.currentText() == "/dev/video0"
    assert [dialog.size_box.itemText(k) for k in range(dialog.size_box.count())] == ["640×480", "1280×720"]
    dialog.size_box.setEditText("1280×720")
    dialog.rate_box.setEditText("30")
    dialog.exposure.setValue(4.0)
    dialog.open_button.click()
    (request,) = chosen
    assert request.address.text == "/dev/video0"
    assert (request.size, request.fps, request.exposure_ms) == ((1280, 720), 30.0, 4.0)
    assert not dialog.isVisible()


def test_the_frame_before_is_compared_live_too(qtbot, live):
    window = live("NetSVF")
    window.docks["compare"].raise_()
    panel = window.panels.compare
    qtbot.waitUntil(lambda: len(panel._seen) > 1 and panel._shown, timeout=WAIT)
    window.actions_by_id["play"].trigger()
    index = window.player.shown_frame.index
    before = panel._before()
    assert before is not None and before < index
    assert panel._compared(before).title == f"frame {before}"
    assert len(panel._seen) <= 8


def test_the_command_shows_records_and_ends(tmp_path, server):
    server.play(lambda n: PICTURE, 10.0)
    folder = tmp_path / "drive"
    home = {"XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path), "QT_QPA_PLATFORM": "offscreen"}
    command = [
        sys.executable,
        "-m",
        "vbp.app.main",
        "camera",
        server.url,
        "--device",
        "cpu",
        "--seconds",
        "8",
    ]
    done = subprocess.run(
        [*command, "--record", str(folder), "--crop", "0,100,640,125"],
        env=os.environ | home,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    with open_drive(folder) as drive:
        assert len(drive) > 3
        assert read_clock(drive.frame(0))[0] < read_clock(drive.frame(len(drive) - 1))[0]


def test_looking_for_cameras_never_holds_the_window_up(qtbot, make_window, monkeypatch):
    go_on = threading.Event()

    def hang() -> list:
        go_on.wait(20)
        return []

    monkeypatch.setattr(vbp.app.dialogs.camera, "list_cameras", hang)
    window = make_window()
    window.actions_by_id["camera"].trigger()
    dialog = window.camera.dialog
    assert "Looking for cameras" in dialog.said.text()
    assert not dialog.refresh_button.isEnabled()
    window.close()
    go_on.set()


def test_passwords_are_not_remembered(qtbot, make_window):
    window = make_window()
    window.camera.open(LiveRequest(parse_address("rtsp://anna:secret@127.0.0.1:9/x?pwd=hidden")))
    window.settings.flush()
    text = Path(window.settings._store.fileName()).read_text()
    assert "127.0.0.1:9/x" in text
    assert "secret" not in text
    assert "hidden" not in text
    assert "secret" not in window.windowTitle()
    window.source.close_drive()
    assert window.stack.currentWidget() is window.start_page
    assert window.camera.asked_before("0") == Asked("0")


def test_a_session_that_is_asked_for_again_has_its_fields(qtbot, make_window, server):
    window = make_window()
    request = LiveRequest(parse_address("0"), (640, 480), 15.0, 8.5, "udp://:5005")
    window.camera.remember(request)
    assert window.settings.recent("cameras") == ["0"]
    assert window.camera.asked_before("0") == Asked("0", (640, 480), 15.0, 8.5, "udp://:5005")
    window.settings.set("camera/last", '{"size": [1]}')
    assert window.camera.asked_before("0") == Asked("0")


@pytest.mark.parametrize("text", ["x", "0x4", "12", "1x2x3", "-4x5", "640*480", "999999999x1", "٤x٤"])
def test_sizes_that_are_none_are_refused(text):
    with pytest.raises(VbpError):
        parse_size(text)


def test_sizes_and_rates_are_read():
    assert parse_size("640×480") == parse_size(" 640 x 480 ") == (640, 480)
    assert parse_size(" ") is None
    assert parse_rate("12.5") == 12.5
    assert parse_rate("") is None
    for text in ("nan", "0", "-3", "fast"):
        with pytest.raises(VbpError):
            parse_rate(text)


# The end.


def test_closed_while_it_connects(qtbot, make_window):
    with socket.socket() as silent:  # takes the connection, and says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        window = make_window()
        window.camera.open(LiveRequest(parse_address(f"http://127.0.0.1:{silent.getsockname()[1]}/x")))
        qtbot.wait(300)
        assert "Connecting" in window.picture._empty
        window.close()
        assert window.threads_left == []


def test_closed_while_a_read_blocks(qtbot, live, server):
    window = live()
    server.pause()
    qtbot.waitUntil(lambda: window.live.state is not None and window.live.state.phase != "live", timeout=WAIT)
    window.close()
    assert window.threads_left == []


def test_a_drive_takes_the_cameras_place_and_back(qtbot, live, server, drive_folder):
    window = live()
    window.source.open_drive(drive_folder)
    qtbot.waitUntil(lambda: window.player.shown_frame is not None and window.player.drive is not None)
    assert window.actions_by_id["realtime"].isEnabled()
    assert not window.actions_by_id["record"].isEnabled()
    assert window.panels.transport.isVisible()
    assert window.picture._old == ""
    window.actions_by_id["play"].trigger()
    qtbot.waitUntil(lambda: window.player.playing, timeout=WAIT)
    window.camera.open(LiveRequest(parse_address(server.url)))
    shown(qtbot, window)
    assert window.player.drive is None
    assert not window.actions_by_id["realtime"].isEnabled()
    assert window.actions_by_id["record"].isEnabled()
    window.actions_by_id["close-drive"].trigger()
    assert window.stack.currentWidget() is window.start_page
    assert window.player.live is None


def test_a_layout_kept_live_does_not_hide_the_transport(qtbot, live, make_window, settings):
    window = live()
    qtbot.wait(100)
    window.close()
    again = make_window()
    qtbot.waitUntil(lambda: again.view.placed, timeout=WAIT)
    assert again.panels.transport.isVisible()
    assert not again.panels.live_bar.isVisible()


def test_the_clock_of_the_test_can_be_read():
    assert read_clock(cv2.imdecode(np.frombuffer(jpeg(draw_clock(PICTURE, 77, 123)), np.uint8), 1)) == (
        77,
        123,
    )
