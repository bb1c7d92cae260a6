"""What the threads tell the window. Plain data; each carries the generation of the drive or network it is of."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vbp.classes import percent_right
from vbp.drives.base import Drive, Image
from vbp.results import Layer, Map, MapRequest, NetworkResult

if TYPE_CHECKING:
    from vbp.live.records import LiveEvent


def told(shot: NetworkResult, truth: int = -1) -> float:
    """What the plot shows of a pass: the angle in degrees, or of a classifier `percent_right`. truth: the true class."""
    if shot.probabilities is None:
        return math.degrees(shot.angle_rad)
    return percent_right(shot.probabilities, truth)


@dataclass(frozen=True)
class Frame:
    """One frame on its way to the screen. `index` is the frame that was decoded, never the one hoped for.

    seq: the number of the request it answers. lossless: it must not be replaced on the way.
    image is None for a gap, and `gap` says why. `shot` is the network's pass over it, if one was made.
    beside: it is wanted for comparison only, and does not become the frame on the screen.
    Of a live camera, index counts the frames that came; stamp_ns is since 1970, and arrived_ns the same
    moment on `time.monotonic_ns`.
    """

    generation: int
    seq: int
    index: int
    image: Image | None
    gap: str = ""
    lossless: bool = False
    beside: bool = False
    decode_ms: float = 0.0
    shot: NetworkResult | None = None
    network: int = 0  # generation of the network that made `shot`
    stamp_ns: int = 0
    arrived_ns: int = 0


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
class NetworkFailed:
    generation: int
    name: str
    text: str


@dataclass(frozen=True)
class Explained:
    """A map made behind the playback, for one panel. `frame` is the one it belongs to, with its picture and its pass.

    relevance None: the method cannot explain this network, and `text` says why.
    """

    version: int
    frame: Frame
    panel: str
    request: MapRequest
    relevance: Map | None
    ms: float
    text: str = ""


@dataclass(frozen=True)
class LayersMade:
    version: int
    frame: Frame
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Predicted:
    """Predictions of frames first.. of the whole-drive run; `done` of `total` so far.

    values: as `told` gives them, degrees or per cent.
    """

    generation: int
    network: int
    first: int
    values: NDArray[np.float64]
    done: int
    total: int


@dataclass(frozen=True)
class PredictEnded:
    generation: int
    network: int
    text: str = ""  # why it ended early


@dataclass(frozen=True)
class Trouble:
    """Something unexpected in a thread: one sentence for the user, the traceback for the log."""

    text: str
    details: str = field(default="", repr=False)
