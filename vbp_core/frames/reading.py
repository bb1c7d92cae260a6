"""A frame of a recording as a record, before any network saw it."""

from __future__ import annotations

import time

from vbp.drives.base import Drive
from vbp.errors import FrameError
from vbp.results import FrameResult


def read_frame(drive: Drive, index: int, encoded: bool = False) -> FrameResult:
    """Frame `index` of `drive`. A frame that cannot be decoded is a gap, which says why. Raises IndexError.

    encoded: with its own picture file, where the recording has one.
    """
    began = time.perf_counter()
    image, gap, file = None, "", None
    try:
        image = drive.frame(index)
        file = drive.encoded(index) if encoded else None
    except FrameError as error:
        image, gap = None, str(error)
    label = -1 if drive.labels is None else int(drive.labels[index])
    return FrameResult(
        index=index,
        timestamp_ns=int(drive.timestamps_ns[index]),
        image=image,
        gap=gap,
        driven_rad=float(drive.angle_rad[index]),
        speed_mps=float(drive.speed_mps[index]),
        picture=drive.names[index] if len(drive.names) else "",
        folder=drive.info.classes[label] if label >= 0 else "",
        encoded=file,
        decode_ms=(time.perf_counter() - began) * 1e3,
    )
