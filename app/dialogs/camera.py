"""Choosing a camera: those of this machine, or the address of a stream, and what is asked of it."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from vbp.app import theme
from vbp.app.widgets.boxes import ComboBox, NumberBox
from vbp.errors import VbpError
from vbp.live.address import parse_address
from vbp.live.cameras import CameraInfo, list_cameras
from vbp.live.records import LiveRequest

log = logging.getLogger(__name__)
SIZES = ((320, 240), (640, 480), (800, 600), (1280, 720), (1920, 1080), (3840, 2160))
RATES = (5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 60.0)
LOOKING = "Looking for cameras…"
NONE_FOUND = "No camera was found.\nPlug one in and press Refresh, or give the address of a stream below."
STREAM = "A stream comes as it is sent: its size, rate and exposure are set at the camera itself."
NO_EXPOSURE = "This camera does not say how it exposes, so that cannot be set here."
DEVICE = "The camera gives the nearest that it can; what it gives is said in the Drive panel."
NO_ADDRESS = "Choose a camera of the list, or give an address."


@dataclass(frozen=True)
class Asked:
    """What stands in the dialog's fields. Empty and None: left to the camera."""

    address: str = ""
    size: tuple[int, int] | None = None
    fps: float | None = None
    exposure_ms: float | None = None
    angles: str = ""


class CameraDialog(QDialog):
    """`chosen` carries a LiveRequest whose address was understood. The list is filled by a thread of its own."""

    chosen = Signal(object)
    _found = Signal(int, object)  # which search, list of CameraInfo or the sentence that says why not

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Camera – vbp")
        self._search = 0
        self._cameras: list[CameraInfo] = []
        self._without_exposure = ""  # the address of a camera that has none to set
        self.list = QListWidget()
        self.list.setAccessibleName("Cameras of this machine")
        self.list.setMinimumHeight(116)
        self.list.setSpacing(1)
        self.said = QLabel(self.list)
        self.said.setWordWrap(True)
        self.said.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.refresh_button = QPushButton("Refresh")
        self.refresh_button.setToolTip("Look for cameras again")
        self.address = _editable("0, /dev/video0, rtsp://HOST/PATH or http://HOST:PORT/PATH", "Address")
        self.size_box = _editable("automatic", "Size")
        self.rate_box = _editable("automatic", "Rate")
        self.exposure = NumberBox()
        self.exposure.setRange(0.0, 1000.0)
        self.exposure.setDecimals(1)
        self.exposure.setButtonSymbols(NumberBox.ButtonSymbols.NoButtons)
        self.exposure.setSuffix(" ms")
        self.exposure.setSpecialValueText("automatic")
        self.exposure.setAccessibleName("Exposure")
        self.angles = _editable("udp://:5005 or can:…; empty: none", "Measured angle")
        self.reason = _note()
        self.error = _note()
        self.open_button = QPushButton("Open")
        self.open_button.setDefault(True)
        cancel = QPushButton("Cancel")
        self._lay_out(cancel)
        self._found.connect(self._on_found)
        self.refresh_button.clicked.connect(self.refresh)
        self.list.currentItemChanged.connect(self._picked)
        self.list.itemDoubleClicked.connect(lambda _: self._open())
        self.address.editTextChanged.connect(self._address_changed)
        self.open_button.clicked.connect(self._open)
        cancel.clicked.connect(self.reject)
        theme.changed.connect(self._dress)
        self._dress()
        self._address_changed("")

    def _lay_out(self, cancel: QPushButton) -> None:
        head = QHBoxLayout()
        title = QLabel("Cameras of this machine")
        head.addWidget(title, 1)
        head.addWidget(self.refresh_button)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.setHorizontalSpacing(12)
        form.setVerticalSpacing(8)
        form.addRow("Address", self.address)
        sizes = QHBoxLayout()
        sizes.setSpacing(12)
        sizes.addWidget(self.size_box, 1)
        sizes.addWidget(QLabel("Rate"))
        sizes.addWidget(self.rate_box, 1)
        sizes.addWidget(QLabel("Exposure"))
        sizes.addWidget(self.exposure, 1)
        form.addRow("Size", sizes)
        form.addRow("", self.reason)
        form.addRow("Measured angle", self.angles)
        buttons = QHBoxLayout()
        buttons.addWidget(self.error, 1)
        buttons.addWidget(cancel)
        buttons.addWidget(self.open_button)
        box = QVBoxLayout(self)
        box.setContentsMargins(18, 16, 18, 16)
        box.setSpacing(10)
        box.addLayout(head)
        box.addWidget(self.list, 1)
        box.addLayout(form)
        box.addSpacing(4)
        box.addLayout(buttons)

    def sizeHint(self) -> QSize:
        return QSize(660, 430)

    # -- what it shows

    def ask(self, asked: Asked, addresses: list[str], angles: list[str], without_exposure: str = "") -> None:
        """Show it, with the fields as they were; addresses and angles: those used before, newest first.

        without_exposure: the address of a camera that is known to have no exposure that can be set.
        """
        self._without_exposure = without_exposure
        for box, texts, text in (
            (self.address, addresses, asked.address),
            (self.angles, angles, asked.angles),
        ):
            box.clear()
            box.addItems(texts)
            box.setEditText(text)
        self.size_box.setEditText(f"{asked.size[0]}×{asked.size[1]}" if asked.size else "")
        self.rate_box.setEditText(f"{asked.fps:g}" if asked.fps else "")
        self.exposure.setValue(asked.exposure_ms or 0.0)
        self._address_changed(self.address.currentText())
        self.refresh()
        self.show()
        self.raise_()
        self.address.setFocus()

    def refresh(self) -> None:
        """Look for cameras, in a thread: some drivers take seconds to answer."""
        self._search += 1
        self.list.clear()
        self._cameras = []
        self._tell(LOOKING)
        self.refresh_button.setEnabled(False)
        threading.Thread(target=self._look, args=(self._search,), name="vbp-cameras", daemon=True).start()

    def _look(self, search: int) -> None:
        found: object
        try:
            found = list_cameras()
        except VbpError as error:
            found = str(error)
        except Exception as error:
            log.exception("looking for cameras")
            found = f"The cameras of this machine cannot be listed: {error}"
        try:
            self._found.emit(search, found)
        except RuntimeError:  # the window was closed meanwhile
            log.debug("nobody waits for the cameras any more")

    def _on_found(self, search: int, found: object) -> None:
        if search != self._search:
            return
        self.refresh_button.setEnabled(True)
        if isinstance(found, str):
            self._tell(found)
            return
        self._cameras = list(found) if isinstance(found, list) else []
        self._tell("" if self._cameras else NONE_FOUND)
        for camera in self._cameras:
            item = QListWidgetItem(f"{camera.name}\n{modes(camera)}")
            item.setToolTip(camera.address)
            self.list.addItem(item)
        self._select()

    def _tell(self, text: str) -> None:
        self.said.setText(text)
        self.said.setVisible(bool(text))
        self.said.setGeometry(self.list.rect().adjusted(16, 8, -16, -8))

    def resizeEvent(self, event: object) -> None:
        super().resizeEvent(event)  # type: ignore[arg-type]
        self.said.setGeometry(self.list.rect().adjusted(16, 8, -16, -8))

    # -- the fields

    def _picked(self, item: QListWidgetItem | None) -> None:
        row = self.list.currentRow()
        if item is not None and 0 <= row < len(self._cameras):
            self.address.setEditText(self._cameras[row].address)

    def _select(self) -> None:
        """Mark the camera of the address field, if it is one of the list."""
        self.list.blockSignals(True)
        self.list.setCurrentRow(
            next((k for k, c in enumerate(self._cameras) if c.address == self.address.currentText()), -1)
        )
        self.list.blockSignals(False)

    def _address_changed(self, text: str) -> None:
        self._select()
        self._say("")
        stream = "://" in text
        camera = next((c for c in self._cameras if c.address == text), None)
        sizes = camera.sizes if camera is not None and camera.sizes else SIZES
        rates = camera.rates if camera is not None and camera.rates else RATES
        for box, texts in (
            (self.size_box, [f"{w}×{h}" for w, h in sizes]),
            (self.rate_box, [f"{r:g}" for r in rates]),
        ):
            kept = box.currentText()
            box.clear()
            box.addItems(texts)
            box.setEditText(kept)
        for control in (self.size_box, self.rate_box, self.exposure):
            control.setEnabled(bool(text) and not stream)
            control.setToolTip(STREAM if stream else DEVICE if text else NO_ADDRESS)
        self.reason.setText(STREAM if stream else DEVICE if text else NO_ADDRESS)
        if text and text == self._without_exposure:
            self.exposure.setEnabled(False)
            self.exposure.setToolTip(NO_EXPOSURE)
            self.reason.setText(NO_EXPOSURE)

    def _say(self, text: str) -> None:
        self.error.setText(text)

    def request(self) -> LiveRequest:
        """What the fields ask for. Raises VbpError."""
        address = parse_address(self.address.currentText())
        angles = self.angles.currentText().strip()
        if address.kind == "stream":
            return LiveRequest(address, angles=angles)
        return LiveRequest(
            address,
            parse_size(self.size_box.currentText()),
            parse_rate(self.rate_box.currentText()),
            self.exposure.value() or None,
            angles,
        )

    def _open(self) -> None:
        try:
            request = self.request()
        except VbpError as error:
            self._say(str(error))
            return
        self.accept()
        self.chosen.emit(request)

    def _dress(self) -> None:
        c = theme.colours()
        for label, colour in ((self.said, c.muted), (self.reason, c.muted), (self.error, c.error)):
            palette = label.palette()
            palette.setColor(label.foregroundRole(), colour)
            label.setPalette(palette)


def modes(camera: CameraInfo) -> str:
    """Sizes and rates as one line, or why it cannot be used."""
    if camera.problem:
        return f"{camera.address} · {camera.problem}"
    sizes = ", ".join(f"{w}×{h}" for w, h in camera.sizes) or "sizes unknown"
    rates = " / ".join(f"{r:g}" for r in camera.rates)
    return f"{camera.address} · {sizes}" + (f" · {rates} per second" if rates else "")


def parse_size(text: str) -> tuple[int, int] | None:
    """640x480 or 640×480; None for an empty text. Raises VbpError."""
    text = text.strip().lower().replace("×", "x")
    if not text:
        return None
    parts = [p.strip() for p in text.split("x")]
    if len(parts) != 2 or not all(p.isascii() and p.isdecimal() and 0 < int(p[:6]) <= 16384 for p in parts):
        raise VbpError(f"{text!r} is no size of a picture; 640×480 is one")
    return int(parts[0]), int(parts[1])


def parse_rate(text: str) -> float | None:
    """Frames per second; None for an empty text. Raises VbpError."""
    if not text.strip():
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 1000:
        raise VbpError(f"{text!r} is no rate; 20 frames per second is one")
    return rate


def _editable(hint: str, name: str) -> ComboBox:
    box = ComboBox()
    box.setEditable(True)
    box.setInsertPolicy(ComboBox.InsertPolicy.NoInsert)
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    box.setMinimumWidth(box.fontMetrics().horizontalAdvance("automatic") + 44)
    box.setAccessibleName(name)
    if (line := box.lineEdit()) is not None:
        line.setPlaceholderText(hint)
    return box


def _note() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setMinimumHeight(label.fontMetrics().height() + 2)
    label.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
    return label
