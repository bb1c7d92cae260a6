"""The window and bad input: one sentence each, and it goes on."""

from __future__ import annotations

import threading
from operator import attrgetter

import torch
from drivemaker import WAIT, number_of, wait_shown
from PySide6.QtCore import QTimer

import vbp.app.player.drive_thread
from vbp.app.player.messages import DriveFailed
from vbp.app.shell.trouble import Hooks
from vbp.app.state.actions import ACTIONS
from vbp.drives.base import OpenOptions
from vbp.engine import Engine
from vbp.errors import NeedsAngleUnitError
from vbp.explain.forward import Forward

# Bad input.


OF_DIALOGS = (
    "quit",
    "open",
    "open-fleet",
    "reading",
    "open-network",
    "open-run",
    "open-session",
    "full-screen",
)


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


def test_a_card_that_fails_is_said_and_the_cpu_goes_on(qtbot, open_window, monkeypatch):
    """The engine says that it is on a card until a pass fails as one whose memory is full does."""
    plain = Forward.__call__
    full = threading.Event()

    def fails(forward, images, means=True):
        if full.is_set():
            full.clear()
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return plain(forward, images, means)

    monkeypatch.setattr(Forward, "__call__", fails)
    monkeypatch.setattr(Engine, "device", property(lambda engine: "cpu" if engine.trouble else "cuda:0"))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "Something")
    window = open_window(network="NetHVF")
    assert window.player.ready.device_text == "cuda:0 Something"
    full.set()
    window.player.seek(5)
    wait_shown(qtbot, window, 5, masked=True)
    qtbot.waitUntil(lambda: window.player.ready.device_text.startswith("CPU"), timeout=WAIT)
    qtbot.waitUntil(lambda: "goes on by the CPU" in window.notice.message(), timeout=WAIT)
    window.player.seek(7)
    wait_shown(qtbot, window, 7, masked=True)


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

    monkeypatch.setattr(window.player._model.engine, "run_prepared", broken)
    for index in (3, 4):
        window.player.seek(index)
        wait_shown(qtbot, window, index)
        assert window.player.shown_frame.result is None
        assert number_of(window.player.shown_frame.image) == index
    assert "out of memory" in window.notice.message()


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
    assert len(window.notice.actions_shown()) == 4
