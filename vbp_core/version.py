"""Which version of the program this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def made_by() -> str:
    """ "vbp 0.1.0"."""
    try:
        return f"vbp {version('vbp')}"
    except PackageNotFoundError:  # run from its folder, not installed
        return "vbp"
