"""Compiled kernels for the tests."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from vbp.native import build
from vbp.native.build import Kernels


def compiled_with(folder: Path, *flags: str) -> Kernels:
    """The kernels, compiled with these flags instead of those for this processor. Skips where that cannot be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("VBP_NATIVE")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        patch.setattr(build, "_loaded", None)
        if flags:
            patch.setattr(build, "FOR_THIS_PROCESSOR", {platform.machine(): flags})
        try:
            return build.kernels(build=lambda: True)
        except build.NotBuiltError as error:
            pytest.skip(f"needs the kernels: {error}")
