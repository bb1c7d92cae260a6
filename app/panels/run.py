"""A training run: the frame on the screen through its checkpoints, and how its error fell."""

from __future__ import annotations

import math
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from vbp.app import theme
from vbp.app.panels.title import Caption
from vbp.app.widgets.checkpoint_strip import CheckpointStrip, Tile
from vbp.app.widgets.loss_plot import Curves, LossPlot
from vbp.frames.strengths import weights
from vbp.overlay import Overlay, grey_to_rgb, lay
from vbp.readable import shown_error

if TYPE_CHECKING:
    from vbp.app.jobs.run import RunState, Seen
    from vbp.training.folder import Row

EMPTY = "Open a training run, or drop its folder on the window:\nthe mask and prediction of each checkpoint on the current frame appear here"
FLAT = 1.9  # a panel that is wider than this times its height has the plot beside the pictures


class RunPanel(QWidget):
    checkpoint_chosen = Signal(object)  # Path
    back_requested = Signal()
    open_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.header = QWidget()  # for the panel's title line
        self._status = Caption(Qt.AlignmentFlag.AlignLeft)
        self._late = Caption(Qt.AlignmentFlag.AlignRight)
        line = QHBoxLayout(self.header)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(10)
        self.back = QPushButton("Back")
        self.back.setStyleSheet("QPushButton { padding: 0 8px; }")
        self.back.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.back.setFixedHeight(self.fontMetrics().height() + 4)
        self.back.hide()
        # The pictures must not move under the mouse that chose one, as the button comes.
        self.header.setMinimumHeight(self.back.height())
        line.addWidget(self._status, 7)
        line.addWidget(self._late, 2)
        line.addWidget(self.back)
        self._paths: list[Path] = []
        self._overlay = Overlay()
        self._used: Path | None = None
        self._shown: Path | None = None
        self.strip = CheckpointStrip()
        self.plot = LossPlot()
        self.plot.setToolTip("")
        self.strip_area = _Scroll(self.strip)
        self.trouble = QLabel()
        self.trouble.setTextFormat(Qt.TextFormat.PlainText)  # a path is no markup
        self.trouble.setWordWrap(True)
        self.trouble.setContentsMargins(8, 4, 8, 4)
        self.trouble.hide()
        self._parts = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        self._parts.setSpacing(0)
        self._parts.addWidget(self.strip_area, 5)
        self._parts.addWidget(self.plot, 2)
        page = QWidget()
        inside = QVBoxLayout(page)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(0)
        inside.addWidget(self.trouble)
        inside.addLayout(self._parts, 1)
        self.stack = QStackedWidget()
        self.stack.addWidget(self._empty_page())
        self.stack.addWidget(page)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self.stack)
        self.setMinimumSize(180, 100)
        self.strip.chosen.connect(lambda k: self.checkpoint_chosen.emit(self._paths[k]))
        self.plot.chosen.connect(lambda k: self.checkpoint_chosen.emit(self._paths[k]))
        self.strip.left.connect(self.back_requested)
        self.strip.reached.connect(self._bring_into_view)
        self.back.clicked.connect(self.back_requested)
        theme.changed.connect(self._dress)
        self._dress()

    def _empty_page(self) -> QWidget:
        page = QWidget()
        self._empty = QLabel(EMPTY)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty.setWordWrap(True)
        button = QPushButton("Open training run…")
        button.clicked.connect(self.open_requested)
        box = QVBoxLayout(page)
        box.setContentsMargins(12, 8, 12, 8)
        box.addStretch(2)
        box.addWidget(self._empty)
        box.addSpacing(4)
        box.addWidget(button, 0, Qt.AlignmentFlag.AlignHCenter)
        box.addStretch(3)
        return page

    # The run.

    def set_run(self, state: RunState) -> None:
        """The run as it is now; pictures of checkpoints that are still there stay."""
        self.stack.setCurrentIndex(1)
        known = dict(zip(self._paths, self.strip.tiles, strict=True)) if self._shown == state.path else {}
        self._shown = state.path
        self._paths = [c.path for c in state.checkpoints]
        spec = state.config.spec
        tiles = [
            known.get(c.path, Tile(f"epoch {c.epoch:g}", words="…", tip=c.path.name))
            for c in state.checkpoints
        ]
        self.strip.set_tiles(tiles, spec.input_width / spec.input_height)
        self.plot.set_curves(curves(state), [c.epoch for c in state.checkpoints])
        self._status.set_text(f"{state.path.name}: {describe(state)}")
        self.strip.set_empty("" if tiles else "The first checkpoint appears here")
        self.set_trouble("")
        self._mark_used()

    def status(self) -> str:
        """What the title line says of the run."""
        return self._status.text()

    def set_trouble(self, text: str) -> None:
        """Why the run cannot be followed any more; what was seen of it stays."""
        self.trouble.setText(text)
        self.trouble.setVisible(bool(text))

    # The frame.

    def show_seen(self, seen: list[Seen], driven_rad: float, edits: str = "") -> None:
        """What checkpoints made of a frame. edits: that were made in its picture, in words."""
        for each in seen:
            path = each.checkpoint.path
            if path in self._paths:
                self.strip.set_tile(self._paths.index(path), self._tile(each, driven_rad, edits))

    def _tile(self, seen: Seen, driven_rad: float, edits: str) -> Tile:
        name = f"epoch {seen.checkpoint.epoch:g}"
        if seen.input is None or seen.mask is None:
            return Tile(name, words="cannot be used", warning=seen.trouble, tip=seen.trouble)
        predicted = math.degrees(seen.angle_rad)
        error = shown_error(math.degrees(driven_rad), predicted)
        worth = seen.usual.words(seen.strength, seen.spread) if seen.usual is not None else ""
        warning = "; ".join(filter(None, (edits, seen.warning, worth)))
        tip = warning or f"{seen.checkpoint.path.name}: click to make it the window's network (← and → step)"
        picture = partial(self._picture, seen, seen.input, seen.mask)
        return Tile(name, picture, "", predicted, error, seen.class_text, warning, tip)

    def _picture(self, seen: Seen, image: NDArray[np.uint8], mask: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Of this frame alone: the strip has no frames in a row, so nothing is smoothed."""
        weighed = weights(seen.strength, seen.usual, self._overlay)
        return lay(grey_to_rgb(image), mask, None, self._overlay, *weighed)

    def has_picture(self, path: Path) -> bool:
        return path in self._paths and self.strip.tiles[self._paths.index(path)].picture is not None

    def clear_frame(self, words: str) -> None:
        """No frame is on the screen that has a picture; words: why."""
        for k, tile in enumerate(self.strip.tiles):
            self.strip.set_tile(k, Tile(tile.name, words=words, tip=tile.tip))

    def set_late(self, text: str) -> None:
        """That the pictures are of another frame than that on the screen, or of an edited one."""
        self._late.set_text(text)

    def set_overlay(self, overlay: Overlay) -> None:
        if overlay != self._overlay:
            self._overlay = overlay
            self.strip.refresh()

    # The network.

    def set_in_use(self, path: Path | None, before: str) -> None:
        """The checkpoint that is the window's network, and the name of the one to go back to."""
        self._used = path
        self.back.setVisible(path is not None and bool(before))
        if before:
            self.back.setText(f"Back to {before}")
            self.back.setToolTip(f"Make {before} the window's network again (Esc)")
        self._mark_used()

    def _mark_used(self) -> None:
        k = self._paths.index(self._used) if self._used in self._paths else -1
        self.strip.set_in_use(k)
        self.plot.set_in_use(k)

    # The rest.

    def _bring_into_view(self, top: int, height: int) -> None:
        self.strip_area.ensureVisible(0, top + height // 2, 0, height // 2 + 8)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        flat = self.width() > FLAT * self.height()
        way = QBoxLayout.Direction.LeftToRight if flat else QBoxLayout.Direction.TopToBottom
        self._parts.setDirection(way)

    def sizeHint(self) -> QSize:
        return QSize(420, 360)

    def _dress(self) -> None:
        c = theme.colours()
        for label, colour in ((self._empty, c.muted), (self.trouble, c.warning)):
            palette = label.palette()
            palette.setColor(label.foregroundRole(), colour)
            label.setPalette(palette)


class _Scroll(QScrollArea):
    """Tells the strip how much of it can be seen at once."""

    def __init__(self, strip: CheckpointStrip) -> None:
        super().__init__()
        self._strip = strip
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWidget(strip)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._strip.set_room(self.maximumViewportSize())


def curves(state: RunState) -> Curves:
    """How the error fell: the RMSE in degrees, of a classifier the mean negative log-likelihood."""
    epochs, loss = (
        np.array([getattr(r, n) for r in state.rows], dtype=np.float64) for n in ("epoch", "train_loss")
    )
    last = state.config.recipe.epochs
    if state.config.spec.is_classifier:
        return Curves(epochs, loss, np.array([r.test_loss for r in state.rows]), last, "loss", "")
    train = np.degrees(np.sqrt(np.where(loss >= 0, loss, np.nan)))
    return Curves(epochs, train, np.degrees([r.test_rmse_rad for r in state.rows]), last)


def describe(state: RunState) -> str:
    """Where a run stands: "training, epoch 3.2 of 12, RMSE 0.120 rad (6.9°)", of a classifier "93.1 % right"."""
    total = f"{state.config.recipe.epochs:g}"
    all_of_it = f"{total} epoch{'s' * (total != '1')}"
    if not state.rows:
        where = f"{all_of_it} ahead"
        measured = ""
    else:
        last = state.rows[-1]
        where = f"epoch {last.epoch:.3g} of {total}"
        measured = f", {_measured(last, state.config.spec.is_classifier)}"
    if state.finished:
        return f"finished, {all_of_it}{measured}"
    if state.quiet_since is not None:
        when = time.localtime(state.quiet_since)
        today = time.strftime("%x", when) == time.strftime("%x")
        return f"stopped at {where}{measured}, no new values since {time.strftime('%H:%M' if today else '%Y-%m-%d %H:%M', when)}"
    return f"training, {where}{measured}"


def _measured(last: Row, classifier: bool) -> str:
    if classifier:
        known = math.isfinite(last.test_accuracy)
        return f"{100 * last.test_accuracy:.1f} % right" if known else f"train loss {last.train_loss:.3g}"
    known = math.isfinite(last.test_rmse_rad)
    value = last.test_rmse_rad if known else math.sqrt(max(0.0, last.train_loss))
    return f"{'' if known else 'train '}RMSE {value:.3f} rad ({math.degrees(value):.1f}°)"
