"""Options that several commands share, and files that are whole or not there."""

from __future__ import annotations

import argparse
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vbp_core.drives import Drive, OpenOptions, open_drive
from vbp_core.errors import VbpError


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


@contextmanager
def whole_file(
    path: Path, is_ours: Callable[[Path], bool], source: Path | None, force: bool
) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place at the end, if nothing was raised.

    A file that stands there is replaced only if `is_ours` says that vbp wrote it, or with `force`;
    the recording itself never is. Raises VbpError.
    """
    folder = path.parent
    if not folder.is_dir():
        raise VbpError(f"{folder} is no folder; make it first, or write {path.name} elsewhere")
    if path.is_dir():
        raise VbpError(f"{path} is a folder; give the name of a file to write")
    if path.exists():
        if source is not None and source.exists() and path.samefile(source):
            raise VbpError(f"{path} is the recording itself; write to another file")
        if not force and not is_ours(path):
            raise VbpError(f"{path} exists and was not written by vbp; choose another name, or say --force")
    try:
        handle, name = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.", suffix=".part")
    except OSError as error:
        raise VbpError(f"{folder} cannot be written to: {error.strerror or error}") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    except OSError as error:
        raise VbpError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
