"""`vbp import-weights`: published weights of a large network as a .safetensors file that vbp opens."""

from __future__ import annotations

import argparse
from pathlib import Path

from vbp.cli.common import whole_file
from vbp.cli.main import print_json
from vbp.models.known import PUBLISHED, SPECS
from vbp.readable import printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        type=Path,
        metavar="FILE",
        help="weights by torchvision or timm (.pth, .safetensors), or Torch7 (.t7)",
    )
    parser.add_argument(
        "--network", required=True, choices=PUBLISHED, metavar="NAME", help=f"one of: {', '.join(PUBLISHED)}"
    )
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="FILE.safetensors", help="the file to write"
    )
    parser.add_argument("--name", default="", help="the name to show for the network")
    parser.add_argument("--half", action="store_true", help="store weights in 16 bits, at half the size")
    parser.add_argument("--force", action="store_true", help="replace a file that vbp did not write")
    parser.add_argument("--json", action="store_true", help="print a summary as JSON")


def run(args: argparse.Namespace) -> int:
    from vbp.cli.import_torch7 import is_network
    from vbp.models.network import save_checkpoint
    from vbp.models.published import load_published

    network, how = load_published(args.source, SPECS[args.network](), args.name)
    with whole_file(args.output, is_network, args.source, args.force) as temporary:
        save_checkpoint(network, temporary, half=args.half)
    spec = network.spec
    if args.json:
        print_json(
            {"output": str(args.output), "name": spec.name, "matched": how, "arguments": spec.arguments}
        )
    else:
        print(
            f"{spec.name} ({spec.input_height}x{spec.input_width} input) written to {printable(str(args.output))}: {how}"
        )
    return 0
