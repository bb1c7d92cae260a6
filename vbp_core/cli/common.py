"""Options that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2

from vbp.cli.network import add_network as add_network
from vbp.cli.network import chosen_network as chosen_network
from vbp.cli.numbers import number as number
from vbp.cli.numbers import seconds as seconds
from vbp.cli.topics import add_topics as add_topics
from vbp.drives import Drive, OpenOptions, open_drive
from vbp.drives.base import Image
from vbp.errors import VbpError
from vbp.files import whole_file as whole_file
from vbp.overlay import Rect


def add_source(parser: argparse.ArgumentParser, needed: bool = True, rate: str = "--fps") -> None:
    parser.add_argument(
        "source",
        nargs=None if needed else "?",
        metavar="SOURCE",
        help="a recording: a ROS bag, a folder, a CSV, a video, pictures",
    )
    add_reading(parser, rate)


def add_reading(parser: argparse.ArgumentParser, rate: str = "--fps") -> None:
    """How recordings are read: what `options_of` makes OpenOptions of."""
    parser.add_argument(
        "--camera",
        help="which camera: center (default), left, right, a topic's name, or a video stream's number",
    )
    parser.add_argument(
        "--angle-unit",
        help="unit of the recorded steering angle: rad, deg, unit (-1 to 1, of 25 degrees), unit:DEG (of DEG degrees)",
    )
    parser.add_argument(
        "--angle-sign", choices=("left", "right"), help="the direction in which recorded angles are positive"
    )
    add_topics(parser)
    parser.add_argument(
        rate,
        type=number,
        dest="source_fps",
        metavar="N",
        help="frames per second of a recording that has no times",
    )
    parser.add_argument(
        "--max-gap",
        type=seconds,
        default=0.2,
        metavar="S",
        help="a frame with no steering sample within S seconds has no measured angle (default: 0.2)",
    )


def add_crop(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--crop",
        type=crop,
        metavar="X,Y,W,H",
        help="the part of a frame that is the network's input, in pixels (default: from the network's specification)",
    )


def crop(text: str) -> Rect:
    """ "X,Y,WIDTH,HEIGHT" in whole pixels of the frame."""
    parts = [part.strip() for part in text.split(",")]
    numbers = [int(part) for part in parts if part.isascii() and part.isdecimal() and len(part) < 8]
    if len(numbers) != 4 or len(parts) != 4 or not (numbers[2] and numbers[3]):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no crop; give X,Y,WIDTH,HEIGHT in pixels of the frame, as 0,355,640,125"
        )
    return Rect(*numbers)


def add_frames(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--frames", metavar="A:B", help="only frames A to B, without B")
    parser.add_argument(
        "--min-speed",
        type=number,
        metavar="V",
        help="only frames driven faster than V m/s (the paper uses 5)",
    )


def open_source(args: argparse.Namespace) -> Drive:
    return open_drive(args.source, options_of(args))


def options_of(args: argparse.Namespace) -> OpenOptions:
    """What `add_reading` asks about a recording."""
    return OpenOptions(
        args.camera,
        args.angle_unit,
        args.angle_sign,
        args.max_gap,
        args.steering,
        args.speed,
        args.source_fps,
    )


def broken_text(name: str, frames: int) -> str:
    return f"the output of {name} is not a number on {frames} frames: its weights or its input are broken"


def check_png(path: Path) -> None:
    """Raises VbpError for a name that no picture has, before any work is done for it."""
    if path.suffix.lower() != ".png":
        raise VbpError(f"{path} is not a picture's name; give a name that ends in .png")


def write_png(path: Path, picture: Image, source: Path, force: bool) -> None:
    """A picture (H, W, 3) uint8 RGB to a file that is whole or not there. Raises VbpError."""
    good, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not good:
        raise VbpError(f"{path} cannot be encoded as PNG")
    with whole_file(path, _is_empty, source, force) as temporary:
        temporary.write_bytes(data.tobytes())


def _is_empty(path: Path) -> bool:
    """A figure of ours cannot be told from a picture of the user's."""
    return path.stat().st_size == 0
