"""Joins a training run to the window: the thread that follows it, the panel, and the network in use."""

from __future__ import annotations

import math
import re
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtWidgets import QDockWidget, QFileDialog, QWidget

from vbp.app.jobs.run import RunFailed, RunState, RunThread, Seen, SeenBy, Wish
from vbp.app.panels.run import RunPanel
from vbp.app.player.messages import Frame, Trouble
from vbp.app.player.playback import Player
from vbp.app.state.settings import Settings
from vbp.app.widgets.notice import Notice

JOIN_S = 10.0  # an import of torch or the reading of a large checkpoint can be under way
LATE_S = 5.0  # beyond that, a late strip names its frame instead


class RunControl(QObject):
    """Lives in the window's thread. The run's own thread begins with the first run that is opened."""

    network_wanted = Signal(str)  # a name or a path
    drive_wanted = Signal(
        object, object, int
    )  # a recording that the run learned from: Path, OpenOptions, frame
    failed = Signal(str)  # a folder that does not open, in one sentence
    _told = Signal(object)

    def __init__(
        self,
        window: QWidget,
        player: Player,
        panel: RunPanel,
        dock: QDockWidget,
        settings: Settings,
        notice: Notice,
    ) -> None:
        super().__init__(window)
        self.player, self.panel = player, panel
        self._window, self._dock, self._settings, self._notice = window, dock, settings, notice
        self.state: RunState | None = None
        self.made: Frame | None = None  # the frame that all checkpoints have seen
        self._thread: RunThread | None = None
        self._generation = 0
        self._loading = self._closed = self._shown = False
        self._before = ""  # the network that was in use before a checkpoint
        self._coming: dict[Path, Seen] = {}
        self._told.connect(self._hear, Qt.ConnectionType.QueuedConnection)
        player.shown.connect(self._on_frame)
        player.opening.connect(lambda _: self.clear_frame())
        player.network_loading.connect(lambda _: self._show_use())
        player.network_ready.connect(lambda _: self._ask())
        player.network_failed.connect(lambda _: self._show_use())
        player.playing_changed.connect(lambda _: self._caption())
        panel.checkpoint_chosen.connect(self.use)
        panel.back_requested.connect(self.go_back)
        panel.open_requested.connect(self.choose)
        dock.visibilityChanged.connect(self.set_shown)
        self.failed.connect(lambda text: notice.show_message(text, "error"))

    # The run.

    def choose(self) -> None:
        start = self._settings.text("run", self._settings.last_folder())
        title = "Open a training run: the folder of vbp train -o"
        name = QFileDialog.getExistingDirectory(self._window, title, start)
        if name:
            self.show(Path(name))

    def show(self, path: Path) -> None:
        """Bring up the panel and follow the run in this folder."""
        self._notice.dismiss()
        self._settings.set("run", str(path.expanduser().absolute().parent))
        self.open(path)
        self.raise_panel()

    def raise_panel(self) -> None:
        if self.opened:
            self._dock.show()
            self._dock.raise_()

    def open(self, path: Path) -> None:
        """Open a run's folder; what is wrong with it is told by `failed`."""
        if self._thread is None:
            self._thread = RunThread(self._told.emit)
            self._thread.follow(self._shown)
            self._thread.start()
        self._generation += 1
        self._loading = True
        self._thread.open(self._generation, path.expanduser().absolute())

    @property
    def opened(self) -> bool:
        """Whether a run is open, or was asked for."""
        return self._loading or self.state is not None

    def set_shown(self, shown: bool) -> None:
        """The panel came into view, or went behind another: only what is seen is worth following."""
        self._shown = shown
        if self._thread is not None:
            self._thread.follow(shown)
        self._ask()

    def close(self) -> list[str]:
        """End the thread; its name, if it did not end in time."""
        self._closed = True
        thread = self._thread
        if thread is None:
            return []
        thread.stop()
        thread.join(JOIN_S)
        return [thread.name] if thread.is_alive() else []

    # The network.

    def owns(self, name: str) -> bool:
        """Whether this network is one of the run's checkpoints."""
        return self.state is not None and Path(name).parent == self.state.path / "checkpoints"

    def use(self, path: Path) -> None:
        """Make a checkpoint the window's network."""
        if not self.owns(self.player.network_name):
            self._before = self.player.network_name
        if str(path) != self.player.network_name:
            self.network_wanted.emit(str(path))

    def go_back(self) -> None:
        """Back to the network that was in use before."""
        if self._before and self.owns(self.player.network_name):
            self.network_wanted.emit(self._before)

    def _show_use(self) -> None:
        name = self.player.network_name
        mine = self.owns(name)
        self.panel.set_in_use(Path(name) if mine else None, Path(self._before).stem if mine else "")

    # Frames.

    def clear_frame(self) -> None:
        """No recording is open."""
        self.made = None
        self._coming.clear()
        self.panel.clear_frame()
        self._caption()

    def complete(self, frame: int) -> bool:
        """Whether the panel shows all it can of this frame."""
        if self._loading:
            return False
        if self.state is None or not self._shown or not self.state.checkpoints:
            return True
        return self.made is not None and self.made.index == frame

    def _on_frame(self, frame: Frame) -> None:
        self._ask()
        self._caption()

    def _ask(self) -> None:
        self._show_use()
        frame, ready = self.player.shown_frame, self.player.ready
        # Before the network is there, the first frame belongs to it alone.
        if self._thread is None or self.state is None or not self._shown or ready is None:
            return
        if frame is not None and frame.image is not None:
            chosen = self.player.crop
            crop = chosen.at(*frame.image.shape[:2]) if chosen is not None else None
            self._thread.show(Wish(frame, ready.device, crop))

    @Slot(object)
    def _hear(self, message: object) -> None:
        if self._closed:
            return
        match message:
            case RunState() if message.generation == self._generation:
                self._on_state(message)
            case RunFailed() if message.generation == self._generation:
                self._loading = False
                if message.opened:
                    self.panel.set_trouble(message.text)
                else:
                    self.failed.emit(message.text)
                    if self.state is not None:  # the run of before is still on show: go on with it
                        self.open(self.state.path)
            case SeenBy() if message.generation == self._generation:
                self._on_seen(message)
            case Trouble():
                self.player.trouble.emit(message)

    def _on_state(self, state: RunState) -> None:
        first = self._loading
        another = self.state is None or self.state.path != state.path
        self.state, self._loading = state, False
        if another:
            self.clear_frame()
        self.panel.set_run(state)
        self._ask()
        if first and self.player.path is None:
            self._offer_drive(state)

    def _offer_drive(self, state: RunState) -> None:
        """With no recording open: one that the run learned from, at the first frame that was held out."""
        for source in sorted(state.config.sources, key=lambda s: not s.test):
            if Path(source.path).exists():
                held = re.match(r"\d+(?= to )", source.test)
                self.drive_wanted.emit(Path(source.path), source.options, int(held[0]) if held else 0)
                return

    def _on_seen(self, message: SeenBy) -> None:
        frame, drive = message.frame, self.player.drive
        shown = self.player.shown_frame
        if shown is None or frame.generation != shown.generation:
            return
        driven = float(drive.angle_rad[frame.index]) if drive is not None else math.nan  # a camera
        seen = message.seen
        self._coming[seen.checkpoint.path] = seen
        # All pictures change together, so that they are of one frame; only where there is none, it comes at once.
        if message.whole:
            self.panel.show_seen(list(self._coming.values()), driven)
            self._coming.clear()
            self.made = frame
        elif not self.panel.has_picture(seen.checkpoint.path):
            self.panel.show_seen([seen], driven)
        self._caption()

    def _caption(self) -> None:
        made, shown = self.made, self.player.shown_frame
        late = ""
        if made is not None and shown is not None and shown.index != made.index:
            seconds = self._seconds(made, shown)
            late = f"{seconds:.2f} s late" if 0 < seconds < LATE_S else f"of frame {made.index}"
        self.panel.set_late(late)

    def _seconds(self, made: Frame, shown: Frame) -> float:
        """From one frame to a later one; NaN where that is not known."""
        if self.player.drive is None:
            return (shown.arrived_ns - made.arrived_ns) / 1e9
        stamps = self.player.drive.timestamps_ns
        if max(made.index, shown.index) >= len(stamps):
            return math.nan
        return float(stamps[shown.index] - stamps[made.index]) / 1e9
