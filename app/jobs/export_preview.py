"""What an export will look like: the frame on the screen, drawn by a thread while one still chooses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vbp.app.jobs.worker import Worker
from vbp.app.player.messages import Frame
from vbp.drives.base import Drive, Image
from vbp.export.job import Settings

if TYPE_CHECKING:
    from vbp.engine import Engine


@dataclass(frozen=True)
class PreviewRequest:
    """indices: (N,) of the frames that the plot shows, rising, that of `frame` among them.

    predicted_deg: (N,), NaN where not known. whole: all that is known is drawn, as for a single picture.
    """

    settings: Settings
    frame: Frame
    drive: Drive
    engine: Engine
    indices: NDArray[np.int64]
    predicted_deg: NDArray[np.float64]
    whole: bool


@dataclass(frozen=True)
class Preview:
    """text: what is missing in the picture, and why; "" where it is whole."""

    picture: Image
    text: str


def draw_preview(request: PreviewRequest, worker: Worker[PreviewRequest]) -> None:
    """Raises VbpError for settings that cannot be."""
    worker.tell(draw(request))


def draw(request: PreviewRequest) -> Preview:
    """The picture as it will be exported, uint8 RGB, and in words what maps it lacks, and what would mislead.

    Raises VbpError for settings that cannot be.
    """
    # Imported here, as they bring torch, which the network's thread has done by now.
    from vbp.export.compose import Composer
    from vbp.export.facts import facts_of
    from vbp.export.frames import request_of
    from vbp.frames import complete_frame
    from vbp.scores import steady_text

    drive, settings = request.drive, request.settings
    seen = complete_frame(request.frame.record, request.engine, request_of(settings))
    result = seen.results[0]
    facts = facts_of(drive, request.engine, request.indices, len(result.layers), settings.usual)
    composer = Composer(facts, settings)
    for n in np.flatnonzero(np.isfinite(request.predicted_deg)):
        composer.set_predicted(int(request.indices[n]), float(request.predicted_deg[n]))
    alone = ("masks of this frame alone: smoothed only where they are exported",) * (
        settings.overlay.smooth > 1
    )
    predicted = np.full(0, np.nan) if facts.of_classes else np.radians(request.predicted_deg)
    steady = steady_text(predicted, drive.angle_rad[request.indices][: len(predicted)])
    said = (*result.missing.values(), *result.warnings, *alone, steady)
    return Preview(composer.draw(seen, future=request.whole), "; ".join(filter(None, said)))
