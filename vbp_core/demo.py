"""Where the demo drive lies."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

DEMO_DRIVE = Path(str(files("vbp.assets"))) / "demo"


def demo_drive() -> Path | None:
    """The folder of the demo drive, or None where it was not installed."""
    return DEMO_DRIVE if (DEMO_DRIVE / "demo.mp4").is_file() else None
