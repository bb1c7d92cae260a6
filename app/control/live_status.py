"""Puts into the panels how a camera is doing."""

from __future__ import annotations

import math
import statistics
import time
from collections import deque
from html import escape

from PySide6.QtCore import QObject, QTimer

from vbp.app.panels.panels import Panels
from vbp.app.panels.title import title_of
from vbp.app.player.messages import Frame, NetworkReady
from vbp.app.player.playback import Player
from vbp.app.widgets.plot_parts import STEERING, UNKNOWN_CLASSES
from vbp.app.widgets.veil import Veil
from vbp.live.records import CaptureState
from vbp.readable import signed

TICK_MS = 100
INFO_EVERY = 10  # ticks
OLD = "not live"
DELAYS = 100  # frames over which the delay is told


class LiveStatus(QObject):
    """How a camera is doing, its last minute, and the delay from a frame's arrival to its picture on the screen."""

    def __init__(self, player: Player, panels: Panels, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.player, self.panels = player, panels
        self.plot, self.bar = panels.live_plot, panels.live_bar
        self.state: CaptureState | None = None
        maps = [panel.view for panel in (panels.visualbackprop, *panels.methods.values())]
        of_words = (panels.prediction, panels.layers, panels.compare)
        self.veils = [*(Veil(under, False) for under in of_words), *map(Veil, maps)]
        self._titles = [t for t in map(title_of, of_words) if t is not None]
        self.delays_ms: deque[float] = deque(maxlen=DELAYS)  # arrival to picture
        self.beyond_ms: deque[float] = deque(maxlen=DELAYS)  # of that, what was not the network's
        self._unpainted: Frame | None = None
        self._ticks = 0
        player.camera_changed.connect(self.on_camera)
        player.network_ready.connect(self.on_network)
        player.state_changed.connect(self.on_state)
        self.panels.picture.painted.connect(self.on_painted)
        self._timer = QTimer(self)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self.tick)

    # A session.

    def begin(self) -> None:
        live = self.player.live
        self.state = None
        self._unpainted = None
        self.delays_ms.clear()
        self.beyond_ms.clear()
        self.plot.begin(live is not None and bool(live.request.angles))
        self.bar.show_recording(None)
        self.panels.compare.set_live(True)
        self._timer.start()
        self.tick()

    def end(self) -> None:
        self._timer.stop()
        self.state = None
        self._set_old("")
        self.panels.status.set_live(None)

    # Frames.

    def add(self, frame: Frame, seconds: float) -> None:
        """A frame that goes to the screen, and when it came, since the first."""
        record, result = frame.record, frame.result
        of_classes = result is not None and result.probabilities is not None
        driven_deg = math.nan if of_classes else math.degrees(record.driven_rad)
        self.plot.history.add(seconds, record.plotted, driven_deg)
        self.plot.refresh()
        if not self.player.frozen:
            self._unpainted = frame
        self._show_age()

    def on_painted(self) -> None:
        frame, self._unpainted = self._unpainted, None
        if frame is not None:
            ms = (time.monotonic_ns() - frame.arrived_ns) / 1e6
            self.delays_ms.append(ms)
            self.beyond_ms.append(
                ms - (sum(frame.result.stages_ms.values()) if frame.result is not None else 0.0)
            )

    def on_network(self, ready: NetworkReady) -> None:
        self.plot.history.forget_predicted()
        self.plot.set_meaning(UNKNOWN_CLASSES if ready.network.spec.is_classifier else STEERING)
        self.panels.compare.forget()

    def on_state(self) -> None:
        self.plot.hold(self.player.frozen)
        self.tick()

    # How it is doing.

    def on_camera(self, state: CaptureState) -> None:
        self.state = state
        if self.player.shown_frame is None:
            self.panels.picture.set_empty(state.text)
        self.tick()

    def quiet_s(self) -> float:
        """Seconds since the newest frame came."""
        live = self.player.live
        if live is None or not live.last_arrived_ns:
            return 0.0
        return (time.monotonic_ns() - live.last_arrived_ns) / 1e9

    def _show_age(self) -> None:
        """Mark what is no longer what the camera sees; a frozen picture is known to be old."""
        state, text = self.state, ""
        if state is not None and not self.player.frozen and self.player.shown_frame is not None:
            if state.phase == "stale":
                text = f"no frame for {self.quiet_s():.1f} s"
            elif state.phase in ("lost", "connecting"):
                text = f"camera lost, trying again…\nno frame for {self.quiet_s():.1f} s"
        self._set_old(text)
        self.plot.wait(self.quiet_s() if text else 0.0)

    def _set_old(self, text: str) -> None:
        """The picture says why; what was made of it is as old."""
        self.panels.picture.set_old(text)
        for veil in self.veils:
            veil.set_text(OLD if text else "")
        for title in self._titles:
            title.set_state(OLD if text else "")

    def tick(self) -> None:
        live = self.player.live
        if live is None:
            return
        self._show_age()
        self.bar.show_camera(self.state, self.player.frozen, self.quiet_s())
        self.bar.show_angles(live.angles_text)
        self.panels.status.set_live(self.status_text(), self.delay_tip())
        self._ticks += 1
        if self._ticks % INFO_EVERY == 1 and self.panels.info.isVisible():
            self.panels.info.text.setHtml(self.describe())

    def status_text(self) -> str:
        """live 20.0 fps · 24 ms · 0 skipped."""
        if self.player.frozen:
            return "frozen"
        state = self.state
        if state is None or state.phase != "live":
            return state.phase if state is not None else "connecting"
        parts = [f"live {self.player.fps:.1f} fps" if self.player.fps > 0 else "live"]
        if self.delays_ms:
            parts.append(f"{statistics.median(self.delays_ms):.0f} ms")
        return " · ".join([*parts, f"{self.player.skipped} skipped"])

    def delay_tip(self) -> str:
        if not self.delays_ms:
            return ""
        return (
            f"From the arrival of a frame to its picture, over the last {len(self.delays_ms)}: "
            f"median {statistics.median(self.delays_ms):.1f} ms, longest {max(self.delays_ms):.1f} ms; "
            f"without the network {statistics.median(self.beyond_ms):.1f} and {max(self.beyond_ms):.1f} ms.\n"
            "Skipped: frames that came while an older one was still being worked on; the newest wins."
        )

    def describe(self) -> str:
        """The session in words, as simple HTML."""
        live, state = self.player.live, self.state
        if live is None or state is None:
            return ""
        width, height = state.size
        request = live.request
        asked = [f"{request.size[0]}×{request.size[1]}"] if request.size else []
        asked += [f"{request.fps:g} per second"] if request.fps else []
        asked += [f"exposure {request.exposure_ms:g} ms"] if request.exposure_ms else []
        frame = self.player.shown_frame
        crop = frame.result.crop if frame is not None and frame.result is not None else None
        driven = self.plot.history.driven_deg
        size, rate = f"{width}×{height}", f", {state.fps:.1f} per second" if state.fps > 0 else ""
        back = "once" if state.reconnects == 1 else f"{state.reconnects} times"
        rows = [
            ("Camera", request.address.name),
            ("State", state.text),
            ("Frames", size + rate if width else ""),
            ("Asked for", ", ".join(asked)),
            ("Exposure", f"{state.exposure_ms:g} ms" if state.exposure_ms else ""),
            ("Received", f"{frame.index if frame is not None else 0}, {self.player.skipped} not shown"),
            ("Reconnected", back if state.reconnects else ""),
            ("Crop", _crop_text(crop, self.player.crop is not None) if crop is not None else ""),
            ("Steering", live.angles_text or "none: no measured angle, no error"),
            (
                "Measured",
                f"{signed(float(driven[-1]))}°" if len(driven) and math.isfinite(driven[-1]) else "",
            ),
        ]
        cells = "".join(
            f"<tr><td style='padding-right:12px'><b>{name}</b></td><td>{escape(value)}</td></tr>"
            for name, value in rows
            if value
        )
        return f"<table cellspacing='2'>{cells}</table>"


def _crop_text(crop, by_hand: bool) -> str:  # type: ignore[no-untyped-def]
    whose = "set by hand" if by_hand else "the network's own"
    return f"{crop.width}×{crop.height} at {crop.x}, {crop.y}, {whose}"
