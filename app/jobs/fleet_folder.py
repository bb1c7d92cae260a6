"""What an indexed fleet's folder looks like from outside: asked before Qt, torch or DuckDB are there."""

from __future__ import annotations

from pathlib import Path


def looks_like_fleet(path: Path) -> bool:
    """Whether a folder is worth opening as a fleet; what is wrong with it, if anything, opening it says."""
    from vbp.fleet.discover import OWN

    return (path / OWN).is_file()
