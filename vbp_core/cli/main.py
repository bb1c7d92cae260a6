"""Parsing, errors on one line, exit status."""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn, TextIO

from vbp import ends
from vbp.errors import VbpError
from vbp.live.address import mask
from vbp.readable import printable

# name -> (module with `add_arguments(parser)` and `run(args) -> int`, help)
COMMANDS: dict[str, tuple[str, str]] = {
    "info": ("vbp.cli.info", "what a recording contains, and what was assumed about it"),
    "predict": ("vbp.cli.predict", "predicted and driven angle, or class, of every frame, as CSV"),
    "explain": ("vbp.cli.explain", "attribution maps of every frame, as NPZ"),
    "export": ("vbp.cli.export", "a video, pictures, tables or MCAP with masks, angles and plot"),
    "simulate": ("vbp.cli.simulate", "make a simulated drive with pixel-wise ground truth"),
    "train": ("vbp.cli.train", "train a network on recordings, or resume a training run"),
    "eval": (
        "vbp.cli.eval",
        "errors of a network on a recording (overall, by speed, by curvature), or a classifier's accuracy",
    ),
    "findings": (
        "vbp.cli.findings",
        "the moments of a recording that are worth looking at: errors, steps, weak masks, wrong labels",
    ),
    "compare": (
        "vbp.cli.compare",
        "two networks on the same frames: errors with intervals, and where one is worse; for CI, too",
    ),
    "index": (
        "vbp.cli.index",
        "drives by the thousand into one data set: frames, masks, findings; on processes, in jobs, or on Ray",
    ),
    "find": (
        "vbp.cli.find",
        "frames, findings and drives of an indexed fleet, by a condition, by SQL, or like one frame",
    ),
    "compare-fleet": (
        "vbp.cli.compare_fleet",
        "where network B is worse than A in an indexed fleet, with intervals by drives; for CI, too",
    ),
    "clusters": (
        "vbp.cli.clusters",
        "groups of findings in an indexed fleet in which the network looked at the same thing",
    ),
    "notes": ("vbp.cli.notes", "the notes of a session, with their pictures as a report, or as a table"),
    "measure": (
        "vbp.cli.measure",
        "which objects the masks lie on, by the ground truth of a simulated drive",
    ),
    "evidence": (
        "vbp.cli.evidence",
        "faithfulness tests and sanity checks of attribution maps, as a report and JSON",
    ),
    "figure": ("vbp.cli.figure", "attribution maps of several methods side by side, as a picture"),
    "evolution": ("vbp.cli.evolution", "masks at each checkpoint of a training run (Figure 5), as a picture"),
    "angles": (
        "vbp.cli.angles",
        "print what a live source of steering angles (UDP, CAN) sends, to check the wiring",
    ),
    "camera": ("vbp.cli.camera", "run a network on a live camera, in the window or without, and record it"),
    "bench": (
        "vbp.cli.bench",
        "measure the speed on this machine, and compare it with other implementations",
    ),
    "models": ("vbp.cli.models", "list the networks that are known by name"),
    "check-model": (
        "vbp.cli.check_model",
        "a network's layers, the attribution methods that work on it, and their cost",
    ),
    "export-network": (
        "vbp.cli.export_network",
        "a network as an ONNX file for the car, with its mask as a second output",
    ),
    "fit-spec": (
        "vbp.cli.fit_spec",
        "find colours, crop, range, unit and sign of a network's specification from a recording with angles",
    ),
    "import-torch7": (
        "vbp.cli.import_torch7",
        "convert a Torch7 steering network to .safetensors",
    ),
    "import-weights": (
        "vbp.cli.import_weights",
        "convert published weights of VGG-16 or a ResNet to .safetensors",
    ),
}

USER_ERROR = 2


class Parser(argparse.ArgumentParser):
    """argparse with errors on one line."""

    def error(self, message: str) -> NoReturn:
        fail(f"{message}; see {self.prog} --help")
        sys.exit(USER_ERROR)


def fail(message: str) -> int:
    """Print one line on stderr; the exit status for a user's error."""
    _say(" ".join(message.split()))
    return USER_ERROR


def _say(message: str) -> None:
    try:
        print(f"vbp: {printable(mask(message))}", file=sys.stderr)
        _flush(sys.stderr)
    except OSError:
        _discard(sys.stderr)  # closed or full, which changes nothing about the status


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0, 2 for a user's error, 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP.

    What is logged as a warning is a line on stderr.
    """
    logger, warnings = logging.getLogger("vbp"), _Warnings(logging.WARNING)
    logger.addHandler(warnings)
    try:
        return ends.run(lambda: _main(argv))
    finally:
        logger.removeHandler(warnings)


class _Warnings(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        with suppress(OSError):  # closed, as in `_say`
            tqdm.write(
                f"vbp: {printable(mask(self.format(record)))}", file=sys.stderr
            )  # beside a bar, not through it


def _main(argv: Sequence[str] | None) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that it has no characters for
    try:
        status = _run(sys.argv[1:] if argv is None else list(argv))
        _flush(sys.stdout)
        return status
    except VbpError as error:
        return fail(str(error))
    except MemoryError:
        return fail("there is not enough memory for this; use --frames to select a part of the drive")
    except BrokenPipeError:
        # The reader of a pipe has seen enough (`| head`); nothing more can be said to it.
        _discard(sys.stdout)
        return 0
    except OSError as error:
        try:
            _flush(sys.stdout)
        except OSError:
            _discard(sys.stdout)
        where = f"{error.filename}: " if error.filename else ""
        return fail(f"{where}{error.strerror or error}")


def _run(argv: Sequence[str]) -> int:
    parser = Parser(prog="vbp", description="See which pixels a steering network looks at.")
    parser.add_argument("command", choices=list(COMMANDS), metavar="COMMAND", help=", ".join(COMMANDS))
    try:
        name = parser.parse_args(argv[:1]).command
        module = import_module(COMMANDS[name][0])
        command = Parser(prog=f"vbp {name}", description=COMMANDS[name][1])
        module.add_arguments(command)
        # With what may be left out among the words that have no option, options may stand between them.
        parse = command.parse_intermixed_args if hasattr(module, "INTERMIXED") else command.parse_args
        args = parse(_join_negatives(argv[1:]))
        if str(getattr(args, "output", "")) == "-" and not hasattr(module, "STDOUT"):
            raise VbpError(
                f"-o -: {name} does not write to standard output; give a name, such as -o ./result"
            )
    except SystemExit:
        _flush(sys.stdout)  # of --help
        raise
    return int(module.run(args))


def _flush(stream: TextIO | None) -> None:
    """Now, while an error can still be reported: at the end of the process it would be lost."""
    if stream is not None:
        stream.flush()


def _discard(stream: TextIO) -> None:
    """What is still unwritten goes nowhere, without a complaint at the end of the process."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _join_negatives(argv: Sequence[str]) -> list[str]:
    """`--frames -5:` as `--frames=-5:`, which argparse would take for an option."""
    out: list[str] = []
    for word in argv:
        if out and out[-1] == "--frames" and word.startswith("-"):
            out[-1] += f"={word}"
        else:
            out.append(word)
    return out


def print_json(data: Any) -> None:
    """JSON that every reader accepts: NaN and infinity become null."""
    print(json.dumps(clean(data), indent=2))


def clean(value: Any) -> Any:
    """NaN and infinity as None, at any depth."""
    if isinstance(value, dict):
        return {k: clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [clean(v) for v in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value
