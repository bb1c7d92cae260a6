"""`vbp export-network`: a network as an ONNX file, with its mask as a second output."""

from __future__ import annotations

import argparse
from pathlib import Path

from vbp.cli.common import add_network, chosen_network
from vbp.cli.main import print_json
from vbp.readable import printable

LARGEST = 8192  # pixels along a side


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("network", nargs="?", metavar="MODEL", help="the same as --model MODEL")
    add_network(parser, default=None, device=False)
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="FILE.onnx", help="the file to write"
    )
    parser.add_argument(
        "--mask", action="store_true", help="put out VisualBackProp's mask, too; it needs no gradient"
    )
    parser.add_argument(
        "--with-preprocessing",
        type=_size,
        metavar="WxH",
        help="take a camera's pictures of that size, uint8 RGB, and crop, scale and colour them inside",
    )
    parser.add_argument("--force", action="store_true", help="replace a file that vbp did not write")
    parser.add_argument("--json", action="store_true", help="print a summary as JSON")


def run(args: argparse.Namespace) -> int:
    from vbp.engine import open_network
    from vbp.export.network import write_network

    network = open_network(chosen_network(args))
    facts = write_network(network, args.output, args.mask, args.with_preprocessing, args.force)
    if args.json:
        print_json(facts)
        return 0
    taken = facts["input"]
    size = "x".join(str(n) for n in (facts["batch"] or "N", *taken["size"]))
    print(f"{args.output}: {printable(network.spec.name)}, ONNX opset {facts['opset']}")
    print(f"in   {taken['name']} {size}, {taken['type']}")
    print(f"out  {', '.join(facts['outputs'])}")
    if not network.trained:
        print("note: its weights are random")
    return 0


def _size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT -> (height, width)."""
    parts = text.lower().split("x")
    numbers = [int(part) for part in parts if part.isascii() and part.isdecimal() and len(part) < 6]
    if len(numbers) != 2 or len(parts) != 2 or not all(0 < n <= LARGEST for n in numbers):
        raise argparse.ArgumentTypeError(f"{text!r} is no size of a picture, like 640x480, up to {LARGEST}")
    return numbers[1], numbers[0]
