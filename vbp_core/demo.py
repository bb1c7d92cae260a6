"""Where the demo drive lies: in the checkout, or beside the installed packages."""

from __future__ import annotations

from pathlib import Path

DEMO_DRIVE = Path(__file__).resolve().parent.parent / "assets" / "demo"


def demo_drive() -> Path | None:
    """The folder of the demo drive, or None where it was not installed."""
    return DEMO_DRIVE if (DEMO_DRIVE / "demo.mp4").is_file() else None
