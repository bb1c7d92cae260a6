"""What the threads tell the window. Plain data; each carries the generation of the drive or network it is of."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vbp.drives.base import Drive, Image
from vbp.live.records import LiveEvent, LiveFrame
from vbp.results import FrameResult, NetworkResult


@dataclass(frozen=True)
class Frame:
    """One frame on its way to the screen, of a recording or a camera.

    seq: the number of the request it answers. record: what is known of it, with the network's result once it was run.
    lossless: it must not be replaced on the way. beside: it is wanted for comparison only, and does not become the
    frame on the screen. network: the generation of the network that ran over it; second: that of the one beside it, whose
    result is the second one of the record; 0 where none did.
    """

    generation: int
    seq: int
    record: FrameResult
    lossless: bool = False
    beside: bool = False
    network: int = 0
    second: int = 0

    @property
    def index(self) -> int:
        """Of the frame that was decoded, never of the one hoped for; of a camera, it counts the frames that came."""
        return self.record.index

    @property
    def arrived_ns(self) -> int:
        """When a camera's frame arrived, on `time.monotonic_ns`; 0 of a recording's."""
        return self.record.arrived_ns if isinstance(self.record, LiveFrame) else 0

    @property
    def image(self) -> Image | None:
        """None for a gap."""
        return self.record.image

    @property
    def result(self) -> NetworkResult | None:
        """What the network made of it; None for a gap, and where no network was there."""
        return self.record.result


@dataclass(frozen=True)
class DriveOpened:
    generation: int
    drive: Drive


@dataclass(frozen=True)
class DriveFailed:
    """needs_unit: the recording is good, but the user must say what unit its steering column has."""

    generation: int
    path: Path
    text: str
    needs_unit: bool = False


@dataclass(frozen=True)
class PlayEnded:
    """The last frame was shown and there is no loop."""

    generation: int
    seq: int


@dataclass(frozen=True)
class LiveMessage:
    """How a live session's camera or recording is doing, or what failed."""

    generation: int
    event: LiveEvent


@dataclass(frozen=True)
class Choices:
    """networks: (name, note) of those that come with the program. devices: those of this machine."""

    networks: list[tuple[str, str]]
    devices: list[str]


@dataclass(frozen=True)
class NetworkReady:
    """network: vbp.models.network.Network."""

    generation: int
    name: str  # as it was asked for
    network: Any
    device: str
    device_text: str


@dataclass(frozen=True)
class Second:
    """A network to run beside the first one, over the same frames. engine: vbp.engine.Engine, ready to run."""

    generation: int  # 1 and more
    name: str  # as it was asked for
    engine: Any


@dataclass(frozen=True)
class NetworkFailed:
    """draft: of a network that takes pictures of any size, the NetworkSpec to complete."""

    generation: int
    name: str
    text: str
    draft: Any = None


@dataclass(frozen=True)
class Trouble:
    """Something unexpected in a thread: one sentence for the user, the traceback for the log."""

    text: str
    details: str = field(default="", repr=False)
