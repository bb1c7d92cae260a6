"""A drive as long as the paper's data set: 210,000 frames, opened, played and jumped about in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from vbp.drives import open_drive
from vbp.errors import VbpError
from vbp.processes import end_with_parent, python_command

FRAMES = 210_000


def make_large(folder: Path, jpeg: bytes, frames: int = FRAMES) -> Path:
    """An Udacity export of `frames` frames: one JPEG under many names, and interpolated.csv."""
    pictures = folder / "center"
    pictures.mkdir(parents=True)
    first = pictures / "first.jpg"
    first.write_bytes(jpeg)
    stamps = 1_500_000_000_000_000_000 + np.arange(frames, dtype=np.int64) * 50_000_000
    lines = ["index,timestamp,width,height,frame_id,filename,angle,torque,speed,lat,long,alt"]
    linked = 0
    name = first
    for stamp in stamps.tolist():
        if linked >= 30_000:  # a file system has no room for more names of one file (ext4: 65,000)
            name, linked = pictures / f"{stamp}.jpg", 0
            name.write_bytes(jpeg)
        else:
            os.link(name, pictures / f"{stamp}.jpg")
            linked += 1
        lines.append(f",{stamp},640,480,center_camera,center/{stamp}.jpg,0.01,0,12,0,0,0")
    first.unlink()
    (folder / "interpolated.csv").write_text("\n".join(lines) + "\n")
    return folder


def measure_large(folder: Path, model: str, device: str, seconds: float) -> dict[str, Any]:
    """Opened twice, each time in a new process; the second plays and jumps about for `seconds`."""
    first, second = (_child(folder, model, device, s) for s in (0.0, seconds))
    return {
        "frames": second["frames"],
        "first_s": first["open_s"],
        "second_s": second["open_s"],
        "rss_mib": second["rss_mib"],
    }


def _child(folder: Path, model: str, device: str, seconds: float) -> dict[str, Any]:
    finished = subprocess.run(
        python_command("vbp.bench.large", str(folder), model, device, str(seconds)),
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode:
        last = finished.stderr.strip().splitlines()[-1:] or ["no error message"]
        raise VbpError(f"the long drive could not be measured: {last[0]}")
    found: dict[str, Any] = json.loads(finished.stdout.strip().splitlines()[-1])
    return found


def _measure(folder: Path, model: str, device: str, seconds: float) -> dict[str, Any]:
    from vbp.bench.memory import peak_mib
    from vbp.engine import Engine, open_network
    from vbp.overlay import lay
    from vbp.results import MapRequest

    start = time.perf_counter()
    with open_drive(folder) as drive:
        facts: dict[str, Any] = {"open_s": time.perf_counter() - start, "frames": len(drive)}
        engine = Engine(open_network(model), device)
        rng = np.random.default_rng(0)
        end = time.perf_counter() + seconds
        i = 0
        while time.perf_counter() < end:
            i = int(rng.integers(len(drive))) if rng.random() < 0.2 else (i + 1) % len(drive)
            picture = drive.frame(i)
            result = engine.run(picture)
            lay(picture, result.maps[MapRequest()], result.crop)
    return facts | {"rss_mib": peak_mib()}


if __name__ == "__main__":
    end_with_parent()
    print(json.dumps(_measure(Path(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4]))))  # noqa: T201
