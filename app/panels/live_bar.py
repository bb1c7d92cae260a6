"""The bar at the bottom while a camera is on: freeze, record, snapshot, crop, and how the camera is doing."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QAction, QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QToolBar, QWidget

from vbp.app import theme
from vbp.app.theme.colours import Colours
from vbp.live.records import CaptureState, RecordingState

DOT = 9.0


class Line(QWidget):
    """A coloured dot and a text that is cut where it is too long; it never makes the bar lay itself out anew."""

    def __init__(self, stretch: int, tip: str) -> None:
        super().__init__()
        self._text, self._tip, self._colour = "", tip, ""
        self.setFont(theme.number_font())
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        policy.setHorizontalStretch(stretch)
        self.setSizePolicy(policy)
        theme.changed.connect(self.update)

    def text(self) -> str:
        return self._text

    def show_text(self, text: str, colour: str = "") -> None:
        """colour: a name of `Colours` for the dot; "" for no dot."""
        if (text, colour) != (self._text, self._colour):
            self._text, self._colour = text, colour
            self.setToolTip(f"{text}\n{self._tip}" if text else "")
            self.setAccessibleName(text)
            self.setVisible(bool(text))  # its room goes to the others
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(120, self.fontMetrics().height() + 8)

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._text:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        c: Colours = theme.colours()
        left = 10.0
        if self._colour:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(getattr(c, self._colour)))
            painter.drawEllipse(QRectF(left, (self.height() - DOT) / 2, DOT, DOT))
            left += DOT + 7
        box = QRectF(left, 0, max(0.0, self.width() - left - 4), self.height())
        painter.setPen(c.text)
        painter.drawText(
            box,
            int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter),
            self.fontMetrics().elidedText(self._text, Qt.TextElideMode.ElideRight, int(box.width())),
        )
        painter.end()


class LiveBar(QToolBar):
    """Takes the place of the transport: a camera has no end to seek in."""

    def __init__(self, actions: dict[str, QAction]) -> None:
        super().__init__("Live")
        self.setObjectName("live")
        for name in ("play", "record", "snapshot", "crop", "camera"):
            self.addAction(actions[name])
        self.addSeparator()
        self.camera = Line(5, "State of the camera")
        self.angles = Line(4, "The measured steering angle")
        self.recording = Line(5, "The recording: its length, size and folder")
        lines = QWidget()
        lines.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        row = QHBoxLayout(lines)
        row.setContentsMargins(0, 0, 0, 0)
        for line in (self.camera, self.angles, self.recording):
            row.addWidget(line)
            line.hide()
        self.addWidget(lines)

    def show_camera(self, state: CaptureState | None, frozen: bool, quiet_s: float) -> None:
        """quiet_s: seconds since the newest frame."""
        if state is None:
            self.camera.show_text("")
            return
        colour = {"live": "accent", "connecting": "warning", "stale": "warning", "lost": "error"}[state.phase]
        text = state.text
        if state.phase == "stale":
            text = f"no frame for {quiet_s:.1f} s"
        if frozen:
            text, colour = f"frozen · {text}", "muted"
        self.camera.show_text(text, colour)

    def show_angles(self, text: str) -> None:
        self.angles.show_text(text, "driven" if text else "")

    def show_recording(self, recording: RecordingState | None) -> None:
        """None: nothing is recorded."""
        if recording is None:
            self.recording.show_text("")
            return
        text = f"{span(recording.seconds)}  {size(recording.bytes)}  {recording.frames} frames"
        if recording.dropped:
            text += f", {recording.dropped} lost: the disk or the encoder is too slow"
        if recording.folder is not None:
            text += f"  →  {short(recording.folder)}"
        self.recording.show_text(text, "mask")


def span(seconds: float) -> str:
    """0:12, or 1:02:03."""
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def size(count: int) -> str:
    """Bytes as a person reads them."""
    value = count / 1e6
    return f"{value:.1f} MB" if value < 1000 else f"{value / 1000:.2f} GB"


def short(path: Path) -> str:
    """A path below the home folder begins with ~."""
    try:
        return f"~/{path.relative_to(Path.home()).as_posix()}"
    except (ValueError, RuntimeError):
        return str(path)
