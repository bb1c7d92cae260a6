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

# Before torch comes, which the next line brings: its threads would spin, and hold up camera and recorder.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from vbp.cli.common import add_crop, add_network, number
from vbp.cli.main import print_json
from vbp.errors import VbpError

if TYPE_CHECKING:
    from vbp.live.capture import Capture
    from vbp.live.session import LiveSession
    from vbp.models.spec import NetworkSpec
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
        told = camera.problem or sizes + (f"; {rates} frames per second" if rates else "")
        print(f"{camera.address}  {camera.name}: {told}")
    return 0


def _session(args: argparse.Namespace) -> int:
    from vbp.live.address import parse_address

    address = parse_address(args.address)  # before torch is imported, which takes seconds
    if args.record is not None:
        check_folder(args.record)

    from vbp.engine import Engine, open_network
    from vbp.live.angles import open_angles
    from vbp.live.capture import TRYING, Capture
    from vbp.live.frame import LiveFrame
    from vbp.live.recorder import Recorder
    from vbp.live.session import LiveSession

    angles = open_angles(args.angles) if args.angles else None
    engine = Engine(open_network(args.model), device=args.device, crop=args.crop)
    capture = Capture(address, size=args.size, fps=args.fps, exposure_ms=args.exposure)

    def make_recorder(frame: LiveFrame) -> Recorder:
        height, width = frame.image.shape[:2]
        return Recorder(
            args.record,
            size=(width, height),
            fps_hint=args.fps or 30.0,
            camera=address.name,
            model=engine.spec.name,
        )

    session = LiveSession(
        capture, engine, angles=angles, make_recorder=make_recorder if args.record is not None else None
    )
    started = time.monotonic()
    line = StatusLine(args.json)
    try:
        session.start()
        while session.running and (args.seconds is None or time.monotonic() - started < args.seconds):
            left = math.inf if args.seconds is None else started + args.seconds - time.monotonic()
            time.sleep(max(min(line.every_s, left), 0))
            line.show(status(session, capture))
    except KeyboardInterrupt:
        pass
    seconds = time.monotonic() - started
    last = capture.state
    session.stop()
    threads = session.join()
    engine.close()
    line.end()
    if failure := session.state.failure:
        raise VbpError(failure)
    summary = summarise(session, capture, seconds)
    summary["left_running"] = threads
    if args.json:
        print_json(summary)
    else:
        print(in_words(summary))
    if not summary["results"]:
        raise VbpError(f"no frame came in {seconds:.0f} s: {last.text.removesuffix(TRYING)}")
    if session.state.recording:
        raise VbpError(session.state.recording)
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


def said(shot: NetworkResult, spec: NetworkSpec) -> str:
    """What the network predicts, in words."""
    from vbp.classes import class_name
    from vbp.live.frame import Prediction

    if shot.probabilities is None:
        return f"predicted {math.degrees(shot.angle_rad):+.1f}°"
    told = Prediction.of(shot)
    if told.number < 0:
        return "predicted no class: its scores are no numbers"
    return f"predicted {class_name(spec, told.number)} ({told.probability:.0%})"


def status(session: LiveSession, capture: Capture) -> str:
    """One line: what the camera does, how late results are, the angles in degrees of the steering wheel."""
    camera, state = capture.state, session.state
    if camera.phase != "live" or state.newest is None:
        return camera.text
    words = [
        f"{camera.fps:.1f} fps",
        f"latency {state.newest.latency_ms:.0f} ms",
        f"{state.skipped} skipped",
        said(state.newest.shot, session.engine.spec),
    ]
    if state.newest.measured is not None:
        words.append(f"driven {math.degrees(state.newest.measured.angle_rad):+.1f}°")
        words.append(f"error {math.degrees(state.newest.error_rad):+.1f}°")
    elif session.angles_text:
        words.append(session.angles_text)
    if state.recording:
        words.append(state.recording)
    elif session.recorder is not None:
        recorder = session.recorder.state
        words.append(f"recording {recorder.seconds:.0f} s, {recorder.bytes / 1e6:.1f} MB")
        if recorder.dropped:
            words.append(f"{recorder.dropped} not recorded")
    return "  ".join(words)


def summarise(session: LiveSession, capture: Capture, seconds: float) -> dict[str, Any]:
    """The figures of a session; times in ms."""
    camera, state = capture.state, session.state
    out: dict[str, Any] = {
        "camera": capture.address.name,
        "seconds": round(seconds, 2),
        "size": list(camera.size),
        "received": camera.received,
        "results": state.results,
        "skipped": state.skipped,
        "latency_median_ms": state.latency_ms[0],
        "latency_95_ms": state.latency_ms[1],
        "reconnects": camera.reconnects,
        "recording": None,
    }
    if session.recorder is not None:
        recorder = session.recorder.state
        out["recording"] = {
            "folder": str(session.recorder.folder),
            "frames": recorder.frames,
            "dropped": recorder.dropped,
            "resized": recorder.resized,
            "bytes": recorder.bytes,
            "failure": recorder.failure,
        }
    return out


def in_words(summary: dict[str, Any]) -> str:
    text = (
        f"{summary['received']} frames in {summary['seconds']:.1f} s from {summary['camera']}, "
        f"{summary['results']} through the network, {summary['skipped']} skipped, "
        f"{summary['reconnects']} reconnections"
    )
    if summary["results"]:
        text += f"; latency {summary['latency_median_ms']:.0f} ms, at most {summary['latency_95_ms']:.0f} ms for 95 %"
    if recording := summary["recording"]:
        text += f"\nrecorded {recording['frames']} frames in {recording['folder']}: vbp {recording['folder']}"
        if recording["dropped"]:
            text += (
                f"; {recording['dropped']} frames were not recorded, as the disk or the encoder is too slow"
            )
    return text


class StatusLine:
    """One line that is written over on a terminal, a line a second elsewhere, none with JSON."""

    def __init__(self, silent: bool) -> None:
        self._silent = silent
        self._terminal = sys.stderr.isatty()
        self._shown = ""
        self.every_s = _TERMINAL_S if self._terminal else _PIPE_S

    def show(self, text: str) -> None:
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
