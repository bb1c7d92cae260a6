"""`vbp findings`: the moments of a recording that are worth looking at, the heaviest first."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from vbp.cli import class_tables
from vbp.cli.common import (
    add_crop,
    add_frames,
    add_network,
    add_source,
    open_source,
    options_of,
)
from vbp.cli.export import Reporter
from vbp.cli.main import print_json
from vbp.cli.numbers import number
from vbp.cli.overlay import add_overlay, overlay_of
from vbp.errors import VbpError
from vbp.export.job import Job, Part, Settings
from vbp.export.registry import CLIPS, export
from vbp.findings.find import Findings, find
from vbp.findings.finding import Finding, Observed
from vbp.findings.kinds import KINDS, MASKS, STRENGTHS
from vbp.findings.observe import observe, request_for
from vbp.findings.reel import reel_parts
from vbp.findings.table import core_words, peak_words, write_csv
from vbp.frames import run_frames
from vbp.frames.choosing import choose_frames
from vbp.frames.running import CACHE_BYTES
from vbp.frames.table import FrameTable
from vbp.overlay import Overlay
from vbp.readable import clock, how_long, printable

ROWS = 20  # printed; the files hold all


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    add_network(parser)
    add_crop(parser)
    add_frames(parser)
    parser.add_argument(
        "--kinds",
        type=_kinds,
        metavar="A,B",
        help=f"only these kinds: {'; '.join(f'{name} ({k.meaning})' for name, k in KINDS.items())}".replace(
            "%", "%%"
        ),
    )
    parser.add_argument(
        "--threshold",
        action="append",
        default=[],
        type=_threshold,
        metavar="VALUE",
        help="degrees from which on an error counts, or a percentile of the drive's own as 95%%, or KIND=NUMBER "
        "for another kind, in its unit (default: what fits the drive)",
    )
    parser.add_argument("--csv", type=Path, metavar="FILE.csv", help="write all of them to a table")
    parser.add_argument(
        "--reel",
        type=Path,
        metavar="FILE.mp4",
        help="one clip of them with their masks, the heaviest first, a title before each",
    )
    add_overlay(parser.add_argument_group("masks of the reel"), without=("threshold",))
    parser.add_argument("--force", action="store_true", help="replace a file that vbp did not write")
    parser.add_argument("--all", action="store_true", help=f"print and show all of them, not only {ROWS}")
    parser.add_argument("--json", action="store_true", help="print them as JSON")


def _kinds(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in KINDS]:
        raise argparse.ArgumentTypeError(
            f"there is no kind {unknown[0]!r}; accepted: {', '.join(KINDS)}, with commas between"
        )
    return names


def _threshold(text: str) -> tuple[str, float]:
    """(kind, number); of a percentile "%"."""
    name, equals, value = text.rpartition("=")
    name = name.strip() if equals else "error"
    if name == "error" and value.endswith("%"):
        percent = number(value[:-1])
        if not 0 < percent < 100:
            raise argparse.ArgumentTypeError(f"{text} is no percentile; give one between 0% and 100%, as 95%")
        return "%", percent
    if name not in KINDS:
        raise argparse.ArgumentTypeError(f"there is no kind {name!r}; accepted: {', '.join(KINDS)}")
    if not number(value) > 0:
        raise argparse.ArgumentTypeError(f"{text} is no threshold; give a number above 0")
    return name, number(value)


def run(args: argparse.Namespace) -> int:
    from vbp.engine import Engine, open_network

    given = dict(args.threshold)
    percentile = given.pop("%", None)
    if args.reel is not None and args.reel.suffix.lower() not in CLIPS:  # before a pass of minutes
        raise VbpError(f"{args.reel} cannot be a reel; end its name in one of {', '.join(CLIPS)}")
    overlay = overlay_of(args, without=("threshold",))
    network = open_network(args.model)
    with open_source(args) as drive:
        indices = choose_frames(drive, args.frames, args.min_speed)
        class_tables.warn_of_unknown_folders(drive, network)
        drive.limit_cache(CACHE_BYTES)
        masks = any({MASKS, STRENGTHS} & set(KINDS[name].needs) for name in args.kinds or KINDS)
        table = FrameTable(drive, network.spec)
        engine = Engine(network, args.device, crop=args.crop)
        with closing(run_frames(drive, [engine], request_for(masks), indices)) as frames:
            seen = observe(drive, table, tqdm(frames, total=len(indices), unit="frame", disable=None))
        found = find(seen, args.kinds, given, percentile)
        if args.csv is not None:
            write_csv(args.csv, found.found, drive.info.name, engine.name, Path(args.source), args.force)
        start = int(drive.timestamps_ns[0]) if len(drive) else 0
        parts = reel_parts(found.found[: None if args.all else ROWS], drive.timestamps_ns, seen.of_classes)
    if args.reel is not None:
        _make_reel(args, [Part(*part) for part in parts], overlay)
    if args.json:
        print_json(
            {
                "source": str(drive.info.path),
                "model": engine.name,
                "trained": network.trained,
                "frames": len(seen),
                "gaps": len(table.gaps),
                "thresholds": {k: {"value": v, "unit": _unit(k, seen)} for k, v in found.thresholds.items()},
                "left_out": found.left_out,
                "findings": [asdict(f) | {"error_deg": f.error_deg} for f in found.found],
            }
        )
        return 0
    for line in _lines(found, seen, start, None if args.all else ROWS):
        print(line)
    for path in (args.csv, args.reel if parts else None):
        if path is not None:
            print(f"written to {printable(str(path))}")
    if not network.trained:
        print(f"{network.spec.name} has random weights: these findings mean nothing; give a trained network")
    return 0


def _make_reel(args: argparse.Namespace, parts: list[Part], overlay: Overlay) -> None:
    """Where nothing was found, nothing is written, which the caller says."""
    if not parts:
        return
    first, last = min(p.first for p in parts), max(p.last for p in parts)
    source = Path(args.source).expanduser()
    job = Job(
        *(source, options_of(args), args.model, args.device, args.reel, first, last),
        force=args.force,
        settings=Settings(overlay=overlay),
        crop=args.crop,
        parts=tuple(parts),
    )
    with Reporter(as_json=False) as reporter:
        export(job, reporter.progress)


def _unit(kind: str, seen: Observed) -> str:
    return "%" if seen.of_classes and kind == "error" else KINDS[kind].unit


def _unit_text(kind: str, seen: Observed) -> str:
    unit = _unit(kind, seen)
    return unit if unit == "°" else f" {unit}"


def _notes(finding: Finding) -> str:
    cores = core_words(finding)
    return "; ".join([", ".join(finding.also)] * bool(finding.also) + [f"worst in {cores}"] * bool(cores))


def _lines(found: Findings, seen: Observed, start_ns: int, most: int | None) -> Iterator[str]:
    if found.found:
        yield f"{'start':>9}{'frames':>15}{'length':>9}  {'kind':<17}{'at its peak':<24}{'frame':>7}{'speed':>10}  also"
    for f in found.found[:most]:
        speed = f"{f.speed_mps:.1f} m/s" if f.speed_mps == f.speed_mps else "–"
        yield (
            f"{clock((f.start_ns - start_ns) / 1e9):>9}{f'{f.start}–{f.end}':>15}{how_long(f.seconds):>9}  "
            f"{KINDS[f.kind].title:<17}{peak_words(f):<24}{f.peak:>7}{speed:>10}  {_notes(f)}"
        ).rstrip()
    if most is not None and len(found.found) > most:
        yield f"and {len(found.found) - most} lighter ones: --all prints them, --csv and --json hold them"
    if not found.found:
        yield f"nothing was found in {len(seen)} frames"
    looked = [f"{name} {value:.3g}{_unit_text(name, seen)}" for name, value in found.thresholds.items()]
    if looked:
        yield f"looked for, from: {', '.join(looked)}"
    for why in dict.fromkeys(found.left_out.values()):
        names = [name for name, reason in found.left_out.items() if reason == why]
        yield f"not looked for: {', '.join(names)}, as {why}"
