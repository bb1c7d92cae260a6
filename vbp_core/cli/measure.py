"""`vbp measure`: which objects the masks lie on, by the ground truth of a simulated drive."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from vbp.cli.common import add_frames, add_network, add_source, open_source
from vbp.cli.main import print_json
from vbp.drives import Drive
from vbp.errors import VbpError
from vbp.explain import METHODS
from vbp.frames import run_frames
from vbp.frames.choosing import choose_frames
from vbp.frames.strengths import doubtful_texts
from vbp.overlay import Rect
from vbp.results import FrameRequest, map_requests
from vbp.simulate.measure import shares
from vbp.simulate.truth import load_truth

if TYPE_CHECKING:
    from vbp.engine import Engine


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    add_network(parser)
    add_frames(parser)
    parser.add_argument("--every", type=_every, default=1, metavar="K", help="only every K-th frame")
    parser.add_argument(
        "--method",
        default="visualbackprop",
        choices=list(METHODS),
        metavar="NAME",
        help=f"an attribution method: {', '.join(METHODS)} (default: visualbackprop)",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    from vbp.engine import Engine, open_network

    truth = load_truth(args.source)
    network = open_network(args.model)
    with open_source(args) as drive:
        chosen = choose_frames(drive, args.frames, args.min_speed)[:: args.every]
        known = [int(i) for i in chosen if truth.has(int(i))]
        if not known:
            raise VbpError(
                f"{truth.place} has no ground truth of these frames; it has that of {len(truth.frames)} others"
            )
        engine = Engine(network, args.device)
        measured: dict[int, tuple[float, float]] = {}
        found, frames = shares(truth, _masks(drive, engine, args.method, known, measured))
    notes = doubtful_texts(list(measured), *np.array(list(measured.values())).reshape(-1, 2).T)
    if not frames:
        raise VbpError(f"{METHODS[args.method].title} of {network.spec.name} is zero on all of these frames")
    if args.json:
        facts = {
            "source": str(args.source),
            "model": network.spec.name,
            "trained": network.trained,
            "method": args.method,
            "frames": frames,
            "left_out": len(known) - frames,
            "notes": notes,
            "shares": [asdict(share) for share in found],
        }
        print_json(facts)
        return 0
    print(f"{METHODS[args.method].title} of {network.spec.name}, {frames} frames: shares of the crop")
    print(f"{'':<20}{'area':>9}{'mask':>9}{'times':>8}{'strongest 1 %':>16}{'strongest pixel':>18}")
    for s in found:
        print(
            f"{s.name:<20}{s.area:>9.2%}{s.energy:>9.2%}{s.times:>8.1f}{s.strongest:>16.1%}{s.pointed:>18.1%}"
        )
    print("times: mask / area; a uniform mask scores 1")
    for text in notes:
        print(text)
    if not network.trained:
        print(f"{network.spec.name} has random weights: give a trained network with --model")
    return 0


def _masks(
    drive: Drive, engine: Engine, method: str, frames: list[int], measured: dict[int, tuple[float, float]]
) -> Iterator[tuple[int, NDArray[np.float32], Rect]]:
    """Gaps are left out, as they have no picture. measured: gets strength and spread of each mask."""
    request = FrameRequest(map_requests([method]), strict=True)
    with closing(run_frames(drive, [engine], request, frames)) as found:
        for frame in tqdm(found, total=len(frames), unit="frame", disable=None):
            for result in frame.results:
                wanted = request.maps[0]
                measured[frame.index] = result.strengths[wanted], result.spreads[wanted]
                yield frame.index, result.maps[wanted], result.crop


def _every(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)
