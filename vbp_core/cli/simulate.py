"""`vbp simulate`: a simulated drive with pixel-wise ground truth."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from vbp.cli.common import number
from vbp.cli.main import print_json
from vbp.errors import VbpError
from vbp.readable import printable
from vbp.simulate.cue import CUES
from vbp.simulate.world import Settings
from vbp.simulate.write import FORMATS, simulate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="DIR", help="the folder to create"
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--frames", type=int, metavar="N", help="number of frames")
    length.add_argument(
        "--seconds", type=number, metavar="S", help="length of the drive in seconds (default: 60)"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="K",
        help="random seed: each makes a different drive (default: 0)",
    )
    parser.add_argument(
        "--fps", type=number, default=20.0, metavar="F", help="frames per second (default: 20)"
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="jpeg",
        help="jpeg: center/*.jpg with interpolated.csv; h264: center.mp4 with center_steering.csv",
    )
    parser.add_argument("--bag", action="store_true", help="write bag/drive.bag (ROS1) as well")
    parser.add_argument(
        "--plant",
        metavar="CUE",
        help=f"add a spurious feature that reveals the steering angle: {', '.join(CUES)}",
    )
    truth = parser.add_mutually_exclusive_group()
    truth.add_argument("--no-truth", action="store_true", help="write the recording without its ground truth")
    truth.add_argument(
        "--truth-every",
        type=int,
        default=1,
        metavar="K",
        help="ground truth of every K-th frame only (default: 1)",
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="number of processes (default: one per core)"
    )
    parser.add_argument("--json", action="store_true", help="print a summary as JSON")


def run(args: argparse.Namespace) -> int:
    if args.frames is not None:
        frames = args.frames
    else:
        seconds = 60.0 if args.seconds is None else args.seconds
        frames = math.floor(seconds * args.fps + 1e-6)
    if args.workers is not None and args.workers < 1:
        raise VbpError(f"--workers {args.workers} is too few; give 1 or more")
    if args.truth_every < 1:
        raise VbpError("--truth-every is less than 1; give 1 or more, or --no-truth for no ground truth")
    settings = Settings(frames, args.seed, args.fps, args.plant)
    every = 0 if args.no_truth else args.truth_every
    folder = simulate(args.output, settings, args.format, args.bag, every, args.workers, None)
    if args.json:
        facts = {"output": str(folder), "frames": frames, "fps": args.fps, "seed": args.seed}
        print_json(facts | {"format": args.format, "plant": args.plant, "truth": every > 0})
    else:
        print(
            f"{frames} frames, {frames / args.fps:.1f} s at {args.fps:g} frames per second, in {printable(str(folder))}"
        )
    return 0
