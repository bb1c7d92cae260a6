"""`vbp eval`: how well a network steers a recording, by speed and by curvature, or how often it predicts the right class."""

from __future__ import annotations

import argparse
import math
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from vbp.cli import class_tables
from vbp.cli.common import add_crop, add_frames, add_network, add_source, open_source
from vbp.cli.main import print_json
from vbp.drives import Drive
from vbp.drives.labels import STEERING_RATIO, WHEELBASE_M
from vbp.errors import VbpError
from vbp.frames import run_frames
from vbp.frames.choosing import choose_frames
from vbp.frames.outcomes import Outcomes
from vbp.readable import MINUS
from vbp.results import FrameRequest
from vbp.scores import steady_text

if TYPE_CHECKING:
    from vbp.models.network import Network


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    add_network(parser)
    add_crop(parser)
    add_frames(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    from vbp.engine import open_network
    from vbp.training.evaluation import evaluate

    network = open_network(args.model)
    with open_source(args) as drive:
        indices = choose_frames(drive, args.frames, args.min_speed)
        if network.spec.is_classifier:
            return _classes(args, drive, network, indices)
        labelled = indices[np.isfinite(drive.angle_rad[indices])]
        if not len(labelled):
            raise VbpError(
                f"{drive.info.path} has no measured steering angle on these frames to compare with; choose other --frames, or a recording with steering"
            )
        outcomes = _run(args, drive, network, labelled)
        found = outcomes.predicted_rad
        steady = steady_text(found, drive.angle_rad[labelled])
        facts = {
            "source": str(drive.info.path),
            "model": network.spec.name,
            "trained": network.trained,
            "trained_on": network.spec.trained_on,
            **evaluate(drive.angle_rad[labelled], found, drive.speed_mps[labelled]),
            "unlabelled": len(indices) - len(labelled),
            "gaps": outcomes.gaps,
            "not_finite": outcomes.broken,
            "notes": [steady] if steady else [],
        }
    if args.json:
        print_json(facts)
    else:
        print_text(facts)
    return 0


def _run(args: argparse.Namespace, drive: Drive, network: Network, indices: NDArray[np.int64]) -> Outcomes:
    from vbp.engine import Engine

    engine = Engine(network, args.device, crop=args.crop)
    outcomes = Outcomes()
    with closing(run_frames(drive, [engine], FrameRequest(maps=()), indices)) as frames:
        for frame in tqdm(frames, total=len(indices), unit="frame", disable=None):
            outcomes.add(frame)
    return outcomes


def _classes(args: argparse.Namespace, drive: Drive, network: Network, indices: NDArray[np.int64]) -> int:
    known = class_tables.labelled(drive, network, indices)
    class_tables.warn_of_unknown_folders(drive, network)
    outcomes = _run(args, drive, network, known)
    labels, classes = outcomes.labels, outcomes.classes
    if args.json:
        print_json(
            {
                "source": str(drive.info.path),
                "model": network.spec.name,
                "trained": network.trained,
                "trained_on": network.spec.trained_on,
                **class_tables.facts(network, labels, classes),
                "unlabelled": len(indices) - len(known),
                "gaps": int((classes < 0).sum()),
            }
        )
        return 0
    class_tables.print_text(network, labels, classes)
    lost = int((classes < 0).sum())
    if lost or len(known) < len(indices):
        print(
            f"left out: {len(indices) - len(known)} frames without a known class, {lost} that cannot be decoded"
        )
    _about(network.spec.name, network.trained, network.spec.trained_on)
    return 0


def _about(model: str, trained: bool, trained_on: str) -> None:
    if not trained:
        print(f"{model} has random weights: these numbers mean nothing; give a trained network")
    elif trained_on:
        print(f"trained on: {trained_on}")


def print_text(facts: dict[str, Any]) -> None:
    head = f"{'':<24}{'frames':>7}{'RMSE rad':>11}{'zero':>9}{'mean |error|':>14}{'bias':>9}{'corr':>8}"
    print(head)
    print(_line("all", facts))
    known = any(part["frames"] for part in facts["by_speed"])
    print("by speed, m/s" if known else "by speed: not recorded")
    for part in facts["by_speed"] if known else []:
        low, high = part["speed_mps_from"], part["speed_mps_to"]
        print(_line(f"  {low:g} to {high:g}" if high is not None else f"  {low:g} and more", part))
    print("by radius of the driven path")
    for part in facts["by_curvature"]:
        print(_line(f"  {_radius(part['curvature_from'], part['curvature_to'])}", part))
    print("error = driven - predicted; zero: the RMSE of never steering")
    if facts["gaps"] or facts["unlabelled"]:
        print(
            f"left out: {facts['unlabelled']} frames without an angle, {facts['gaps']} that cannot be decoded"
        )
    for text in facts["notes"]:
        print(text)
    _about(facts["model"], facts["trained"], facts["trained_on"])


def _line(name: str, part: dict[str, Any]) -> str:
    cells = [
        (part["rmse_rad"], 11, ".4f", ""),
        (part["always_zero_rmse_rad"], 9, ".4f", ""),
        (part["mae_deg"], 14, ".2f", "°"),
        (part["bias_deg"], 9, "+.2f", "°"),
        (part["corr"], 8, ".3f", ""),
    ]
    texts = (
        ("–" if math.isnan(v) else f"{v:{f}}{unit}".replace("-", MINUS)).rjust(w) for v, w, f, unit in cells
    )
    return f"{name:<24}{part['frames']:>7}{''.join(texts)}"


def _radius(low: float, high: float | None) -> str:
    """In metres, with the wheel's angle at the wider end: what a driver knows."""
    if low == 0 and high is not None:
        return f"over {1 / high:.0f} m"
    wheel = math.degrees(math.atan(low * WHEELBASE_M) * STEERING_RATIO)
    narrow = f"{1 / high:.0f} to " if high is not None else "under "
    return f"{narrow}{1 / low:.0f} m (> {wheel:.0f}°)"
