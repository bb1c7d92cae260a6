"""What was open comes back: after a restart by itself, and from a session's file."""

from __future__ import annotations

import hashlib
import json

import pytest
from drivemaker import WAIT, wait_shown, write_drive
from PySide6.QtWidgets import QFileDialog

from vbp.app.state.settings import Settings
from vbp.overlay import Rect
from vbp.session.crops import ChosenCrop
from vbp.session.document import Document, load
from vbp.session.note import Note


@pytest.fixture
def answer(monkeypatch):
    """What the dialogs for files are answered with."""

    def give(path: object) -> None:
        for name in ("getSaveFileName", "getOpenFileName"):
            monkeypatch.setattr(QFileDialog, name, lambda *_: (str(path), ""))

    return give


def close(window) -> None:
    window.close()
    assert window.threads_left == []


def test_the_frame_the_loop_and_the_network_come_back_after_a_restart(
    qtbot, open_window, make_window, drive_folder, settings
):
    window = open_window(network="NetHVF")
    window.player.seek(17)
    wait_shown(qtbot, window, 17, masked=True)
    window.marks.set_part(10, 30)
    window.actions_by_id["loop"].trigger()
    window.actions_by_id["bookmark"].trigger()
    close(window)

    window = make_window("NetSVF")  # as it would be if another recording had been open since
    qtbot.waitUntil(lambda: window.player.ready is not None, timeout=WAIT)
    assert window.stack.currentWidget() is window.start_page  # nothing opens by itself
    window.source.open_drive(drive_folder)
    wait_shown(qtbot, window, 17, masked=True)
    qtbot.waitUntil(lambda: window.player.ready.name == "NetHVF", timeout=WAIT)
    assert window.top.network.currentData() == "NetHVF"
    assert (window.marks.a, window.marks.b, window.marks.bookmarks) == (10, 30, [17])
    assert window.player.recorded.loop == (10, 30)
    assert window.actions_by_id["loop"].isChecked()


def test_a_frame_and_a_network_that_are_asked_for_win(qtbot, open_window, make_window, drive_folder):
    window = open_window(network="NetHVF", frame=17)
    close(window)
    window = make_window("NetSVF")
    window.source.open_drive(drive_folder, frame=3, with_network=False)
    wait_shown(qtbot, window, 3, masked=True)
    assert window.player.network_name == "NetSVF"


def test_another_recording_keeps_nothing_of_the_first(qtbot, open_window, drive_folder, tmp_path):
    window = open_window(frame=17)
    window.marks.set_looping(True)
    other = write_drive(tmp_path / "other", frames=20)
    window.source.open_drive(other)
    wait_shown(qtbot, window, 0)
    assert window.player.recorded.loop is None and not window.actions_by_id["loop"].isChecked()
    window.source.open_drive(drive_folder)
    wait_shown(qtbot, window, 17)
    assert window.actions_by_id["loop"].isChecked()


def test_a_recording_that_became_shorter_opens_at_its_end(
    qtbot, open_window, make_window, settings, tmp_path
):
    window = open_window(frame=17)
    path = window.player.path
    close(window)
    shorter = write_drive(tmp_path / "shorter", frames=8)
    settings.keep_document(str(shorter), settings.document(str(path)))
    window = make_window()
    window.source.open_drive(shorter)
    wait_shown(qtbot, window, 7)


def test_the_users_own_code_does_not_run_because_it_was_run_before(
    qtbot, make_window, drive_folder, settings
):
    settings.change_document(str(drive_folder), networks=("no_such_package.of_mine:make",), frame=4)
    window = make_window("NetSVF")
    window.source.open_drive(drive_folder)
    wait_shown(qtbot, window, 4, masked=True)
    assert window.player.network_name == "NetSVF"
    assert "no_such_package.of_mine:make" in window.notice.message()


def test_a_session_is_saved_and_opened_by_another_window(qtbot, open_window, make_window, answer, tmp_path):
    window = open_window(network="NetHVF", frame=9)
    window.marks.set_part(5, None)
    window.docks["angle"].hide()
    answer(tmp_path / "mine.2")
    window.actions_by_id["save-session"].trigger()
    path = tmp_path / "mine.2.vbp.json"
    assert str(path) in window.notice.message()
    document = load(path)
    assert (document.drive, document.frame, document.a) == (str(window.player.path), 9, 5)
    assert document.networks == ("NetHVF",)
    window.docks["angle"].show()
    window.marks.set_part(None, None)
    window.player.seek(30)
    wait_shown(qtbot, window, 30, masked=True)
    close(window)

    window = make_window("NetSVF")
    qtbot.wait(50)  # until the panels have their places
    assert not window.docks["angle"].isHidden()
    answer(path)
    window.actions_by_id["open-session"].trigger()
    wait_shown(qtbot, window, 9, masked=True)
    qtbot.waitUntil(lambda: window.player.ready.name == "NetHVF", timeout=WAIT)
    assert (window.marks.a, window.marks.b) == (5, None)
    assert window.docks["angle"].isHidden()
    close(window)

    window = make_window()
    window.drop(path)
    wait_shown(qtbot, window, 9)


def test_a_damaged_session_is_one_notice_and_changes_nothing(qtbot, open_window, tmp_path):
    window = open_window(frame=9)
    path = tmp_path / "a.vbp"
    path.write_text('{"format": "vbp session", "version": 1, "frame": "nine"}')
    window.drop(path)
    assert "'frame'" in window.notice.message()
    assert window.player.shown_frame.index == 9


def test_a_cameras_secret_is_not_written_down(settings: Settings):
    settings.change_document("rtsp://anna:secret@host/x", frame=3)
    settings.flush()
    kept = [settings.text(key, "") for key in settings._store.allKeys()]
    assert kept and not any("secret" in text for text in kept)


def test_marks_and_crops_of_earlier_versions_are_read(settings: Settings, tmp_path):
    """As versions before documents wrote them: under the digest of the recording's path."""
    name = hashlib.sha256(str(tmp_path).encode()).hexdigest()[:16]
    settings.set(f"marks/{name}", '{"bookmarks": [9, 2], "a": 1, "b": null}')
    crop = {"x": 4, "y": 5, "width": 60, "height": 20, "of_width": 320, "of_height": 240}
    settings.set(f"crops/{name}", json.dumps(crop))
    found = settings.document(str(tmp_path))
    assert (found.notes, found.a, found.b) == ((Note(2, 2), Note(9, 9)), 1, None)
    assert found.crop == ChosenCrop(Rect(4, 5, 60, 20), 320, 240)
    settings.change_document(str(tmp_path), frame=7)  # from here on, it is in the document
    settings.remove(f"marks/{name}")
    assert settings.document(str(tmp_path)).notes == (Note(2, 2), Note(9, 9))
    settings.set(f"crops/{hashlib.sha256(b'/other').hexdigest()[:16]}", '{"x": -1}')
    assert settings.document("/other") == Document()
