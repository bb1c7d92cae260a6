"""What tests of cameras share: a server on loopback, captures that are stopped at the end, a whole recording."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from livemaker import MjpegServer, Watched
from recordingmaker import record
from vbp.live.address import Address


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    with MjpegServer() as made:
        yield made


@pytest.fixture
def watch() -> Iterator[Callable[..., Watched]]:
    made: list[Watched] = []

    def make(address: Address | str, **options: object) -> Watched:
        made.append(Watched(address, **options))
        return made[-1]

    yield make
    for one in made:
        one.capture.stop()


@pytest.fixture(scope="session")
def whole_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 60 frames, which no test changes."""
    folder = tmp_path_factory.mktemp("whole") / "drive"
    record(folder, 60)
    return folder
