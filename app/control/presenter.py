"""Puts what the player says into the panels: the only place that knows both."""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import QObject, QTimer

from vbp.app.control.explanations import Explanations
from vbp.app.control.live_status import LiveStatus
from vbp.app.control.methods import MethodPanels
from vbp.app.control.predictions import Predictions
from vbp.app.jobs.explain import LayersMade
from vbp.app.panels.masked import place_of
from vbp.app.panels.panels import Panels
from vbp.app.panels.second import Two
from vbp.app.player.messages import Frame, NetworkReady
from vbp.app.player.playback import Player
from vbp.app.state.marks import Marks
from vbp.app.widgets.plot_parts import CLASSES, STEERING, UNKNOWN_CLASSES
from vbp.app.widgets.timeline_notes import Mark
from vbp.classes import unknown_folders
from vbp.comparing.masks import masks_differ
from vbp.drives.base import Drive
from vbp.drives.holes import find_holes, played_ns
from vbp.overlay import Overlay
from vbp.readable import clock
from vbp.results import FrameResult

VBP = "visualbackprop"
STATUS_MS = 250
ASK_AFTER_MS = 120  # after a stroke


class Presenter(QObject):
    def __init__(
        self,
        player: Player,
        predictions: Predictions,
        explanations: Explanations,
        panels: Panels,
        marks: Marks,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.player, self.panels, self.marks = player, panels, marks
        self.predictions, self.explanations = predictions, explanations
        self.drive: Drive | None = None
        self.overlay = Overlay()
        self.untrained = self._doubt = (
            ""  # of a network that was never trained: on a small map, on the picture
        )
        self.seen: set[str] = set()
        self.layers_frame: Frame | None = None
        self._of_classes = False
        self._gaps: list[tuple[int, int, str]] = []
        self.methods = MethodPanels(player, explanations, panels.methods, panels.status, self)
        self.methods.changed.connect(self.ask)
        self.live = LiveStatus(player, panels, self)

        player.opened.connect(self.on_opened)
        player.shown.connect(self.on_shown)
        player.beside.connect(lambda frame: self._compare(frame, current=False))
        explanations.layers_made.connect(self.on_layers)
        predictions.changed.connect(self.on_predicted)
        predictions.forgotten.connect(self._clear_predicted)
        predictions.usual_changed.connect(self.on_usual)
        predictions.progress.connect(panels.status.show_progress)
        predictions.ended.connect(lambda _: panels.status.end_progress())
        player.network_ready.connect(self.on_network)
        player.second_changed.connect(lambda: panels.second.show_two(None))
        player.state_changed.connect(self.on_state)
        player.pace_changed.connect(lambda speed, _: panels.transport.set_speed(speed))
        panels.angle.seek_requested.connect(player.seek)
        timeline = panels.transport.timeline
        timeline.seek_requested.connect(player.seek)
        timeline.scrub_started.connect(player.begin_scrub)
        timeline.scrub_finished.connect(player.end_scrub)
        timeline.marks_changed.connect(marks.set_part)
        marks.changed.connect(self.on_marks)
        panels.compare.wanted.connect(player.fetch_beside)
        self._ask_soon = QTimer(self)
        self._ask_soon.setSingleShot(True)
        self._ask_soon.setInterval(ASK_AFTER_MS)
        self._ask_soon.timeout.connect(self.ask)
        self._status = QTimer(self)
        self._status.setInterval(STATUS_MS)
        self._status.timeout.connect(self.refresh_status)
        self._status.start()

    # The recording.

    def on_opened(self, drive: Drive) -> None:
        p = self.panels
        self.drive = drive
        times = (drive.timestamps_ns - drive.timestamps_ns[0]) / 1e9
        self._gaps = [(g.first, g.last, g.reason) for g in drive.info.gaps]
        self._show_known()
        p.transport.timeline.set_drive(times, self._gaps, find_holes(drive.timestamps_ns))
        p.compare.set_live(False)
        p.status.forget_measured()
        self._clear_predicted()
        self._forget_behind()

    def _show_known(self) -> None:
        """What predictions are compared with: the driven angle, or the true classes."""
        drive, table, ready = self.drive, self.predictions.table, self.player.ready
        if drive is None or table is None:
            return
        spec = ready.network.spec if ready is not None else None
        self.panels.info.set_drive(drive, unknown_folders(drive, spec) if spec is not None else "")
        labelled = bool(np.isfinite(table.driven).any())
        meaning = STEERING if not table.of_classes else CLASSES if labelled else UNKNOWN_CLASSES
        self.panels.angle.set_meaning(meaning)
        self.panels.transport.timeline.set_unit(meaning.unit)
        played, holes = played_ns(drive.timestamps_ns) / 1e9, find_holes(drive.timestamps_ns)
        self.panels.angle.set_drive(played, table.driven, holes)
        self._show_gaps()

    def _show_gaps(self) -> None:
        self.panels.transport.timeline.set_gaps(self._gaps)
        self.panels.angle.set_gaps([(first, last) for first, last, _ in self._gaps])

    def clear(self) -> None:
        """No recording is open."""
        p = self.panels
        self.drive = None
        p.angle.set_drive(np.zeros(0), np.zeros(0))
        p.transport.timeline.set_drive(np.zeros(0), [])
        p.compare.set_live(False)
        p.info.set_drive(None)
        p.picture.set_masked(None, None)
        p.picture.set_crop(None)
        p.picture.set_gap(None)
        p.picture.set_warning(None)
        p.picture.set_caption("")
        p.visualbackprop.show_map(None, None)
        p.visualbackprop.set_caption("")
        p.prediction.clear()
        p.second.show_two(None)
        p.status.forget_measured()
        p.status.end_progress()
        self._forget_behind()

    def _forget_behind(self) -> None:
        self.layers_frame = None
        self.panels.layers.set_layers([])
        self.methods.forget()

    def _clear_predicted(self) -> None:
        self.panels.angle.clear_predicted()
        if self.predictions.table is not None:
            self.panels.transport.timeline.set_errors(self.predictions.table.error)
            table = self.predictions.table
            self.panels.transport.timeline.set_strengths(table.strength, table.spread)

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
        self.untrained = "" if trained else "random weights: this map means nothing"
        self.methods.untrained = self.untrained
        self._doubt = (
            "" if trained else f"{spec.name} has random weights: its mask means nothing; open a trained one"
        )
        self.panels.status.set_device(ready.device_text)
        self.panels.status.forget_measured()
        self.panels.compare.forget()
        self._clear_predicted()
        self._forget_behind()

    # Frames.

    def on_shown(self, frame: Frame) -> None:
        source = self.player.source
        if source is None:
            return
        record, p, live = frame.record, self.panels, self.player.live is not None
        place = source.place(record)
        result = record.result
        crop = result.crop if result is not None else None
        p.picture.set_empty("")
        p.picture.set_gap(record.gap or None)
        p.picture.set_crop(crop)
        strength = result.strength if result is not None else math.nan
        for view in (p.picture, p.visualbackprop.view):
            view.set_strength(strength)
        for view in (*p.masked(), p.second.first, p.second.second, p.second.both):
            view.set_edited("edited" if record.edits else "")
        p.picture.set_edited(record.edits.words)
        self._say_doubts(record)
        p.picture.set_masked(
            frame.image, result.map(VBP) if result is not None else None, crop, place_of(record, result, VBP)
        )
        p.picture.set_caption(f"frame {frame.index} of {place.of}", clock(place.seconds))
        self._show_input(frame)
        if frame.image is None:  # a gap has no maps, and those of the frame before are not its own
            self._forget_behind()
        p.prediction.show_frame(record, place.frames, clock(place.seconds))
        self._compare(frame, current=True)
        self._show_second(frame)
        if live:
            self.live.add(frame, place.seconds)
        else:
            p.angle.set_cursor(frame.index)
            p.transport.timeline.set_position(frame.index)
        self._measure_stages(frame)
        if record.edits and not self.player.playing:  # while one draws, the next stroke comes first
            self._ask_soon.start()
        else:
            self.ask()
        if not live and not self.player.playing:
            p.compare.want_missing()

    def doubts(self, record: FrameResult) -> list[str]:
        """What would mislead about a frame's mask."""
        if record.result is None:
            return []
        usual = self.predictions.usual
        worth = usual.words(record.strength, record.spread) if usual is not None else ""
        return [text for text in (self._doubt, record.result.warning, worth) if text]

    def _say_doubts(self, record: FrameResult) -> None:
        """Of the frame on the screen."""
        self.panels.picture.set_warning("; ".join(self.doubts(record)) or None)

    def on_usual(self) -> None:
        """It is known, or no longer, what strengths the masks of this drive have."""
        usual = self.predictions.usual
        for view in self.panels.masked():
            view.set_usual(usual)
        self.panels.compare.set_usual(usual)
        self.panels.transport.timeline.set_usual(usual)
        if (frame := self.player.shown_frame) is not None:
            self._say_doubts(frame.record)

    def _compare(self, frame: Frame, current: bool) -> None:
        edited = ["edited"] * bool(frame.record.edits)
        self.panels.compare.add(frame.record, current, self.panels.prediction.words(frame.record) + edited)

    def _show_second(self, frame: Frame) -> None:
        second, record = self.player.of_second(frame), frame.record
        if second is None or record.image is None or record.result is None:
            self.panels.second.show_two(None, record.gap)
            return
        height, width = record.image.shape[:2]
        if (pair := self.predictions.pair) is not None:  # which was told of the frame before
            differ = float(pair.masks_differ[frame.index])
        else:
            differ = masks_differ(record.result, second, width, height)
        usual = self.predictions.usual
        if usual is not None and usual.stands_out(record.strength, record.spread):
            differ = math.nan  # where next to nothing was seen, there is nothing to agree on
        self.panels.second.show_two(Two(record, second, 1 - differ))

    def _show_input(self, frame: Frame) -> None:
        panel, result = self.panels.visualbackprop, frame.result
        if result is None:
            panel.show_map(None, None)
            panel.view.set_warning(None)
            panel.set_caption("")
            return
        panel.show_map(result.input, result.map(VBP), place_of(frame.record, result, VBP))
        panel.view.set_warning(self.untrained or None)
        height, width = result.input.shape[:2]
        by_hand = ", crop set by hand" if self.player.crop is not None else ""
        panel.set_caption(f"network's input, {width}×{height}{by_hand}")

    def _measure_stages(self, frame: Frame) -> None:
        status = self.panels.status
        if frame.image is not None and not frame.arrived_ns:  # a camera's frames come decoded
            status.measured("decode", frame.record.decode_ms)
        if frame.result is not None:
            status.set_path(frame.result.path)
            for stage, ms in frame.result.stages_ms.items():
                status.measured("mask" if stage == VBP else stage, ms)

    # Behind the playback.

    def ask(self) -> None:
        """Ask for what the visible panels show of the frame on the screen."""
        self.explanations.ask(self.methods.wanted(self.seen), "layers" in self.seen)
        self.methods.caption()

    def set_seen(self, name: str, seen: bool) -> None:
        """A panel came into view, or went behind another: only what is seen is worth computing."""
        (self.seen.add if seen else self.seen.discard)(name)
        if name == "compare":
            self.panels.compare.set_seen(seen)
            if seen and not self.player.playing:
                self.panels.compare.want_missing()
        elif name == "second":
            if seen and self.player.shown_frame is not None:
                self._show_second(self.player.shown_frame)
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

    def on_predicted(self, first: int, last: int) -> None:
        table, angle, timeline = self.predictions.table, self.panels.angle, self.panels.transport.timeline
        if table is None:
            return
        known = len(self._gaps)
        at = self.panels.transport.timeline.gap_at
        self._gaps += [(i, i, why) for i, why in list(table.gaps.items()) if not at(i)]
        if len(self._gaps) > known:  # found while playing or predicting
            self._show_gaps()
        if last - first == 1:
            angle.set_predicted(first, float(table.predicted[first]))
            timeline.set_error(first, float(table.error[first]))
        else:
            angle.set_predicted_many(first, table.predicted[first:last])
            timeline.set_errors(table.error)
            timeline.set_strengths(table.strength, table.spread)

    def complete(self, frame: int) -> bool:
        """Whether everything that the visible panels show is of this frame."""
        shown = self.player.shown_frame
        if shown is None or shown.index != frame:
            return False
        if shown.image is None:
            return True

        if shown.result is None:
            return False
        layers = self.layers_frame
        if "layers" in self.seen and (layers is None or layers.index != frame):
            return False
        return self.methods.complete(frame, self.seen)

    # The rest.

    def set_overlay(self, overlay: Overlay) -> None:
        self.overlay = overlay
        for view in self.panels.masked():
            view.set_overlay(overlay)
        self.panels.compare.set_overlay(overlay)
        self.panels.run.set_overlay(overlay)
        self.panels.second.set_overlay(overlay)

    def on_state(self) -> None:
        playing = self.player.playing
        self.panels.transport.set_playing(playing)
        self.refresh_status()
        if not playing:
            self.panels.compare.want_missing()

    def on_marks(self) -> None:
        m, timeline = self.marks, self.panels.transport.timeline
        timeline.set_notes([Mark(note.frame, note.end, note.words) for note in m.notes])
        timeline.set_marks(m.a, m.b)
        self.panels.angle.set_marks(m.a, m.b)
        played = played_ns(self.drive.timestamps_ns) / 1e9 if self.drive is not None else np.zeros(0)
        self.panels.angle.notes.set_notes(played, [(note.frame, note.end) for note in m.notes])
        self.player.set_loop(m.loop())

    def refresh_status(self) -> None:
        player, drive = self.player, self.drive
        if player.shown_frame is not None:
            blending = sum(view.blend_ms for view in self.panels.masked() if view.isVisible())
            self.panels.status.measured("overlay", blending)
        fps = player.fps if player.playing else 0.0
        self.panels.status.refresh(fps, drive.info.fps if drive else 0.0, player.skipped, player.realtime)
