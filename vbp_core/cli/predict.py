"""`vbp predict`: predicted and driven angle of every frame, or its class, as CSV."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from vbp.classes import score_classes
from vbp.cli import class_tables
from vbp.cli.common import (
    add_crop,
    add_frames,
    add_network,
    add_source,
    broken_text,
    open_source,
    whole_file,
)
from vbp.cli.main import print_json
from vbp.frames import run_frames
from vbp.frames.choosing import choose_frames
from vbp.frames.outcomes import Outcomes
from vbp.frames.strengths import doubtful_texts
from vbp.frames.table import HEAD, columns_of, row_of
from vbp.readable import cell, printable
from vbp.results import FrameRequest
from vbp.scores import score, score_words, steady_text

STDOUT = Path("-")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    add_network(parser)
    add_crop(parser)
    add_frames(parser)
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        type=Path,
        metavar="FILE.csv",
        help="the file to write; - for standard output, with what else is said on standard error",
    )
    parser.add_argument("--force", action="store_true", help="replace a file that vbp did not write")
    parser.add_argument("--json", action="store_true", help="print the scores as JSON")


def run(args: argparse.Namespace) -> int:
    from vbp.engine import Engine, open_network

    network = open_network(args.model)
    with open_source(args) as drive:
        indices = choose_frames(drive, args.frames, args.min_speed)
        with (
            _table(args) as file,
            tqdm(total=len(indices), unit="frame", disable=None) as bar,
        ):
            engine = Engine(network, args.device, crop=args.crop)
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns_of(engine.spec))
            class_tables.warn_of_unknown_folders(drive, network)
            outcomes = Outcomes()
            with closing(run_frames(drive, [engine], FrameRequest(), indices)) as found:
                for frame in found:
                    writer.writerow(map(cell, row_of(frame, drive.info.name, engine.name, engine.spec)))
                    outcomes.add(frame)
                    bar.update()
        scores = score(drive.angle_rad[indices], outcomes.predicted_rad)
        class_scores = score_classes(outcomes.labels, outcomes.classes)
        steady = steady_text(outcomes.predicted_rad, drive.angle_rad[indices])
    doubts = doubtful_texts(indices.tolist(), outcomes.strength, outcomes.spread)
    notes = [text for text in (steady, *doubts) if text]
    gaps, broken = outcomes.gaps, outcomes.broken
    facts = {
        "output": str(args.output),
        "rows": len(indices),
        "gaps": gaps,
        "not_finite": broken,
        "trained": network.trained,
        "notes": notes,
    }
    if network.spec.is_classifier:
        facts |= class_tables.facts(network, outcomes.labels, outcomes.classes)
    else:
        facts |= asdict(scores)
    with redirect_stdout(sys.stderr) if args.output == STDOUT else nullcontext():
        if args.json:
            print_json(facts)
        else:
            to = "standard output" if args.output == STDOUT else printable(str(args.output))
            print(f"{len(indices)} frames written to {to}" + (f", {gaps} of them gaps" if gaps else ""))
            if broken:
                print(broken_text(network.spec.name, broken))
            if class_scores.frames:
                class_tables.print_text(network, outcomes.labels, outcomes.classes)
            if scores.frames:
                print(score_words(scores))
            for text in notes:
                print(text)
            if not network.trained:
                print(
                    f"{network.spec.name} has random weights: these numbers mean nothing; give a trained network with --model"
                )
    return 0


@contextmanager
def _table(args: argparse.Namespace) -> Iterator[TextIO]:
    """Where the table goes: a file that is whole or not there, or standard output."""
    if args.output == STDOUT:
        yield sys.stdout
        return
    with (
        whole_file(args.output, is_prediction, Path(args.source), args.force) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        yield file


def is_prediction(path: Path) -> bool:
    """Whether an existing file is empty or was written by this command."""
    with path.open("rb") as file:
        head = file.read(len(HEAD))
    return not head or head == HEAD
