"""Notes in the real window: written, found again, taken back; and on the disk whatever becomes of the program."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from drivemaker import WAIT, settled, wait_shown, write_drive
from PySide6.QtCore import QSettings, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QLineEdit

from vbp.app.state.settings import Settings
from vbp.edits.edit import Adjust, Box, Edits, Erase
from vbp.export.job import Job, Part
from vbp.export.registry import export
from vbp.overlay import Overlay
from vbp.session.document import Document, ShownMethod, load, save
from vbp.session.fingerprint import Fingerprint, fingerprint
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
    qtbot, open_window, make_window, settings, tmp_path, monkeypatch
):
    drive_folder = write_drive(tmp_path / "of june" / "drive", frames=16)
    window = open_window(drive_folder, network="NetHVF", frame=9)
    window.marks.set_part(4, 12)
    window.marks.add([Note(9, 9, name="a bend", tag="odd"), Note(10, 15, name="long")])
    window.docks["visualbackprop"].hide()
    window.view.toggle_panel("second", True)
    window.view.toggle_panel("method-2", True)
    window.panels.methods["lrp"].choose("lrp", {"eps": 0.5, "bias": 0.0})
    window.panels.methods["method-2"].choose("fbi", {"tau": 20.0})
    window.second.use("NetSVF")
    window.second.show_view("together")
    window.network.show_target("negative")
    window.view.set_overlay(Overlay(style="heat", opacity=0.6, gamma=0.7, outline=True, bar=False))
    window.edits.history.add(Erase(Box(40.0, 150.0, 120.0, 60.0), "mean"))
    window.edits.history.adjust("brightness", 20.0)
    window.edits._make()
    predicted(qtbot, window)
    window.session.save(drive_folder.parent / "mine.vbp.json")
    first = seen(qtbot, window)
    shutil.copytree(drive_folder.parent, tmp_path / "other machine" / "of somebody")
    shutil.rmtree(drive_folder)
    window.end()
    monkeypatch.setattr(settings, "_store", QSettings(str(tmp_path / "new.ini"), QSettings.Format.IniFormat))
    window = make_window("NetSVF")
    window.drop(
        tmp_path / "other machine" / "of somebody" / "mine.vbp.json"
    )  # before the panels have their places
    wait_shown(qtbot, window, 9, masked=True)
    predicted(qtbot, window)
    assert window.notice.message() == ""
    second = seen(qtbot, window)
    assert first.size() == second.size()
    if first != second:
        first.save(str(tmp_path / "first.png"))
        second.save(str(tmp_path / "second.png"))
    assert first == second, f"see first.png and second.png in {tmp_path}"


def predicted(qtbot, window) -> None:
    """By NetHVF, and NetSVF beside it, the whole drive; and all that the panels show of the edited frame is there."""
    ready, presenter = (lambda: window.player.ready), window.presenter
    qtbot.waitUntil(lambda: ready() is not None and ready().name == "NetHVF", timeout=WAIT)
    qtbot.waitUntil(lambda: window.player.second is not None, timeout=WAIT)
    window.actions_by_id["predict"].trigger()
    qtbot.waitUntil(lambda: window.predictions.pair is not None, timeout=WAIT)
    qtbot.waitUntil(lambda: window.predictions.table.known.all(), timeout=WAIT)
    qtbot.waitUntil(lambda: not window.predictions.running, timeout=WAIT)
    settled(qtbot, window)
    qtbot.waitUntil(lambda: presenter.complete(9), timeout=WAIT)
    qtbot.waitUntil(lambda: window.panels.second.words.text() != "", timeout=WAIT)
    settled(qtbot, window)


def seen(qtbot, window):
    """All of the window but its last line, which says how long things took."""
    window.notice.dismiss()
    qtbot.wait(300)
    whole = window.grab().toImage()
    return whole.copy(0, 0, whole.width(), window.statusBar().y())


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


def test_a_session_found_elsewhere_takes_notes_and_what_nobody_knows_changes_nothing(
    qtbot, make_window, drive_folder, tmp_path, monkeypatch
):
    path = tmp_path / "mine.vbp.json"
    strange = {name: ShownMethod("of a later version", {"x": -1e300}) for name in ("lrp", "method-9")}
    networks = ("NetHVF", "no_such_package.of_mine:make")  # which is never run because a file names it
    document = Document(str(drive_folder), fingerprint(drive_folder), networks=networks, methods=strange)
    save(replace(document, target="class:7", layout="AAAA", edits=Edits((Adjust("blur", 3.0),))), path)
    elsewhere = drive_folder.rename(tmp_path / "elsewhere")
    window = make_window("NetHVF")
    qtbot.waitUntil(lambda: window.player.ready is not None, timeout=WAIT)  # the methods are known by now
    window.drop(path)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(elsewhere))
    window.notice.actions_shown()[1].click()
    wait_shown(qtbot, window, 0, masked=True)
    assert window.second.name == ""
    assert window.panels.lrp.method == "lrp" and window.methods.target == "output"
    assert window.player.shown_frame.record.edits.words == "edited: blur 3"
    window.actions_by_id["bookmark"].trigger()
    assert window.notice.message() == ""
    found = load(path)
    assert [note.frame for note in found.notes] == [0] and found.drive == str(elsewhere)
    window.source.open_drive(write_drive(tmp_path / "another", frames=3))
    wait_shown(qtbot, window, 0, masked=True)
    assert not window.player.shown_frame.record.edits  # they end with their drive


def test_a_report_of_the_notes_is_an_export_as_the_window_shows_masks(
    qtbot, open_window, tmp_path, monkeypatch
):
    window = open_window(network="NetHVF")
    jobs: list[Job] = []
    monkeypatch.setattr(window.export.queue, "add", jobs.append)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "report"), ""))
    window.actions_by_id["report-notes"].trigger()
    assert "no notes yet" in window.notice.message() and not jobs
    window.marks.add([window.marks.note_at(3, 5), Note(7, 7, name="a bend", tag="odd", text="why")])
    window.marks.add([Note(999, 999, 0, 0, name="before the first frame")])
    window.view.set_overlay(Overlay(style="heat"))
    window.actions_by_id["report-notes"].trigger()
    (job,) = jobs
    assert job.parts == (Part(3, 5, ("Bookmark",)), Part(7, 7, ("a bend [odd]", "why")))
    assert job.settings.overlay.style == "heat" and job.model == "NetHVF"
    assert job.remarks == ("1 note outside of this recording.",)
    assert export(Job.from_json(job.to_json())) == tmp_path / "report.html"
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert text.count("data:image/jpeg;base64,") == 4 and "a bend [odd]" in text


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
