"""`vbp predict`: predicted and driven angle of every frame, or its class, as CSV."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from vbp.analysis import Chunk, analyse, choose_frames, score
from vbp.classes import labels_for, score_classes
from vbp.cli import class_tables
from vbp.cli.common import (
    add_crop,
    add_frames,
    add_network,
    add_source,
    count_lost,
    open_source,
    tell_broken,
    whole_file,
)
from vbp.cli.main import print_json
from vbp.drives import Drive
from vbp.engine import Engine, open_network

COLUMNS = ["frame", "timestamp_ns", "angle_deg", "predicted_deg", "error_deg", "speed_mps"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    add_network(parser)
    add_crop(parser)
    add_frames(parser)
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FILE.csv", help="where to write")
    parser.add_argument("--force", action="store_true", help="replace a file that vbp did not write")
    parser.add_argument("--json", action="store_true", help="print the scores for programs")


def run(args: argparse.Namespace) -> int:
    network = open_network(args.model)
    with open_source(args) as drive:
        indices = choose_frames(drive, args.frames, args.min_speed)
        with (
            whole_file(args.output, is_prediction, Path(args.source), args.force) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
            tqdm(total=len(indices), unit="frame", disable=None) as bar,
        ):
            engine = Engine(network, args.device, crop=args.crop)
            writer = csv.writer(file, lineterminator="\n")
            of_classes = network.spec.is_classifier
            writer.writerow(class_tables.COLUMNS if of_classes else COLUMNS)
            labels = labels_for(drive, network.spec)
            class_tables.tell_unknown(drive, network)
            predicted, classes, decoded = [], [], []
            for chunk in analyse(drive, engine, indices):
                predicted.append(chunk.predicted_rad)
                classes.append(chunk.classes)
                decoded.append(chunk.decoded)
                if of_classes:
                    writer.writerows(class_tables.rows(drive, network, labels, chunk))
                else:
                    writer.writerows(_rows(drive, chunk))
                bar.update(len(chunk.indices))
        scores = score(drive.angle_rad[indices], np.concatenate(predicted))
        class_scores = score_classes(labels[indices], np.concatenate(classes))
        told = np.concatenate(predicted)
        if of_classes:
            told = np.where(np.concatenate(classes) >= 0, 0.0, np.nan)
        gaps, broken = count_lost(told, np.concatenate(decoded))
    facts = {
        "output": str(args.output),
        "rows": len(indices),
        "gaps": gaps,
        "not_finite": broken,
        "trained": network.trained,
    }
    if of_classes:
        known = {"frames": class_scores.frames, "right": class_scores.right}
        facts |= known | {"accuracy": class_scores.accuracy}
    else:
        facts |= asdict(scores)
    if args.json:
        print_json(facts)
    else:
        print(f"{len(indices)} frames written to {args.output}" + (f", {gaps} of them gaps" if gaps else ""))
        if broken:
            print(tell_broken(network.spec.name, broken))
        if class_scores.frames:
            print(class_tables.accuracy_words(class_scores))
        if scores.frames:
            print(
                f"RMSE {scores.rmse_rad:.4f} rad, mean error {scores.bias_deg:+.2f}°, mean |error| {scores.mae_deg:.2f}°, "
                f"correlation {scores.corr:.3f} over {scores.frames} labelled frames"
            )
        if not network.trained:
            print(
                f"{network.spec.name} has random weights: these numbers mean nothing; give a trained network with --model"
            )
    return 0


def _rows(drive: Drive, chunk: Chunk) -> Iterator[list[object]]:
    for i, angle in zip(chunk.indices, chunk.predicted_rad, strict=True):
        actual = float(drive.angle_rad[i])
        row = [np.degrees(actual), np.degrees(angle), np.degrees(actual - angle), drive.speed_mps[i]]
        yield [int(i), int(drive.timestamps_ns[i]), *(_cell(float(v)) for v in row)]


def _cell(value: float) -> str:
    return f"{value:.6f}" if np.isfinite(value) else ""


def is_prediction(path: Path) -> bool:
    """Whether an existing file is empty or was written by this command."""
    with path.open("rb") as file:
        head = file.read(200)
    ours = [",".join(columns).encode() for columns in (COLUMNS, class_tables.COLUMNS)]
    return not head or head.startswith(tuple(ours))
