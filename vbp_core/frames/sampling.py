"""What is usual in a drive, from some of its frames."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np

from vbp.drives.base import Drive
from vbp.frames.running import run_frames
from vbp.frames.strengths import Usual, sample_of, usual_of
from vbp.results import FrameRequest

if TYPE_CHECKING:  # it brings torch
    from vbp.engine import Engine


def drive_usual(drive: Drive, engine: Engine) -> Usual | None:
    """How strong one network's masks are in a drive, and how widely they spread; None where its frames are too few."""
    with closing(run_frames(drive, [engine], FrameRequest(), sample_of(len(drive)))) as frames:
        found = [(frame.strength, frame.spread) for frame in frames]
    return usual_of(*np.array(found, dtype=np.float64).reshape(-1, 2).T)
