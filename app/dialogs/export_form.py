"""The choices of an export in plain words, and what they come to in frames, seconds and bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vbp.export.job import Settings
from vbp.export.layouts import SIZES, even


@dataclass(frozen=True)
class Kind:
    """What can be written. suffix: of the name. moving: it has a codec, a rate and a quality as far as said."""

    title: str
    suffix: str
    format: str = ""
    panelled: bool = True  # the panels count
    drawn: bool = True  # and the layout, too
    moving: bool = True
    coded: bool = False  # codec and quality count


KINDS: tuple[Kind, ...] = (
    Kind("Video for slides and the web (MP4)", ".mp4", coded=True),
    Kind("Video for further editing, lossless (MKV)", ".mkv"),
    Kind("Animated picture (GIF)", ".gif"),
    Kind("Picture of this frame (PNG)", ".png", moving=False),
    Kind("Every frame as a picture, in a folder (PNG)", "", format="pictures"),
    Kind("Numbers as a table (CSV)", ".csv", panelled=False, drawn=False, moving=False),
    Kind("Numbers for notebooks (Parquet)", ".parquet", panelled=False, drawn=False, moving=False),
    Kind("Pictures, masks and angles for robotics viewers (MCAP)", ".mcap", drawn=False, moving=False),
)
LAYOUT_TITLES = {
    "stage": "One large picture, the others beside it",
    "row": "Side by side",
    "column": "Below each other",
    "grid": "Grid",
    "picture": "Picture only, with an inset",
}
CODEC_TITLES = {"h264": "H.264, plays everywhere", "hevc": "HEVC, smaller, for newer devices"}
QUALITY_TITLES = {"small": "Small file", "good": "Good", "best": "Best"}
SIZE_CHOICES: tuple[tuple[int, int] | None, ...] = (
    None,
    (1280, 720),
    (1920, 1080),
    (2560, 1440),
    (3840, 2160),
)
RATE_CHOICES: tuple[float | None, ...] = (None, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 50.0, 60.0)

# Bits to a pixel of such pictures, measured on the demo drive; content changes them by a factor of two.
BITS = {"small": 0.045, "good": 0.085, "best": 0.17}
CODEC_BITS = {"h264": 1.0, "hevc": 0.6}
LOSSLESS_BITS, GIF_BITS, PNG_BITS = 2.0, 1.8, 3.9


@dataclass(frozen=True)
class Subject:
    """What is open: a drive of `frames` frames, played at `times_s`, the marks, and the frame on the screen.

    methods: name -> title of all that are known; on_screen: the names of those that the window shows.
    """

    name: str
    folder: Path
    frames: int
    times_s: list[float]
    marks: tuple[int | None, int | None]
    frame: int
    size: tuple[int, int]  # of its pictures
    methods: Mapping[str, str]
    on_screen: tuple[str, ...]


@dataclass(frozen=True)
class Choice:
    """What the dialog was left with."""

    kind: Kind
    settings: Settings
    first: int
    last: int
    output: Path
    force: bool


def size_of(settings: Settings, own: tuple[int, int]) -> tuple[int, int]:
    """About the size of the picture, in pixels."""
    return even(settings.size or SIZES.get(settings.layout, own))


def estimate(kind: Kind, settings: Settings, frames: int, size: tuple[int, int]) -> float | None:
    """About how many bytes it will have; None where nobody knows."""
    if not kind.drawn:
        return 60.0 * frames if kind.suffix == ".csv" else None
    pixels = size[0] * size[1]
    if kind.suffix == ".png":
        return pixels * PNG_BITS / 8
    bits = {".mkv": LOSSLESS_BITS, ".gif": GIF_BITS, "": PNG_BITS}.get(kind.suffix)
    if bits is None:
        bits = BITS.get(settings.quality, BITS["good"]) * CODEC_BITS.get(settings.codec, 1.0)
    return pixels * bits / 8 * frames


def bytes_text(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if count >= 10 or unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
