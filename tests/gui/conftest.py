"""Real windows over small drives; settings of their own; no thread is left behind."""

from __future__ import annotations

import gc
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2  # noqa: F401  # first: it points Qt to its own plugins, which is undone below
import pytest

if (
    sys.platform.startswith("linux")
    and not os.environ.get("DISPLAY")
    and not os.environ.get("WAYLAND_DISPLAY")
):
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.pop("QT_QPA_PLATFORM_PLUGIN_PATH", None)
os.environ.pop("QT_QPA_FONTDIR", None)

from cameramaker import PICTURE, shown
from drivemaker import WAIT, our_threads, settled, wait_shown, write_drive
from PySide6.QtCore import QCoreApplication, QEvent, QSettings
from PySide6.QtWidgets import QApplication

from livemaker import MjpegServer
from vbp.app.shell.garbage import GarbageCollector
from vbp.app.shell.window import MainWindow
from vbp.app.state.settings import Settings
from vbp.live.address import parse_address
from vbp.live.records import LiveRequest

TESTS = itertools.count(1)


@pytest.fixture(autouse=True, scope="session")
def garbage_is_collected_as_in_the_program(qapp: QApplication) -> Iterator[None]:
    """By this thread alone: a window of a test before ends here, and not in a thread that draws maps for the next."""
    collector = GarbageCollector()
    yield
    collector.stop()


@pytest.fixture(autouse=True)
def windows_of_before_take_no_memory() -> Iterator[None]:
    yield
    if next(TESTS) % 20 == 0:
        gc.collect()


@pytest.fixture
def drive_folder(tmp_path: Path) -> Path:
    return write_drive(tmp_path / "drive")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(QSettings(str(tmp_path / "vbp.ini"), QSettings.Format.IniFormat))


@pytest.fixture(autouse=True)
def no_sample_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames that stand for a drive are run behind every window; on a busy machine by those tests alone that look at it."""
    monkeypatch.setattr("vbp.app.control.predictions.SAMPLE_AFTER_MS", 10**8)


@pytest.fixture(autouse=True)
def predictions_are_kept_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """And not among those of whoever runs the tests."""
    folder = tmp_path_factory.mktemp("kept")
    monkeypatch.setattr("vbp.frames.kept.folder", lambda: folder)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = our_threads()
    yield
    deadline = time.monotonic() + 10
    while our_threads() - before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert our_threads() <= before


@pytest.fixture
def make_window(qtbot, settings: Settings) -> Iterator[Callable[..., MainWindow]]:
    """Windows that are shown and, at the end, closed."""
    made: list[MainWindow] = []

    def make(network: str | None = None, size: tuple[int, int] = (1280, 720)) -> MainWindow:
        window = MainWindow(settings, scheme="dark")
        made.append(window)
        window.resize(*size)
        window.show()
        qtbot.waitExposed(window)
        if network is not None:
            window.network.start(network, "cpu")
        return window

    yield make
    for window in made:
        window.end()
        assert window.threads_left == []
        window.deleteLater()
    # At once: of windows that live on, every widget is dressed again whenever a later test makes one.
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@pytest.fixture
def open_window(
    qtbot, make_window: Callable[..., MainWindow], drive_folder: Path
) -> Callable[..., MainWindow]:
    """A window with an open drive, its first frame shown (with its mask, where there is a network)."""

    def make(folder: Path | None = None, network: str | None = None, frame: int = 0) -> MainWindow:
        window = make_window(network)
        window.source.open_drive(folder or drive_folder, frame=frame)
        wait_shown(qtbot, window, frame, masked=network is not None)
        if network is not None:
            settled(qtbot, window)
        return window

    return make


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
