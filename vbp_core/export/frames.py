"""The drive and the network of an export, opened, and its frames."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vbp.classes import unknown_folders
from vbp.drives.base import Drive
from vbp.drives.opening import open_drive
from vbp.edits import Edits
from vbp.edits.edit import NONE
from vbp.errors import VbpError
from vbp.explain.registry import METHODS
from vbp.export.job import Job, Settings
from vbp.frames import run_frames
from vbp.frames.outcomes import Outcomes
from vbp.frames.running import CACHE_BYTES
from vbp.frames.sampling import drive_usual
from vbp.frames.strengths import Usual
from vbp.results import VBP, FrameRequest, FrameResult, MapRequest
from vbp.scores import steady_text

if TYPE_CHECKING:
    from vbp.engine import Engine


log = logging.getLogger(__name__)
MASKED = {"camera": VBP, "maps": VBP}  # panels that show a method without bearing its name


def map_of(settings: Settings, panel: str) -> MapRequest | None:
    """The map that a panel shows; None where it shows none."""
    method = MASKED.get(panel, panel)
    if method not in METHODS:
        return None
    target = settings.target if METHODS[method].targeted else ""
    return MapRequest(method, tuple(settings.parameters.get(method, {}).items()), target)


def maps_of(settings: Settings) -> tuple[MapRequest, ...]:
    """The maps that the panels show, but for the layers'."""
    return tuple(
        dict.fromkeys(m for p in settings.panels if p != "maps" and (m := map_of(settings, p)) is not None)
    )


def request_of(settings: Settings) -> FrameRequest:
    """What the panels show of a frame."""
    return FrameRequest(maps_of(settings), "maps" in settings.panels)


def with_those_before(indices: NDArray[np.int64], settings: Settings) -> NDArray[np.int64]:
    """(N,) frames, rising, and of each those before it that its smoothed mask is made of."""
    before = np.arange(settings.overlay.smooth)
    found = np.unique(indices[:, None] - before)
    return np.asarray(found[found >= 0])


class Source:
    """The drive and the network of a job, opened. The drive belongs to the frames that are being read."""

    def __init__(self, job: Job, drive: Drive, engine: Engine) -> None:
        self.job, self.drive, self.engine = job, drive, engine
        self.edits = Edits.from_text(job.edits) if job.edits else NONE
        self._warned: set[str] = set()
        if text := unknown_folders(drive, engine.spec):
            log.warning(text)

    @property
    def indices(self) -> range:
        return range(self.job.first, self.job.last + 1)

    @property
    def layers(self) -> int:
        """Rows of Figure 2b, where a panel shows it."""
        return self.engine.count_layers() if "maps" in self.job.settings.panels else 0

    @cached_property
    def usual(self) -> Usual | None:
        """What strengths the masks of the drive have, where a mask is drawn by that: as the job says, or by a sample."""
        settings = self.job.settings
        if settings.usual is not None:
            return settings.usual
        if not (settings.overlay.fade or settings.overlay.fixed) or not maps_of(settings):
            return None
        return drive_usual(self.drive, self.engine)

    def frames(
        self,
        indices: Sequence[int] | NDArray[np.int64] | None = None,
        maps: tuple[MapRequest, ...] | None = None,
        layers: bool | None = None,
        encoded: bool = False,
    ) -> Generator[FrameResult, None, None]:
        """Those frames (default: the job's), in that order, with these maps and where asked the layers.

        By default what the job's panels show. Close it where it is not read to its end. Why a method cannot explain
        the network is logged once, as a warning, and that its output hardly moves on these frames; it predicts all the same.
        """
        shown = request_of(self.job.settings)
        request = FrameRequest(
            shown.maps if maps is None else maps,
            shown.layers if layers is None else layers,
            encoded=encoded,
            edits=self.edits,
        )
        wanted = self.indices if indices is None else indices
        found = run_frames(self.drive, [self.engine], request, wanted)
        outcomes = Outcomes()
        try:
            for frame in found:
                outcomes.add(frame)
                if frame.result is not None:
                    self._warn(frame.result.missing.values())
                yield frame
        finally:
            found.close()
        steady = steady_text(outcomes.predicted_rad, self.drive.angle_rad[np.asarray(wanted)])
        self._warn([steady] * bool(steady))

    def _warn(self, texts: Iterable[str]) -> None:
        for text in texts:
            if text not in self._warned:
                self._warned.add(text)
                log.warning(text)


@contextmanager
def open_source(job: Job) -> Iterator[Source]:
    """Open what a job names. Raises VbpError, also where the drive does not have the job's frames."""
    from vbp.engine import Engine, open_network

    network = open_network(job.model)
    with open_drive(job.drive_path, job.options) as drive:
        for part in job.parts or (job,):
            if not 0 <= part.first <= part.last < len(drive):
                raise VbpError(
                    f"{job.drive_path} has no frames {part.first} to {part.last}; it has {len(drive)}, 0 to {len(drive) - 1}"
                )
        drive.limit_cache(CACHE_BYTES)
        yield Source(job, drive, Engine(network, job.device, crop=job.crop))
