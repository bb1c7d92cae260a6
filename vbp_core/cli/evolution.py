"""`vbp evolution`: how the visual cues formed while a network trained (Figures 5 and 14), as a picture."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vbp.cli.common import add_source, check_png, open_source, write_png
from vbp.cli.main import print_json
from vbp.errors import VbpError
from vbp.readable import printable
from vbp.results import FrameResult

if TYPE_CHECKING:
    from vbp.training.folder import Checkpoint, Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder of a training run (vbp train)")
    add_source(parser)
    parser.add_argument(
        "--frame",
        type=int,
        action="append",
        required=True,
        metavar="N",
        help="a frame of SOURCE, counted from 0; may be given several times",
    )
    parser.add_argument(
        "--epochs", metavar="LIST", help="only the checkpoints of these epochs, like 0.1,1,32"
    )
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="FILE.png", help="the file to write"
    )
    parser.add_argument("--force", action="store_true", help="replace an existing picture")
    parser.add_argument("--json", action="store_true", help="print a summary as JSON")


def run(args: argparse.Namespace) -> int:
    from vbp.training.evolution import draw, evolve
    from vbp.training.folder import Run

    check_png(args.output)
    folder = Run(args.run)
    checkpoints = chosen(folder, args.epochs)
    with open_source(args) as drive:
        frames, usual = evolve(checkpoints, drive, args.frame, args.device)
        title = f"{folder.config.spec.name}, VisualBackProp during training"
        picture = draw(frames, [c.epoch for c in checkpoints], title, usual)
    write_png(args.output, picture, Path(args.source), args.force)
    if args.json:
        print_json(
            {
                "output": str(args.output),
                "width": picture.shape[1],
                "height": picture.shape[0],
                "epochs": [c.epoch for c in checkpoints],
                "frames": [
                    {
                        "frame": frame.index,
                        "driven_rad": frame.driven_rad,
                        "predicted_rad": [result.angle_rad for result in frame.results],
                        **_classes(frame),
                    }
                    for frame in frames
                ],
            }
        )
    else:
        listed = ", ".join(f"{c.epoch:g}" for c in checkpoints)
        print(
            f"{len(frames)} frame{'s' * (len(frames) != 1)} after {listed} epochs drawn to {printable(str(args.output))}"
        )
    return 0


def _classes(frame: FrameResult) -> dict[str, list[Any]]:
    """What a classifier predicted, checkpoint by checkpoint; nothing for a steering network."""
    found = [result.classes for result in frame.results if result.classes is not None]
    if len(found) < len(frame.results):
        return {}
    return {
        "class": [classes.number for classes in found],
        "class_name": [classes.name for classes in found],
        "probability": [classes.probability for classes in found],
    }


def chosen(run: Run, epochs: str | None) -> list[Checkpoint]:
    """The run's checkpoints, or those of the epochs listed. Raises VbpError for one that there is not."""
    found = run.checkpoints()
    if not found:
        raise VbpError(f"{run.path} has no checkpoint yet; the first is written after a tenth of an epoch")
    if epochs is None:
        return found
    try:
        wanted = {float(text) for text in epochs.split(",") if text.strip()}
    except ValueError:
        raise VbpError(f"--epochs {epochs} is not a list of epochs, like 0.1,1,32") from None
    missing = wanted - {c.epoch for c in found}
    if missing or not wanted:
        has = ", ".join(f"{c.epoch:g}" for c in found)
        names = ", ".join(f"{e:g}" for e in sorted(missing)) or "none"
        raise VbpError(f"{run.path} has no checkpoint of epoch {names}; it has {has}")
    return [c for c in found if c.epoch in wanted]
