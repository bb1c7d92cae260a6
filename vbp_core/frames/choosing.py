"""Which frames of a drive are asked for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vbp.drives.base import Drive
from vbp.drives.labels import speed_filter
from vbp.errors import VbpError


def parse_frames(text: str | None, length: int) -> range:
    """ "A:B" as Python slices count (B not included, negative from the end), "A" for one frame, None for all.

    Raises VbpError for text that is none, and for a part of the drive that holds no frame.
    """
    if text is None:
        return range(length)
    parts = text.split(":")
    try:
        numbers = [int(p) if p.strip() else None for p in parts]
    except ValueError:
        numbers = []
    if len(numbers) == 1 and numbers[0] is not None:
        chosen = range(length)[numbers[0] : numbers[0] + 1 or None]
    elif len(numbers) == 2:
        chosen = range(length)[numbers[0] : numbers[1]]
    else:
        raise VbpError(
            f"--frames {text} is not understood; give A:B (from frame A up to, not including, B) or A"
        )
    if not chosen and length:
        raise VbpError(
            f"--frames {text} holds no frame of this drive, which has {length} (0 to {length - 1})"
        )
    return chosen


def choose_frames(drive: Drive, frames: str | None, min_speed: float | None) -> NDArray[np.int64]:
    """Indices of `frames` ("A:B") whose speed is above `min_speed` m/s (the paper's filter; None: all).

    Raises VbpError where none is left.
    """
    chosen = np.array(parse_frames(frames, len(drive)), dtype=np.int64)
    if min_speed is not None:
        if not np.isfinite(drive.speed_mps).any():
            raise VbpError(f"{drive.info.path} has no speed, so --min-speed cannot choose frames")
        chosen = chosen[speed_filter(drive.speed_mps[chosen], min_speed)]
        if not len(chosen):
            part = f"none of the frames {frames}" if frames else "no frame"
            raise VbpError(f"{part} of {drive.info.path} is faster than {min_speed:g} m/s")
    return chosen
