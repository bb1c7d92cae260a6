"""The status line: where it runs, how fast, what each stage costs, what was left out."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QLabel, QProgressBar, QStatusBar, QToolButton

from vbp.app import theme

STAGES = ("decode", "preprocess", "forward", "mask", "lrp", "overlay")
TITLES = {"preprocess": "prep"}
DEVICE_TIP = "The device that runs the network, and its implementation"
RATE_TIP = "Frames shown per second, and the recording's own rate"
STAGES_TIP = "Milliseconds per frame and stage, smoothed"
SMOOTHING = 0.15  # of a new measurement; single frames jump about


class Stages(QLabel):
    """The milliseconds of each stage; where there is no room for all, of the first ones, each whole."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[str] = []
        self.setFont(theme.number_font())
        self.setContentsMargins(8, 0, 8, 0)

    def set_parts(self, parts: list[str]) -> None:
        self._parts = parts
        self.setToolTip("\n".join([_text(parts), STAGES_TIP]))
        self._show()
        self.updateGeometry()

    def _show(self) -> None:
        texts = (_text(self._parts[:k]) for k in range(len(self._parts), 0, -1))
        room = self.contentsRect().width()
        text = next((t for t in texts if self.fontMetrics().horizontalAdvance(t) <= room), "")
        if text != self.text():
            self.setText(text)

    def sizeHint(self) -> QSize:
        margins = self.contentsMargins()
        around = margins.left() + margins.right() + 2
        wanted = self.fontMetrics().horizontalAdvance(_text(self._parts)) + around
        return QSize(wanted if self._parts else 0, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        return QSize(1, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._show()


class StatusLine(QStatusBar):
    def __init__(self) -> None:
        super().__init__()
        self.setSizeGripEnabled(False)
        self.setContentsMargins(0, 0, 0, 0)
        self.setMaximumHeight(self.fontMetrics().height() + 10)
        self._live = False
        self._ms: dict[str, tuple[int, float]] = {}
        self._device = self._path = ""
        self.device = self._label(DEVICE_TIP)
        self.rate = self._label(RATE_TIP)
        self.stages = Stages()
        self.skipped = self._label("Frames skipped since playback started, to keep real time")
        self.progress = QProgressBar()
        self.progress.setFixedWidth(160)
        self.progress.setMaximumHeight(self.fontMetrics().height() + 4)
        self.progress.setTextVisible(True)
        self.progress.setToolTip("Progress of predicting the whole drive; paused while the drive plays")
        self.cancel = QToolButton()
        self.cancel.setToolTip("Stop predicting (P)")
        theme.set_icon(self.cancel, "close")
        for widget in (self.device, self.rate, self.stages, self.skipped):
            self.addWidget(widget)
        self.kept = self._label("")
        for extra in (self.kept, self.progress, self.cancel):
            self.addPermanentWidget(extra)
            extra.hide()

    def _label(self, tip: str) -> QLabel:
        label = QLabel()
        label.setToolTip(tip)
        label.setFont(theme.number_font())
        label.setContentsMargins(8, 0, 8, 0)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.NoTextInteraction)
        return label

    def set_device(self, text: str) -> None:
        self._device = text
        self._path = ""
        self.device.setText(text)
        self.device.setToolTip(DEVICE_TIP)

    def set_path(self, path: str) -> None:
        """How the forward pass is run there, in words; what follows a colon is for the tip alone."""
        if path != self._path:
            self._path = path
            self.device.setText(f"{self._device} · {path.split(':')[0]}" if path else self._device)
            self.device.setToolTip(f"{DEVICE_TIP}\nForward pass by {path}" if path else DEVICE_TIP)

    def measured(self, stage: str, ms: float) -> None:
        count, before = self._ms.get(stage, (0, 0.0))
        # The first pass on a device warms it up: it says nothing, and the second takes its place.
        self._ms[stage] = (count + 1, ms if count < 2 else before + SMOOTHING * (ms - before))

    def forget_measured(self) -> None:
        self._ms.clear()
        self.refresh(0.0, 0.0, 0, False)

    def set_live(self, text: str | None, tip: str = "") -> None:
        """What stands in the place of the playback's rate while a camera is on; None: no camera is."""
        if self._live != (text is not None):
            self._live = text is not None
            self.skipped.setVisible(not self._live)
        if text is not None:
            self.rate.setText(text)
        self.rate.setToolTip(tip or RATE_TIP)

    def refresh(self, fps: float, drive_fps: float, skipped: int, realtime: bool) -> None:
        recorded = f" of {drive_fps:.1f}" if drive_fps > 0 else ""
        if not self._live:
            self.rate.setText(f"{fps:.1f}{recorded} fps" if fps > 0 else "paused" if drive_fps > 0 else "")
        known = [(s, self._ms[s][1]) for s in STAGES if s in self._ms]
        self.stages.set_parts([f"{TITLES.get(s, s)} {_ms(ms)}" for s, ms in known])
        self.skipped.setText((f"{skipped} skipped" if realtime else "every frame") if known else "")

    def set_kept(self, text: str, when: str = "") -> None:
        """That predictions are of another day; "" where they are not."""
        self.kept.setText(text)
        self.kept.setToolTip(
            f"Predicted {when}, by this network, of these very files; Analysis: Forget kept predictions"
        )
        self.kept.setVisible(bool(text))

    def show_progress(self, predicted: int, total: int) -> None:
        self.progress.setRange(0, max(1, total))
        self.progress.setValue(predicted)
        self.progress.setFormat("predicted %p %")
        self.progress.show()
        self.cancel.show()

    def end_progress(self) -> None:
        self.progress.hide()
        self.cancel.hide()


def _text(parts: list[str]) -> str:
    return f"{'   '.join(parts)} ms" if parts else ""


def _ms(value: float) -> str:
    text = f"{value:.1f}" if value >= 0.095 else f"{value:.2f}"
    return text.rjust(4, "\u2007")  # a space as wide as a figure: the line does not jump
