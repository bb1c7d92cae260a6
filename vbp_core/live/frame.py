"""What a capture tells: frames, and how it is doing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vbp.classes import UNKNOWN, most_probable
from vbp.drives.base import Image

if TYPE_CHECKING:
    from vbp.results import NetworkResult

Phase = Literal["connecting", "live", "stale", "lost"]


@dataclass(frozen=True)
class LiveFrame:
    """One frame of a camera.

    seq: 1 for the first, counted over reconnections; skipped ones leave holes. timestamp_ns: when it arrived,
    int64 nanoseconds since 1970, larger with each frame. arrived_ns: the same moment on `time.monotonic_ns`,
    for measuring delays. image: RGB uint8 (H, W, 3), read-only.
    """

    seq: int
    timestamp_ns: int
    arrived_ns: int
    image: Image


@dataclass(frozen=True)
class Prediction:
    """What the network said of a frame.

    angle_rad: of a steering network, radians, positive to the left, else NaN. number, probability: of a classifier, the
    likeliest class; else UNKNOWN and NaN.
    """

    angle_rad: float = math.nan
    number: int = UNKNOWN
    probability: float = math.nan

    @staticmethod
    def of(result: NetworkResult) -> Prediction:
        if result.probabilities is None:
            return Prediction(result.angle_rad)
        numbers, probabilities = most_probable(result.probabilities[None])
        return Prediction(number=int(numbers[0]), probability=float(probabilities[0]))


NO_PREDICTION = Prediction()  # of a frame that the network has not seen


@dataclass(frozen=True)
class CaptureState:
    """How a capture is doing.

    phase: "connecting" until the first frame, "live", "stale" when the newest frame is older than half a
    second, "lost" when the camera is gone or silent and is tried again. text: one sentence for the user.
    since_ns: when the phase began, `time.monotonic_ns`. size: (width, height) of the newest frame, (0, 0) before.
    fps: measured over the last two seconds. received: frames that came. dropped: frames replaced by a newer
    one before anybody took them. reconnects: how often frames came back after a loss. exposure_ms: what the
    camera says of its exposure, None where it says nothing.
    """

    phase: Phase
    text: str
    since_ns: int
    size: tuple[int, int]
    fps: float
    received: int
    dropped: int
    reconnects: int
    exposure_ms: float | None = None
