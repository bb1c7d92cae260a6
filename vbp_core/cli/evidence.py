"""`vbp evidence`: faithfulness tests and sanity checks of a network's attribution maps, as a report and as JSON."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from vbp.cli.common import add_frames, add_source, open_source, whole_file
from vbp.cli.main import clean
from vbp.drives import Drive, open_drive
from vbp.errors import VbpError
from vbp.evidence.outcome import Outcome
from vbp.evidence.registry import EXPERIMENTS, REPLACEMENTS
from vbp.evidence.report import html
from vbp.explain import METHODS
from vbp.files import check_target
from vbp.frames.choosing import choose_frames
from vbp.simulate.truth import Truth, load_truth

if TYPE_CHECKING:
    from vbp.evidence import gather as gathering


FRAMES = 20
SLOW = [name for name, method in METHODS.items() if method.slow]
OURS = b"<title>Evidence: "


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    parser.add_argument(
        "--model",
        action="append",
        metavar="M",
        help="a network's name or file; may be given several times (default: NetSVF)",
    )
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:1, mps")
    add_frames(parser)
    parser.add_argument(
        "--count",
        type=_count,
        default=FRAMES,
        metavar="N",
        help=f"test N of these frames, evenly spread (default: {FRAMES})",
    )
    parser.add_argument(
        "--method",
        action="append",
        choices=list(METHODS),
        metavar="NAME",
        help=f"an attribution method; may be given several times: {', '.join(METHODS)} (default: all but {', '.join(SLOW)}, which takes seconds a frame)",
    )
    parser.add_argument(
        "--experiments",
        type=_experiments,
        metavar="LIST",
        help=f"a list of: {','.join(EXPERIMENTS)} (default: all)",
    )
    parser.add_argument(
        "--replace",
        choices=REPLACEMENTS,
        default="mean",
        help="what perturbed regions are replaced by (default: mean)",
    )
    parser.add_argument(
        "--run",
        type=Path,
        metavar="RUN",
        help="a training run (vbp train) whose checkpoints are compared, too",
    )
    parser.add_argument(
        "--planted",
        nargs=2,
        metavar=("MODEL", "DRIVE"),
        help="a network trained on drives with a spurious feature, and a held-out drive with it (vbp simulate --plant)",
    )
    parser.add_argument("--seed", type=_seed, default=0, help="random seed (default: 0)")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        type=Path,
        metavar="REPORT.html",
        help="the report to write, and REPORT.json beside it",
    )
    parser.add_argument("--force", action="store_true", help="replace files that vbp did not write")
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON, too")


def run(args: argparse.Namespace) -> int:
    from vbp.engine import Engine, open_network
    from vbp.evidence import gather as gathering
    from vbp.evidence.registry import Options

    began = time.monotonic()
    if args.output.suffix.lower() not in (".html", ".htm"):
        raise VbpError(f"{args.output} is not a report's name; give a name that ends in .html")
    for path in (args.output, args.output.with_suffix(".json")):  # before minutes of work
        check_target(path, _is_ours, Path(args.source), args.force)
    methods = list(dict.fromkeys(args.method or [m for m in METHODS if m not in SLOW]))
    networks = [open_network(name) for name in dict.fromkeys(args.model or ["NetSVF"])]
    with open_source(args) as drive:
        truth = _truth(args)
        frames = _frames(drive, args.frames, args.min_speed, truth, args.count)
        options = Options(args.replace, args.run, truth)
        job = gathering.Job(
            networks, drive, frames, methods, args.experiments, options, args.device, args.seed
        )
        with tqdm(total=100.0, unit="%", disable=None, bar_format=BAR) as bar:
            parts = gathering.gather(job, lambda share, what: _show(bar, share, what))
        cue = _planted(args, job) if args.planted else None
    device = Engine(networks[0], args.device).device
    command = shlex.join(["vbp", "evidence", *_words()])
    facts = gathering.facts(job, str(args.source), command, device, began)
    page = html(facts, parts, cue)
    numbers = {
        **facts,
        "networks": [
            {
                **part.about,
                "remarks": part.remarks,
                "experiments": {n: _numbers(o) for n, o in part.outcomes.items()},
            }
            for part in parts
        ],
        "planted": _numbers(cue) if cue is not None else None,
    }
    text = json.dumps(clean(numbers), indent=1)
    _write(args.output, page, Path(args.source), args.force)
    _write(args.output.with_suffix(".json"), text + "\n", Path(args.source), args.force)
    if args.json:
        print(text)
        return 0
    for part in parts:
        print(part.model)
        for line in [*part.remarks, *(f for o in part.outcomes.values() for f in o.findings)]:
            print(f"  {line}")
    for line in cue.findings if cue is not None else ():
        print(f"spurious feature: {line}")
    print(f"{args.output} and {args.output.with_suffix('.json').name} written, {facts['seconds']:.0f} s")
    return 0


BAR = "{desc}: {percentage:3.0f}% |{bar}| {elapsed} elapsed, {remaining} left"


def _show(bar: Any, share: float, what: str) -> None:
    bar.set_description_str(what, refresh=False)
    bar.update(100.0 * share - bar.n)


def _numbers(outcome: Outcome) -> dict[str, Any]:
    return {"findings": outcome.findings, "notes": outcome.notes, "numbers": outcome.numbers}


def _truth(args: argparse.Namespace) -> Truth | None:
    """Of the drive, where it has one. Raises VbpError where it is asked for by name and there is none."""
    wanted = args.experiments is not None and "truth" in args.experiments
    if args.experiments is None:
        args.experiments = list(EXPERIMENTS)
    if "truth" not in args.experiments:
        return None
    try:
        return load_truth(args.source)
    except VbpError:
        if wanted:
            raise
        return None


def _frames(
    drive: Drive, text: str | None, min_speed: float | None, truth: Truth | None, count: int
) -> list[int]:
    from vbp.evidence import gather as gathering

    chosen = [int(i) for i in choose_frames(drive, text, min_speed)]
    if truth is not None:
        chosen = [i for i in chosen if truth.has(i)]
        if not chosen:
            raise VbpError(
                f"{truth.place} has no ground truth of these frames; it has that of {len(truth.frames)} others"
            )
    return gathering.spread(chosen, count)


def _planted(args: argparse.Namespace, job: gathering.Job) -> Outcome:
    from vbp.engine import open_network
    from vbp.evidence import gather as gathering

    model, source = args.planted
    network, truth = open_network(model), load_truth(source)
    with open_drive(source) as drive, tqdm(total=100.0, unit="%", disable=None, bar_format=BAR) as bar:
        frames = _frames(drive, None, None, truth, args.count)
        return gathering.planted(
            job, network, drive, truth, frames, lambda share, what: _show(bar, share, what)
        )


def _words() -> list[str]:
    """The command as it was given."""
    words = sys.argv[1:]
    return words[1:] if words[:1] == ["evidence"] else words


def _write(path: Path, text: str, source: Path, force: bool) -> None:
    with whole_file(path, _is_ours, source, force) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _is_ours(path: Path) -> bool:
    """A report of ours, or its numbers; an empty file is nobody's."""
    with path.open("rb") as file:
        head = file.read(400)
    return not head or OURS in head or (head.startswith(b"{") and b'"command": "vbp evidence' in head)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 2^63 - 1")
    return int(text)


def _experiments(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in EXPERIMENTS]
    if unknown or not names:
        raise argparse.ArgumentTypeError(
            f"there is no experiment {unknown[0] if unknown else text!r}; accepted: {', '.join(EXPERIMENTS)}"
        )
    return [name for name in EXPERIMENTS if name in names]
