"""The window with a camera in it: what its actions do, and what changes while one is on."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path

from PySide6.QtCore import QRectF, QStandardPaths, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QDockWidget, QStackedWidget

from vbp.app import theme
from vbp.app.control.commands import Commands
from vbp.app.control.live_presenter import LivePresenter
from vbp.app.control.presenter import Panels
from vbp.app.control.snapshot import plain_name, stamp, write_soon
from vbp.app.dialogs.camera import Asked, CameraDialog
from vbp.app.panels.live_bar import LiveBar, short, size, span
from vbp.app.panels.live_plot import LivePlot
from vbp.app.panels.masked import MaskedView
from vbp.app.player.live_thread import LiveRequest
from vbp.app.player.messages import LiveFailed, RecordingTold
from vbp.app.state.actions import ACTIONS, tooltip
from vbp.app.state.crops import ChosenCrop, keep_crop, kept_crop
from vbp.app.widgets.crop_editor import CropEditor
from vbp.app.widgets.notice import Notice
from vbp.errors import VbpError
from vbp.live.address import Address, parse_address
from vbp.overlay import Rect


class LiveCommands(Commands):
    """The window makes the parts; `_build_live` adds those that a camera needs."""

    notice: Notice
    picture: MaskedView
    stack: QStackedWidget
    panels: Panels
    docks: dict[str, QDockWidget]

    _snapshot_written = Signal(object, str)  # Path or None, a sentence

    def open_drive(self, path: Path) -> None:
        raise NotImplementedError

    def _enable(self, drive_open: bool) -> None:
        raise NotImplementedError

    def show_start(self) -> None:
        raise NotImplementedError

    def _build_live(self) -> None:
        self.live_bar = LiveBar(self.actions_by_id)
        self.live_bar.setMovable(False)
        self.live_bar.setIconSize(self.panels.transport.iconSize())
        if (inside := self.live_bar.layout()) is not None:
            inside.setContentsMargins(0, 0, 0, 0)
        self.addToolBar(self.toolBarArea(self.panels.transport), self.live_bar)
        self.live_plot = LivePlot(self)
        self.live_plot.hide()
        self.live = LivePresenter(self.player, self.presenter, self.live_plot, self.live_bar, self)
        self.crop_editor = CropEditor(self.picture, self.picture.picture_rect)
        self.centralWidget().layout().insertWidget(1, self.crop_editor.bar)  # type: ignore[union-attr]
        self._crop_before: ChosenCrop | None = None
        self._given_crop: Rect | None = None
        self._camera_dialog: CameraDialog | None = None
        self._record_into: Path | None = None  # as soon as the first frame comes
        self._record_base: Path | None = None  # the folder of all recordings, made where needed
        self._recording: RecordingTold | None = None
        self._record_began = 0.0
        player = self.player
        player.opening.connect(lambda path: self._take_crop_of(str(Path(path).resolve())))
        player.live_opening.connect(self._on_live_opening)
        player.live_closed.connect(self._on_live_closed)
        player.live_failed.connect(self._on_live_failed)
        player.recording_told.connect(self._on_recording)
        player.frozen_changed.connect(lambda _: self._show_freeze())
        player.shown.connect(lambda _: self._record_now())
        self.crop_editor.changed.connect(self._on_crop_dragged)
        self.crop_editor.finished.connect(self._on_crop_finished)
        self.crop_editor.reset.connect(self._on_crop_reset)
        self._snapshot_written.connect(self._on_snapshot)
        self.place_bars()

    def place_bars(self) -> None:
        """The transport for a recording, the live bar for a camera; a kept layout may say otherwise."""
        live = self.player.live is not None
        self.panels.transport.setVisible(not live)
        self.live_bar.setVisible(live)
        self.actions_by_id["record"].setEnabled(live)

    # A session.

    def choose_camera(self) -> None:
        """The dialog: which camera, and what is asked of it."""
        if self._camera_dialog is None:
            self._camera_dialog = CameraDialog(self)
            self._camera_dialog.chosen.connect(self.open_camera)
        live, state = self.player.live, self.live.state
        recent = self.settings.recent("cameras")
        silent = (
            live is not None and state is not None and state.phase == "live" and state.exposure_ms is None
        )
        without = live.request.address.text if silent and live is not None else ""
        if live is not None:
            r = live.request
            asked = Asked(r.address.text, r.size, r.fps, r.exposure_ms, r.angles)
        else:
            asked = self._asked_before(recent[0]) if recent else Asked()
        self._camera_dialog.ask(asked, recent, self.settings.recent("angles"), without)

    def open_camera(self, request: LiveRequest, record: Path | None = None, crop: Rect | None = None) -> None:
        """Show a camera. record: a new folder to record into at once. crop: for this time, in its pixels."""
        self._record_into, self._record_base = record, None
        self._given_crop = crop
        self.player.open_live(request)

    def _on_live_opening(self, request: LiveRequest) -> None:
        self.notice.dismiss()
        self.crop_editor.end()
        self.presenter.clear()
        self.marks.set_drive(None, 0)
        self._remember(request)
        name = request.address.name
        self._take_crop_of(name)
        if self._given_crop is not None:
            self.player.set_crop(ChosenCrop(self._given_crop, 0, 0))
        self.setWindowTitle(f"{name} – live – vbp")
        self.picture.set_empty(f"Connecting to {name} …")
        self.stack.setCurrentWidget(self.picture)
        self._enable(False)
        for name_of in ("play", "close-drive"):
            self.actions_by_id[name_of].setEnabled(True)
        self.actions_by_id["realtime"].setEnabled(False)  # its key is the recording's here
        self.docks["angle"].setWidget(self.live_plot)
        self.live_plot.show()
        self.live.begin()
        self._show_freeze()
        self.place_bars()

    def _on_live_closed(self) -> None:
        self.crop_editor.end()
        self._record_into = None
        self.live.end()
        self.docks["angle"].setWidget(self.panels.angle)
        self.panels.angle.show()
        self.actions_by_id["realtime"].setEnabled(True)
        self.actions_by_id["record"].setChecked(False)
        play = next(spec for spec in ACTIONS if spec.id == "play")
        self.actions_by_id["play"].setToolTip(tooltip(play))
        self.panels.transport.set_playing(False)
        self.place_bars()

    def _on_live_failed(self, failed: LiveFailed) -> None:
        if failed.camera:
            self.player.close_drive()
            self.presenter.clear()
            self.show_start()
        again = [("Camera…", self.choose_camera)]
        self.notice.show_message(failed.text, "error", again)

    def _show_freeze(self) -> None:
        action, frozen = self.actions_by_id["play"], self.player.frozen
        action.setText("&Go on" if frozen else "&Freeze")
        action.setToolTip(("Go on" if frozen else "Freeze the picture; the camera goes on") + " (Space or K)")
        theme.set_icon(action, "play" if frozen else "pause")

    def _remember(self, request: LiveRequest) -> None:
        """For the next time, without user names and passwords."""
        address = _without_secrets(request.address)
        self.settings.add_recent(address, "cameras")
        if request.angles:
            self.settings.add_recent(request.angles, "angles")
        kept = {
            "size": request.size,
            "fps": request.fps,
            "exposure_ms": request.exposure_ms,
            "angles": request.angles,
        }
        self.settings.set("camera/last", json.dumps({"address": address} | kept))

    def _asked_before(self, address: str) -> Asked:
        try:
            found = json.loads(self.settings.text("camera/last", ""))
            size, fps, exposure = found["size"], found["fps"], found["exposure_ms"]
            return Asked(
                address,
                (int(size[0]), int(size[1])) if size else None,
                float(fps) if fps else None,
                float(exposure) if exposure else None,
                str(found["angles"]),
            )
        except (ValueError, TypeError, KeyError, IndexError):
            return Asked(address)

    # Recording.

    def toggle_record(self, on: bool) -> None:
        if self.player.live is None:
            self.actions_by_id["record"].setChecked(False)
            return
        if on:
            base = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.MoviesLocation)
            folder = Path(self.settings.text("record/folder", base or str(Path.home()))) / "vbp"
            name = f"{stamp()}-{plain_name(self.player.live.request.address.name)}"
            self._record_into = _new(folder, name)
            self._record_base = folder
            self._record_now()
        else:
            self._record_into = None
            self.player.record(None)

    def _record_now(self) -> None:
        """With the first frame: before it, the size of the pictures is not known."""
        folder, live = self._record_into, self.player.live
        if folder is None or live is None:
            return
        self._record_into = None
        self._record_began = time.monotonic()
        self.actions_by_id["record"].setChecked(True)
        self.player.record(folder, make_parents=self._record_base is not None)
        self._on_recording(RecordingTold(live.generation, folder))

    def _on_recording(self, told: RecordingTold) -> None:
        live = self.player.live
        of_now = live is not None and live.generation == told.generation
        if not told.ended:
            if of_now:
                self._recording = told
                self.live_bar.show_recording(told, self._record_began)
            return
        if of_now:
            self._recording = None
            self.player.recording = False
            self.actions_by_id["record"].setChecked(False)
            self.live_bar.show_recording(None)
        if told.folder is None:
            self.notice.show_message(told.text, "error")
            return
        folder = told.folder
        keep_crop(self.settings, str(folder.resolve()), self.player.crop)
        what = f"{told.frames} frames, {span(told.seconds)}, {size(told.bytes)}, in {short(folder)}"
        said = f"{told.text} – what was recorded is kept: {what}" if told.text else f"Recorded: {what}"
        answers = [
            ("Open the recording", partial(self.open_drive, folder)),
            ("Show the folder", partial(_show, folder)),
        ]
        self.notice.show_message(said, "error" if told.text else "info", answers)

    # A snapshot.

    def take_snapshot(self) -> None:
        """The picture with its mask, as it is shown, in the size of the frame."""
        frame, image = self.player.shown_frame, self.picture.blended()
        if frame is None or image is None:
            self.notice.show_message("There is no picture yet: open a recording or a camera first")
            return
        base = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.PicturesLocation)
        folder = Path(self.settings.text("snapshot/folder", base or str(Path.home()))) / "vbp"
        live = self.player.live
        source = (
            live.request.address.name
            if live is not None
            else self.player.path.stem
            if self.player.path
            else ""
        )
        name = f"{plain_name(source)}-frame-{frame.index}" + (f"-{stamp()}" if live is not None else "")
        write_soon(image, folder, name, self._snapshot_written.emit)

    def _on_snapshot(self, path: Path | None, text: str) -> None:
        if path is None:
            self.notice.show_message(text, "error")
        else:
            self.notice.show_message(
                f"Snapshot: {path}", "info", [("Show the folder", partial(_show, path.parent))]
            )

    # The crop.

    def set_crop(self) -> None:
        """Draw the network's crop with the mouse, over what is shown."""
        frame, ready = self.player.shown_frame, self.player.ready
        if frame is None or frame.image is None or ready is None or frame.shot is None:
            self.notice.show_message(
                "The crop is set on a picture that a network sees: open a recording or a camera"
            )
            return
        if self.crop_editor.isVisible():
            return
        self._crop_before = self.player.crop
        spec, r = ready.network.spec, frame.shot.crop
        height, width = frame.image.shape[:2]
        self.crop_editor.begin(
            QRectF(r.x, r.y, r.width, r.height), (width, height), (spec.input_width, spec.input_height)
        )

    def _on_crop_dragged(self, box: QRectF) -> None:
        frame = self.player.shown_frame
        if frame is not None and frame.image is not None:
            height, width = frame.image.shape[:2]
            self.player.set_crop(ChosenCrop(to_rect(box, width, height), width, height))

    def _on_crop_reset(self) -> None:
        from vbp.preprocess import crop_rect

        frame, ready = self.player.shown_frame, self.player.ready
        self.player.set_crop(None)
        if frame is not None and frame.image is not None and ready is not None:
            r = crop_rect(ready.network.spec, *frame.image.shape[:2])
            self.crop_editor.set_box(QRectF(r.x, r.y, r.width, r.height))

    def _on_crop_finished(self, applied: bool) -> None:
        self.crop_editor.end()
        self.centralWidget().setFocus()
        if not applied:
            self.player.set_crop(self._crop_before)
            return
        source = self._source()
        if source and self.player.crop != self._crop_before:
            keep_crop(self.settings, source, self.player.crop)
            if self.player.live is None:  # what was predicted of other frames was seen otherwise
                self.presenter.forget_predictions()
                self.panels.compare.forget()
                self.player.seek(self.player.target)

    def _source(self) -> str:
        """What a crop is kept for."""
        live = self.player.live
        if live is not None:
            return live.request.address.name
        return str(self.player.path.resolve()) if self.player.path is not None else ""

    def _take_crop_of(self, source: str) -> None:
        self.crop_editor.end()
        self.player.set_crop(kept_crop(self.settings, source))


def to_rect(box: QRectF, width: int, height: int) -> Rect:
    """Whole pixels of a picture of that size."""
    w, h = min(width, max(1, round(box.width()))), min(height, max(1, round(box.height())))
    x, y = min(max(0, round(box.x())), width - w), min(max(0, round(box.y())), height - h)
    return Rect(x, y, w, h)


def _without_secrets(address: Address) -> str:
    """As it is kept: what was masked is left out, and asked for again."""
    text = address.text if address.kind == "device" else address.name
    text = text.replace("***@", "")
    try:
        return parse_address(text).text
    except VbpError:
        return address.name


def _new(folder: Path, name: str) -> Path:
    """A folder that is not there yet."""
    path, number = folder / name, 2
    while path.exists():
        path, number = folder / f"{name}-{number}", number + 1
    return path


def _show(folder: Path) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))
