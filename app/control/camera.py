"""A camera instead of a recording: chosen, opened, and what changes in the window while one is on."""

from __future__ import annotations

import json
from pathlib import Path

from PySide6.QtGui import QAction
from PySide6.QtWidgets import QDockWidget, QMainWindow

from vbp.app import theme
from vbp.app.control.crop import CropControl
from vbp.app.control.live_status import LiveStatus
from vbp.app.control.record import RecordControl
from vbp.app.control.source import SourceControl
from vbp.app.control.view import ViewControl
from vbp.app.dialogs.camera import Asked, CameraDialog
from vbp.app.panels.panels import Panels
from vbp.app.player.playback import Player
from vbp.app.state.actions import ACTIONS, tooltip
from vbp.app.state.settings import Settings
from vbp.app.widgets.notice import Notice
from vbp.errors import VbpError
from vbp.live.address import Address, parse_address
from vbp.live.records import LiveFailure, LiveRequest
from vbp.overlay import Rect
from vbp.session.crops import ChosenCrop


class CameraControl:
    def __init__(
        self,
        window: QMainWindow,
        player: Player,
        status: LiveStatus,
        source: SourceControl,
        crop: CropControl,
        record: RecordControl,
        view: ViewControl,
        settings: Settings,
        actions: dict[str, QAction],
        notice: Notice,
        panels: Panels,
        plot_dock: QDockWidget,
    ) -> None:
        self._window, self._player, self._status = window, player, status
        self._source, self._crop, self._record, self._view = source, crop, record, view
        self._settings, self._actions, self._notice = settings, actions, notice
        self._panels, self._plot_dock = panels, plot_dock
        self._given_crop: Rect | None = None
        self.dialog: CameraDialog | None = None
        player.live_opening.connect(self._on_opening)
        player.live_closed.connect(self._on_closed)
        player.live_failed.connect(self._on_failed)
        player.state_changed.connect(self._show_freeze)

    def choose(self) -> None:
        """The dialog: which camera, and what is asked of it."""
        if self.dialog is None:
            self.dialog = CameraDialog(self._window)
            self.dialog.chosen.connect(self.open)
        live, state = self._player.live, self._status.state
        recent = self._settings.recent("cameras")
        silent = (
            live is not None and state is not None and state.phase == "live" and state.exposure_ms is None
        )
        without = live.request.address.text if silent and live is not None else ""
        if live is not None:
            r = live.request
            asked = Asked(r.address.text, r.size, r.fps, r.exposure_ms, r.angles)
        else:
            asked = self.asked_before(recent[0]) if recent else Asked()
        self.dialog.ask(asked, recent, self._settings.recent("angles"), without)

    def open(self, request: LiveRequest, record: Path | None = None, crop: Rect | None = None) -> None:
        """Show a camera. record: a new folder to record into at once. crop: for this time, in its pixels."""
        self._source.leaving.emit()
        self._given_crop = crop
        self._player.open_live(request)
        if record is not None:
            self._record.begin(record)

    def _on_opening(self, request: LiveRequest) -> None:
        self._notice.dismiss()
        self._source.clear()
        self.remember(request)
        name = request.address.name
        self._crop.take_kept(name)
        if self._given_crop is not None:
            self._player.set_crop(ChosenCrop(self._given_crop, 0, 0))
        self._source.show_picture(f"{name} – live – vbp", f"Connecting to {name} …")
        self._actions["play"].setEnabled(True)
        self._actions["realtime"].setEnabled(False)  # a camera has no other pace
        self._plot_dock.setWidget(self._panels.live_plot)
        self._panels.live_plot.show()
        self._status.begin()
        self._show_freeze()
        self._view.place_bars()

    def _on_closed(self) -> None:
        self._status.end()
        self._plot_dock.setWidget(self._panels.angle)
        self._panels.angle.show()
        self._actions["realtime"].setEnabled(True)
        play = next(spec for spec in ACTIONS if spec.id == "play")
        self._actions["play"].setToolTip(tooltip(play))
        self._panels.transport.set_playing(False)
        self._view.place_bars()

    def _on_failed(self, failure: LiveFailure) -> None:
        if failure.ended:
            self._source.close_drive()
        self._notice.show_message(failure.text, "error", [("Camera…", self.choose)])

    def _show_freeze(self) -> None:
        if self._player.camera is None:  # the action is of a recording's playback
            return
        action, frozen = self._actions["play"], self._player.frozen
        action.setText("&Go on" if frozen else "&Freeze")
        action.setToolTip(("Go on" if frozen else "Freeze the picture; the camera goes on") + " (Space or K)")
        theme.set_icon(action, "play" if frozen else "pause")

    # What is remembered.

    def remember(self, request: LiveRequest) -> None:
        """For the next time, without user names and passwords."""
        address = _without_secrets(request.address)
        self._settings.add_recent(address, "cameras")
        if request.angles:
            self._settings.add_recent(request.angles, "angles")
        kept = {
            "size": request.size,
            "fps": request.fps,
            "exposure_ms": request.exposure_ms,
            "angles": request.angles,
        }
        self._settings.set("camera/last", json.dumps({"address": address} | kept))

    def asked_before(self, address: str) -> Asked:
        try:
            found = json.loads(self._settings.text("camera/last", ""))
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


def _without_secrets(address: Address) -> str:
    """As it is kept: what was masked is left out, and asked for again."""
    text = address.text if address.kind == "device" else address.name
    text = text.replace("***@", "")
    try:
        return parse_address(text).text
    except VbpError:
        return address.name
