"""`vbp bench`: the program's speed on this machine."""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
import time
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from vbp.bench.recordings import jpeg_of, read_demo, write_bag, write_h264, write_pictures
from vbp.cli.common import number
from vbp.cli.main import print_json
from vbp.errors import VbpError

if TYPE_CHECKING:
    from vbp.bench.machine import Limits
    from vbp.bench.networks import Work


PARTS = ("networks", "play", "compare", "seek", "window", "export", "beside", "large", "onnx")
ONLY_ASKED = ("beside", "large", "onnx")
FRAMES = 500
MOVES = 20  # of a stroke
SEEKS = 80  # in the window: 95 % of fewer than 72 have no upper end


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        action="append",
        metavar="M",
        help="a network's name or its .safetensors file; may be given several times (default: NetSVF and NetHVF)",
    )
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument(
        "--part",
        action="append",
        choices=PARTS,
        metavar="PART",
        help=f"measure only this part; may be given several times: {', '.join(PARTS)} (default: all but {', '.join(ONLY_ASKED[:-1])} and {ONLY_ASKED[-1]})",
    )
    parser.add_argument(
        "--batch", type=_batches, default=[1], metavar="LIST", help="batch sizes, like 1,64 (default: 1)"
    )
    parser.add_argument(
        "--seconds",
        type=number,
        default=15.0,
        metavar="S",
        help="how long to measure each network (default: 15)",
    )
    parser.add_argument(
        "--compare",
        metavar="OLD.json",
        help="what an earlier run printed with --json: says of each figure whether it is better, worse or not distinguishable",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the result as JSON")
    form.add_argument("--markdown", action="store_true", help="print the result as Markdown tables")


def run(args: argparse.Namespace) -> int:
    from vbp.bench.beside import measure_beside
    from vbp.bench.compare import FORM, compared, read_run
    from vbp.bench.load import Meter
    from vbp.bench.machine import describe_machine, measure_limits
    from vbp.bench.networks import measure_network
    from vbp.bench.onnx import measure_onnx
    from vbp.bench.pipeline import compare_rates, play_rate, seek_latency
    from vbp.bench.report import as_markdown, as_text, disturbed
    from vbp.bench.targets import results
    from vbp.devices import pick_device
    from vbp.engine import open_network

    parts = args.part or [p for p in PARTS if p not in ONLY_ASKED]
    if not 0 < args.seconds <= 3600:
        raise VbpError(
            f"--seconds {args.seconds:g} is out of range; give more than 0 and at most 3600 seconds"
        )
    old = read_run(args.compare) if args.compare else None
    models = list(dict.fromkeys(args.model or ["NetSVF", "NetHVF"]))
    networks = {name: open_network(name) for name in models}
    device = pick_device(args.device)
    facts: dict[str, Any] = {"form": FORM, "machine": describe_machine(device), "notes": [], "networks": []}
    pictures = read_demo(FRAMES)
    steps = [(part, name) for part in parts if part in ("networks", "play") for name in models]
    steps += [(part, models[0]) for part in parts if part not in ("networks", "play")]
    with (
        tempfile.TemporaryDirectory(prefix="vbp-bench-") as folder,
        warnings.catch_warnings(),
        tqdm(total=len(steps), unit="part", disable=None) as bar,
    ):
        warnings.simplefilter("ignore")  # captum's, about gradients that it asks for itself
        made = Recordings(Path(folder), pictures)
        limits = measure_limits(device) if "networks" in parts else None
        meter = Meter()
        for part, name in steps:
            bar.set_description(f"{part}, {Path(name).stem}")
            if limits is not None and part == "networks":
                for batch in args.batch:
                    result = measure_network(
                        networks[name], pictures[100], str(device), batch, args.seconds, others=batch == 1
                    )
                    facts["networks"].append(asdict(result))
                    facts["notes"] += [n for n in result.notes if n not in facts["notes"]]
            elif part == "play":
                played = play_rate(made.h264_short, networks[name], str(device), len(pictures))
                facts.setdefault("play", {})[networks[name].spec.name] = {
                    "without the window": asdict(played)
                }
            elif part == "compare":
                pair = [networks[name], networks[models[1 % len(models)]]]
                rates = compare_rates(made.h264_short, pair, str(device), args.seconds)
                facts["compare"] = {"networks": [n.spec.name for n in pair], **asdict(rates)}
            elif part == "seek":
                laps = {
                    kind: asdict(seek_latency(path, networks[name], str(device), 100))
                    for kind, path in made.kinds().items()
                }
                facts.setdefault("seek", {})["without the window"] = laps
            elif part == "window":
                measure_in_window(facts, made, models, networks, str(device))
            elif part == "export":
                facts["export"] = measure_export(made, name, str(device), Path(folder))
            elif part == "beside":
                shares = measure_beside(made.h264_short, name, networks[name], pictures[100], str(device))
                facts["beside"] = [asdict(share) for share in shares]
            elif part == "onnx":
                found = measure_onnx(list(networks.values()), pictures[100], args.seconds)
                facts["onnx"] = [asdict(one) for one in found]
            elif part == "large":
                from vbp.bench.large import make_large, measure_large

                place = make_large(Path(folder) / "large", jpeg_of(pictures[0]))
                facts["large"] = measure_large(place, name, str(device), 20.0)
            facts.setdefault("load", {})[f"{part}, {Path(name).stem}"] = asdict(meter.read())
            bar.update()
        if limits is not None:
            add_limits(facts, limits, measure_limits(device))
    facts["targets"] = [asdict(result) | {"met": result.met} for result in results(facts)]
    facts["notes"] += disturbed(facts["load"])
    if old is not None:
        facts["compared"] = compared(old, facts)
        facts["notes"] += facts["compared"]["notes"]
    if args.json:
        print_json(facts)
    else:
        print(as_markdown(facts) if args.markdown else as_text(facts))
    return 0


class Recordings:
    """The demo drive in several forms, each made when it is first asked for."""

    def __init__(self, folder: Path, pictures: list[Any]) -> None:
        self.folder, self._pictures = folder, pictures

    def _made(self, name: str, make: Any, *arguments: Any) -> Path:
        path = self.folder / name
        return path if path.exists() else Path(make(self._pictures, path, *arguments))

    @property
    def h264_short(self) -> Path:
        return self._made("short.mp4", write_h264, 40)

    def kinds(self) -> dict[str, Path]:
        return {
            "H.264, a key frame every 40": self.h264_short,
            "H.264, a key frame every 250": self._made("long.mp4", write_h264, 250),
            "folder of JPEGs": self._made("pictures", write_pictures),
            "ROS1 bag": self._made("drive.bag", write_bag),
        }


def measure_in_window(
    facts: dict[str, Any], made: Recordings, models: list[str], networks: dict[str, Any], device: str
) -> None:
    """Adds to "window", "play", "seek", "findings" and "strokes" of facts."""
    from vbp.bench.pipeline import latency, rate
    from vbp.bench.window import measure_window

    for n, name in enumerate(models):
        kinds = made.kinds() if n == 0 else dict(list(made.kinds().items())[:1])
        found = measure_window(kinds, name, device, FRAMES, SEEKS if n == 0 else 5)
        if found is None:
            facts["notes"].append("the window was not measured: PySide6 is not installed")
            return
        first = next(iter(found["recordings"].values()))
        facts.setdefault("play", {}).setdefault(networks[name].spec.name, {})["in the window"] = asdict(
            rate(first["painted_s"])
        )
        strokes = asdict(latency(first["strokes_ms"], together=MOVES))
        facts.setdefault("strokes", {})[networks[name].spec.name] = strokes
        if n == 0:
            facts["window"] = {k: v for k, v in found.items() if k != "recordings"}
            facts.setdefault("seek", {})["in the window"] = {
                kind: asdict(latency(seen["seeks_ms"])) for kind, seen in found["recordings"].items()
            }
            facts["findings"] = {
                kind: asdict(latency(seen["findings_ms"])) for kind, seen in found["recordings"].items()
            }


def measure_export(made: Recordings, model: str, device: str, folder: Path) -> dict[str, float]:
    """`vbp export` of the whole recording, as a user would call it but for the start of Python."""
    from vbp.cli.main import main

    out = folder / "clip.mp4"
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):  # what it says is not what was asked for
        status = main(["export", str(made.h264_short), "--model", model, "--device", device, "-o", str(out)])
    if status:
        raise VbpError("the export did not finish")
    return {"fps": FRAMES / (time.perf_counter() - start), "source_fps": 20.0}


def add_limits(facts: dict[str, Any], first: Limits, last: Limits) -> None:
    """Adds "limits", and to each network "limits_ms", the least that its stages can take.

    first, last: as measured before and after the stages; what a stage itself has reached counts, too.
    """
    from vbp.bench.machine import Limits, best_seen
    from vbp.bench.networks import Work

    measured = Limits(max(first.operations_s, last.operations_s), max(first.bytes_s, last.bytes_s))
    networks = facts["networks"]
    stages = [
        (work["operations"], n["timings"][k]["value"]) for n in networks for k, work in n["works"].items()
    ]
    limits = best_seen(measured, stages)
    if limits.operations_s > measured.operations_s:
        facts["notes"].append(
            f"the machine's limit was measured too low, {measured.operations_s / 1e9:.0f} Gop/s: a stage reached {limits.operations_s / 1e9:.0f}"
        )
    facts["limits"] = asdict(limits)
    for n in networks:
        n["limits_ms"] = {k: least_ms(Work(**work), limits) for k, work in n["works"].items()}


def least_ms(work: Work, limits: Limits) -> float:
    """Milliseconds that the work takes on a machine that does nothing else but reach its limits."""
    return 1e3 * max(work.operations / limits.operations_s, work.bytes / limits.bytes_s)


def _batches(text: str) -> list[int]:
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or min(found) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of batch sizes, like 1,64")
    return found
