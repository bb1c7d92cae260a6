"""`vbp figure`: frames with the masks of several methods beside each other (Figures 6 to 10, 15 to 20), or layer by layer (2b)."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from vbp.cli.common import add_source, check_png, open_source, write_png
from vbp.cli.main import print_json
from vbp.cli.overlay import add_overlay, overlay_of
from vbp.cli.targets import add_target, check_target, read_settings
from vbp.errors import VbpError
from vbp.explain import METHODS
from vbp.figure import averaged_maps, side_by_side
from vbp.overlay import PAPER
from vbp.readable import printable
from vbp.results import NetworkResult


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    parser.add_argument(
        "--model",
        action="append",
        metavar="M",
        help="a network's name or its .safetensors file; may be given several times (default: NetSVF)",
    )
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument(
        "--frame",
        type=int,
        action="append",
        required=True,
        metavar="N",
        help="a frame of SOURCE, counted from 0; may be given several times",
    )
    parser.add_argument(
        "--method",
        action="append",
        choices=list(METHODS),
        metavar="NAME",
        help=f"an attribution method; may be given several times: {', '.join(METHODS)} (default: visualbackprop and lrp)",
    )
    parser.add_argument(
        "--maps",
        action="store_true",
        help="draw Figure 2b instead: the averaged feature map of each layer, and VisualBackProp's intermediate masks",
    )
    add_target(parser)
    add_overlay(parser, opacity=PAPER.opacity, clip=False)
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="FILE.png", help="the file to write"
    )
    parser.add_argument("--force", action="store_true", help="replace an existing picture")
    parser.add_argument("--json", action="store_true", help="print a summary as JSON")


def run(args: argparse.Namespace) -> int:
    from vbp.engine import Engine, open_network

    check_png(args.output)
    overlay = overlay_of(args)
    if args.maps and (args.method or args.settings or args.target != "output"):
        raise VbpError(
            "--maps draws how VisualBackProp makes its mask; leave out --method, --target and --set"
        )
    methods = list(dict.fromkeys(args.method or ["visualbackprop", *(["lrp"] * (not args.maps))]))
    engines = [Engine(open_network(name), args.device) for name in dict.fromkeys(args.model or ["NetSVF"])]
    parameters = read_settings(args, methods)
    with open_source(args) as drive:
        check_target(args.target, drive, [i for i in args.frame if 0 <= i < len(drive)])
        if args.maps:
            picture, frames = averaged_maps(drive, engines, args.frame)
        else:
            picture, frames = side_by_side(
                drive, engines, args.frame, methods, overlay, args.target, parameters
            )
    write_png(args.output, picture, Path(args.source), args.force)
    if args.json:
        print_json(
            {
                "output": str(args.output),
                "width": picture.shape[1],
                "height": picture.shape[0],
                "methods": methods,
                "target": args.target,
                "rows": [
                    {
                        "frame": frame.index,
                        "model": result.network,
                        "driven_rad": frame.driven_rad,
                        "predicted_rad": result.angle_rad,
                        **_class(result),
                        "warning": next(iter(result.warnings), ""),
                        "missing": {m.method: text for m, text in result.missing.items()},
                    }
                    for frame in frames
                    for result in frame.results
                ],
            }
        )
        return 0
    print(f"{len(args.frame)} frame{'s' * (len(args.frame) != 1)} drawn to {printable(str(args.output))}")
    for frame in frames:
        for result in frame.results:
            for text in dict.fromkeys((*result.warnings, *result.missing.values())):
                print(f"frame {frame.index}, {result.network}: {text}")
    for engine in engines:
        if not engine.network.trained:
            print(f"{engine.spec.name} has random weights: give a trained network with --model")
    return 0


def _class(result: NetworkResult) -> dict[str, Any]:
    """What a classifier says of a frame; nothing for a steering network."""
    classes = result.classes
    if classes is None:
        return {}
    return {
        "class": classes.number,
        "class_name": classes.name,
        "probability": classes.probability,
        "label": classes.label,
    }
