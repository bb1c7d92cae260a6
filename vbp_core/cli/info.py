"""`vbp info`: what a recording contains, and what was assumed about it."""

from __future__ import annotations

import argparse
from typing import Any

from vbp.cli.common import add_source, open_source
from vbp.cli.main import print_json
from vbp.drives.opening import accepted
from vbp.drives.summary import summary
from vbp.errors import VbpError
from vbp.readable import how_long, printable, signed

CLASSES_LISTED = 50
LISTED = 20  # of holes, and of gaps


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source(parser, needed=False)
    parser.add_argument(
        "--formats", action="store_true", help="the kinds of recordings that are opened, and nothing else"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    if args.formats:
        return print_formats(args.json)
    if args.source is None:
        raise VbpError("SOURCE is missing: give the path of a recording, or --formats for what is read")
    with open_source(args) as drive:
        facts = summary(drive)
    if args.json:
        print_json(facts)
    else:
        print_text(facts)
    return 0


def print_formats(as_json: bool) -> int:
    formats = accepted()
    if as_json:
        print_json(formats)
    else:
        for name, what in formats.items():
            print(f"{name:<18} {what}")
    return 0


def print_text(facts: dict[str, Any]) -> None:
    rows = [
        ("recording", facts["path"]),
        ("kind", facts["kind"]),
        ("frames", f"{facts['frames']}, {facts['labelled_frames']} with a measured angle"),
        ("duration", duration_text(facts)),
        ("picture", f"{facts['width']} x {facts['height']}"),
    ]
    if counts := facts["class_frames"]:
        rows[2] = ("frames", str(facts["frames"]))
        listed = ", ".join(f"{name} ({n})" for name, n in list(counts.items())[:CLASSES_LISTED])
        more = (
            f" and {len(counts) - CLASSES_LISTED} more; --json lists them"
            if len(counts) > CLASSES_LISTED
            else ""
        )
        rows.append(("classes", f"{len(counts)}, with pictures: {listed}{more}"))
    if facts["camera"]:
        others = [c for c in facts["cameras"] if c != facts["camera"]]
        rows.append(("camera", facts["camera"] + (f" (also: {', '.join(others)})" if others else "")))
    if facts["angle_deg_min"] is not None:
        rows.append(
            (
                "angle",
                f"{signed(facts['angle_deg_min'], 2)}° to {signed(facts['angle_deg_max'], 2)}°, left positive",
            )
        )
    if facts["angle_unit"]:
        rows.append(
            ("steering", f"in {facts['angle_unit']}, {facts['angle_sign']} positive: {facts['angle_source']}")
        )
    if facts["speed_mps_min"] is not None:
        rows.append(("speed", f"{facts['speed_mps_min']:.1f} to {facts['speed_mps_max']:.1f} m/s"))
    for hole in facts["holes"][:LISTED]:
        after, long = hole["after_frame"], hole["seconds"]
        rows.append(
            ("hole", f"{how_long(long)} ({long:.1f} s) without a frame after frame {after}; it is jumped")
        )
    if len(facts["holes"]) > LISTED:
        rows.append(("holes", f"{len(facts['holes']) - LISTED} more; --json lists them"))
    for gap in facts["gaps"][:LISTED]:
        rows.append(("gap", f"frames {gap['first']} to {gap['last']}: {gap['reason']}"))
    if len(facts["gaps"]) > LISTED:
        rows.append(("gaps", f"{len(facts['gaps']) - LISTED} more; --json lists them"))
    rows += [("note", note) for note in facts["notes"]]
    for name, value in rows:
        print(f"{name:<10} {printable(str(value))}")


def duration_text(facts: dict[str, Any]) -> str:
    holes = len(facts["holes"])
    text = f"{facts['played_s']:.2f} s at {facts['fps']:.2f} frames per second"
    with_all = "the hole" if holes == 1 else f"{holes} holes"
    return text + (f" ({facts['duration_s']:.2f} s with {with_all} in time)" if holes else "")
