"""`vbp find`: frames, findings or drives of an indexed fleet, by a condition, by SQL, or those like one frame."""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from vbp.cli.main import print_json
from vbp.errors import VbpError
from vbp.files import whole_file
from vbp.processes import python_command
from vbp.readable import cell, printable

if TYPE_CHECKING:
    import pyarrow as pa

    from vbp.fleet.dataset import Fleet

STDOUT = Path("-")
INTERMIXED = True
ROWS = 20  # printed; the files hold all
TABLES = ("frames", "findings", "drives")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="what vbp index wrote")
    parser.add_argument(
        "condition",
        nargs="?",
        default="",
        metavar="CONDITION",
        help="such as: error_deg > 8 AND speed_mps > 10; the columns are in docs/fleet.md (default: all)",
    )
    parser.add_argument(
        "--in", dest="table", choices=TABLES, default="frames", help="which table (default: frames)"
    )
    parser.add_argument("--order", default="", metavar="BY", help="such as: abs(error_deg) DESC")
    parser.add_argument(
        "--limit", type=int, metavar="N", help=f"at most N rows (default: {ROWS} printed, all written)"
    )
    parser.add_argument(
        "--sql", metavar="SELECT", help="a whole question instead, to the tables frames, findings and drives"
    )
    parser.add_argument(
        "--like",
        metavar="DRIVE:FRAME",
        help="the frames most like this one to network A: by its mask and last hidden layer",
    )
    parser.add_argument(
        "-o", "--csv", dest="output", type=Path, metavar="FILE.csv", help="write them to a table; - prints it"
    )
    parser.add_argument("--json", action="store_true", help="print them as JSON")
    parser.add_argument("--open", action="store_true", help="open the window at the first of them")
    parser.add_argument("--force", action="store_true", help="replace a file that vbp did not write")


def run(args: argparse.Namespace) -> int:
    from vbp.fleet.needs import need

    need("pyarrow", "duckdb")
    from vbp.fleet.dataset import open_fleet

    if sum(map(bool, (args.sql, args.like, args.condition))) > 1:
        raise VbpError("give one of a condition, --sql and --like")
    fleet = open_fleet(args.folder)
    if not len(fleet.keys) and args.table != "drives":
        more = f"; {fleet.unfinished} drives are begun" if fleet.unfinished else ""
        raise VbpError(f"{args.folder} holds no indexed drive{more}: vbp index DRIVES -o {args.folder}")
    found, total = _found(args, fleet)
    if args.output is not None:
        _write(args, fleet, found)
    elif args.json:
        print_json(found.to_pylist())
    elif not len(found):
        print(f"nothing was found in {len(fleet.keys)} drives")
    else:
        from vbp.fleet.find import lines

        for line in lines(found):
            print(line)
        if total > len(found):
            print(f"and {total - len(found):,} more: --limit prints more, --csv writes all")
    if args.open:
        _open(fleet, found)
    return 0


def _found(args: argparse.Namespace, fleet: Fleet) -> tuple[pa.Table, int]:
    """The rows that are wanted, and how many there are."""
    from vbp.fleet.find import count, question

    whole = args.output is not None or args.json
    most = args.limit if args.limit is not None or whole else ROWS
    if most is not None and most < 0:
        raise VbpError(f"--limit {most} cannot be; give a number of rows")
    if args.like:
        from vbp.fleet.alike import alike

        found = alike(fleet, args.like, most or ROWS)
        return found, len(found)
    if args.sql:
        found = fleet.sql(args.sql)
        return found[:most], len(found)
    found = fleet.sql(question(fleet, args.condition, args.table, args.order, most))
    whole |= most is None or len(found) < most
    return found, len(found) if whole else count(fleet, args.condition, args.table)


def _write(args: argparse.Namespace, fleet: Fleet, found: pa.Table) -> None:
    if args.output == STDOUT:
        _write_rows(sys.stdout, found)
        return
    with (
        whole_file(args.output, _is_ours, fleet.folder, args.force) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        _write_rows(file, found)
    print(f"{len(found):,} rows written to {printable(str(args.output))}")


def _write_rows(file: TextIO, found: pa.Table) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(found.column_names)
    for batch in found.to_batches():
        for row in batch.to_pylist():
            writer.writerow(map(cell, row.values()))


def _is_ours(path: Path) -> bool:
    """An empty file is nobody's; what a question gave has any columns."""
    return path.stat().st_size == 0


def _open(fleet: Fleet, found: pa.Table) -> None:
    """The window, at the first row's drive and frame."""
    if not len(found):
        return
    row: dict[str, Any] = found[:1].to_pylist()[0]
    frame = next((row[name] for name in ("peak_frame", "frame") if row.get(name) is not None), None)
    if not row.get("drive") or frame is None:
        raise VbpError("--open needs the columns drive and frame; ask for them")
    if not os.path.exists(row["drive"]):
        raise VbpError(f"{row['drive']} is not there any more, so it cannot be opened")
    options, side = fleet.settings.options, fleet.settings.sides[0]
    command = [row["drive"], "--frame", str(frame), "--model", side.source]
    for name, value in (
        ("--camera", options.camera),
        ("--angle-unit", options.angle_unit),
        ("--angle-sign", options.angle_sign),
        ("--steering", options.steering),
        ("--speed", options.speed),
        ("--fps", options.fps),
    ):
        command += [name, str(value)] if value is not None else []
    subprocess.run(python_command("vbp.app.main", *command), check=False)
