"""`vbp clusters`: groups of findings of a fleet in which the network looked at the same thing."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from vbp.cli.main import print_json
from vbp.readable import count, printable, signed

if TYPE_CHECKING:
    from vbp.fleet.clusters import Clusters


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="what vbp index wrote")
    parser.add_argument("--json", action="store_true", help="print them as JSON, with the findings of each")


def run(args: argparse.Namespace) -> int:
    from vbp.fleet.needs import need

    need("pyarrow", "sklearn")
    from vbp.fleet.clusters import find_clusters
    from vbp.fleet.dataset import open_fleet

    found = find_clusters(open_fleet(args.folder))
    if args.json:
        rows = found.rows.select(["drive", "peak_frame", "kind", "error_deg"]).to_pylist()
        print_json(
            {
                "clusters": [asdict(c) for c in found.clusters],
                "findings": [
                    row | {"cluster": int(label), "x": float(x), "y": float(y)}
                    for row, label, (x, y) in zip(rows, found.labels, found.points, strict=True)
                ],
            }
        )
        return 0
    for line in _lines(found):
        print(printable(line))
    return 0


def _lines(found: Clusters) -> Iterator[str]:
    if not found.clusters:
        yield f"{len(found.rows)} findings, and no group of them that is denser than the rest"
    for c in found.clusters:
        kinds = ", ".join(f"{n} {kind}" for kind, n in c.kinds.items())
        yield (
            f"cluster {c.label}: {count(c.size, 'finding')} ({100 * c.share:.0f} %) in {count(c.drives, 'drive')}: {kinds}; "
            f"mean |error| {c.mean_error:.1f}°"
        )
        row = found.rows[c.middle : c.middle + 1].to_pylist()[0]
        yield f"    in its middle: frame {row['peak_frame']} of {row['drive']}"
        for u in c.unlike:
            yield f"    {u.name} {u.inside:.3g}, of the rest {u.outside:.3g} ({signed(u.deviations)} standard deviations)"
    alone = int((found.labels < 0).sum())
    if found.clusters and alone:
        yield f"{count(alone, 'finding')} in none of them"
