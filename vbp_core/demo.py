"""Where the demo drive lies."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def demo_drive() -> Path | None:
    """The folder of the demo drive, or None where it was not installed.

    An installation for development links to its files one by one, and no link is followed out of a recording.
    """
    video = Path(str(files("vbp.assets"))) / "demo" / "demo.mp4"
    return video.resolve().parent if video.is_file() else None
