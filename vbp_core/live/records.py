"""What is asked of a live session and what it gives: frames, and how camera and recording are doing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vbp.live.address import Address
from vbp.results import FrameResult

Phase = Literal["connecting", "live", "stale", "lost"]


@dataclass(frozen=True)
class LiveRequest:
    """Which camera, and what is asked of it.

    size: (width, height), fps and exposure_ms: None leaves them to the camera. angles: where measured steering angles come
    from (see `open_angles`), "" for nowhere.
    """

    address: Address
    size: tuple[int, int] | None = None
    fps: float | None = None
    exposure_ms: float | None = None
    angles: str = ""


@dataclass(frozen=True)
class LiveFrame(FrameResult):
    """A frame of a camera. It is never a gap.

    index: 1 for the first, counted over reconnections; skipped ones leave holes. timestamp_ns: when it arrived,
    int64 nanoseconds since 1970, larger with each frame. arrived_ns: the same moment on `time.monotonic_ns`,
    for measuring delays. measured_ns: time stamp, since 1970, of the measured angle in driven_rad; None where there is none.
    """

    arrived_ns: int = 0
    measured_ns: int | None = None

    @property
    def bytes(self) -> int:
        """Of its picture, in memory."""
        return self.image.nbytes if self.image is not None else 0


@dataclass(frozen=True)
class CaptureState:
    """How a capture is doing.

    phase: "connecting" until the first frame, "live", "stale" when the newest frame is older than half a
    second, "lost" when the camera is gone or silent and is tried again. text: one sentence for the user.
    size: (width, height) of the newest frame, (0, 0) before. fps: measured over the last two seconds. received: frames
    that came. reconnects: how often frames came back after a loss. exposure_ms: what the camera says of its exposure,
    None where it says nothing.
    """

    phase: Phase
    text: str
    size: tuple[int, int]
    fps: float
    received: int
    reconnects: int
    exposure_ms: float | None = None


@dataclass(frozen=True)
class RecordingState:
    """What is being recorded, or was.

    folder: None where it could not be made. frames: written. dropped: not recorded, as disk or encoder were too slow.
    resized: came in another size than the first and were fitted in. seconds: from the first to the last frame.
    bytes: on disk. ended: its files are whole. failure: one sentence, why it ended by itself, "" while all is well.
    """

    folder: Path | None
    frames: int = 0
    dropped: int = 0
    resized: int = 0
    seconds: float = 0.0
    bytes: int = 0
    ended: bool = False
    failure: str = ""


@dataclass(frozen=True)
class LiveFailure:
    """Something that a session cannot do, in one sentence. ended: the session is over; else it goes on without."""

    text: str
    ended: bool = False


LiveEvent = CaptureState | RecordingState | LiveFailure
