"""What may come a little later than the picture: the panels' maps and the layers of the frame on the screen."""

from __future__ import annotations

import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vbp.app.jobs.worker import Worker
from vbp.app.player.messages import Frame
from vbp.errors import ExplainError
from vbp.results import Layer, Map, MapRequest

if TYPE_CHECKING:
    from vbp.engine import Engine

PAUSE_S = 0.2  # nothing new was asked for that long: a method of seconds may begin


@dataclass(frozen=True)
class ExplainRequest:
    """panels: the map that each panel shows, by the panel's name. layers: Figure 2b too. engine: it ran `frame`."""

    frame: Frame
    engine: Engine
    panels: Mapping[str, MapRequest] = field(default_factory=dict)
    layers: bool = False


@dataclass(frozen=True)
class Explained:
    """A map for one panel. `frame` is the one it belongs to, with its picture and the network's result.

    relevance None: the method cannot explain this network, and `text` says why.
    """

    frame: Frame
    panel: str
    request: MapRequest
    relevance: Map | None
    ms: float
    text: str = ""


@dataclass(frozen=True)
class LayersMade:
    frame: Frame
    layers: tuple[Layer, ...]


class Explainer:
    """The quick methods, the layers, then, while nobody wants anything newer, the slow ones."""

    def __init__(self) -> None:
        # What each panel was given last; a pass is large, and is not to be kept for that.
        self._given: dict[str, tuple[weakref.ref[Any], MapRequest]] = {}

    def __call__(self, request: ExplainRequest, worker: Worker[ExplainRequest]) -> None:
        from vbp.explain import METHODS
        from vbp.explain.occlusion import StoppedError, stop_asked

        result = request.frame.result
        assert result is not None
        made: dict[MapRequest, Explained] = {}
        slow = [name for name, wanted in request.panels.items() if METHODS[wanted.method].slow]
        for name in request.panels:
            if name not in slow:
                self._explain(request, name, made, worker)
        if request.layers:
            worker.tell(LayersMade(request.frame, request.engine.layers(result)))
        slow = [name for name in slow if not self._has(request, name)]
        if not slow:
            return
        _pause(worker)
        token = stop_asked.set(lambda: worker.superseded)
        try:
            for name in slow:
                self._explain(request, name, made, worker)
        except StoppedError:
            return
        finally:
            stop_asked.reset(token)

    def _explain(
        self,
        request: ExplainRequest,
        name: str,
        made: dict[MapRequest, Explained],
        worker: Worker[ExplainRequest],
    ) -> None:
        if self._has(request, name):
            return
        frame, wanted = request.frame, request.panels[name]
        assert frame.result is not None
        relevance, text, ms = None, "", 0.0
        if wanted in made:  # two panels may show the same
            relevance, text, ms = made[wanted].relevance, made[wanted].text, made[wanted].ms
        else:
            began = time.perf_counter()
            try:
                relevance = request.engine.explain(frame.result, wanted, frame.record.driven_rad)
            except ExplainError as error:
                text = str(error)
            ms = (time.perf_counter() - began) * 1e3
        made[wanted] = Explained(frame, name, wanted, relevance, ms, text)
        self._given[name] = weakref.ref(frame.result), wanted
        worker.tell(made[wanted])

    def _has(self, request: ExplainRequest, name: str) -> bool:
        """Whether the panel was given just this: another panel's slider must not make it wait."""
        given = self._given.get(name)
        return given is not None and given[0]() is request.frame.result and given[1] == request.panels[name]


def _pause(worker: Worker[ExplainRequest]) -> None:
    until = time.monotonic() + PAUSE_S
    while time.monotonic() < until:
        worker.check()
        time.sleep(0.02)
