"""Options of the commands that make maps: which output they explain, and the methods' parameters."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vbp.drives import Drive
from vbp.errors import ExplainError, VbpError
from vbp.explain import METHODS, parse_target
from vbp.explain.target import KINDS


def add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--target",
        default="output",
        metavar="T",
        type=_target,
        help=f"which output the maps explain: {', '.join(KINDS)} (default: output, the angle, left positive); error is driven - predicted; "
        "class is a classifier's predicted class, class:N its class N",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="settings",
        metavar="METHOD.NAME=VALUE",
        help="a method's parameter, like lrp.eps=1 or fbi.tau=20; may be given several times",
    )


def _target(text: str) -> str:
    try:
        parse_target(text)
    except ExplainError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def check_target(target: str, drive: Drive, frames: Sequence[int] | NDArray[np.int64]) -> None:
    """Raises VbpError for an error to be explained where no angle was driven."""
    of_error = bool(target) and parse_target(target).kind.startswith("error")
    if of_error and len(frames) and not np.isfinite(drive.angle_rad[np.asarray(frames)]).any():
        raise VbpError(
            f"{drive.info.path} has no driven angle on these frames, so there is no error for --target "
            f"{target} to explain"
        )


def read_settings(args: argparse.Namespace, methods: Sequence[str]) -> dict[str, dict[str, float]]:
    """--set as method -> parameter -> value. Raises VbpError for what no chosen method takes."""
    found: dict[str, dict[str, float]] = {}
    for text in args.settings:
        key, equals, number = text.partition("=")
        method, dot, name = key.strip().rpartition(".")
        try:
            value: float | None = float(number)
        except ValueError:
            value = None
        if value is None or not (equals and dot):
            raise VbpError(f"--set {text} is not a parameter; give METHOD.NAME=VALUE, like lrp.eps=1")
        if method not in methods:
            way = f"add {method} to --panels" if hasattr(args, "panels") else f"add --method {method}"
            raise VbpError(f"--set {text} is of a method that is not used here; {way}")
        METHODS[method].checked({name: value})
        found.setdefault(method, {})[name] = value
    return found
