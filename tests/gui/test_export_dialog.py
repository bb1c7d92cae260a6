"""Exporting from the window: the choices, the preview, the queue, and what is left at the end."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import av
import pytest
import torch
from drivemaker import WAIT, wait_shown
from PySide6.QtCore import Qt
from torch import Tensor, nn

from vbp.app.control.export_line import span
from vbp.app.dialogs.export import ExportDialog
from vbp.app.dialogs.export_form import KINDS, Kind
from vbp.app.jobs.export_queue import CANCELLED, DONE, FAILED, WAITING
from vbp.app.shell.window import MainWindow
from vbp.drives.base import OpenOptions
from vbp.export.job import Job, Settings

LONG = 120_000  # milliseconds: a process has to import torch


def kind_of(suffix: str) -> Kind:
    return next(k for k in KINDS if k.suffix == suffix)


def ask(qtbot, window: MainWindow, output: Path | None = None, suffix: str = ".mp4") -> ExportDialog:
    """The dialog, as Ctrl+E brings it."""
    window.actions_by_id["export"].trigger()
    dialog = window.export.dialog
    assert dialog is not None and dialog.isVisible()
    dialog.kind.setCurrentIndex(KINDS.index(kind_of(suffix)))
    if output is not None:
        dialog.output.setText(str(output))
        dialog.output.textEdited.emit(str(output))
    return dialog


def decoded(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_without_a_drive_there_is_nothing_to_export(qtbot, make_window) -> None:
    window = make_window()
    assert not window.actions_by_id["export"].isEnabled()


def test_a_part_is_exported_in_the_background(qtbot, open_window, tmp_path) -> None:
    window = open_window(network="NetSVF", frame=8)
    window.marks.set_part(5, 12)
    dialog = ask(qtbot, window, tmp_path / "clip.mp4")
    assert dialog.range() == (5, 12)
    assert ("8 frames" in dialog.facts.text() and "MB" in dialog.facts.text()) or "kB" in dialog.facts.text()
    qtbot.waitUntil(lambda: dialog.preview._rgb is not None, timeout=WAIT)
    assert dialog.preview._rgb.shape == (720, 1280, 3)
    qtbot.mouseClick(dialog.export_button, Qt.MouseButton.LeftButton)
    assert not dialog.isVisible()
    export = window.export.queue.running
    assert export is not None and window.export.line.isVisible()
    qtbot.waitUntil(lambda: export.state == DONE, timeout=LONG)
    assert decoded(tmp_path / "clip.mp4") == 8
    assert export.total == 8 and not window.export.line.isVisible()
    assert "clip.mp4 is exported" in window.notice.label.text()


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are text there")
def test_a_drive_in_a_folder_whose_name_is_no_text(qtbot, open_window, drive_folder, tmp_path) -> None:
    os.rename(drive_folder, os.fsencode(tmp_path) + b"/\xff\x1b[31m")
    window = open_window(tmp_path / os.fsdecode(b"\xff\x1b[31m"), network="NetSVF", frame=2)
    assert window.windowTitle().startswith("��[31m – ")
    window.marks.set_part(2, 4)
    dialog = ask(qtbot, window, tmp_path / "clip.mp4")
    qtbot.waitUntil(lambda: dialog.preview._rgb is not None, timeout=WAIT)
    qtbot.mouseClick(dialog.export_button, Qt.MouseButton.LeftButton)
    export = window.export.queue.running
    assert export is not None
    qtbot.waitUntil(lambda: export.state in (DONE, FAILED), timeout=LONG)
    assert export.state == DONE, export.text
    assert decoded(tmp_path / "clip.mp4") == 3


def test_the_preview_follows_the_choices(qtbot, open_window) -> None:
    window = open_window(network="NetSVF", frame=8)
    dialog = ask(qtbot, window)
    qtbot.waitUntil(lambda: dialog.preview._rgb is not None, timeout=WAIT)
    for change in (
        lambda: dialog.panels.boxes["lrp"].setChecked(False),
        lambda: dialog.panels.boxes["maps"].setChecked(True),
        lambda: dialog.layout_box.setCurrentIndex(1),
        lambda: dialog.style_box.setCurrentIndex(1),
        lambda: window.player.seek(20),
    ):
        before = dialog.preview._rgb
        change()
        qtbot.waitUntil(lambda before=before: dialog.preview._rgb is not before, timeout=WAIT)
        assert dialog.preview._rgb is not None
    dialog.layout_box.setCurrentIndex(1)
    qtbot.waitUntil(lambda: dialog.preview._rgb.shape == (720, 1920, 3), timeout=WAIT)


def test_enter_in_a_field_exports(qtbot, open_window, tmp_path) -> None:
    window = open_window(network="NetSVF")
    dialog = ask(qtbot, window, tmp_path / "clip.mp4")
    qtbot.keyClick(dialog.output, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: (tmp_path / "clip.mp4").exists(), timeout=LONG)
    assert decoded(tmp_path / "clip.mp4") == window.player.frames


def test_a_name_is_proposed_that_keeps_the_address_of_a_camera(qtbot, open_window) -> None:
    dialog = ask(qtbot, open_window())
    subject = dialog._subject
    assert subject is not None
    for name, proposed in (
        ("day-http-127.0.0.1-4515-camera", "day-http-127.0.0.1-4515-camera"),
        ("a.bag", "a"),
    ):
        dialog._subject = replace(subject, name=name)
        assert dialog._proposed() == f"{proposed}-vbp.mp4"


def test_what_is_wrong_is_said_before_it_starts(qtbot, open_window, tmp_path) -> None:
    window = open_window(network="NetSVF")
    dialog = ask(qtbot, window, tmp_path / "clip.mp4")
    assert dialog.export_button.isEnabled() and not dialog.replace.isVisible()

    def problem(output: str) -> str:
        dialog.output.setText(output)
        dialog.output.textEdited.emit(output)
        assert not dialog.export_button.isEnabled()
        return dialog.problem.text()

    assert "no folder" in problem(str(tmp_path / "none" / "clip.mp4"))
    assert ".mp4" in problem(str(tmp_path / "clip.txt"))
    assert "name" in problem("")
    there = tmp_path / "there.mp4"
    there.write_bytes(b"something of mine")
    assert "already" in problem(str(there))
    dialog.replace.setChecked(True)
    assert dialog.export_button.isEnabled()
    for box in dialog.panels.boxes.values():
        box.setChecked(False)
    assert not dialog.export_button.isEnabled() and "panel" in dialog.problem.text()


def test_a_failure_is_one_notice_and_the_next_goes_on(qtbot, open_window, tmp_path) -> None:
    window = open_window(network="NetSVF")
    queue = window.export.queue
    (tmp_path / "a.mp4").write_bytes(b"something of mine")
    job = Job(
        window.player.path,
        OpenOptions(),
        "NetSVF",
        "cpu",
        tmp_path / "a.mp4",
        0,
        3,
        settings=Settings(size=(320, 180)),
    )
    first = queue.add(job)
    second = queue.add(replace(job, output=tmp_path / "b.mp4"))
    third = queue.add(replace(job, output=tmp_path / "c.mp4"))
    assert (second.state, third.state) == (WAITING, WAITING)
    assert "2 more" in window.export.line.bar.format()
    queue.cancel(third)
    assert third.state == CANCELLED
    qtbot.waitUntil(lambda: first.state == FAILED, timeout=LONG)
    assert "not written by vbp" in window.notice.label.text()
    assert (tmp_path / "a.mp4").read_bytes() == b"something of mine"
    qtbot.waitUntil(lambda: second.state == DONE, timeout=LONG)
    assert decoded(tmp_path / "b.mp4") == 4 and not (tmp_path / "c.mp4").exists()


@pytest.fixture
def long_export(qtbot, open_window, tmp_path):
    """A window whose export is well under way."""
    window = open_window(network="NetSVF")
    job = Job(
        window.player.path,
        OpenOptions(),
        "NetSVF",
        "cpu",
        tmp_path / "long.mp4",
        0,
        59,
        settings=Settings(panels=("lrp",)),
    )
    export = window.export.queue.add(job)
    qtbot.waitUntil(lambda: export.done > 0, timeout=LONG)
    return window, export


def test_cancelled_nothing_is_left(qtbot, long_export, tmp_path) -> None:
    window, export = long_export
    window.export.line.cancel.click()
    assert export.state == CANCELLED
    qtbot.waitUntil(lambda: window.export.queue.running is None, timeout=LONG)
    assert not list(tmp_path.glob("long*")) and not list(tmp_path.glob(".long*"))
    window.player.seek(3)  # and the window goes on
    wait_shown(qtbot, window, 3)


def test_closing_the_window_asks_and_leaves_a_part_that_plays(qtbot, long_export, tmp_path) -> None:
    window, export = long_export
    waiting = window.export.queue.add(replace(export.job, output=tmp_path / "later.csv"))
    window.close()
    assert window.isVisible() and window.question.isVisible()
    assert window.question.text() == (
        "Still under way: the export of long.mp4, of which the part done so far is kept as long.part.mp4; "
        "1 more that waits, not begun."
    )
    qtbot.keyClick(window.question, Qt.Key.Key_Escape)  # go on
    assert window.isVisible() and not window.question.isVisible()
    done = export.done
    qtbot.waitUntil(lambda: export.done > done, timeout=LONG)
    window.close()
    qtbot.mouseClick(window.question.stop, Qt.MouseButton.LeftButton)
    assert not window.isVisible() and not window.question.isVisible()
    assert window.threads_left == [] and waiting.state == WAITING
    assert [p.name for p in tmp_path.glob("*long*")] == ["long.part.mp4"]
    assert decoded(tmp_path / "long.part.mp4") >= 1


def test_time_left_is_readable() -> None:
    assert [span(s) for s in (0.2, 7, 65, 3723)] == ["0:00", "0:07", "1:05", "1:02:03"]


def test_a_network_without_a_mask_is_exported_and_the_dialog_says_why(qtbot, open_window, tmp_path) -> None:
    torch.export.save(
        torch.export.export(Attending().eval(), (torch.rand(2, 3, 24, 32),)), tmp_path / "attending.pt2"
    )
    (tmp_path / "attending.toml").write_text('output_unit = "rad"\noutput_sign = "left"\n')
    window = open_window(network=str(tmp_path / "attending.pt2"), frame=8)
    window.marks.set_part(5, 8)
    dialog = ask(qtbot, window, tmp_path / "clip.mp4")
    for panel in ("lrp", "maps"):
        dialog.panels.boxes[panel].setChecked(True)
    qtbot.waitUntil(lambda: "LRP shows nothing of this network" in dialog.missing.text(), timeout=WAIT)
    assert dialog.missing.text().startswith("VisualBackProp shows nothing of this network: layer")
    assert dialog.missing.isVisible() and dialog.preview._rgb is not None
    dialog.kind.setCurrentIndex(KINDS.index(kind_of(".csv")))
    qtbot.waitUntil(lambda: not dialog.missing.isVisible(), timeout=WAIT)
    dialog.kind.setCurrentIndex(KINDS.index(kind_of(".mp4")))
    qtbot.mouseClick(dialog.export_button, Qt.MouseButton.LeftButton)
    export = window.export.queue.running
    assert export is not None
    qtbot.waitUntil(lambda: export.state in (DONE, FAILED), timeout=LONG)
    assert export.state == DONE, export.text
    assert decoded(tmp_path / "clip.mp4") == 4
    said = window.notice.label.text()
    assert "clip.mp4 is exported" in said and "VisualBackProp shows nothing of this network: layer" in said


class Attending(nn.Module):
    """Attention between places, which VisualBackProp does not pass, and the logarithm of a sum, which LRP does not."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3)
        self.head = nn.Linear(6, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).relu()
        places = x.flatten(2)
        x = torch.bmm(places, (places.transpose(1, 2) @ places).softmax(1)).view(x.shape)
        return self.head(self.second(x).relu().logsumexp((2, 3)))
