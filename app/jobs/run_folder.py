"""What a training run's folder looks like from outside: asked before Qt or torch are there."""

from __future__ import annotations

from pathlib import Path


def looks_like_run(path: Path) -> bool:
    """Whether a folder is worth opening as a run; what is wrong with it, if anything, opening it says."""
    return (path / "config.json").is_file() and (path / "checkpoints").is_dir()
