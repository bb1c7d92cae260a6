"""`vbp camera`: the cameras of this machine, and a live session without a window."""

from __future__ import annotations

import argparse
import math
import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vbp.cli.common import add_crop, add_network, number
from vbp.cli.main import print_json
from vbp.ends import held
from vbp.errors import VbpError
from vbp.readable import count, shown_error, signed

if TYPE_CHECKING:
    from vbp.live.session import LiveSession
    from vbp.results import NetworkResult

EXAMPLE = "vbp camera 0, vbp camera rtsp://HOST/PATH"
_TERMINAL_S, _PIPE_S = 0.25, 1.0  # between status lines


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "address",
        nargs="?",
        metavar="ADDRESS",
        help="a number (0), a device (/dev/video0), rtsp://HOST/PATH, or http://HOST:PORT/PATH",
    )
    add_network(parser)
    add_crop(parser)
    parser.add_argument("--list", action="store_true", help="the cameras of this machine, and nothing else")
    parser.add_argument("--no-window", action="store_true", help="one line of figures instead of the window")
    parser.add_argument("--json", action="store_true", help="no window; at the end, or of the list, JSON")
    parser.add_argument("--seconds", type=_duration, metavar="N", help="end after N seconds")
    parser.add_argument("--record", type=Path, metavar="DIR", help="record into this folder, which is made")
    parser.add_argument(
        "--angles",
        metavar="SOURCE",
        help="measured angles: udp://[HOST]:PORT, or can:INTERFACE:CHANNEL?dbc=FILE&signal=NAME",
    )
    parser.add_argument("--size", type=_size, metavar="WxH", help="picture size, where the camera allows it")
    parser.add_argument("--fps", type=_duration, metavar="N", help="frame rate, where the camera allows it")
    parser.add_argument(
        "--exposure", type=_duration, metavar="MS", help="exposure, where the camera allows it"
    )


def _duration(text: str) -> float:
    value = number(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().replace("×", "x").partition("x")
    if not (width.isdecimal() and height.isdecimal() and 0 < int(width[:6]) < 2**15 > int(height[:6]) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no size; 640x480 is one")
    return int(width), int(height)


def wants_window(args: argparse.Namespace) -> bool:
    """Whether this is for the window to do."""
    return not (args.list or args.no_window or args.json)


def run(args: argparse.Namespace) -> int:
    """0, or 2 where no frame came. Raises VbpError."""
    if args.list:
        return _list(args.json)
    if args.address is None:
        raise VbpError(f"no camera is named: {EXAMPLE}; vbp camera --list shows those of this machine")
    if wants_window(args):
        raise VbpError("the window is opened by the command vbp; here, say --no-window")
    return _session(args)


def _list(as_json: bool) -> int:
    from vbp.live.cameras import list_cameras

    cameras = list_cameras()
    if as_json:
        print_json([camera.to_json() for camera in cameras])
        return 0
    if not cameras:
        print(
            "no camera is plugged in here; streams are given by their address (vbp camera rtsp://HOST/PATH)"
        )
    for camera in cameras:
        sizes = ", ".join(f"{w}×{h}" for w, h in camera.sizes) or "sizes unknown"
        rates = ", ".join(f"{rate:g}" for rate in camera.rates)
        words = camera.problem or sizes + (f"; {rates} frames per second" if rates else "")
        print(f"{camera.address}  {camera.name}: {words}")
    return 0


def _session(args: argparse.Namespace) -> int:
    from vbp.live.address import parse_address

    address = parse_address(args.address)  # before torch is imported, which takes seconds
    if args.record is not None:
        check_folder(args.record)

    from vbp.engine import Engine, open_network
    from vbp.live.angles import open_angles
    from vbp.live.capture import TRYING
    from vbp.live.records import LiveRequest
    from vbp.live.session import LiveSession

    request = LiveRequest(address, args.size, args.fps, args.exposure, args.angles or "")
    angles = open_angles(request.angles) if request.angles else None
    engine = Engine(open_network(args.model), device=args.device, crop=args.crop)
    if angles is not None:
        angles.start()
    session = LiveSession(request, angles=angles)
    if args.record is not None:
        session.record(args.record)
    line = StatusLine(args.json)
    started = time.monotonic()
    with held() as asked:  # the usual end of it
        session.start()
        try:
            while (
                left := (args.seconds or math.inf) - (time.monotonic() - started)
            ) > 0 and session.is_alive():
                session.run_newest([engine], timeout_s=min(line.every_s, left))
                if asked():
                    break
                if line.is_due:
                    line.show(status(session))
        finally:
            seconds, last = time.monotonic() - started, session.camera
            threads = session.end()
            engine.close()
            line.end()
    if session.failure:
        raise VbpError(session.failure)
    summary = summarise(session, seconds)
    summary["left_running"] = threads
    if args.json:
        print_json(summary)
    else:
        print(in_words(summary))
    if not summary["results"]:
        raise VbpError(f"no frame came in {seconds:.0f} s: {last.text.removesuffix(TRYING)}")
    if session.recording is not None and session.recording.failure:
        raise VbpError(session.recording.failure)
    return 0


def check_folder(folder: Path) -> None:
    """What can be seen to be wrong before anything is started."""
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise VbpError(f"{folder} is there already; give the name of a new folder to record into")
    if not folder.absolute().parent.is_dir():
        raise VbpError(f"{folder.absolute().parent} is no folder; make it first, or record elsewhere")
    there = folder if folder.is_dir() else folder.absolute().parent
    if not os.access(there, os.W_OK):
        raise VbpError(f"{there} cannot be written to; record elsewhere")


def predicted_words(result: NetworkResult) -> str:
    """What the network predicts, in words."""
    if result.classes is not None:
        return f"predicted {result.classes.name} ({result.classes.probability:.0%})"
    if result.probabilities is not None:
        return "predicted no class: its scores are no numbers"
    return f"predicted {signed(math.degrees(result.angle_rad))}°"


def status(session: LiveSession) -> str:
    """One line: what the camera does, how late results are, the angles in degrees of the steering wheel."""
    camera, state = session.camera, session.state
    newest = state.newest
    if camera.phase != "live" or newest is None or newest.result is None:
        return camera.text
    words = [f"{camera.fps:.1f} fps"] if camera.fps > 0 else []  # of one frame there is no rate
    words += [
        f"latency {state.latency_ms[0]:.0f} ms",
        f"{state.skipped} skipped",
        predicted_words(newest.result),
    ]
    if (usual := session.usual()) is not None:
        words += filter(None, [usual.short(newest.strength, newest.spread)])
    if newest.measured_ns is not None:
        words.append(f"driven {signed(math.degrees(newest.driven_rad))}°")
        if math.isfinite(newest.error_rad):
            shown = shown_error(math.degrees(newest.driven_rad), math.degrees(newest.predicted_rad))
            words.append(f"error {signed(shown)}°")
    elif session.angles_text:
        words.append(session.angles_text)
    if (recording := session.recording) is not None:
        words.append(
            recording.failure or f"recording {recording.seconds:.0f} s, {recording.bytes / 1e6:.1f} MB"
        )
        if recording.dropped:
            words.append(f"{recording.dropped} not recorded")
    return "  ".join(words)


def summarise(session: LiveSession, seconds: float) -> dict[str, Any]:
    """The figures of a session; times in ms."""
    camera, state, recording = session.camera, session.state, session.recording
    _, median_ms, most_ms = state.latency_ms
    return {
        "camera": session.request.address.name,
        "seconds": round(seconds, 2),
        "size": list(camera.size),
        "received": camera.received,
        "results": state.results,
        "skipped": state.skipped,
        "latency_median_ms": median_ms,
        "latency_95_ms": most_ms,
        "reconnects": camera.reconnects,
        "recording": None
        if recording is None or recording.folder is None
        else {
            "folder": str(recording.folder),
            "frames": recording.frames,
            "dropped": recording.dropped,
            "resized": recording.resized,
            "bytes": recording.bytes,
            "failure": recording.failure,
        },
    }


def in_words(summary: dict[str, Any]) -> str:
    text = (
        f"{count(summary['received'], 'frame')} in {summary['seconds']:.1f} s from {summary['camera']}, "
        f"{summary['results']} through the network, {summary['skipped']} skipped, "
        f"{count(summary['reconnects'], 'reconnection')}"
    )
    if summary["results"]:
        text += f"; latency {summary['latency_median_ms']:.0f} ms, at most {summary['latency_95_ms']:.0f} ms for 95 %"
    if recording := summary["recording"]:
        text += f"\nrecorded {count(recording['frames'], 'frame')} in {recording['folder']}: vbp {recording['folder']}"
        if recording["dropped"]:
            text += f"; not recorded: {count(recording['dropped'], 'frame')}, as the disk or the encoder is too slow"
    return text


class StatusLine:
    """One line that is written over on a terminal, a line a second elsewhere, none with JSON."""

    def __init__(self, silent: bool) -> None:
        self._silent = silent
        self._terminal = sys.stderr.isatty()
        self._shown = ""
        self.every_s = _TERMINAL_S if self._terminal else _PIPE_S
        self._shown_s = time.monotonic()

    @property
    def is_due(self) -> bool:
        return time.monotonic() - self._shown_s >= self.every_s

    def show(self, text: str) -> None:
        self._shown_s = time.monotonic()
        if self._silent or (text == self._shown and not self._terminal):
            return
        self._shown = text
        if self._terminal:
            text = text[: shutil.get_terminal_size().columns - 1]
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._terminal and self._shown and not self._silent:
            print(file=sys.stderr)
