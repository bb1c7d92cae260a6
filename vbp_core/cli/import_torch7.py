"""`vbp import-torch7`: turn a Torch7 steering network into a .safetensors file."""

from __future__ import annotations

import argparse
from pathlib import Path

from vbp.cli.common import whole_file
from vbp.cli.main import print_json
from vbp.errors import ModelError
from vbp.readable import printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="MODEL.t7b", help="the Torch7 file")
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="FILE.safetensors", help="the file to write"
    )
    parser.add_argument("--name", default="", help="the name to show for the network")
    parser.add_argument("--force", action="store_true", help="replace a file that vbp did not write")
    parser.add_argument("--json", action="store_true", help="print the network's specification as JSON")


def run(args: argparse.Namespace) -> int:
    from vbp.models.network import save_checkpoint
    from vbp.models.torch7 import import_torch7

    network = import_torch7(args.source, args.name)
    with whole_file(args.output, is_network, args.source, args.force) as temporary:
        save_checkpoint(network, temporary)
    spec = network.spec
    if args.json:
        print_json({"output": str(args.output), "name": spec.name, "arguments": spec.arguments})
    else:
        print(
            f"{spec.name} ({spec.input_height}x{spec.input_width} input) written to {printable(str(args.output))}"
        )
    return 0


def is_network(path: Path) -> bool:
    """Whether an existing file is empty or a network that vbp wrote."""
    from vbp.models.network import load_checkpoint

    if path.stat().st_size == 0:
        return True
    try:
        load_checkpoint(path)
    except ModelError:
        return False
    return True
