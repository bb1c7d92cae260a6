"""`vbp compare-fleet`: where network B is worse than A in a fleet, by how much, and how sure that is; with an exit status for CI."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from vbp.cli.compare import WORSE, limit
from vbp.cli.main import print_json
from vbp.errors import VbpError
from vbp.readable import count, printable, signed

if TYPE_CHECKING:
    from vbp.fleet.compare import FleetComparison

ROWS = 10  # of drives, and of stretches of each kind, that are printed; --json has all


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER", help="what vbp index --model A --model B wrote"
    )
    parser.add_argument("--json", action="store_true", help="print all numbers, drives and stretches as JSON")
    parser.add_argument(
        "--all", action="store_true", help=f"print all drives and stretches, not {ROWS} of each"
    )
    parser.add_argument(
        "--fail-if-worse",
        type=limit,
        metavar="N",
        help="exit with 1 where B's RMSE is larger than A's by more than N, as 0.2deg, and where B puts out no number on a "
        "frame where A does; what was measured on these drives decides, not its interval",
    )


def run(args: argparse.Namespace) -> int:
    from vbp.fleet.needs import need

    need("pyarrow")
    from vbp.fleet.compare import compare_fleet
    from vbp.fleet.dataset import open_fleet

    if args.fail_if_worse is not None and args.fail_if_worse[1] != "°":
        raise VbpError("--fail-if-worse: the networks predict an angle; give degrees, as 0.2deg")
    fleet = open_fleet(args.folder)

    def watch(keys: list[str]) -> Iterable[str]:
        bar: Iterable[str] = tqdm(keys, unit="drive", disable=None)
        return bar

    found = compare_fleet(fleet, watch=watch)
    failed = _failed(args, found)
    if args.json:
        print_json(_numbers(found, fleet.settings.names))
    else:
        for side, name in zip(fleet.settings.sides, "AB", strict=True):
            print(
                printable(
                    f"{name}: {side.name}, {side.source}" + ("" if side.trained else ", random weights")
                )
            )
        for line in _lines(found, None if args.all else ROWS):
            print(printable(line))
    if failed:
        print(f"vbp: {failed}", file=sys.stderr)
    return WORSE if failed else 0


def _failed(args: argparse.Namespace, found: FleetComparison) -> str:
    """Why --fail-if-worse fails, one sentence, or "". Raises VbpError where it cannot be decided."""
    if args.fail_if_worse is None:
        return ""
    if found.lost:
        return f"B is worse: it puts out no number on {count(found.lost, 'frame')} where A does"
    if not found.measures:
        raise VbpError(
            "--fail-if-worse cannot decide: no frame has a measured angle and a prediction of both networks"
        )
    most, measure = args.fail_if_worse[0], found.measures["rmse"]
    if measure.worse_by <= most:
        return ""
    sure = (
        ""
        if measure.change.shows_a_difference
        else ", though these drives do not show that it is more than chance"
    )
    return f"B is worse: its RMSE by {measure.worse_by:.3g}°, more than {most:g}°{sure}"


def _numbers(found: FleetComparison, names: list[str]) -> dict[str, Any]:
    return {
        "networks": dict(zip("AB", names, strict=True)),
        "frames": found.frames,
        "measures": {name: asdict(m) for name, m in found.measures.items()},
        "thresholds": found.thresholds,
        "drives": [asdict(d) for d in found.drives],
        "stretches": [{"drive": path} | asdict(f) for path, f in found.stretches],
    }


def _lines(found: FleetComparison, most: int | None) -> Iterator[str]:
    from vbp.comparing.moments import KINDS, peak_words
    from vbp.comparing.report import interval_words

    known = [d for d in found.drives if d.frames]
    if not known:
        yield "no frame has a measured angle and a prediction of both networks"
    else:
        yield f"{'':<14}{'A':<25}{'B':<25}B − A"
        for m in found.measures.values():
            a, b = (interval_words(e, m.unit) for e in (m.a, m.b))
            yield f"{m.title:<14}{a:<25}{b:<25}{interval_words(m.change, m.unit, signs=True)}"
        of = f"{count(len(known), 'drive')}, {found.frames:,} frames"
        if found.has_intervals:
            yield f"in brackets: 95 % intervals, of {of}: whole drives were drawn, as the frames of one are alike"
        else:
            yield f"of {of}: too few drives to say how sure that is"
        yield f"B is worse in {sum(d.rmse_b > d.rmse_a for d in known)} of {count(len(known), 'drive')}; by most in:"
        yield f"{'A':>9}{'B':>9}{'B − A':>9}{'frames':>9}  drive"
        for d in known[:most]:
            change = signed(d.rmse_b - d.rmse_a, 2)
            yield f"{d.rmse_a:>8.2f}°{d.rmse_b:>8.2f}°{change:>8}°{d.frames:>9}  {d.drive}"
    for name, kind in KINDS.items():
        stretches = [(path, f) for path, f in found.stretches if f.kind == name]
        if not stretches:
            continue
        where = count(len({path for path, _ in stretches}), "drive")
        yield f"{kind.title} ({kind.meaning}): {count(len(stretches), 'moment')} in {where}"
        for path, f in stretches[:most]:
            yield f"{peak_words(f):>9} at frame {f.peak:<8} ({f.start}–{f.end})  {path}"
