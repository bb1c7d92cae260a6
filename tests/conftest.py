"""What all tests share: the real recordings, which lie outside the repository and may be absent."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parent.parent


# A shell starts what it puts in the background with Ctrl-C ignored, and so would the commands under test.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("vbp", deadline=None)  # no test depends on how fast the machine is
settings.load_profile("vbp")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real recordings: $VBP_SHARED, or ../shared. Its data are under data/."""
    folder = Path(os.environ.get("VBP_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"needs the recordings of {folder} (or set VBP_SHARED)")
    return folder
