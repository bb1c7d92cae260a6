"""`vbp models`: the networks known by name."""

from __future__ import annotations

import argparse

from vbp.cli.main import print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    from vbp.models.known import available

    rows = []
    for entry in available():
        spec = entry.spec()
        rows.append(
            {
                "name": entry.name,
                "note": entry.note,
                "input": f"{spec.input_height}x{spec.input_width}",
                "weights": str(entry.path) if entry.path else None,
                "trained_on": spec.trained_on,
            }
        )
    if args.json:
        print_json(rows)
    else:
        for row in rows:
            print(f"{row['name']:<12} {row['input']:<10} {row['note']}")
    return 0
