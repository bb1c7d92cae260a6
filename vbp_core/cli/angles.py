"""`vbp angles`: what a live source of steering angles sends, to check the wiring without a camera."""

from __future__ import annotations

import argparse
import math
import time
from typing import Any

from vbp.cli.main import print_json
from vbp.cli.numbers import seconds
from vbp.errors import VbpError
from vbp.live.angles import ACCEPTED, AngleSource, Measured, open_angles
from vbp.readable import signed

EVERY_S = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help=ACCEPTED)
    parser.add_argument(
        "--seconds",
        type=seconds,
        default=math.inf,
        metavar="N",
        help="stop after N seconds (default: at Ctrl-C)",
    )
    parser.add_argument("--json", action="store_true", help="print only a summary at the end, as JSON")


def run(args: argparse.Namespace) -> int:
    source = open_angles(args.source)
    source.start()
    begin = time.monotonic()
    lowest, highest = math.inf, -math.inf
    state = source.state
    try:
        while (left := args.seconds - (time.monotonic() - begin)) > 0:
            time.sleep(min(EVERY_S, left))
            state, newest = source.state, source.newest
            if newest is not None:
                lowest, highest = min(lowest, newest.angle_rad), max(highest, newest.angle_rad)
            if not args.json:
                print(_line(newest, state), flush=True)
    except KeyboardInterrupt:
        pass  # the usual end of it, and no reason to keep back what was seen
    finally:
        source.stop()
    if not source.count:
        raise VbpError(state)
    _sum_up(args, source, state, time.monotonic() - begin, lowest, highest)
    return 0


def _line(newest: Measured | None, state: str) -> str:
    if newest is None:
        return state
    speed = f"{newest.speed_mps:6.1f} m/s" if math.isfinite(newest.speed_mps) else "  no speed"
    return f"{signed(math.degrees(newest.angle_rad), 2):>8}°  {speed}  {state}"


def _sum_up(
    args: argparse.Namespace, source: AngleSource, state: str, passed: float, lowest: float, highest: float
) -> None:
    newest = source.newest
    assert newest is not None
    if args.json:
        facts: dict[str, Any] = {
            "source": args.source,
            "samples": source.count,
            "seconds": passed,
            "rate": source.count / passed,
            "timestamp_ns": newest.timestamp_ns,
            "angle_deg": math.degrees(newest.angle_rad),
            "speed_mps": newest.speed_mps,
            "state": state,
        }
        print_json(facts)
        return
    print(
        f"{source.count} angles in {passed:.1f} s; of those shown, "
        f"{signed(math.degrees(lowest), 2)}° to {signed(math.degrees(highest), 2)}° (left is positive)"
    )
