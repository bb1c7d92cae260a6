"""Joins the form of a network's specification to the window: the picture, the drive, and the file that it becomes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, QRectF, QTimer
from PySide6.QtWidgets import QDockWidget, QFileDialog, QWidget

from vbp.app.control.crop import to_rect
from vbp.app.control.network import NetworkControl
from vbp.app.jobs.spec import Checked, Fitted, Fitting, SpecJob, SpecRequest
from vbp.app.jobs.worker import Worker
from vbp.app.panels.spec import SpecPanel
from vbp.app.panels.spec_words import agreement_words, colour, with_crop
from vbp.app.player.messages import Frame, NetworkFailed, NetworkReady
from vbp.app.player.playback import Player
from vbp.app.widgets.crop_editor import CropEditor
from vbp.app.widgets.notice import Notice
from vbp.errors import VbpError
from vbp.models.source import NetworkSource
from vbp.models.spec_file import spec_beside
from vbp.overlay import grey_to_rgb

if TYPE_CHECKING:
    from vbp.models.assume import Output
    from vbp.models.network import Network
    from vbp.models.spec import NetworkSpec

SETTLE_MS = 150  # after a change, before a correlation is asked for
OWN = "This network's file holds its specification itself; fit and compare here, and change it where it was made"
NO_DRIVE = "Open a recording to see how the network agrees with the driver"
NO_SIZE = "The network takes any size: set its input, and save; then it opens"


class SpecControl(QObject):
    def __init__(
        self,
        window: QWidget,
        player: Player,
        network: NetworkControl,
        panel: SpecPanel,
        dock: QDockWidget,
        editor: CropEditor,
        notice: Notice,
        make_room: Callable[[], None],
    ) -> None:
        super().__init__(window)
        self._make_room = make_room
        self._window, self._player, self._control = window, player, network
        self._panel, self._dock, self.editor, self._notice = panel, dock, editor, notice
        self._network: Network | None = None
        self._source = NetworkSource("")
        self._opened: NetworkSpec | None = None  # what the network was opened with
        self._draft: NetworkSpec | None = None
        self._before: list[NetworkSpec] = []
        self._crop_before: NetworkSpec | None = None
        self._asked: Path | None = None  # whether this may be replaced
        self._fitting = self._new_crop = False
        self.worker: Worker[SpecRequest] = Worker("spec", SpecJob(), "The comparison failed", self)
        self.worker.told.connect(self._hear)
        self.worker.finished.connect(self._on_finished)
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(SETTLE_MS)
        self._settle.timeout.connect(self._check)
        editor.apply.setToolTip("Keep this crop in the form (Enter)")
        editor.cancel.setToolTip("Back to the crop of before (Esc)")
        editor.changed.connect(self._on_drawn)
        editor.finished.connect(self._end_drawing)
        editor.reset.connect(self._reset_crop)
        panel.changed.connect(self.change)
        panel.crop_wanted.connect(self._draw)
        panel.fit_wanted.connect(self.fit)
        panel.fit_cancelled.connect(self._stop_fitting)
        panel.undone.connect(self.undo)
        panel.was_reset.connect(self.reset)
        panel.saved.connect(self.save)
        panel.saved_elsewhere.connect(self.save_elsewhere)
        dock.visibilityChanged.connect(self._on_seen)
        player.network_ready.connect(self._on_network)
        player.network_failed.connect(self._on_failed)
        player.shown.connect(self._on_frame)
        player.opened.connect(lambda _: self._ask())
        player.opening.connect(lambda _: self._forget_drive())
        player.live_opening.connect(lambda _: self._forget_drive())

    # What the user asks for.

    def edit(self) -> None:
        """Open the form for the network in use."""
        if self._dock.isHidden():
            self._dock.show()
            self._make_room()
        self._dock.raise_()

    def change(self, spec: NetworkSpec) -> None:
        """Another specification in the form; nothing outside of it changes."""
        if self._draft is not None and spec != self._draft:
            self._before.append(self._draft)
            self._show(spec)

    def undo(self) -> None:
        if self._before:
            self._show(self._before.pop())

    def reset(self) -> None:
        """Back to what the network was opened with."""
        if self._opened is not None:
            self.change(self._opened)

    def fit(self) -> None:
        """Search for the specification that fits the drive best."""
        request = self._request(None)
        if request is None:
            self._panel.say_verdict(self._why_not() or NO_DRIVE)
            return
        self.worker.cancel()
        self._settle.stop()  # a comparison that is due would take the search's place
        self._fitting = True
        self._panel.say_verdict("")
        self._panel.say_fitting(0.0)
        self.worker.ask(request)

    def save(self) -> None:
        """Write the TOML file that the network was opened by, or that beside it; one that is there only when asked again."""
        path = self._path()
        if path is None:
            self.save_elsewhere()
        elif path.exists() and self._asked != path:
            self._asked = path
            self._panel.ask(
                f"{path.name} exists; it is replaced, with its comments, when you say so", "Replace"
            )
        else:
            self._write(path)

    def save_elsewhere(self) -> None:
        path = self._path() or Path(f"{self._source.title}.toml")
        title = "Save the specification"
        name, _ = QFileDialog.getSaveFileName(self._window, title, str(path), "Specifications (*.toml)")
        if name:  # the dialog has asked whether it may be replaced
            self._write(Path(name) if Path(name).suffix else Path(f"{name}.toml"))

    def _path(self) -> Path | None:
        """Where the specification goes."""
        if self._source.spec:
            return Path(self._source.spec).expanduser()
        return None if self._source.is_factory else spec_beside(Path(self._source.model).expanduser())

    def _write(self, path: Path) -> None:
        from vbp.files import whole_file
        from vbp.models.spec_text import to_toml

        if self._draft is None:
            return
        try:
            if not os.access(path.parent, os.W_OK):
                raise VbpError(f"{path.parent} is read only; save the specification elsewhere")
            with whole_file(path, lambda _: False, None, force=True) as temporary:
                temporary.write_text(to_toml(self._draft), encoding="utf-8")
        except VbpError as error:
            self._panel.ask(str(error))
            return
        beside = not self._source.is_factory and path == spec_beside(Path(self._source.model).expanduser())
        self._panel.ask("")
        self._notice.dismiss()
        if self._new_crop and self._player.crop is not None:
            self._player.set_crop(None)  # set by hand before, it would hide the one that was saved
        self._control.use(str(replace(self._source, spec="" if beside else str(path))))

    # What it shows.

    def _show(self, spec: NetworkSpec) -> None:
        """The form, the picture and the correlation, of a specification."""
        self._draft, self._asked = spec, None
        self._stop_fitting()
        opened = self._opened
        self._new_crop = opened is not None and (spec.crop, spec.order) != (opened.crop, opened.order)
        self._panel.ask("")
        self._panel.set_spec(spec, bool(self._before), spec != opened)
        self._show_input()
        self._ask()

    def _show_input(self) -> None:
        frame, spec, panel = self._player.shown_frame, self._draft, self._panel
        if spec is None or not self._dock.isVisible():
            return
        if frame is None or frame.image is None:
            panel.view.clear("Open a recording or a camera to see what the network gets of it")
            return
        from vbp.preprocess import prepare, to_display_rgb

        height, width = frame.image.shape[:2]
        try:
            given, rect = prepare(frame.image, spec)
        except VbpError as error:
            panel.say_error(str(error))
            return
        planes = [given] if given.ndim == 2 else [given[:, :, k] for k in range(3)]
        names = _names(colour(spec)) if len(planes) > 1 else ("",)
        panel.set_input(grey_to_rgb(to_display_rgb(given, spec)), planes, names)
        panel.set_picture((width, height), rect)
        if self.editor.isVisible():
            self.editor.set_box(QRectF(rect.x, rect.y, rect.width, rect.height))

    def _ask(self) -> None:
        """For the correlation, soon: another change may follow."""
        if self._draft is None or not self._dock.isVisible() or self._fitting:
            return
        why = self._why_not()
        self._panel.say_agreement("–", why)
        self._panel.figure_of.show()
        if not why:
            self._panel.say_agreement("…", "comparing with the driver")
            self._settle.start()

    def _why_not(self) -> str:
        """Why nothing can be compared; "" where something can."""
        drive, spec = self._player.drive, self._draft
        if self._network is None:
            return NO_SIZE
        if drive is None:
            return NO_DRIVE
        if spec is not None and spec.is_classifier:
            return "A classifier has no angle to compare with the driver's"
        if not np.isfinite(drive.angle_rad).any():
            return "This recording has no measured angles to compare with"
        return ""

    def _request(self, spec: NetworkSpec | None) -> SpecRequest | None:
        player = self._player
        if self._why_not() or self._network is None or player.path is None or player.ready is None:
            return None
        return SpecRequest(self._network, player.path, player.options, player.ready.device, spec)

    def _check(self) -> None:
        if self._draft is not None and (request := self._request(self._draft)) is not None:
            self.worker.ask(request)

    def _stop_fitting(self) -> None:
        if self._fitting:
            self._fitting = False
            self.worker.cancel()
            self._panel.say_fitting(None)
            self._ask()

    def _hear(self, message: object) -> None:
        match message:
            case Checked() if message.spec == self._draft:
                self._panel.say_agreement(*agreement_words(message.agreement))
            case Fitting() if self._fitting:
                self._panel.say_fitting(message.share)
            case Fitted() if self._fitting:
                self._fitting = False
                self._panel.say_fitting(None)
                result = message.result
                if result.fits and self._draft is not None:
                    self.change(replace(result.spec, name=self._draft.name))
                else:
                    self._ask()
                self._panel.say_verdict(result.verdict)

    def _on_finished(self, text: str) -> None:
        if not text:
            return
        if self._fitting:
            self._fitting = False
            self._panel.say_fitting(None)
            self._panel.say_verdict(text)
        else:
            self._panel.say_agreement("–", text)

    # Drawing the crop.

    def _draw(self, wanted: bool) -> None:
        frame, spec = self._player.shown_frame, self._draft
        if not wanted or frame is None or frame.image is None or spec is None:
            self.editor.end()
            self._panel.fields.draw.setChecked(False)
            return
        from vbp.preprocess import crop_rect

        height, width = frame.image.shape[:2]
        r = crop_rect(spec, height, width)
        self._crop_before = spec
        self._notice.dismiss()  # it would lie over the crop's line
        self.editor.begin(
            QRectF(r.x, r.y, r.width, r.height), (width, height), (spec.input_width, spec.input_height)
        )

    def _on_drawn(self, box: QRectF) -> None:
        frame, spec = self._player.shown_frame, self._draft
        if frame is None or frame.image is None or spec is None:
            return
        height, width = frame.image.shape[:2]
        if spec is self._crop_before:  # one drawing is one step back
            self._before.append(spec)
        self._show(with_crop(spec, to_rect(box, width, height), (width, height)))

    def _end_drawing(self, applied: bool) -> None:
        if not applied and self._crop_before is not None and self._draft is not self._crop_before:
            self._before.pop()
            self._show(self._crop_before)
        self._panel.fields.draw.setChecked(False)

    def _reset_crop(self) -> None:
        if self._draft is not None and self._opened is not None:
            o = self._opened
            self.change(replace(self._draft, crop=o.crop, order=o.order, resize_to=o.resize_to))

    # What happens around it.

    def _on_network(self, ready: NetworkReady) -> None:
        network, before = ready.network, self._network
        spec = network.spec
        self._network = network
        if before is not None and (NetworkSource.parse(ready.name), spec) == (self._source, self._opened):
            self._ask()  # the same on another device
            return
        self._open_form(ready.name, spec, network.outputs, OWN if spec.architecture else "")
        if network.assumed:
            self.edit()

    def _on_failed(self, failed: NetworkFailed) -> None:
        if failed.draft is not None:
            self._network = None
            self._open_form(failed.name, failed.draft, (), "", open_size=True)
            self.edit()

    def _open_form(
        self, name: str, spec: NetworkSpec, outputs: Sequence[Output], blocked: str, open_size: bool = False
    ) -> None:
        self._end_editor()
        self.worker.cancel()
        self._source = NetworkSource.parse(name)
        self._opened, self._before = spec, []
        self._panel.set_network(outputs, blocked, open_size)
        self._show(spec)
        if blocked:
            self._panel.say_verdict(blocked)

    def _on_frame(self, frame: Frame) -> None:
        self._show_input()

    def _forget_drive(self) -> None:
        self._end_editor()
        self._stop_fitting()
        self.worker.cancel()
        self._panel.say_agreement("–", NO_DRIVE)

    def _on_seen(self, seen: bool) -> None:
        if seen:
            self._show_input()
            self._ask()
        elif not self._dock.isVisible():
            self._end_editor()
            self._stop_fitting()
            self._settle.stop()
            self.worker.cancel()
            if not self._dock.isFloating() and self._opened is not None and self._dock.isHidden():
                self._before = []
                self._show(self._opened)  # closed: what was not saved is gone

    def _end_editor(self) -> None:
        self.editor.end()
        self._panel.fields.draw.setChecked(False)

    def under_way(self) -> str:
        """What becomes of the search when the window is closed; "" where there is none."""
        return "the search for a specification, which is not kept" if self._fitting else ""


def _names(name: str) -> tuple[str, ...]:
    """Of the three channels: the letters of the colour's name."""
    letters = name.split("-")[0].upper()
    return tuple(letters) if len(letters) == 3 else ("1", "2", "3")
