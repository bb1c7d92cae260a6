"""What all tests share: the real recordings, which lie outside the repository and may be absent."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from vbp.native import library
from vbp.native.library import Kernels, NotLoadedError

REPOSITORY = Path(__file__).resolve().parent.parent


# A shell starts what it puts in the background with Ctrl-C ignored, and so would the commands under test.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("vbp", deadline=None)  # no test depends on how fast the machine is
settings.load_profile("vbp")

# Without the kernels, but where a test asks for them: what is tested is the same on every machine.
os.environ.setdefault("VBP_NATIVE", "0")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real recordings: $VBP_SHARED, or ../shared. Its data are under data/."""
    folder = Path(os.environ.get("VBP_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"needs the recordings of {folder} (or set VBP_SHARED)")
    return folder


@pytest.fixture(scope="session")
def faulty_drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """780 small pictures with 12 planted faults, of which those of the network are `faultmaker.with_faults`."""
    from faultmaker import plant  # it takes torch

    return plant(tmp_path_factory.mktemp("faults") / "drive")


@pytest.fixture(scope="session")
def compiled() -> Kernels:
    """The kernels, the best for this machine; no test uses them but those that ask (see `both_ways`)."""
    try:
        return library.load(library.best())
    except NotLoadedError as error:
        pytest.skip(f"needs the kernels: {error}")


@pytest.fixture(scope="module", params=["torch", "kernels"])
def both_ways(request: pytest.FixtureRequest) -> Iterator[str]:
    """A module's tests without the kernels, and with them."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "kernels":
            patch.setattr(library, "_loaded", request.getfixturevalue("compiled"))
            patch.delenv("VBP_NATIVE")
        yield request.param
