"""`vbp camera ADDRESS`: the window, live. What needs no window goes to the command line's own `camera`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vbp.cli import camera
from vbp.cli.main import Parser
from vbp.live.address import Address, parse_address
from vbp.live.records import LiveRequest

if TYPE_CHECKING:
    from vbp.app.shell.window import MainWindow


def parse(argv: Sequence[str]) -> argparse.Namespace | None:
    """The arguments after `vbp camera` where they ask for the window, else None. Raises VbpError."""
    if {"-h", "--help", "--list", "--no-window", "--json"} & set(argv):
        return None
    parser = Parser(prog="vbp camera")
    camera.add_arguments(parser)
    parser.add_argument("--scheme", choices=("dark", "light"))
    parser.set_defaults(model=None, device=None)  # the window remembers its own
    args = parser.parse_args(argv)
    args.at = parse_address(args.address) if args.address is not None else None
    if args.record is not None:
        camera.check_folder(args.record)
    return args


def begin(window: MainWindow, args: argparse.Namespace) -> None:
    """Show the camera that was asked for, or ask which."""
    from PySide6.QtCore import QTimer  # not before: `vbp camera --list` needs no Qt

    if args.seconds is not None:
        QTimer.singleShot(round(args.seconds * 1000), window.end)
    at: Address | None = args.at
    if at is None:
        window.camera.choose()
        return
    request = LiveRequest(at, args.size, args.fps, args.exposure, args.angles or "")
    window.camera.open(request, args.record, args.crop)
