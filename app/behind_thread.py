"""The thread for everything that may come a little later: LRP and the layers of the frame on the screen."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from app.mailbox import Mailbox
from app.messages import Explained, Frame, LayersMade, Trouble
from app.threads import compute_alone, step_back
from vbp_core.errors import VbpError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wish:
    """What is wanted of one frame's pass. `version` changes with the frame's drive, network and parameters."""

    version: int
    frame: Frame
    engine: Any
    methods: dict[str, dict[str, Any]] = field(default_factory=dict)
    layers: bool = False


class BehindThread(threading.Thread):
    """Works on the newest wish; what it did not come to is forgotten."""

    def __init__(self, tell: Callable[[object], None]) -> None:
        super().__init__(name="vbp-behind", daemon=True)
        self._tell = tell
        self.wishes: Mailbox[Wish] = Mailbox()
        self._last_trouble = ""

    def stop(self) -> None:
        self.wishes.close()

    def run(self) -> None:
        step_back()
        alone = False
        while (wish := self.wishes.wait()) is not None:
            try:
                if not alone:  # not before: a wish comes when torch has been imported, which takes seconds
                    compute_alone()
                    alone = True
                self._fulfil(wish)
                self._last_trouble = ""
            except Exception as error:
                text = str(error) if isinstance(error, VbpError) else f"An explanation failed: {error}"
                if text != self._last_trouble:
                    self._last_trouble = text
                    log.exception("behind the playback")
                    self._tell(Trouble(text))

    def _fulfil(self, wish: Wish) -> None:
        shot = wish.frame.shot
        if shot is None:
            return
        for method, parameters in wish.methods.items():
            began = time.perf_counter()
            relevance = wish.engine.explain(shot, method, **parameters)
            ms = (time.perf_counter() - began) * 1e3
            self._tell(Explained(wish.version, wish.frame, method, relevance, ms))
        if wish.layers:
            self._tell(LayersMade(wish.version, wish.frame, wish.engine.layers(shot)))
