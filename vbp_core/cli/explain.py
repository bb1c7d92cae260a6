"""`vbp explain`: attribution maps of every frame, as NPZ."""

from __future__ import annotations

import argparse
import tempfile
import zipfile
from contextlib import ExitStack, closing
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from vbp.cli.common import (
    add_crop,
    add_frames,
    add_network,
    add_source,
    broken_text,
    number,
    open_source,
    whole_file,
)
from vbp.cli.main import print_json
from vbp.cli.targets import add_target, check_target, read_settings
from vbp.errors import VbpError
from vbp.explain import METHODS
from vbp.frames import run_frames
from vbp.frames.choosing import choose_frames
from vbp.frames.outcomes import Outcomes
from vbp.frames.strengths import doubtful_texts
from vbp.readable import printable
from vbp.results import FrameRequest, map_requests
from vbp.scores import steady_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    add_network(parser)
    add_crop(parser)
    add_frames(parser)
    add_target(parser)
    parser.add_argument(
        "--method",
        action="append",
        choices=list(METHODS),
        metavar="NAME",
        help=f"an attribution method; may be given several times: {', '.join(METHODS)} (default: visualbackprop)",
    )
    parser.add_argument("--eps", type=number, metavar="E", help="LRP's eps (default: 100, as in the paper)")
    parser.add_argument("--no-bias", action="store_true", help="leave the bias out of LRP's denominator")
    parser.add_argument(
        "--precision",
        choices=("double", "single"),
        default="double",
        help="floating point numbers: double (default) for reference results, single for speed",
    )
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="FILE.npz", help="the file to write"
    )
    parser.add_argument("--force", action="store_true", help="replace a file that vbp did not write")
    parser.add_argument("--json", action="store_true", help="print a summary as JSON")


def run(args: argparse.Namespace) -> int:
    import torch

    from vbp.engine import Engine, open_network

    methods = list(dict.fromkeys(args.method or ["visualbackprop"]))
    network = open_network(args.model)
    parameters = read_settings(args, methods)
    lrp = parameters.setdefault("lrp", {})
    if args.no_bias:
        lrp["bias"] = 0.0
    if args.eps is not None:
        lrp["eps"] = args.eps
    if (args.eps is not None or args.no_bias) and "lrp" not in methods:
        raise VbpError("--eps and --no-bias are options of LRP; add --method lrp")
    with open_source(args) as drive:
        indices = choose_frames(drive, args.frames, args.min_speed)
        check_target(args.target, drive, indices)
        with whole_file(args.output, is_explanation, Path(args.source), args.force) as temporary:
            engine = Engine(
                network,
                args.device,
                torch.float64 if args.precision == "double" else torch.float32,
                args.crop,
            )
            spec = engine.spec
            shape = (len(indices), spec.input_height, spec.input_width)
            requests = map_requests(methods, parameters, args.target)
            nothing = np.zeros(shape[1:], dtype=np.float32)  # of a gap, and of an error that is not known
            outcomes = Outcomes()
            strengths: dict[str, list[float]] = {m: [] for m in methods}
            spreads: dict[str, list[float]] = {m: [] for m in methods}
            with ExitStack() as open_files:
                # The maps go to disk as they come: a drive's masks are larger than memory.
                folder = open_files.enter_context(
                    tempfile.TemporaryDirectory(dir=temporary.parent, prefix=f"{temporary.name}.")
                )
                names = {m: Path(folder) / f"{m}.npy" for m in methods}
                files = {m: open_files.enter_context(name.open("wb")) for m, name in names.items()}
                for file in files.values():
                    write_header(file, shape)
                bar = open_files.enter_context(tqdm(total=len(indices), unit="frame", disable=None))
                request = FrameRequest(requests, strict=True)
                frames = open_files.enter_context(closing(run_frames(drive, [engine], request, indices)))
                for frame in frames:
                    outcomes.add(frame)
                    for wanted, file in zip(requests, files.values(), strict=True):
                        result = frame.result
                        found = result.maps.get(wanted, nothing) if result is not None else nothing
                        file.write(np.ascontiguousarray(found).data)
                        for values, of in (
                            (strengths, result.strengths if result is not None else {}),
                            (spreads, result.spreads if result is not None else {}),
                        ):
                            values[wanted.method].append(of.get(wanted, np.nan))
                    bar.update()
                for file in files.values():
                    file.close()
                arrays: dict[str, NDArray[np.generic]] = {
                    "frame": indices,
                    "timestamp_ns": drive.timestamps_ns[indices],
                    "driven_deg": np.degrees(drive.angle_rad[indices]),
                    "predicted_deg": np.degrees(outcomes.predicted_rad),
                    "error_deg": np.degrees(drive.angle_rad[indices] - outcomes.predicted_rad),
                    "speed_mps": drive.speed_mps[indices],
                    "predicted_rad": outcomes.predicted_rad,
                }
                # log10 of the largest |value| before each map was scaled, and the share of it that holds half of its sum
                for what, measured in (("strength", strengths), ("spread", spreads)):
                    arrays |= {f"{m}_{what}": np.array(values) for m, values in measured.items()}
                if spec.is_classifier:
                    arrays["class"] = outcomes.classes
                write_npz(temporary, arrays, names)
        notes = doubtful_texts(indices.tolist(), outcomes.strength, outcomes.spread)
        if steady := steady_text(outcomes.predicted_rad, drive.angle_rad[indices]):
            notes.insert(0, steady)
    gaps, broken = outcomes.gaps, outcomes.broken
    facts = {
        "output": str(args.output),
        "frames": len(indices),
        "gaps": gaps,
        "not_finite": broken,
        "methods": methods,
        "target": args.target,
        "shape": list(shape),
        "notes": notes,
        "model": spec.name,
        "trained": network.trained,
    }
    if args.json:
        print_json(facts)
    else:
        lost = f", {gaps} of them gaps" if gaps else ""
        print(f"{', '.join(methods)} of {len(indices)} frames written to {printable(str(args.output))}{lost}")
        if broken:
            print(broken_text(network.spec.name, broken))
        for text in notes:
            print(text)
        if not network.trained:
            print(
                f"{spec.name} has random weights: its masks mean nothing; give a trained network with --model"
            )
    return 0


def write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    """The head of an .npy of float32, whose values are written after it as they come."""
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def write_npz(path: Path, arrays: dict[str, NDArray[np.generic]], files: dict[str, Path]) -> None:
    """An .npz of small arrays and of .npy files that may be larger than memory."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
        for name, file in files.items():
            archive.write(file, f"{name}.npy")


def is_explanation(path: Path) -> bool:
    """Whether an existing file is empty or was written by this command."""
    if path.stat().st_size == 0:
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            return {"frame.npy", "timestamp_ns.npy", "predicted_rad.npy"} <= set(archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return False
