"""The window is started: what Qt wants first, and what the command line asks to be shown."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vbp.app.jobs.fleet_folder import looks_like_fleet
from vbp.drives.base import OpenOptions
from vbp.ends import answered_by, leave
from vbp.processes import share_arenas
from vbp.session.document import FIRST_SUFFIX, SUFFIX

if TYPE_CHECKING:
    from vbp.app.shell.window import MainWindow

SWITCH_S = 0.0005  # who waits for Python's lock gets it after that: the drive's and the network's threads want it often, for a moment


def prepare_qt() -> None:
    """What must be so before a QApplication is made and torch is imported."""
    if sys.platform == "win32":
        import torch  # noqa: F401  # after Qt, its libraries do not load there
    import cv2  # noqa: F401  # now, as it points these to its own Qt 5 when it is imported

    os.environ.pop("QT_QPA_PLATFORM_PLUGIN_PATH", None)
    os.environ.pop("QT_QPA_FONTDIR", None)
    sys.setswitchinterval(SWITCH_S)
    share_arenas()


def options_of(args: argparse.Namespace) -> OpenOptions | None:
    """None where nothing is said."""
    options = OpenOptions(
        args.camera,
        args.angle_unit,
        args.angle_sign,
        steering=args.steering,
        speed=args.speed,
        fps=args.source_fps,
    )
    return options if options != OpenOptions() else None


def open_window(args: argparse.Namespace) -> int:
    """Show what the command line asks for, until the window is closed; the program's exit status."""
    with answered_by(leave):  # Qt would swallow a KeyboardInterrupt while it loads
        prepare_qt()
        from PySide6.QtWidgets import QApplication

        from vbp.app.shell.garbage import GarbageCollector
        from vbp.app.shell.trouble import Hooks
        from vbp.app.shell.window import MainWindow

        app = QApplication(["vbp"])
        app.setApplicationName("vbp")
        app.setApplicationDisplayName("vbp")
        app.setDesktopFileName("vbp")
        window = MainWindow(scheme=args.scheme)
    garbage = GarbageCollector()
    hooks = Hooks(window.unexpected.emit, interrupt=window.end_soon)
    try:
        # The window's status timer lets Python look for signals a few times a second.
        with answered_by(window.end_soon):
            _show(window, args)
            return app.exec()
    finally:
        garbage.stop()
        hooks.remove()
        if window.threads_left:
            # One of them is deep inside a library: it must not keep the program.
            sys.stderr.write(f"vbp: still busy at the end: {', '.join(window.threads_left)}\n")
            sys.stderr.flush()
            os._exit(0)


def _show(window: MainWindow, args: argparse.Namespace) -> None:
    from vbp.app.control.network import DEFAULT_NETWORK
    from vbp.app.shell import camera_command

    geometry = window.settings.bytes("window/geometry")
    if args.size is not None:
        window.resize(*args.size)
    elif not geometry.isEmpty():
        window.restoreGeometry(geometry)
    window.show()
    network = args.model or window.settings.text("network", DEFAULT_NETWORK)
    window.network.start(network, args.device)
    if args.live is not None:
        camera_command.begin(window, args.live)
    elif args.source is not None and args.source.endswith((SUFFIX, FIRST_SUFFIX)):
        window.session.open(Path(args.source).expanduser())
    elif args.source is not None and looks_like_fleet(Path(args.source).expanduser()):
        window.fleet.open(Path(args.source))
    elif args.source is not None:
        path, options = Path(args.source).expanduser(), options_of(args)
        kept = args.model is None
        window.source.open_drive(path, options, args.frame, args.min_speed, with_network=kept)
    elif args.run is None and not (window.settings.recent() or window.settings.recent("cameras")):
        window.source.play_demo()
    if args.run is not None:
        window.run.show(args.run)
