"""`vbp compare`: two networks on the same frames, as words, a report, JSON, and an exit status for tests that run by themselves."""

from __future__ import annotations

import argparse
import json
import math
import re
import shlex
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from vbp.cli import class_tables
from vbp.cli.common import add_crop, add_frames, add_source, open_source, whole_file
from vbp.cli.main import clean
from vbp.comparing.moments import KINDS, peak_words
from vbp.comparing.origin import Origin, origin_of
from vbp.comparing.pair import check_alike, compare_frames
from vbp.comparing.report import TITLE, html, interval_words, pictures, worth_showing
from vbp.comparing.summary import Comparison, conclude, lost, numbers, sentences
from vbp.drives import Drive
from vbp.errors import VbpError
from vbp.files import check_target
from vbp.frames.choosing import choose_frames
from vbp.frames.running import CACHE_BYTES
from vbp.readable import clock, how_long, printable, signed
from vbp.results import FrameResult

if TYPE_CHECKING:
    from vbp.engine import Engine
    from vbp.models.network import Network


ROWS = 20  # stretches that are printed; the files hold all
SEED = 0
WORSE = 1  # the exit status
NUMBER = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(deg|°|rad|%)\s*")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="M",
        help="a network's name, its file, or package.module:factory, each as M?weights=FILE&spec=FILE.toml where it needs them; "
        "given twice: A, which is known, and B, which is new",
    )
    parser.add_argument(
        "--noise-floor",
        action="append",
        default=[],
        metavar="M",
        help="a network that differs from A by chance alone, as one trained with another seed; may be given several times: "
        "how B differs from A is then read beside how it does",
    )
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:1, mps")
    add_crop(parser)
    add_frames(parser)
    parser.add_argument(
        "-o", "--output", type=Path, metavar="REPORT.html", help="write a report, one HTML file"
    )
    parser.add_argument(
        "--json",
        metavar="FILE",
        help="write all numbers, also those of each frame, as JSON; - prints them instead",
    )
    parser.add_argument("--force", action="store_true", help="replace files that vbp did not write")
    parser.add_argument(
        "--fail-if-worse",
        type=limit,
        metavar="N",
        help="exit with 1 where B's RMSE is larger than A's by more than N, as 0.2deg (or rad); of classifiers, where fewer are "
        "right by more than N, as 1%%; and where B puts out no number on a frame where A does. What was measured on these "
        "frames decides, not its interval: the same frames give the same answer, and a short drive does not pass for being short",
    )


def limit(text: str) -> tuple[float, str]:
    """(degrees, "°") or (per cent, "%")."""
    match = NUMBER.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no limit; give a number with its unit, as 0.2deg, 0.003rad or 1%"
        )
    value, unit = float(match[1]), match[2]
    if unit == "%":
        return value, "%"
    return (math.degrees(value) if unit == "rad" else value), "°"


def run(args: argparse.Namespace) -> int:
    from vbp.engine import open_network

    began = time.monotonic()
    if len(args.model) != 2:
        raise VbpError(
            f"two networks are compared, and --model was given {len(args.model)} times; give --model A --model B"
        )
    targets = _targets(args)
    sources = [*args.model, *args.noise_floor]
    networks = [open_network(source) for source in sources]
    for other in networks[1:]:
        check_alike(networks[0].spec, other.spec)
    origins = [origin_of(s, n) for s, n in zip(sources, networks, strict=True)]
    with open_source(args) as drive:
        indices = choose_frames(drive, args.frames, args.min_speed)
        class_tables.warn_of_unknown_folders(drive, networks[0])
        if args.fail_if_worse is not None:
            _check_limit(args, drive, networks[0], indices)
        drive.limit_cache(CACHE_BYTES)
        engines = _engines(args, networks, origins)

        def watch(frames: Iterable[FrameResult]) -> Iterable[FrameResult]:
            bar: Iterable[FrameResult] = tqdm(frames, total=len(indices), unit="frame", disable=None)
            return bar

        found = conclude(compare_frames(drive, engines, indices, watch), SEED)
        shown = (
            pictures(drive, engines, found.seen, worth_showing(found.moments.found)) if args.output else []
        )
    facts = _facts(args, origins, engines[0], indices, began)
    for path in targets:
        text = html(facts, found, shown) if path is args.output else _as_json(facts, found)
        with whole_file(path, _is_ours, Path(args.source), args.force) as temporary:
            temporary.write_text(text, encoding="utf-8")
    failed = _failed(args, found)
    if args.json == "-":
        print(_as_json(facts, found), end="")
    else:
        for line in _lines(found, origins):
            print(printable(line))
        for path in targets:
            print(f"written to {printable(str(path))}")
    if failed:
        print(f"vbp: {printable(failed)}", file=sys.stderr)
    return WORSE if failed else 0


def _targets(args: argparse.Namespace) -> list[Path]:
    """The files to write, which are looked at before minutes of work."""
    if args.output is not None and args.output.suffix.lower() not in (".html", ".htm"):
        raise VbpError(f"{args.output} is not a report's name; give a name that ends in .html")
    targets = [args.output] if args.output is not None else []
    if args.json not in (None, "-"):
        targets.append(Path(args.json))
    found = [check_target(path, _is_ours, Path(args.source), args.force) for path in targets]
    if len(set(found)) < len(found):
        raise VbpError(f"{args.output} cannot be both the report and the JSON; give two names")
    return targets


def _is_ours(path: Path) -> bool:
    """A report of ours, or its numbers; an empty file is nobody's."""
    with path.open("rb") as file:
        head = file.read(400)
    return (
        not head
        or f"<title>{TITLE}".encode() in head
        or (head.startswith(b"{") and b'"command": "vbp compare' in head)
    )


def _check_limit(
    args: argparse.Namespace, drive: Drive, network: Network, indices: NDArray[np.int64]
) -> None:
    """Raises VbpError where nothing could fail, before minutes of work."""
    _, unit = args.fail_if_worse
    classes = network.spec.is_classifier
    if (unit == "%") != classes:
        raise VbpError(
            f"--fail-if-worse: {network.spec.name} predicts {'classes; give per cent of the frames, as 1%' if classes else 'an angle; give degrees, as 0.2deg'}"
        )
    if classes:
        class_tables.labelled(drive, network, indices)
    elif not np.isfinite(drive.angle_rad[indices]).any():
        raise VbpError(
            f"{drive.info.path} has no measured steering angle on these frames, so --fail-if-worse cannot decide; "
            "choose other --frames, or a recording with steering"
        )


def _engines(args: argparse.Namespace, networks: list[Network], origins: list[Origin]) -> list[Engine]:
    """One for each network; what is the same network has the same one, which runs once."""
    from vbp.engine import Engine

    engines: list[Engine] = []
    for k, (network, origin) in enumerate(zip(networks, origins, strict=True)):
        twin = next((engines[i] for i in range(k) if origins[i].is_same_as(origin)), None)
        engines.append(twin or Engine(network, args.device, crop=args.crop))
    return engines


def _facts(
    args: argparse.Namespace, origins: list[Origin], engine: Engine, indices: NDArray[np.int64], began: float
) -> dict[str, Any]:
    from vbp.evidence.gather import versions

    names = ["A", "B", *(f"noise floor {k + 1}" for k in range(len(origins) - 2))]
    words = sys.argv[1:]
    return {
        "command": shlex.join(["vbp", "compare", *(words[1:] if words[:1] == ["compare"] else words)]),
        "source": str(args.source),
        "networks": {name: asdict(origin) for name, origin in zip(names, origins, strict=True)},
        "frames": f"{indices[0]} to {indices[-1]}, {len(indices)} of them" if len(indices) else "none",
        "seed": SEED,
        "device": engine.device,
        "seconds": time.monotonic() - began,
        "versions": versions(),
    }


def _as_json(facts: dict[str, Any], found: Comparison) -> str:
    return json.dumps(clean({**facts, **numbers(found)}), indent=1) + "\n"


def _failed(args: argparse.Namespace, found: Comparison) -> str:
    """Why --fail-if-worse fails, one sentence, or "". Raises VbpError where it cannot be decided."""
    if args.fail_if_worse is None:
        return ""
    limit, unit = args.fail_if_worse
    tight = unit if unit == "°" else f" {unit}"
    if broken := lost(found.seen)[1]:
        return f"B is worse: it puts out no number on {broken} of {len(found.seen)} frames where A does"
    measure = found.errors.main
    if measure is None:
        raise VbpError(
            "--fail-if-worse cannot decide: no frame has a truth and a prediction of both networks"
        )
    if measure.worse_by <= limit:
        return ""
    sure = (
        ""
        if measure.change.shows_a_difference
        else ", though these frames do not show that it is more than chance"
    )
    return (
        f"B is worse: its {measure.title} by {measure.worse_by:.3g}{tight}, more than {limit:g}{tight}{sure}"
    )


def _lines(found: Comparison, origins: list[Origin]) -> Iterator[str]:
    seen, errors = found.seen, found.errors
    for name, side, origin in zip("AB", (seen.a, seen.b), origins, strict=False):
        yield f"{name}: {side.name}, {origin.source}"
    if errors.frames:
        yield f"{'':<14}{'A':<25}{'B':<25}B − A"
        for m in errors.measures.values():
            a, b = (interval_words(e, m.unit) for e in (m.a, m.b))
            yield f"{m.title:<14}{a:<25}{b:<25}{interval_words(m.change, m.unit, signs=True)}"
        if errors.blocks:
            yield f"in brackets: 95 % intervals, from {errors.blocks} blocks of {errors.block_s:.3g} s"
    yield from sentences(found)
    if found.moments.found:
        yield f"{'start':>9}{'frames':>15}{'length':>9}  {'':<14}{'at its peak':>12}{'frame':>8}{'driven':>9}{'A':>8}{'B':>8}"
    start = int(seen.timestamps_ns[0]) if len(seen) else 0
    rows = dict(zip(seen.indices.tolist(), range(len(seen)), strict=True))
    for f in found.moments.found[:ROWS]:
        row = rows[f.peak]
        values = (seen.driven_deg[row], seen.a.predicted_deg[row], seen.b.predicted_deg[row])
        driven, a, b = (signed(float(v)) for v in values)
        yield (
            f"{clock((f.start_ns - start) / 1e9):>9}{f'{f.start}–{f.end}':>15}{how_long(f.seconds):>9}  "
            f"{KINDS[f.kind].title:<14}{peak_words(f):>12}{f.peak:>8}{driven:>9}{a:>8}{b:>8}"
        )
    if len(found.moments.found) > ROWS:
        yield f"and {len(found.moments.found) - ROWS} lighter ones: the report and --json hold them"
    if not found.moments.found and not seen.is_same:
        yield "no stretch in which they differ"
    for origin in origins:
        if not origin.trained:
            yield f"{origin.name} has random weights: these numbers mean nothing; give a trained network"
