"""tables.py bench FILE.json, or tables.py trained DEVICE WORK NETWORK...: the figures as Markdown."""

import json
import sys
from pathlib import Path

import numpy as np

from vbp.bench.report import as_markdown
from vbp.drives import open_drive
from vbp.engine import Engine, describe_device, open_network, pick_device
from vbp.frames import run_frames
from vbp.results import FrameRequest
from vbp.scores import score
from vbp.training.folder import Run


def trained(device: str, work: Path, names: list[str]) -> None:
    """RMSE, degrees, on the simulated drives that no network has seen: over all of them, the best and the worst."""
    print(f"on {describe_device(pick_device(device))}\n")
    print(
        "| network | epochs | trained, s | unseen drives | RMSE (best to worst) |\n| --- | ---: | ---: | ---: | ---: |"
    )
    for name in names:
        engine = Engine(open_network(work / "runs" / name / "last.safetensors"), device)
        drives = sorted((work / "drives").glob("5??"))
        found = np.array([rmse_deg(engine, drive) for drive in drives])
        last = Run(work / "runs" / name).metrics()[-1]
        whole = np.sqrt(np.mean(found**2))
        print(
            f"| {name} | {last.epoch:g} | {last.seconds:.0f} | {len(drives)} "
            f"| {whole:.2f}° ({found.min():.2f}° to {found.max():.2f}°) |"
        )


def rmse_deg(engine: Engine, path: Path) -> float:
    with open_drive(path) as drive:
        frames = run_frames(drive, [engine], FrameRequest(maps=()))
        predicted = [np.nan if frame.result is None else frame.result.angle_rad for frame in frames]
        return float(np.degrees(score(drive.angle_rad, np.array(predicted)).rmse_rad))


if sys.argv[1] == "bench":
    print(as_markdown(json.loads(Path(sys.argv[2]).read_text())))
else:
    trained(sys.argv[2], Path(sys.argv[3]), sys.argv[4:])
