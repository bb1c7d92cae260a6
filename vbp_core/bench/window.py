"""The window's speed, measured in a process of its own, where Qt is installed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from vbp.errors import VbpError
from vbp.processes import python_command

LIMIT_S = 600


def has_window() -> bool:
    """Whether Qt is installed, and the window with it."""
    return importlib.util.find_spec("PySide6") is not None and importlib.util.find_spec("vbp.app") is not None


def measure_window(
    recordings: dict[str, Path], model: str, device: str, frames: int, seeks: int, strokes: int = 6
) -> dict[str, Any] | None:
    """What `python -m vbp.app.bench` prints, or None where there is no window. Raises VbpError where it fails."""
    if not has_window():
        return None
    environment = dict(os.environ)
    if sys.platform.startswith("linux") and not (
        environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")
    ):
        environment["QT_QPA_PLATFORM"] = "offscreen"
    named = [f"{name}={path}" for name, path in recordings.items()]
    options = ["--model", model, "--device", device, "--frames", str(frames), "--seeks", str(seeks)]
    options += ["--strokes", str(strokes)]
    spawned = str(time.time_ns())
    finished = subprocess.run(
        python_command("vbp.app.bench", *named, "--spawned", spawned, *options),
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    if finished.returncode:
        last = finished.stderr.strip().splitlines()[-1:] or ["no error message"]
        raise VbpError(f"the window could not be measured: {last[0]}")
    found: dict[str, Any] = json.loads(finished.stdout.strip().splitlines()[-1])
    return found
