"""The panels of which each shows any method: what they ask for, what they get, how late it is, what is remembered."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from vbp.app.control.explanations import Explanations
from vbp.app.jobs.explain import Explained
from vbp.app.panels.method import MethodPanel
from vbp.app.panels.status import StatusLine
from vbp.app.player.playback import Player
from vbp.app.state.settings import Settings
from vbp.overlay import sides
from vbp.results import FrameResult, MapRequest
from vbp.session.document import ShownMethod

if TYPE_CHECKING:
    from vbp.explain import Method

LATE_S = 5.0  # beyond that, a late map names its frame instead


class MethodPanels(QObject):
    """Answers come behind the playback; panels that are not seen ask for nothing."""

    changed = Signal()  # a panel wants something else than before

    def __init__(
        self,
        player: Player,
        explanations: Explanations,
        panels: Mapping[str, MethodPanel],
        status: StatusLine,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._player, self._panels, self._status = player, panels, status
        self._made: dict[str, FrameResult] = {}
        self._methods: Mapping[str, Method] = {}
        self.target = ""
        self.untrained = ""  # what is said over every map of a network that was never trained
        for panel in panels.values():
            panel.parameters_changed.connect(self.changed)
        explanations.explained.connect(self._on_explained)

    def set_methods(self, methods: Mapping[str, Method]) -> None:
        self._methods = methods
        for panel in self._panels.values():
            panel.set_methods(methods)

    def set_target(self, target: str) -> None:
        """What all panels explain from now on, as `vbp.explain.parse_target` reads it."""
        if target != self.target:
            self.target = target
            self.changed.emit()

    def wanted(self, seen: Collection[str]) -> dict[str, MapRequest]:
        """What the panels that are seen show."""
        if not self._methods:
            return {}
        asked = {name: panel.request() for name, panel in self._panels.items() if name in seen}
        return {name: replace(request, target=self.target) for name, request in asked.items()}

    def complete(self, frame: int, seen: Collection[str]) -> bool:
        """Whether all that are seen show this frame."""
        made = [self._made.get(name) for name in self._panels if name in seen]
        return all(one is not None and one.index == frame for one in made)

    def forget(self) -> None:
        self._made = {}
        for panel in self._panels.values():
            panel.show_map(None, None)
            panel.view.set_warning(None)
        self.caption()

    def _on_explained(self, message: Explained) -> None:
        panel, result = self._panels.get(message.panel), message.frame.result
        # Numbers that have changed since are let through: while a slider moves, the map follows it.
        if panel is None or result is None or panel.method != message.request.method:
            return
        if self._player.on_gap:  # of the frame before
            return
        self._made[message.panel] = replace(message.frame.record, image=None, results=())  # they are large
        if message.request.method == "lrp":
            self._status.measured("lrp", message.ms)
        panel.view.set_strength(result.strength, own=message.request.method == "visualbackprop")
        record, of_classes = message.frame.record, result.probabilities is not None
        signed = self._methods[panel.method].signed
        panel.view.set_sides(sides(message.request.target, of_classes) if signed else None)
        of = (message.request, result.network, result.crop)
        panel.show_map(result.input, message.relevance, (record.index, record.timestamp_ns, of))
        zero = message.relevance is not None and not message.relevance.any()
        nothing = "All zero: nothing reached the output" if zero else ""
        panel.view.set_warning(message.text or nothing or self.untrained or None)
        panel.view.setToolTip(f"{self._methods[panel.method].title}: {message.ms:.1f} ms")
        self.caption()

    def caption(self) -> None:
        """Say which panels are behind the frame on the screen, and by how much."""
        shown = self._player.shown_frame
        for name, panel in self._panels.items():
            made = self._made.get(name)
            late = ""
            if made is not None and shown is not None and shown.index != made.index:
                seconds = (shown.record.timestamp_ns - made.timestamp_ns) / 1e9
                late = f"{seconds:.2f} s late" if 0 < seconds < LATE_S else f"of frame {made.index}"
            panel.set_caption("", late)

    # What the window remembers.

    def shown(self) -> dict[str, ShownMethod]:
        """By the panels' names, also of those that are hidden."""
        return {
            name: ShownMethod(panel.method, panel.values_of(panel.method))
            for name, panel in self._panels.items()
        }

    def show(self, shown: Mapping[str, ShownMethod]) -> None:
        """As `shown` gave it; panels and methods that there are not are left out."""
        for name in shown.keys() & self._panels.keys():
            self._panels[name].choose(shown[name].method, shown[name].numbers)

    def remember(self, settings: Settings) -> None:
        for name, one in self.shown().items():
            settings.set(f"methods/{name}", json.dumps(asdict(one)))

    def restore(self, settings: Settings) -> None:
        """As they were left. What is not understood, of another version or damaged, counts as not there."""
        for name, panel in self._panels.items():
            try:
                kept = json.loads(settings.text(f"methods/{name}", "{}"))
                numbers = {str(k): float(v) for k, v in kept.get("numbers", {}).items()}
                method = kept.get("method")
            except (ValueError, TypeError, AttributeError):
                continue
            if isinstance(method, str) and all(math.isfinite(v) for v in numbers.values()):
                panel.choose(method, numbers)
