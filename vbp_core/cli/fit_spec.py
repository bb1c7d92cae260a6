"""`vbp fit-spec`: what a picture was before a network saw it in training, found from a recording with angles."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from vbp.cli.common import add_network, add_topics, number, seconds, whole_file
from vbp.cli.main import print_json
from vbp.cli.network import chosen_network
from vbp.drives import OpenOptions, open_drive
from vbp.errors import VbpError
from vbp.files import check_target
from vbp.models.spec_text import to_toml
from vbp.readable import signed

if TYPE_CHECKING:
    from vbp.fitting.results import SpecFit, Trial


SHOWN = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("network", nargs="?", metavar="MODEL", help="the same as --model MODEL")
    add_network(parser, default=None)
    parser.add_argument(
        "--drive", metavar="SOURCE", required=True, help="a recording with measured steering angles"
    )
    parser.add_argument("--camera", help="which camera: center (default), left, right, or a topic's name")
    parser.add_argument("--angle-unit", help="unit of the recorded steering angle: rad, deg, unit, unit:DEG")
    parser.add_argument(
        "--angle-sign", choices=("left", "right"), help="the direction in which recorded angles are positive"
    )
    add_topics(parser)
    parser.add_argument(
        "--fps", type=number, metavar="N", help="frames per second of a recording that has no times"
    )
    parser.add_argument(
        "--max-gap",
        type=seconds,
        default=0.2,
        metavar="S",
        help="a frame with no steering sample within S seconds has no measured angle (default: 0.2)",
    )
    parser.add_argument(
        "--frames",
        type=int,
        default=300,
        metavar="N",
        help="so many labelled frames, half of them in curves (default: 300)",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE.toml", help="write the specification that fits best"
    )
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    from vbp.engine import open_network
    from vbp.fitting.search import fit_spec

    if args.frames < 20:
        raise VbpError(f"--frames {args.frames} are too few to compare; give 20 or more")
    if args.output is not None:
        check_target(args.output, _is_empty, Path(args.drive), args.force)
    network = open_network(chosen_network(args))
    options = OpenOptions(
        args.camera, args.angle_unit, args.angle_sign, args.max_gap, args.steering, args.speed, args.fps
    )
    with open_drive(args.drive, options) as drive, tqdm(unit="pass", disable=None, leave=False) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        found = fit_spec(network, drive, args.frames, args.device, progress)
        comments = _comments(found, network.spec.name, drive.info.name)
    if args.output is not None and found.fits:
        with whole_file(args.output, _is_empty, Path(args.drive), args.force) as temporary:
            temporary.write_text(to_toml(found.spec, comments), encoding="utf-8")
    if args.json:
        print_json(found.to_json())
    else:
        print_text(found)
    if args.output is not None and not found.fits:
        raise VbpError(f"{args.output} was not written, as {found.verdict}")
    return 0


def _is_empty(path: Path) -> bool:
    """A specification is the user's, whoever began it."""
    return path.stat().st_size == 0


def _comments(found: SpecFit, network: str, drive: str) -> list[str]:
    best = found.best.agreement
    low, high = best.interval
    lines = [
        f"by vbp fit-spec for {network} on {drive}: correlation {best.correlation:.2f} ({low:.2f} to {high:.2f}), "
        f"RMSE {best.rmse_deg:.1f} degrees, {best.frames} frames"
    ]
    lines += [f"{name} cannot be told apart: {', '.join(values)}" for name, values in _untold(found)]
    if found.delay.seconds:
        lines.append(_delay(found))
    return lines


def _untold(found: SpecFit) -> list[tuple[str, tuple[str, ...]]]:
    words = {"reading": "output"}
    return [(words.get(name, name), values) for name, values in found.told_apart.items() if len(values) > 1]


def _delay(found: SpecFit) -> str:
    side = "after" if found.delay.seconds > 0 else "before"
    return (
        f"the output goes best with the angle {abs(found.delay.seconds):.1f} s {side} the frame "
        f"(correlation {found.delay.correlation:.2f}); a specification has no delay, so it is only said"
    )


def print_text(found: SpecFit) -> None:
    several = len({t.reading for t in found.trials}) > 1
    head = f"{'colour':<9}{'crop':<36}{'input range':<14}{'correlation':>11}  {'95 %':<14}{'RMSE':>8}  {'output':<24}"
    print(head + ("which" if several else ""))
    for trial in found.trials[:SHOWN]:
        print(_row(trial, several))
    if len(found.trials) > SHOWN:
        print(f"... {len(found.trials) - SHOWN} more; --json lists them")
    print(
        f"\n{found.tried} combinations on {found.frames} frames; = cannot be told apart from the first on this drive"
    )
    print(found.verdict)
    if not found.fits:
        print(
            "the network may have learnt nothing, or nothing of such a road, or its pictures were made otherwise"
        )
    for name, values in _untold(found) if found.fits else []:
        print(f"{name} cannot be told apart: {', '.join(values)}")
    if found.fits and found.delay.seconds:
        print(_delay(found))
    scale, fitted = found.spec.output_scale, found.fitted_scale_deg
    known = found.fits and found.best.known_unit and found.spec.output_unit == "deg"
    if known and not 0.8 < fitted / scale < 1.25:
        print(
            f"outputs and angles vary alike at a scale of {fitted:.3g}; {scale:g}, the nearest known unit, is taken"
        )
    for note in found.notes:
        print(f"note: {note}")


def _row(trial: Trial, several: bool) -> str:
    spec, agreement = trial.spec, trial.agreement
    low, high = agreement.interval
    meaning = f"{spec.output_sign} {spec.output_unit}"
    if spec.output_scale != 1:
        meaning += f" x {spec.output_scale:.3g}"
    if spec.output_offset:
        meaning = f"{meaning}, less {spec.output_offset:.3g}"
    text = (
        f"{trial.colour:<9}{trial.crop:<36}{trial.range:<14}{agreement.correlation:>+10.2f}{'=' if trial.tied else ' '}  "
        f"{f'{signed(low, 2)} to {signed(high, 2)}':<14}{agreement.rmse_deg:>7.1f}°  {meaning:<24}"
    )
    return (text + (trial.reading if several else "")).rstrip()
