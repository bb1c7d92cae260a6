"""What an export is to be: everything that the command line or the dialog chose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vbp.drives.base import OpenOptions
from vbp.overlay import STYLES, Rect

# name -> what it shows. Any method's name is a panel too: the network's input with that map.
PANELS: dict[str, str] = {
    "camera": "the camera picture with the mask over what the network sees",
    "plain": "the camera picture as it was recorded",
    "maps": "every layer's averaged feature map and intermediate mask",
    "plot": "driven and predicted angle over time",
}
LAYOUTS: dict[str, str] = {
    "stage": "one large picture, the others beside it",
    "row": "all pictures side by side",
    "column": "all pictures below each other",
    "grid": "all pictures in a grid",
    "picture": "the first picture alone, with an inset",
}
CODECS: dict[str, str] = {
    "h264": "plays everywhere",
    "hevc": "smaller, plays on newer devices",
    "ffv1": "lossless, for further editing (.mkv)",
}
# name -> constant rate factor of H.264 and HEVC
QUALITIES: dict[str, int] = {"small": 28, "good": 21, "best": 16}
DEFAULT_PANELS = ("camera", "visualbackprop", "plot")


@dataclass(frozen=True)
class Settings:
    """How it is to look. Names are of the tables above.

    format: a key of `registry.WRITERS`; empty: by the output's suffix. style, opacity: of the overlay.
    fps: None keeps the drive's own times. size: width and height; None: as the layout likes it.
    encoder: "auto" takes the graphics card's where there is one, "cpu" never does.
    """

    format: str = ""
    panels: tuple[str, ...] = DEFAULT_PANELS
    layout: str = "stage"
    style: str = STYLES[0]
    opacity: float = 0.8
    fps: float | None = None
    size: tuple[int, int] | None = None
    codec: str = "h264"
    quality: str = "good"
    encoder: str = "auto"
    target: str = ""  # which output the maps explain, as `vbp.explain.parse_target` reads it; "": the default
    parameters: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # method -> name -> value


@dataclass(frozen=True)
class Job:
    """One export: frames first..last (inclusive) of a drive.

    model: a network's name or its file. force: replace a file that vbp did not write.
    crop: what the network sees of a frame, in pixels; None: by the network's own rule.
    """

    drive_path: Path
    options: OpenOptions
    model: str
    device: str
    output: Path
    first: int
    last: int
    force: bool = False
    settings: Settings = field(default_factory=Settings)
    crop: Rect | None = None
