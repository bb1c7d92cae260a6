"""What the command line asks for: one of the commands without a window, or the window."""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from vbp.app.jobs.fleet_folder import looks_like_fleet
from vbp.app.jobs.run_folder import looks_like_run
from vbp.cli import COMMANDS
from vbp.cli import main as cli_main
from vbp.cli.main import Parser, fail
from vbp.cli.network import add_network
from vbp.cli.numbers import number
from vbp.cli.topics import add_topics
from vbp.errors import VbpError
from vbp.models.formats import SUFFIXES
from vbp.models.source import NetworkSource

DESCRIPTION = "See, live, which pixels drive a steering network's prediction."


def run(argv: Sequence[str]) -> int:
    """The exit status: 0, or 2 for a user's error (one line on stderr)."""
    # A command wins over a recording of that name, which opens as ./info.
    live = _live(argv)
    if argv and argv[0] in COMMANDS and live is None:
        return cli_main(argv)
    args = live or _parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="vbp: %(levelname)s: %(message)s")
    try:
        _check(args)
        if args.screenshot is not None:
            from vbp.app.shell.screenshot import take

            return take(args)
        from vbp.app.shell.start import open_window

        return open_window(args)
    except VbpError as error:
        return fail(str(error))


def _live(argv: Sequence[str]) -> argparse.Namespace | None:
    """What `vbp camera` asks of the window; None for every other command line, and where it needs no window."""
    if not argv or argv[0] != "camera":
        return None
    from vbp.app.shell import camera_command

    try:
        live = camera_command.parse(argv[1:])
    except VbpError as error:
        sys.exit(fail(str(error)))
    if live is None:
        return None
    args = _parser().parse_args([])
    args.live, args.model, args.device, args.scheme = live, live.model, live.device, live.scheme
    return args


def _parser() -> Parser:
    commands = "\n".join(f"  {name:14} {words}" for name, (_, words) in COMMANDS.items())
    parser = Parser(
        prog="vbp",
        description=DESCRIPTION,
        epilog=f"commands without a window (vbp COMMAND --help):\n{commands}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "source",
        nargs="?",
        metavar="SOURCE",
        help="a recording, a training run, a fleet's folder or a session (default: the demo drive the first time, then the start page)",
    )
    parser.add_argument(
        "--run", type=Path, metavar="RUN", help="a training run, to step through its checkpoints"
    )
    add_network(parser, default=None)
    parser.add_argument(
        "--camera",
        help="which camera: center (default), left, right, a topic's name, or a video stream's number",
    )
    parser.add_argument(
        "--angle-unit",
        metavar="U",
        help="unit of the recorded steering angle: rad, deg, unit (-1 to 1, of 25 degrees), unit:DEG (of DEG degrees)",
    )
    parser.add_argument(
        "--angle-sign", choices=("left", "right"), help="the direction in which recorded angles are positive"
    )
    add_topics(parser)
    parser.add_argument(
        "--fps",
        type=number,
        dest="source_fps",
        metavar="N",
        help="frames per second of a recording that has no times",
    )
    parser.add_argument("--frame", type=_frame, metavar="N", help="start at this frame")
    parser.add_argument(
        "--min-speed", type=_speed, default=0.0, metavar="V", help="play only frames faster than V m/s"
    )
    parser.add_argument(
        "--screenshot",
        type=Path,
        metavar="FILE.png",
        help="save a picture of the window to this file, and quit",
    )
    parser.add_argument("--size", type=_size, metavar="WxH", help="size of the window")
    parser.add_argument(
        "--scheme", choices=("dark", "light"), help="dark or light colours (default: as the system's)"
    )
    parser.set_defaults(live=None, device=None)  # the window remembers its own
    return parser


def _frame(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no frame number")
    return int(text)


def _speed(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no speed in m/s")
    return value


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{2,5})[xX×](\d{2,5})", text)
    width, height = (int(found[1]), int(found[2])) if found else (0, 0)
    if not (640 <= width <= 16384 and 400 <= height <= 16384):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no size of a window; 1280x720 is, and 640x400 the least"
        )
    return width, height


def _check(args: argparse.Namespace) -> None:
    """What can be seen to be wrong before a window stands."""
    if args.source is not None and not Path(args.source).expanduser().exists():
        raise VbpError(f"{args.source} does not exist; give the path of a recording")
    if args.run is not None and not looks_like_run(args.run.expanduser()):
        raise VbpError(f"{args.run} is no training run; give the folder that vbp train wrote (-o)")
    if args.source is not None and args.run is None and looks_like_run(Path(args.source).expanduser()):
        args.run, args.source = Path(args.source), None
    if args.model is not None:
        _check_network(args.model)
    if args.screenshot is not None:
        from vbp.session.document import FIRST_SUFFIX, SUFFIX

        source = Path(args.source or "").expanduser()
        if args.source is None or args.source.endswith((SUFFIX, FIRST_SUFFIX)) or looks_like_fleet(source):
            raise VbpError("--screenshot needs a recording: vbp SOURCE --frame N --screenshot FILE.png")
        if args.screenshot.suffix.lower() != ".png":
            raise VbpError(f"{args.screenshot} is not a picture's name; give a name that ends in .png")
        if not args.screenshot.parent.is_dir():
            raise VbpError(f"{args.screenshot.parent} is no folder")


def _check_network(text: str) -> None:
    network = NetworkSource.parse(text)
    file = network.model.endswith(SUFFIXES) or os.sep in network.model
    for what, path in (
        ("network", network.model if file else ""),
        ("weights", network.weights),
        ("specification", network.spec),
    ):
        if path and not Path(path).expanduser().is_file():
            raise VbpError(f"there is no {what} file {path}")
