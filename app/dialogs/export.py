"""Choosing what to export, with the frame on the screen as it will look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from vbp.app import theme
from vbp.app.dialogs.export_form import (
    CODEC_TITLES,
    KINDS,
    LAYOUT_TITLES,
    QUALITY_TITLES,
    RATE_CHOICES,
    SIZE_CHOICES,
    Choice,
    Kind,
    Subject,
    bytes_text,
    estimate,
    size_of,
)
from vbp.app.dialogs.export_panels import PanelBoxes
from vbp.app.widgets.boxes import ComboBox
from vbp.app.widgets.picture import PictureView
from vbp.drives.base import Image
from vbp.export.job import Settings
from vbp.overlay import STYLE_TITLES
from vbp.readable import clock

WHOLE, MARKED, FRAME = "whole", "marked", "frame"


class ExportDialog(QDialog):
    """`chosen` carries a Choice when Export is pressed. `changed` asks for a preview of the present choices."""

    chosen = Signal(object)
    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Export – vbp")
        self._subject: Subject | None = None
        self._base = Settings()
        self._named = False  # by the user; else the name follows the choices
        self.preview = PictureView()
        self.preview.setMinimumSize(480, 300)
        self.preview.setAccessibleName("Preview")
        self.kind = _combo("What", [(k.title, k) for k in KINDS])
        self.part = _combo("Part", [])
        self.panels = PanelBoxes()
        self.panels.changed.connect(self._changed)
        self.layout_box = _combo("Layout", [(t, n) for n, t in LAYOUT_TITLES.items()])
        self.style_box = _combo("Mask", [(t, n) for n, t in STYLE_TITLES.items()])
        sizes = [("As the layout likes" if s is None else f"{s[0]} × {s[1]}", s) for s in SIZE_CHOICES]
        self.size_box = _combo("Size", sizes)
        rates = [("As recorded" if r is None else f"{r:g} per second", r) for r in RATE_CHOICES]
        self.rate_box = _combo("Frame rate", rates)
        self.codec = _combo("Codec", [(t, n) for n, t in CODEC_TITLES.items()])
        self.quality = _combo("Quality", [(t, n) for n, t in QUALITY_TITLES.items()])
        self.quality.setCurrentIndex(1)
        self.output = QLineEdit()
        self.output.setAccessibleName("File")
        self.browse = QPushButton("Choose…")
        self.replace = QCheckBox("Replace the file that is there")
        self.facts = _note()
        self.problem = _note()
        self.missing = _note()
        self.missing.hide()
        self.export_button = QPushButton("Export")
        self.cancel_button = QPushButton("Close")
        for button in (self.browse, self.cancel_button):
            button.setAutoDefault(False)  # else Enter in a field presses the one that comes first
        self.export_button.setDefault(True)
        self._lay_out()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(30)  # several changes at once are one preview
        self._timer.timeout.connect(self.changed)
        self._check = QTimer(self)
        self._check.setInterval(1000)  # of what is on the disk meanwhile
        self._check.timeout.connect(self._check_output)
        for box in (
            self.part,
            self.layout_box,
            self.style_box,
            self.size_box,
            self.rate_box,
            self.codec,
            self.quality,
        ):
            box.currentIndexChanged.connect(self._changed)
        self.kind.currentIndexChanged.connect(self._kind_changed)
        self.output.textEdited.connect(self._name_edited)
        self.browse.clicked.connect(self._browse)
        self.replace.toggled.connect(self._check_output)
        self.export_button.clicked.connect(self._export)
        self.cancel_button.clicked.connect(self.close)
        theme.changed.connect(self._dress)
        self._dress()

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.setHorizontalSpacing(12)
        form.setVerticalSpacing(8)
        for name, field in (
            ("What", self.kind),
            ("Part", self.part),
            ("Panels", self.panels),
            ("Layout", self.layout_box),
            ("Mask", self.style_box),
            ("Size", self.size_box),
            ("Frame rate", self.rate_box),
            ("Codec", self.codec),
            ("Quality", self.quality),
        ):
            form.addRow(name, field)
        self._form = form
        file = QHBoxLayout()
        file.setSpacing(6)
        file.addWidget(self.output, 1)
        file.addWidget(self.browse)
        form.addRow("File", file)
        form.addRow("", self.replace)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.cancel_button)
        buttons.addWidget(self.export_button)
        right = QVBoxLayout()
        right.addLayout(form)
        right.addWidget(self.facts)
        right.addWidget(self.problem)
        right.addWidget(self.missing)
        right.addStretch(1)
        right.addLayout(buttons)
        side = QWidget()
        side.setFixedWidth(430)
        side.setLayout(right)
        right.setContentsMargins(0, 0, 0, 0)
        box = QHBoxLayout(self)
        box.setContentsMargins(16, 16, 16, 16)
        box.setSpacing(16)
        box.addWidget(self.preview, 1)
        box.addWidget(side)

    def sizeHint(self) -> QSize:
        return QSize(1180, 600)

    def _dress(self) -> None:
        self.facts.setStyleSheet(f"color: {theme.colours().muted.name()};")
        self.missing.setStyleSheet(f"color: {theme.colours().warning.name()};")
        self.problem.setStyleSheet(f"color: {theme.colours().error.name()};")

    # What it shows.

    def ask(self, subject: Subject, base: Settings) -> None:
        """Show it for what is open; see `set_subject`."""
        fresh = self._subject is None or subject.name != self._subject.name
        self.set_subject(subject, base)
        self.style_box.setCurrentIndex(max(0, self.style_box.findData(base.overlay.style)))
        self._fill_parts()
        if fresh:
            self._named = False
        self._kind_changed()
        self._check.start()
        self.show()
        self.raise_()
        self.activateWindow()

    def set_subject(self, subject: Subject, base: Settings) -> None:
        """What is open and shown has changed; `base` has the window's overlay, target and methods' numbers."""
        self._subject, self._base = subject, base
        self.panels.set_methods(subject.methods, subject.on_screen)

    def set_frame(self, frame: int) -> None:
        """Another frame is on the screen."""
        if self._subject is not None and frame != self._subject.frame:
            self._subject = replace(self._subject, frame=frame)
            self._changed()

    def set_picture(self, picture: Image | None, text: str) -> None:
        """text: why there is no picture, or what is missing in it."""
        self.preview.set_picture(picture)
        self.preview.set_empty(text)
        self.missing.setText(text if picture is not None else "")
        self.missing.setVisible(bool(self.missing.text()))

    def _fill_parts(self) -> None:
        s = self._subject
        assert s is not None
        a, b = s.marks
        self.part.blockSignals(True)
        self.part.clear()
        if a is not None or b is not None:
            first, last = a or 0, s.frames - 1 if b is None else b
            self.part.addItem(f"From A to B ({_length(s, first, last)})", MARKED)
        self.part.addItem(f"The whole drive ({_length(s, 0, s.frames - 1)})", WHOLE)
        self.part.blockSignals(False)

    def _kind_changed(self) -> None:
        kind = self.kind.currentData()
        single = kind.suffix == ".png"
        for field, shown in (
            (self.part, not single),
            (self.panels, kind.panelled),
            (self.layout_box, kind.drawn),
            (self.style_box, kind.drawn),
            (self.size_box, kind.drawn),
            (self.rate_box, kind.moving),
            (self.codec, kind.coded),
            (self.quality, kind.coded),
        ):
            self._form.setRowVisible(field, shown)
        self.preview.setEnabled(kind.drawn)
        if self._named and self.output.text():
            self.output.setText(str(Path(self.output.text()).with_suffix(kind.suffix)))
        self._changed()

    def _changed(self) -> None:
        s = self._subject
        if s is None:
            return
        if not self._named:
            self.output.setText(str(s.folder / self._proposed()))
        first, last = self.range()
        kind, settings = self.kind.currentData(), self.settings()
        size = size_of(settings, s.size)
        words = ["1 frame" if first == last else f"{last - first + 1} frames"]
        if first != last:
            words.append(f"{s.times_s[last] - s.times_s[first]:.1f} s")
        if kind.drawn:
            words.append(f"{size[0]} × {size[1]} pixels")
        frames = last - first + 1
        if settings.fps:
            frames = max(1, round((s.times_s[last] - s.times_s[first]) * settings.fps))
        about = estimate(kind, settings, frames, size)
        if about:
            words.append(f"roughly {bytes_text(about)}")
        self.facts.setText(", ".join(words))
        self._check_output()
        self._timer.start()

    def _proposed(self) -> str:
        s, kind = self._subject, self.kind.currentData()
        assert s is not None
        first, last = self.range()
        part = (
            f"-{first}" if first == last else "" if (first, last) == (0, s.frames - 1) else f"-{first}-{last}"
        )
        suffix = Path(s.name).suffix  # of a camera's address, as in 127.0.0.1-camera, it is no extension
        stem = (s.name.removesuffix(suffix) if suffix[1:].isalnum() else s.name) or "drive"
        return f"{stem}{part}-vbp{kind.suffix}"

    def _check_output(self) -> None:
        """What can be seen to be wrong before it starts."""
        problem, there = "", False
        text = self.output.text().strip()
        path = Path(text).expanduser()
        kind = self.kind.currentData()
        if kind.panelled and not self.settings().panels:
            problem = "Choose a panel, at least one."
        elif (
            kind.drawn and self.layout_box.currentData() == "picture" and self.settings().panels == ("plot",)
        ):
            problem = "Picture only needs a panel with a picture."
        elif not text:
            problem = "Give a name for the file."
        elif not path.parent.is_dir():
            problem = f"There is no folder {path.parent}."
        elif kind.suffix and path.suffix.lower() != kind.suffix:
            problem = f"The name must end in {kind.suffix}."
        elif path.is_dir() and kind.suffix:
            problem = f"{path.name} is a folder."
        elif path.is_file():
            there = True
            if not self.replace.isChecked():
                problem = f"{path.name} is there already."
        self.replace.setVisible(there)
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))
        self.export_button.setEnabled(not problem)

    # What it was left with.

    def settings(self) -> Settings:
        kind: Kind = self.kind.currentData()
        coded = kind.coded
        return replace(
            self._base,
            format=kind.format,
            panels=self.panels.chosen(),
            layout=self.layout_box.currentData(),
            overlay=replace(self._base.overlay, style=self.style_box.currentData()),
            fps=self.rate_box.currentData() if kind.moving else None,
            size=self.size_box.currentData() if kind.drawn else None,
            codec=self.codec.currentData() if coded else "ffv1" if kind.suffix == ".mkv" else "h264",
            quality=self.quality.currentData() if coded else "good",
        )

    def range(self) -> tuple[int, int]:
        """The first and the last frame, both included."""
        s = self._subject
        assert s is not None
        if self.kind.currentData().suffix == ".png":
            return s.frame, s.frame
        a, b = s.marks
        if self.part.currentData() == MARKED:
            return a or 0, s.frames - 1 if b is None else b
        return 0, s.frames - 1

    def _name_edited(self) -> None:
        self._named = bool(self.output.text())
        self._check_output()

    def _browse(self) -> None:
        kind = self.kind.currentData()
        pattern = f"{kind.title} (*{kind.suffix})" if kind.suffix else ""
        options = QFileDialog.Option.DontConfirmOverwrite  # the dialog below asks, once
        name, _ = QFileDialog.getSaveFileName(self, "Export", self.output.text(), pattern, "", options)
        if name:
            path = Path(name)
            self.output.setText(str(path if path.suffix.lower() == kind.suffix else Path(name + kind.suffix)))
            self._named = True
            self._check_output()

    def _export(self) -> None:
        first, last = self.range()
        output = Path(self.output.text().strip()).expanduser()
        force = self.replace.isVisible() and self.replace.isChecked()
        self.chosen.emit(Choice(self.kind.currentData(), self.settings(), first, last, output, force))
        self.replace.setChecked(False)
        self.close()

    def closeEvent(self, event: object) -> None:
        self._check.stop()
        super().closeEvent(event)  # type: ignore[arg-type]

    def keyPressEvent(self, event) -> None:  # type: ignore[no-untyped-def]
        if event.key() == Qt.Key.Key_Escape:
            self.close()
        else:
            super().keyPressEvent(event)


def _length(s: Subject, first: int, last: int) -> str:
    return f"{last - first + 1} frames, {clock(s.times_s[last] - s.times_s[first])}"


def _combo(name: str, items: Sequence[tuple[str, object]]) -> ComboBox:
    box = ComboBox()
    box.setAccessibleName(name)
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    for title, value in items:
        box.addItem(title, value)
    return box


def _note() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label
