"""Options that several commands share, and files that are whole or not there."""

from __future__ import annotations

import argparse
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vbp_core.drives import Drive, OpenOptions, open_drive
from vbp_core.errors import VbpError
from vbp_core.overlay import Rect
from vbp_core.preprocess import parse_crop


def add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", metavar="SOURCE", help="a recording: a bag, a folder, a CSV, a video, pictures"
    )
    parser.add_argument("--camera", help="which camera: center (default), left, right, or a topic")
    parser.add_argument(
        "--angle-unit", help="unit of the recorded angle: rad, deg, unit (-1..1 of 25 degrees), unit:DEG"
    )
    parser.add_argument(
        "--angle-sign", choices=("left", "right"), help="the side that is positive in the recording"
    )
    parser.add_argument(
        "--max-gap",
        type=seconds,
        default=0.2,
        metavar="S",
        help="farthest steering sample of a labelled frame (0.2 s)",
    )


def add_network(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", default="NetSVF", metavar="M", help="a network's name or its .safetensors file"
    )
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:1, mps")


def add_crop(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--crop",
        type=crop,
        metavar="X,Y,W,H",
        help="the part of a frame that the network sees, in pixels (default: by the network's own rule)",
    )


def crop(text: str) -> Rect:
    try:
        return parse_crop(text)
    except VbpError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def add_frames(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--frames", metavar="A:B", help="only frames A up to, not including, B")
    parser.add_argument(
        "--min-speed", type=number, metavar="V", help="only frames faster than V m/s (the paper: 5)"
    )


def seconds(text: str) -> float:
    value = number(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is less than 0")
    return value


def number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return value


def open_source(args: argparse.Namespace) -> Drive:
    options = OpenOptions(args.camera, args.angle_unit, args.angle_sign, args.max_gap)
    return open_drive(args.source, options)


def count_lost(predicted_rad: NDArray[np.float64], decoded: NDArray[np.bool_]) -> tuple[int, int]:
    """How many frames are gaps, and on how many others the network put out no number."""
    return int((~decoded).sum()), int((decoded & ~np.isfinite(predicted_rad)).sum())


def tell_broken(name: str, frames: int) -> str:
    return f"the output of {name} is not a number on {frames} frames: its weights or its input are broken"


@contextmanager
def whole_file(
    path: Path, is_ours: Callable[[Path], bool], source: Path | None, force: bool
) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place at the end, if nothing was raised.

    A file that stands there is replaced only if `is_ours` says that vbp wrote it, or with `force`;
    the recording itself, or another file of its folder, never is. A link stays, and what it leads to is written.
    Raises VbpError.
    """
    target = Path(os.path.realpath(path))
    folder = target.parent
    if not folder.is_dir():
        raise VbpError(f"{folder} is no folder; make it first, or write {path.name} elsewhere")
    if target.is_dir():
        raise VbpError(f"{path} is a folder; give the name of a file to write")
    if target.exists():
        if not target.is_file():
            raise VbpError(f"{path} is a device or a pipe; give the name of a file to write")
        if source is not None and source.exists() and target.samefile(source):
            raise VbpError(f"{path} is the recording itself; write to another file")
        if not is_ours(target):
            if source is not None and source.is_dir() and target.is_relative_to(os.path.realpath(source)):
                raise VbpError(f"{path} is a file of the recording; choose another name")
            if not force:
                raise VbpError(
                    f"{path} exists and was not written by vbp; choose another name, or say --force"
                )
    try:
        # Of a long name only the start, so that the temporary one is not too long.
        handle, name = tempfile.mkstemp(dir=folder, prefix=f".{target.name[:40]}.", suffix=".part")
    except OSError as error:
        raise VbpError(f"{folder} cannot be written to: {error.strerror or error}") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(target)
    except OSError as error:
        raise VbpError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
