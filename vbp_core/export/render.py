"""The pictures of a clip one after the other, each as often as the clip shows it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager

import numpy as np

from vbp.drives.base import Image
from vbp.drives.holes import played_ns
from vbp.export.compose import Composer
from vbp.export.facts import facts_of
from vbp.export.frames import Source, open_source, with_those_before
from vbp.export.job import Job
from vbp.export.timeline import Timeline, at_most, timeline
from vbp.results import FrameResult


class Clip:
    """A job's drive, network, composer and timeline, ready to be drawn."""

    def __init__(self, source: Source, repeats: bool) -> None:
        settings, frames = source.job.settings, np.array(source.indices, dtype=np.int64)
        self.source = source
        times = played_ns(source.drive.timestamps_ns)[frames]
        self.timeline: Timeline = (timeline if repeats else at_most)(times, settings.fps)
        self.indices = frames[self.timeline.picks]  # of the drive, one for each picture
        self.composer = Composer(
            facts_of(source.drive, source.engine, np.unique(self.indices), source.layers, source.usual),
            settings,
        )

    def pictures(self) -> Generator[tuple[int, FrameResult, Image], None, None]:
        """(position in the timeline, the frame, uint8 RGB (H, W, 3)); a frame shown twice comes twice, drawn once."""
        shown, counts = np.unique(self.indices, return_counts=True)
        at = 0
        wanted = dict(zip(shown.tolist(), counts.tolist(), strict=True))
        needed = with_those_before(shown, self.source.job.settings)
        with closing(self.source.frames(needed)) as frames:
            for frame in frames:
                if frame.index not in wanted:
                    self.composer.look(frame)
                    continue
                picture = self.composer.draw(frame)
                for _ in range(wanted[frame.index]):
                    yield at, frame, picture
                    at += 1


@contextmanager
def open_clip(job: Job, repeats: bool = True) -> Iterator[Clip]:
    """repeats: a picture comes as often as a fixed rate shows it. Raises VbpError, before anything is written, for what
    cannot be drawn."""
    with open_source(job) as source:
        yield Clip(source, repeats)
