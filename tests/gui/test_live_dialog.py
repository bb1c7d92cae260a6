"""The dialog that asks for a camera, and what is remembered of its answer."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from drivemaker import WAIT

import vbp.app.dialogs.camera
from vbp.app.dialogs.camera import NONE_FOUND, Asked, parse_rate, parse_size
from vbp.errors import VbpError
from vbp.live.address import parse_address
from vbp.live.cameras import CameraInfo
from vbp.live.records import LiveRequest

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
