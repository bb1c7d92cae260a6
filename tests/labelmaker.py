"""A drive in memory with angles that a test chooses."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vbp.drives.base import Drive, DriveInfo, Gap, even_times
from vbp.errors import FrameError


class Made(Drive):
    """Frames whose grey says which they are."""

    def __init__(self, angles_deg, fps=10.0, gaps=(), bad=(), unit="deg"):
        super().__init__()
        self.info = DriveInfo("made", Path("made"), 8, 6, fps, angle_unit=unit)
        self.info.gaps = [Gap(a, b, "missing") for a, b in gaps]
        self.timestamps_ns = even_times(len(angles_deg), fps)
        self.angle_rad = np.radians(np.asarray(angles_deg, dtype=float))
        self.speed_mps = np.full(len(angles_deg), np.nan)
        self.bad = bad

    def _decode(self, i):
        if i in self.bad:
            raise FrameError("damaged")
        return np.full((6, 8, 3), i % 256, np.uint8)
