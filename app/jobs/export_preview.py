"""What an export will look like: the frame on the screen, drawn by a thread while one still chooses."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vbp.app.player.mailbox import Mailbox
from vbp.app.player.messages import Frame
from vbp.app.player.threads import lower_priority
from vbp.drives.base import Drive, Image
from vbp.errors import VbpError
from vbp.export.job import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreviewWish:
    """indices: (N,) of the frames that the plot shows, rising, that of `frame` among them.

    predicted_deg: (N,), NaN where not known. whole: all that is known is drawn, as for a single picture.
    """

    settings: Settings
    frame: Frame
    drive: Drive
    engine: Any
    indices: NDArray[np.int64]
    predicted_deg: NDArray[np.float64]
    whole: bool


class PreviewThread(threading.Thread):
    """Draws the newest wish; `tell` hears (picture or None, why not or what is missing in it)."""

    def __init__(self, tell: Callable[[Image | None, str], None]) -> None:
        super().__init__(name="vbp-export-preview", daemon=True)
        self._tell = tell
        self.wishes: Mailbox[PreviewWish] = Mailbox()

    def stop(self) -> None:
        self.wishes.close()

    def run(self) -> None:
        lower_priority()
        while (wish := self.wishes.wait()) is not None:
            try:
                picture, text = draw(wish)
            except VbpError as error:
                picture, text = None, str(error)
            except Exception as error:
                log.exception("drawing a preview")
                picture, text = None, f"The preview could not be drawn: {error}"
            try:
                self._tell(picture, text)
            except RuntimeError:  # the window was closed meanwhile
                return


def draw(wish: PreviewWish) -> tuple[Image, str]:
    """The picture as it will be exported, uint8 RGB, and in words what maps it lacks, and what would mislead.

    Raises VbpError for settings that cannot be.
    """
    # Imported here, as they bring torch, which the network's thread has done by now.
    from vbp.export.compose import Composer, facts_of
    from vbp.export.frames import request_of
    from vbp.frames import complete_frame

    drive, settings = wish.drive, wish.settings
    seen = complete_frame(wish.frame.record, wish.engine, request_of(settings))
    result = seen.results[0]
    composer = Composer(facts_of(drive, wish.engine, wish.indices, len(result.layers)), settings)
    for n in np.flatnonzero(np.isfinite(wish.predicted_deg)):
        composer.set_predicted(int(wish.indices[n]), float(wish.predicted_deg[n]))
    return composer.draw(seen, future=wish.whole), "; ".join((*result.missing.values(), *result.warnings))
