"""`vbp check-model`: what vbp makes of a network."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from vbp.cli.common import add_network, chosen_network
from vbp.cli.main import print_json
from vbp.drives import OpenOptions, open_drive
from vbp.drives.base import Image
from vbp.errors import VbpError
from vbp.frames import read_frame
from vbp.models.spec import NetworkSpec
from vbp.models.spec_picture import AUTO, ORDER

if TYPE_CHECKING:
    from vbp.engine import Engine
    from vbp.model_check import ModelCheck


FRAMES = 20
TRIES = 1000  # of frames that cannot be shown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("network", nargs="?", metavar="MODEL", help="the same as --model MODEL")
    add_network(parser, default=None)
    parser.add_argument(
        "--drive", metavar="SOURCE", help=f"run on {FRAMES} frames of this recording instead of noise"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    from vbp.engine import Engine, open_network
    from vbp.model_check import check_model

    network = open_network(chosen_network(args))
    engine = Engine(network, device=args.device)
    found = check_model(engine, _frames(args.drive) if args.drive else ())
    facts = summary(engine, found)
    if args.json:
        print_json(facts)
    else:
        print_text(engine, found, facts)
    return 0


def _frames(source: str) -> list[Image]:
    with open_drive(source, OpenOptions()) as drive:
        spread = np.linspace(0, len(drive) - 1, FRAMES).astype(int).tolist()
        found: list[Image] = []
        for i in dict.fromkeys((*spread, *range(min(len(drive), TRIES)))):  # of a drive with gaps, others
            frame = read_frame(drive, i)
            if frame.image is not None:
                found.append(frame.image)
            if len(found) == min(FRAMES, len(drive)):
                break
    if not found:
        raise VbpError(f"none of the frames of {source} can be shown: {frame.gap}")
    return found


def summary(engine: Engine, found: ModelCheck) -> dict[str, Any]:
    """What --json prints. Milliseconds of one frame, the fastest of several runs."""
    spec = engine.spec
    return {
        "name": spec.name,
        "file": str(engine.network.path) if engine.network.path else None,
        "trained": engine.network.trained,
        "assumed": engine.network.assumed,
        "left_out": engine.network.unused,
        "device": engine.device,
        "input": {
            "channels": spec.channels,
            "height": spec.input_height,
            "width": spec.input_width,
            "colour": colour_of(spec),
            "mean": spec.mean,
            "std": spec.std,
            "crop": asdict(spec.crop),
            "resize": spec.resize,
            "resize_to": list(spec.resize_to),
            "blur": spec.blur,
            "order": list(spec.order),
        },
        "output": {
            "meaning": spec.output,
            "unit": spec.output_unit,
            "sign": spec.output_sign,
            "index": spec.output_index,
            "scale": spec.output_scale,
            "offset": spec.output_offset,
            "bins": list(spec.output_bins),
            "ranges": [list(r) for r in found.outputs],
        },
        "forward_ms": found.forward_ms,
        "parameters": sum(layer.parameters for layer in found.layers),
        "layers": [{k: v for k, v in asdict(layer).items() if v not in (None, ())} for layer in found.layers],
        "methods": [asdict(method) for method in found.methods],
        "notes": list(found.notes),
    }


def print_text(engine: Engine, found: ModelCheck, facts: dict[str, Any]) -> None:
    from vbp.engine import describe_device

    spec = engine.spec
    print(f"{spec.name}, {facts['parameters']:,} parameters, on {describe_device(engine.device)}")
    print(f"in   {_input(spec)}")
    print(f"out  {_output(spec, len(found.outputs))}")
    rows: list[tuple[str, ...]] = [("layer", "operation", "output", "sees", "parameters")]
    for layer in found.layers:
        what = layer.operation
        if layer.inputs:
            what += f"  <- {', '.join(layer.inputs)}"
        sees = f"{layer.field[0]}x{layer.field[1]}" if layer.field else "?"
        size = "x".join(str(n) for n in layer.output)
        rows.append((layer.name, what, size, sees, f"{layer.parameters:,}" if layer.parameters else ""))
    print()
    _table(rows, right=(2, 3, 4))
    print(f"\nforward pass {found.forward_ms:.2f} ms a frame ({engine.path_text})\n")
    costs: list[tuple[str, ...]] = [("method", "ms", "of forward", "")]
    for method in found.methods:
        if not method.works:
            costs.append((method.name, "-", "", method.reason))
        elif method.ms is None or method.of_forward is None:
            costs.append((method.name, "slow", "", "not measured: it runs the network hundreds of times"))
        else:
            costs.append((method.name, f"{method.ms:.2f}", f"{method.of_forward:.2f}", ""))
    _table(costs, right=(1, 2))
    if found.notes:
        print()
    for note in found.notes:
        print(f"note: {note}")


def _input(spec: NetworkSpec) -> str:
    colour = colour_of(spec)
    colours = colour if spec.channels == 1 else colour.upper()
    x, y, w, h = spec.crop.rect
    crop = {
        "none": "the whole frame",
        "bottom": f"the bottom {spec.crop.rows} rows of a frame {spec.crop.of_width} wide",
        "rect": f"the part {', '.join(f'{v:g}' for v in spec.crop.rect)} of the frame",
        "pixels": f"rows {y:g} to {y + h:g} and columns {x:g} to {x + w:g} of a frame of {spec.crop.of_width}x{spec.crop.of_height}",
    }[spec.crop.kind]
    means = np.atleast_1d(spec.mean), np.atleast_1d(spec.std)
    ends = [
        " ".join(f"{(v - m) / s:.3g}" for m, s in zip(*np.broadcast_arrays(*means), strict=True))
        for v in (0, 1)
    ]
    text = f"{spec.input_height}x{spec.input_width} {colours} of {crop}; black is {ends[0]}, white {ends[1]}"
    if spec.order != ORDER and spec.order != tuple(step for step in ORDER if step != "blur"):
        text += f"; first {', then '.join(step for step in spec.order if step != 'blur' or spec.blur)}"
    if spec.resize_to:
        text += f"; scaled to {spec.resize_to[0]}x{spec.resize_to[1]} before the crop"
    if spec.resize != AUTO:
        text += f"; scaled by {spec.resize}"
    return text + (f"; blurred over {spec.blur}x{spec.blur}" if spec.blur else "")


def colour_of(spec: NetworkSpec) -> str:
    """Of one channel, all but a few names mean the same grey."""
    return spec.colour if spec.channels == 3 or spec.colour in ("grey-pil", "hsv-s") else "grey"


def _output(spec: NetworkSpec, count: int) -> str:
    if spec.is_classifier:
        return f"the scores of {count} classes" + (f": {', '.join(spec.classes[:6])}" if spec.classes else "")
    scale = f" times {spec.output_scale:g}" if spec.output_scale != 1 else ""
    which = f"number {spec.output_index} of {count}" if count > 1 else "one number"
    if spec.output_bins:
        reading = {"expected": "the mean", "largest": "the likeliest"}[spec.output_reading]
        which = f"{reading} of {len(spec.output_bins)} bins, from number {spec.output_index} of {count} on,"
    if spec.output_offset:
        which += f" less {spec.output_offset:g}"
    meaning = (
        "the inverse turning radius in 1/m"
        if spec.output_unit == "1/m"
        else f"the angle in {spec.output_unit}"
    )
    return f"{which}{scale} is {meaning}, {spec.output_sign} positive"


def _table(rows: list[tuple[str, ...]], right: tuple[int, ...]) -> None:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.rjust(width) if k in right else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
