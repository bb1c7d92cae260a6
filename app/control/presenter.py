"""Puts what the player says into the panels: the only place that knows both."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QTimer

from vbp.app.control.live_status import LiveStatus
from vbp.app.control.methods import MethodPanels
from vbp.app.panels.panels import Panels
from vbp.app.player.messages import Frame, LayersMade, NetworkReady, Predicted, PredictEnded, told
from vbp.app.player.playback import Player
from vbp.app.state.marks import Marks
from vbp.app.state.overlay import Overlay
from vbp.app.widgets.plot_parts import CLASSES, STEERING, UNKNOWN_CLASSES
from vbp.classes import UNKNOWN, labels_for, unknown_folders
from vbp.drives.base import Drive
from vbp.readable import clock

VBP = "visualbackprop"
STATUS_MS = 250


@dataclass(frozen=True)
class Facts:
    """What is known of a frame beside its picture. of: how many there are, or whose it is; frames: 0 for a camera.

    driven_rad: steering wheel angle, left positive; truth: the true class; NaN and UNKNOWN where they are not known.
    """

    seconds: float
    of: str
    frames: int
    driven_rad: float
    speed_mps: float
    truth: int = UNKNOWN


class Presenter(QObject):
    def __init__(self, player: Player, panels: Panels, marks: Marks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.player, self.panels, self.marks = player, panels, marks
        self.drive: Drive | None = None
        # Of a classifier in per cent: what it gives the true class, and 100 where that is known.
        self.predicted_deg: NDArray[np.float64] = np.zeros(0)
        self.driven_deg: NDArray[np.float64] = np.zeros(0)
        self.labels: NDArray[np.int64] = np.zeros(
            0, dtype=np.int64
        )  # the true classes, as the network counts
        self.overlay = Overlay()
        self.untrained = ""
        self.seen: set[str] = set()
        self.layers_frame: Frame | None = None
        self._of_classes = False
        self.methods = MethodPanels(player, panels.methods, panels.status, self)
        self.methods.changed.connect(self.ask)
        self.live = LiveStatus(player, panels, self)

        player.opened.connect(self.on_opened)
        player.shown.connect(self.on_shown)
        player.beside.connect(self._on_beside)
        player.layers_made.connect(self.on_layers)
        player.predicted.connect(self.on_predicted)
        player.predict_ended.connect(self.on_predict_ended)
        player.network_ready.connect(self.on_network)
        player.playing_changed.connect(self.on_playing)
        player.pace_changed.connect(lambda speed, _: panels.transport.set_speed(speed))
        panels.angle.seek_requested.connect(player.seek)
        timeline = panels.transport.timeline
        timeline.seek_requested.connect(player.seek)
        timeline.scrub_started.connect(player.scrub_started)
        timeline.scrub_finished.connect(player.scrub_finished)
        timeline.marks_changed.connect(marks.set_part)
        marks.changed.connect(self.on_marks)
        panels.compare.wanted.connect(player.fetch_beside)
        self._status = QTimer(self)
        self._status.setInterval(STATUS_MS)
        self._status.timeout.connect(self.refresh_status)
        self._status.start()

    # The recording.

    def on_opened(self, drive: Drive) -> None:
        p = self.panels
        self.drive = drive
        times = (drive.timestamps_ns - drive.timestamps_ns[0]) / 1e9
        self._show_known()
        p.transport.timeline.set_drive(times, [(g.first, g.last, g.reason) for g in drive.info.gaps])
        p.compare.set_drive(drive)
        p.status.forget_measured()
        self.forget_predictions()
        self._forget_behind()

    def _show_known(self) -> None:
        """What predictions are compared with: the driven angle, or the true classes."""
        drive, ready, plot = self.drive, self.player.ready, self.panels.angle
        if drive is None:
            return
        spec = ready.network.spec if ready is not None else None
        self.labels = (
            labels_for(drive, spec) if spec is not None else np.full(len(drive), UNKNOWN, dtype=np.int64)
        )
        self.panels.info.set_drive(drive, unknown_folders(drive, spec) if spec is not None else "")
        known = np.where(self.labels >= 0, 100.0, np.nan)
        of_classes = spec is not None and spec.is_classifier
        self.driven_deg = known if of_classes else np.degrees(drive.angle_rad)
        labelled = bool(np.isfinite(known).any())
        meaning = STEERING if not of_classes else CLASSES if labelled else UNKNOWN_CLASSES
        plot.set_meaning(meaning)
        self.panels.transport.timeline.set_unit(meaning.unit)
        plot.set_drive((drive.timestamps_ns - drive.timestamps_ns[0]) / 1e9, self.driven_deg)

    def clear(self) -> None:
        """No recording is open."""
        p = self.panels
        self.drive = None
        self.driven_deg = self.predicted_deg = np.zeros(0)
        p.angle.set_drive(np.zeros(0), np.zeros(0))
        p.transport.timeline.set_drive(np.zeros(0), [])
        p.compare.set_drive(None)
        p.info.set_drive(None)
        p.picture.set_masked(None, None)
        p.picture.set_crop(None)
        p.picture.set_gap(None)
        p.picture.set_warning(None)
        p.picture.set_caption("")
        p.visualbackprop.show_map(None, None)
        p.visualbackprop.set_caption("")
        p.prediction.show_pass(None, math.nan)
        p.steering.set_speed(math.nan)
        p.prediction.set_frame(0, 0, "")
        p.status.forget_measured()
        p.status.end_progress()
        self._forget_behind()

    def _forget_behind(self) -> None:
        self.layers_frame = None
        self.panels.layers.set_layers([])
        self.methods.forget()

    def forget_predictions(self) -> None:
        self.predicted_deg = np.full(len(self.driven_deg), np.nan)
        self.panels.angle.clear_predicted()
        if self.drive is not None:
            self.panels.transport.timeline.set_errors(self.predicted_deg)

    # The network.

    def on_network(self, ready: NetworkReady) -> None:
        from vbp.explain import METHODS  # torch is loaded by now

        self.methods.set_methods(METHODS)
        spec = ready.network.spec
        other = self._of_classes != spec.is_classifier
        self._of_classes = spec.is_classifier
        self.panels.prediction.set_spec(spec)
        if other or spec.is_classifier:
            self._show_known()
        trained = getattr(ready.network, "trained", True)
        self.untrained = "" if trained else "untrained network: random weights"
        self.panels.status.set_device(ready.device_text)
        self.panels.status.forget_measured()
        self.panels.compare.forget()
        self.forget_predictions()
        self._forget_behind()

    # Frames.

    def on_shown(self, frame: Frame) -> None:
        facts = self._facts(frame)
        if facts is None:
            return
        p, shot, live = self.panels, frame.shot, self.player.live is not None
        crop = shot.crop if shot is not None else None
        p.picture.set_empty("")
        p.picture.set_gap(frame.gap or None)
        p.picture.set_crop(crop)
        p.picture.set_warning((shot.warning or None) if shot is not None else None)
        p.picture.set_masked(frame.image, shot.map(VBP) if shot is not None else None, crop)
        p.picture.set_caption(f"frame {frame.index} of {facts.of}", clock(facts.seconds))
        self._show_input(frame)
        if frame.image is None:  # a gap has no maps, and those of the frame before are not its own
            self._forget_behind()
        p.prediction.show_pass(shot, facts.driven_rad, facts.truth)
        p.steering.set_speed(facts.speed_mps)
        p.prediction.set_frame(frame.index, facts.frames, clock(facts.seconds))
        self._compare(frame, facts, current=True)
        if live:
            self.live.add(frame, facts.driven_rad)
        else:
            p.angle.set_cursor(frame.index)
            p.transport.timeline.set_position(frame.index)
            if shot is not None:
                self._keep_prediction(frame.index, told(shot, facts.truth))
        self._measure_stages(frame)
        self.ask()
        if not live and not self.player.playing:
            p.compare.want_missing()

    def _facts(self, frame: Frame) -> Facts | None:
        """Of a camera by what was measured at that time; None where the frame is of nothing that is open."""
        drive, live, i = self.drive, self.player.live, frame.index
        if live is not None:
            if frame.image is None:
                return None
            at = live.measured(frame.stamp_ns)
            driven, speed = (at.angle_rad, at.speed_mps) if at is not None else (math.nan, math.nan)
            return Facts(self.live.seconds(frame), live.request.address.name, 0, driven, speed)
        if drive is None or i >= len(drive):
            return None
        seconds = float(drive.timestamps_ns[i] - drive.timestamps_ns[0]) / 1e9
        driven, speed, truth = float(drive.angle_rad[i]), float(drive.speed_mps[i]), int(self.labels[i])
        return Facts(seconds, str(len(drive)), len(drive), driven, speed, truth)

    def _on_beside(self, frame: Frame) -> None:
        facts = self._facts(frame)
        if facts is not None:
            self._compare(frame, facts, current=False)

    def _compare(self, frame: Frame, facts: Facts, current: bool) -> None:
        words = self.panels.prediction.words(frame.shot, facts.truth) if frame.shot is not None else []
        self.panels.compare.add(frame, current, facts.driven_rad, words)

    def _show_input(self, frame: Frame) -> None:
        panel, shot = self.panels.visualbackprop, frame.shot
        if shot is None:
            panel.show_map(None, None)
            panel.set_caption("")
            return
        panel.show_map(shot.input, shot.map(VBP))
        height, width = shot.input.shape[:2]
        by_hand = ", crop set by hand" if self.player.crop is not None else ""
        panel.set_caption(f"network's input, {width}×{height}{by_hand}", self.untrained)

    def _keep_prediction(self, i: int, degrees: float) -> None:
        if self.predicted_deg[i] == degrees:
            return
        self.predicted_deg[i] = degrees
        self.panels.angle.set_predicted(i, degrees)
        self.panels.transport.timeline.set_error(i, float(self.driven_deg[i] - degrees))

    def _measure_stages(self, frame: Frame) -> None:
        status = self.panels.status
        if frame.image is not None and not frame.arrived_ns:  # a camera's frames come decoded
            status.measured("decode", frame.decode_ms)
        if frame.shot is not None:
            status.set_path(frame.shot.path)
            for stage, ms in frame.shot.stages_ms.items():
                status.measured("mask" if stage == VBP else stage, ms)

    # Behind the playback.

    def ask(self) -> None:
        """Ask for what the visible panels show of the frame on the screen."""
        self.player.explain(self.methods.wanted(self.seen), "layers" in self.seen)
        self.methods.caption()

    def set_seen(self, name: str, seen: bool) -> None:
        """A panel came into view, or went behind another: only what is seen is worth computing."""
        (self.seen.add if seen else self.seen.discard)(name)
        if name == "compare":
            self.panels.compare.set_seen(seen)
            if seen and not self.player.playing:
                self.panels.compare.want_missing()
        elif seen:
            self.ask()

    def methods_seen(self) -> list[str]:
        """The methods of the maps that are seen, VisualBackProp among them."""
        panels = self.panels.methods
        return [VBP, *(panel.method for name, panel in panels.items() if name in self.seen)]

    def on_layers(self, message: LayersMade) -> None:
        if self.player.on_gap:
            return
        self.layers_frame = message.frame
        self.panels.layers.set_layers(
            [
                (
                    f"conv {n}  {row.channels}×{row.mask.shape[0]}×{row.mask.shape[1]}",
                    row.feature_map,
                    row.mask,
                )
                for n, row in enumerate(message.layers, 1)
            ]
        )

    # Predictions.

    def on_predicted(self, message: Predicted) -> None:
        first = message.first
        values = message.values[: len(self.predicted_deg) - first]
        part = self.predicted_deg[first : first + len(values)]
        part[:] = np.where(np.isfinite(values), values, part)
        self.panels.angle.set_predicted_many(first, part)
        self.panels.transport.timeline.set_errors(self.driven_deg - self.predicted_deg)
        self.panels.status.show_progress(message.done, message.total)

    def on_predict_ended(self, message: PredictEnded) -> None:
        self.panels.status.end_progress()

    def complete(self, frame: int) -> bool:
        """Whether everything that the visible panels show is of this frame."""
        shown = self.player.shown_frame
        if shown is None or shown.index != frame:
            return False
        if shown.image is None:
            return True

        if shown.shot is None:
            return False
        layers = self.layers_frame
        if "layers" in self.seen and (layers is None or layers.index != frame):
            return False
        return self.methods.complete(frame, self.seen)

    def worst(self) -> int | None:
        """The frame with the largest known error."""
        error = np.abs(self.driven_deg - self.predicted_deg)
        return int(np.nanargmax(error)) if np.isfinite(error).any() else None

    # The rest.

    def set_overlay(self, overlay: Overlay) -> None:
        self.overlay = overlay
        for view in self.panels.masked():
            view.set_overlay(overlay)
        self.panels.compare.set_overlay(overlay)
        self.panels.run.set_overlay(overlay)

    def on_playing(self, playing: bool) -> None:
        self.panels.transport.set_playing(playing)
        self.refresh_status()
        if not playing:
            self.panels.compare.want_missing()

    def on_marks(self) -> None:
        m, timeline = self.marks, self.panels.transport.timeline
        timeline.set_bookmarks(m.bookmarks)
        timeline.set_marks(m.a, m.b)
        self.panels.angle.set_marks(m.a, m.b)
        self.player.set_loop(m.loop())

    def refresh_status(self) -> None:
        player, drive = self.player, self.drive
        if player.shown_frame is not None:
            blending = sum(view.blend_ms for view in self.panels.masked() if view.isVisible())
            self.panels.status.measured("overlay", blending)
        fps = player.fps if player.playing else 0.0
        self.panels.status.refresh(fps, drive.info.fps if drive else 0.0, player.skipped, player.realtime)
