"""The thread for everything that may come a little later: the panels' maps and the layers of the frame on the screen."""

from __future__ import annotations

import logging
import math
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from vbp.app.player.mailbox import Mailbox
from vbp.app.player.messages import Explained, Frame, LayersMade, Trouble
from vbp.app.player.threads import compute_alone, step_back
from vbp.errors import ExplainError, VbpError
from vbp.results import Map, MapRequest

log = logging.getLogger(__name__)
QUIET_S = 0.2  # nothing new was asked for that long: a method of seconds may begin


@dataclass(frozen=True)
class Wish:
    """What is wanted of one frame's pass, panel by panel. `version` changes with the drive and the network.

    driven_rad: of that frame, NaN where it is not known; for the error as a target.
    """

    version: int
    frame: Frame
    engine: Any
    panels: dict[str, MapRequest] = field(default_factory=dict)
    layers: bool = False
    driven_rad: float = math.nan


class BehindThread(threading.Thread):
    """Works on the newest wish; what it did not come to is forgotten."""

    def __init__(self, tell: Callable[[object], None]) -> None:
        super().__init__(name="vbp-behind", daemon=True)
        self._tell = tell
        self.wishes: Mailbox[Wish] = Mailbox()
        self._last_trouble = ""
        self._stopped = threading.Event()
        # What each panel was given last; a pass is large, and is not to be kept for that.
        self._told: dict[str, tuple[int, weakref.ref[Any], MapRequest]] = {}

    def stop(self) -> None:
        self._stopped.set()
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
        """The quick methods, the layers, then, while nobody wants anything newer, the slow ones."""
        shot = wish.frame.shot
        if shot is None:
            return
        from vbp.explain import METHODS
        from vbp.explain.occlusion import StoppedError, stop_asked

        made: dict[MapRequest, tuple[Map | None, float, str]] = {}
        slow = [name for name, request in wish.panels.items() if METHODS[request.method].slow]
        for name in wish.panels:
            if name not in slow:
                self._explain(wish, name, made)
        if wish.layers:
            self._tell(LayersMade(wish.version, wish.frame, wish.engine.layers(shot)))
        slow = [name for name in slow if not self._has(wish, name)]
        if not slow or not self._quiet():
            return
        token = stop_asked.set(self._wanted)
        try:
            for name in slow:
                self._explain(wish, name, made)
        except StoppedError:
            return
        finally:
            stop_asked.reset(token)

    def _explain(self, wish: Wish, name: str, made: dict[MapRequest, tuple[Map | None, float, str]]) -> None:
        request = wish.panels[name]
        if self._has(wish, name):
            return
        if request not in made:  # two panels may show the same
            began = time.perf_counter()
            relevance, text = None, ""
            try:
                relevance = wish.engine.explain(wish.frame.shot, request, wish.driven_rad)
            except ExplainError as error:
                text = str(error)
            made[request] = relevance, (time.perf_counter() - began) * 1e3, text
        relevance, ms, text = made[request]
        self._told[name] = wish.version, weakref.ref(wish.frame.shot), request
        self._tell(Explained(wish.version, wish.frame, name, request, relevance, ms, text))

    def _has(self, wish: Wish, name: str) -> bool:
        """Whether the panel was given just this: another panel's slider must not make it wait."""
        told = self._told.get(name)
        return (
            told is not None
            and told[0] == wish.version
            and told[1]() is wish.frame.shot
            and told[2] == wish.panels[name]
        )

    def _wanted(self) -> bool:
        return self._stopped.is_set() or not self.wishes.empty

    def _quiet(self) -> bool:
        until = time.monotonic() + QUIET_S
        while time.monotonic() < until:
            if self._stopped.wait(0.02) or self._wanted():
                return False
        return True
