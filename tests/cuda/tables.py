"""tables.py bench FILE.json, or tables.py trained DEVICE WORK NETWORK...: the figures as Markdown."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from vbp.bench.report import as_markdown
from vbp.engine import describe_device, pick_device
from vbp.training.folder import Run


def trained(device: str, work: Path, names: list[str]) -> None:
    """RMSE, degrees, on the simulated drives that no network has seen: over all of them, the best and the worst."""
    print(f"on {describe_device(pick_device(device))}\n")
    print(
        "| network | epochs | trained, s | unseen drives | RMSE (best to worst) |\n| --- | ---: | ---: | ---: | ---: |"
    )
    for name in names:
        weights = work / "runs" / name / "last.safetensors"
        drives = sorted((work / "drives").glob("5??"))
        found = np.array([rmse_deg(weights, drive, device) for drive in drives])
        last = Run(work / "runs" / name).metrics()[-1]
        whole = np.sqrt(np.mean(found**2))
        print(
            f"| {name} | {last.epoch:g} | {last.seconds:.0f} | {len(drives)} "
            f"| {whole:.2f}° ({found.min():.2f}° to {found.max():.2f}°) |"
        )


def rmse_deg(weights: Path, drive: Path, device: str) -> float:
    command = [
        sys.executable,
        "-m",
        "vbp",
        "eval",
        str(drive),
        "--model",
        str(weights),
        "--device",
        device,
        "--json",
    ]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(np.degrees(json.loads(said)["rmse_rad"]))


if sys.argv[1] == "bench":
    print(as_markdown(json.loads(Path(sys.argv[2]).read_text())))
else:
    trained(sys.argv[2], Path(sys.argv[3]), sys.argv[4:])
