"""`vbp SOURCE --frame N --screenshot FILE.png`: the window, drawn off screen with one frame fully shown."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from vbp.app.shell.start import options_of, prepare_qt
from vbp.errors import VbpError
from vbp.models.atomic import atomic_write

PATIENCE_S = 180.0
WARM_UP = 10  # frames run before the one shown
STRETCH = 200  # frames before the one shown whose predictions are drawn


def take(args: argparse.Namespace) -> int:
    """Raises VbpError where the recording or the network cannot be shown."""
    prepare_qt()
    os.environ["QT_QPA_PLATFORM"] = "offscreen"  # no window flashes up, and no display is needed
    from PySide6.QtCore import QSettings
    from PySide6.QtWidgets import QApplication

    from vbp.app.control.network import DEFAULT_NETWORK
    from vbp.app.shell.trouble import Hooks
    from vbp.app.shell.window import MainWindow
    from vbp.app.state.settings import Settings

    frame = args.frame or 0
    app = QApplication.instance() or QApplication(["vbp"])
    assert isinstance(app, QApplication)
    hooks = Hooks(lambda text: None, app.quit)
    with tempfile.TemporaryDirectory() as folder:  # the same picture, whatever the user's settings are
        store = QSettings(str(Path(folder) / "vbp.ini"), QSettings.Format.IniFormat)
        window = MainWindow(Settings(store), scheme=args.scheme or "dark")
        window.kept.enabled = False
        try:
            window.resize(*(args.size or (1280, 720)))
            window.show()
            window.network.start(args.model or DEFAULT_NETWORK, args.device)
            source = Path(args.source).expanduser()
            window.source.open_drive(source, options_of(args), frame, args.min_speed)
            if args.run is not None:
                window.run.show(args.run)
            _show(app, window, frame)
            _save(window.grab(), args.screenshot)
        finally:
            window.end()
            hooks.remove()
    return 0


def _show(app, window, frame: int) -> None:  # type: ignore[no-untyped-def]
    """Wait until everything about the frame is on the screen."""
    player, presenter = window.player, window.presenter
    failures: list[str] = []
    player.open_failed.connect(lambda failed: failures.append(failed.text))
    player.network_failed.connect(lambda failed: failures.append(failed.text))
    window.run.failed.connect(failures.append)
    player.trouble.connect(lambda trouble: failures.append(trouble.text))

    def wait(until: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not until():
            app.processEvents()
            time.sleep(0.005)
            if failures:
                raise VbpError(failures[0])
            if time.monotonic() > deadline:
                raise VbpError(f"frame {frame} of {player.path} was not shown within {PATIENCE_S:.0f} s")

    wait(lambda: player.drive is not None and player.ready is not None)
    if frame >= player.frames:
        raise VbpError(f"--frame {frame}: {player.path} has {player.frames} frames, 0 to {player.frames - 1}")
    for index in range(max(0, frame - WARM_UP), frame + 1):  # so that the times shown are those of playing
        player.seek(index)
        wait(partial(presenter.complete, index))
    wait(partial(window.run.complete, frame))
    window.predictions.sample()
    wait(lambda: not window.predictions.sampling)
    window.predictions.start(max(0, frame - STRETCH), frame)
    wait(lambda: not window.predictions.running)
    presenter.refresh_status()
    settle = time.monotonic() + 0.3  # the layout and the plot's own timers
    wait(lambda: time.monotonic() > settle)


def _save(pixmap, path: Path) -> None:  # type: ignore[no-untyped-def]
    """The file is whole or not there."""
    try:
        with atomic_write(path) as temporary:
            if not pixmap.save(str(temporary), "PNG"):
                raise VbpError(f"{path} cannot be written")
    except OSError as error:
        raise VbpError(f"{path} cannot be written: {error.strerror or error}") from error
