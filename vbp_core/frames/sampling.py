"""What is usual in a drive, from some of its frames."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vbp.drives.base import Drive
from vbp.frames.running import run_frames
from vbp.frames.strengths import Usual, sample_of, usual_of
from vbp.results import FrameRequest
from vbp.scores import steady_text

if TYPE_CHECKING:  # it brings torch
    from vbp.engine import Engine


@dataclass(frozen=True)
class Sample:
    """What one network says of the frames that stand for a drive. usual: what masks are usual; steady: that its output hardly moves, one
    sentence, or ""."""

    usual: Usual | None
    steady: str


def sample(drive: Drive, engine: Engine) -> Sample:
    with closing(run_frames(drive, [engine], FrameRequest(), sample_of(len(drive)))) as frames:
        rows = [(f.strength, f.spread, f.predicted_rad, f.driven_rad) for f in frames]
    strengths, spreads, predicted, driven = np.array(rows, dtype=np.float64).reshape(-1, 4).T
    return Sample(usual_of(strengths, spreads), steady_text(predicted, driven))


def drive_usual(drive: Drive, engine: Engine) -> Usual | None:
    """How strong one network's masks are in a drive, and how widely they spread; None where its frames are too few."""
    return sample(drive, engine).usual
