"""A camera recorded, and pictures of it saved."""

from __future__ import annotations

import os
import subprocess
import sys

import cv2
import numpy as np
from cameramaker import PICTURE, H, W, shown
from drivemaker import WAIT, write_drive

from livemaker import read_clock
from vbp.app.control.snapshot import write_png
from vbp.drives.opening import open_drive
from vbp.overlay import Rect
from vbp.session.crops import ChosenCrop

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


def test_closing_the_window_ends_a_recording_well(qtbot, live, settings, tmp_path, monkeypatch):
    monkeypatch.setattr("vbp.live.waiting.PATIENCE_S", 3600.0)  # without a network no frame waits for one
    monkeypatch.setattr("vbp.live.waiting.WAITING_BYTES", 2**40)
    settings.set("record/folder", str(tmp_path))
    window = live()
    window.actions_by_id["record"].trigger()
    qtbot.waitUntil(
        lambda: window.record.current is not None and window.record.current.frames >= 5, timeout=WAIT
    )
    (folder,) = (tmp_path / "vbp").iterdir()
    window.close()
    assert window.isVisible()
    expected = f"Still under way: the recording {folder.name}, which ends here and is kept."
    assert window.question.text() == expected
    window.end_soon()  # a signal, with the question open
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=WAIT)
    assert window.threads_left == []
    with open_drive(folder) as drive:
        assert len(drive) >= 5


def test_frozen_the_recording_goes_on_with_its_predictions(qtbot, live, tmp_path, settings, monkeypatch):
    monkeypatch.setattr("vbp.live.waiting.PATIENCE_S", 60.0)  # a busy machine is no reason to fail
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
    qtbot.waitUntil(lambda: window.player.shown_frame.result.crop.y == 100, timeout=WAIT)
    assert window.player.shown_frame.index == held.index
    window.source.open_drive(write_drive(tmp_path / "other"))  # ends the recording, and keeps it
    qtbot.waitUntil(lambda: "Recorded" in window.notice.message(), timeout=WAIT)
    folder = next((tmp_path / "vbp").iterdir())
    with open_drive(folder) as drive:
        assert len(drive) >= frames + 10
        assert "with NetSVF;" in drive.info.notes[0]
    rows = (folder / "frames.csv").read_text().splitlines()
    column = rows[0].split(",").index("predicted_rad")
    predicted = [row.split(",")[column] for row in rows[1 + frames :]]
    assert any(predicted)


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
