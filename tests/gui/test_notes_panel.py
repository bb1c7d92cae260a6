"""Notes in the real window: written, found again, taken back; and on the disk whatever becomes of the program."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest
from drivemaker import WAIT, settled, wait_shown
from PySide6.QtCore import QSettings, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QLineEdit

from vbp.app.state.settings import Settings
from vbp.session.document import Document, load, save
from vbp.session.fingerprint import Fingerprint
from vbp.session.note import Note, frame_at

KILLED = """
import os, pathlib, signal, sys
import numpy as np
from PySide6.QtCore import QSettings
from vbp.app.state.marks import Marks
from vbp.app.state.settings import Settings

for k in range(10):
    there, here = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(there)
        settings = Settings(QSettings(f"{sys.argv[1]}/{k}.ini", QSettings.Format.IniFormat))
        marks = Marks(settings)
        marks.set_drive(pathlib.Path("/a drive"), np.arange(10**6, dtype=np.int64))
        for i in range(10**6):
            marks.add([marks.note_at(i)])
            os.write(here, b".")
    os.close(here)
    kept = 0
    while kept < 1 + k:
        kept += len(os.read(there, 1))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    while more := os.read(there, 4096):
        kept += len(more)
    print(kept)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_note_that_was_confirmed_outlives_a_kill(tmp_path):
    run = [sys.executable, "-c", KILLED, str(tmp_path)]
    confirmed = list(
        map(int, subprocess.run(run, capture_output=True, check=True, timeout=120).stdout.split())
    )
    assert len(confirmed) == 10
    for k, count in enumerate(confirmed):
        settings = Settings(QSettings(str(tmp_path / f"{k}.ini"), QSettings.Format.IniFormat))
        frames = [note.frame for note in settings.document("/a drive").notes]
        assert frames[:count] == list(range(count))


def test_notes_are_written_filtered_stepped_through_and_taken_back(qtbot, open_window, settings, tmp_path):
    window = open_window()
    panel, marks = window.panels.notes, window.marks
    window.session.save(tmp_path / "mine.vbp.json")
    window.player.seek(20)
    wait_shown(qtbot, window, 20)
    window.actions_by_id["write-note"].trigger()  # and its name is written at once
    qtbot.waitUntil(panel.table.isVisible, timeout=WAIT)
    editor = panel.table.findChild(QLineEdit)
    QTest.keyClicks(editor, "=bend")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: marks.notes[0].name != "", timeout=WAIT)  # Qt hands it over in its own time
    start = int(window.player.drive.timestamps_ns[20])
    assert marks.notes == [Note(20, 20, start, start, "=bend")]
    panel.table.item(0, 2).setText("odd")
    panel.table.item(0, 3).setText("looks at\nthe sky")
    (note,) = marks.notes
    assert (note.tag, note.text) == ("odd", "looks at the sky")
    marks.set_part(22, 30)
    window.actions_by_id["note-range"].trigger()
    assert [(n.frame, n.end) for n in marks.notes] == [(20, 20), (22, 30)]
    path = str(window.player.path.resolve())
    # On the disk by now: in the settings, and in the session that is open.
    again = Settings(QSettings(settings._store.fileName(), QSettings.Format.IniFormat))
    assert list(again.document(path).notes) == list(load(tmp_path / "mine.vbp.json").notes) == marks.notes
    panel.filter.setText("SKY odd")
    assert panel.shown == [note]
    panel.filter.setText("nowhere")
    assert panel.shown == []
    panel.filter.clear()
    window.actions_by_id["next-bookmark"].trigger()
    assert window.player.target == 22
    window.actions_by_id["next-bookmark"].trigger()  # round the end
    assert window.player.target == 20
    panel.table.cellClicked.emit(1, 0)
    assert window.player.target == 22
    panel.select(note)
    QTest.keyClick(panel.table, Qt.Key.Key_Delete)
    assert note not in marks.notes and "=bend" in window.notice.message()
    window.actions_by_id["undo-note"].trigger()
    assert note in marks.notes
    for _ in range(9):
        window.actions_by_id["undo-note"].trigger()
    assert marks.notes == []
    for _ in range(9):
        window.actions_by_id["redo-note"].trigger()
    assert note not in marks.notes and len(marks.notes) == 1
    (tmp_path / "mine.vbp.json").write_text("{}")  # somebody else's word stands
    window.actions_by_id["bookmark"].trigger()
    assert (tmp_path / "mine.vbp.json").read_text() == "{}"
    assert len(settings.document(path).notes) == 2


def test_steps_of_a_second_and_a_place_that_is_typed(qtbot, open_window):
    window = open_window()  # 20 frames per second
    for name, frame in (("forward-s", 20), ("forward-half", 30), ("back-s", 10), ("back-half", 0)):
        window.actions_by_id[name].trigger()
        assert window.player.target == frame
    window.actions_by_id["go-to"].trigger()
    dialog = window.playback.dialog
    dialog.place.setText("0:59")
    assert not dialog.buttons.button(dialog.buttons.StandardButton.Ok).isEnabled()
    dialog.place.setText("0:01.5")
    assert "Frame 30 at 00:01.5" in dialog.hint.text()
    dialog.accept()
    assert window.player.target == 30


def test_a_frame_or_a_time_is_understood():
    times = np.arange(4000, dtype=np.int64) * 10**9 + 5
    said = {"1234": 1234, " 0 ": 0, "12:34.4": 754, "12:34,6": 755, "1:02:03": 3723, "66:39": 3999}
    assert {text: frame_at(text, times) for text in said} == said
    for wrong in ("", "4000", "-1", "1:75", "9:99:00", "2:00:00", "1:2:3:4", "abc", "12.5", "٣", "9" * 30):
        assert frame_at(wrong, times) is None
    assert frame_at("0", times[:0]) is None


def test_a_recording_and_its_session_look_the_same_on_another_path(
    qtbot, open_window, make_window, drive_folder, settings, tmp_path, monkeypatch
):
    window = open_window(network="NetHVF", frame=9)
    window.marks.set_part(4, 40)
    window.marks.add([Note(9, 9, name="a bend", tag="odd"), Note(10, 30, name="long")])
    window.view.toggle_panel("notes", True)
    window.docks["lrp"].hide()
    window.session.save(drive_folder.parent / "mine.vbp.json")
    first = seen(qtbot, window)
    shutil.copytree(
        drive_folder.parent, tmp_path / "other machine" / "of somebody", ignore=lambda *_: ["other machine"]
    )
    shutil.rmtree(drive_folder)
    window.end()
    monkeypatch.setattr(settings, "_store", QSettings(str(tmp_path / "new.ini"), QSettings.Format.IniFormat))
    window = make_window("NetSVF")
    qtbot.waitUntil(lambda: window.view.placed, timeout=WAIT)
    window.drop(tmp_path / "other machine" / "of somebody" / "mine.vbp.json")
    wait_shown(qtbot, window, 9, masked=True)
    qtbot.waitUntil(lambda: window.player.ready.name == "NetHVF", timeout=WAIT)
    settled(qtbot, window)
    second = seen(qtbot, window)
    assert [image.size() for image in first] == [image.size() for image in second]
    assert first == second
    assert window.notice.message() == ""


def seen(qtbot, window) -> list:
    """What stands in the window, without how long it took."""
    window.notice.dismiss()
    qtbot.wait(300)
    p = window.panels
    return [widget.grab().toImage() for widget in (window.picture, p.notes, p.angle, p.transport.timeline)]


def test_a_recording_that_is_not_there_or_another_is_said(
    qtbot, make_window, drive_folder, tmp_path, monkeypatch
):
    path = tmp_path / "mine.vbp.json"
    save(Document(str(drive_folder), Fingerprint(1, "0"), frame=7, notes=(Note(3, 3, name="here"),)), path)
    elsewhere = drive_folder.rename(tmp_path / "elsewhere")
    window = make_window()
    window.drop(path)
    assert "is not there" in window.notice.message() and window.player.drive is None
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(elsewhere))
    window.notice.actions_shown()[1].click()
    assert "is not the recording" in window.notice.message()
    wait_shown(qtbot, window, 7)
    assert [note.name for note in window.marks.notes] == ["here"]


def test_a_table_of_notes_goes_out_and_in(qtbot, open_window, tmp_path, monkeypatch):
    window = open_window()
    for name in ("getSaveFileName", "getOpenFileName"):
        monkeypatch.setattr(QFileDialog, name, lambda *_: (str(tmp_path / "notes.csv"), ""))
    note = Note(3, 5, *map(int, window.player.drive.timestamps_ns[[3, 5]]), "=a", "b", "c")
    window.marks.add([note])
    window.actions_by_id["write-notes"].trigger()
    window.actions_by_id["read-notes"].trigger()
    assert window.marks.notes == [note] and "not here already" in window.notice.message()
    window.marks.remove([note])
    window.actions_by_id["read-notes"].trigger()
    assert window.marks.notes == [note]
    window.notice.actions_shown()[0].click()
    assert window.marks.notes == []
    (tmp_path / "notes.csv").write_text("a\n1\n")
    window.actions_by_id["read-notes"].trigger()
    assert "frame" in window.notice.message() and window.marks.notes == []
