"""Joins a training run to the window: the thread that follows it, the panel, and the network in use."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QDockWidget, QFileDialog, QWidget

from vbp.app.jobs.run import RunFailed, RunFollower, RunRequest, RunState, Seen, SeenBy
from vbp.app.jobs.worker import Worker
from vbp.app.panels.run import RunPanel
from vbp.app.player.messages import Frame, Trouble
from vbp.app.player.playback import Player
from vbp.app.state.settings import Settings
from vbp.app.widgets.notice import Notice
from vbp.models.source import NetworkSource

LATE_S = 5.0  # beyond that, a late strip names its frame instead
NO_DRIVE, NO_PICTURE = "Open a drive", "no picture"  # in the place of the pictures


class RunControl(QObject):
    """Lives in the window's thread. The run's own thread begins with the first run that is opened."""

    network_wanted = Signal(str)  # a name or a path
    drive_wanted = Signal(
        object, object, int
    )  # a recording that the run learned from: Path, OpenOptions, frame
    failed = Signal(str)  # a folder that does not open, in one sentence

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
        failure = "Following the training run met an error"
        self.worker: Worker[RunRequest] = Worker("run", RunFollower(), failure, self)
        self._path = Path()
        self._opening = 0  # counts the runs that were opened
        self._loading = self._shown = False
        self._before = ""  # the network that was in use before a checkpoint
        self._coming: dict[Path, Seen] = {}
        self.worker.told.connect(self._hear)
        self.worker.finished.connect(self._on_finished)
        player.shown.connect(self._on_frame)
        player.opening.connect(lambda _: self.clear_frame("…"))
        player.network_loading.connect(lambda _: self._show_use())
        player.network_ready.connect(lambda _: self._ask())
        player.network_failed.connect(lambda _: self._show_use())
        player.state_changed.connect(self._caption)
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
        self._loading = True
        self._opening += 1
        self._path = path.expanduser().absolute()
        self.worker.cancel()
        self._ask()

    @property
    def opened(self) -> bool:
        """Whether a run is open, or was asked for."""
        return self._loading or self.state is not None

    def set_shown(self, shown: bool) -> None:
        """The panel came into view, or went behind another: only what is seen is worth following."""
        self._shown = shown
        self._ask()

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
        self.panel.set_in_use(
            Path(name) if mine else None, NetworkSource.parse(self._before).title if mine else ""
        )

    # Frames.

    def clear_frame(self, words: str = NO_DRIVE) -> None:
        """No frame is there; words: why, in the place of the pictures."""
        self.made = None
        self._coming.clear()
        self.panel.clear_frame(words)
        self._caption()

    def complete(self, frame: int) -> bool:
        """Whether the panel shows all it can of this frame."""
        if self._loading:
            return False
        if self.state is None or not self._shown or not self.state.checkpoints or self.player.on_gap:
            return True
        return self.made is not None and self.made.index == frame

    def _on_frame(self, frame: Frame) -> None:
        if frame.image is None and self.made is None:
            self.panel.clear_frame(NO_PICTURE)
        self._ask()
        self._caption()

    def _ask(self) -> None:
        self._show_use()
        if not self._opening:
            return
        frame, ready, chosen = self.player.shown_frame, self.player.ready, self.player.crop
        request = RunRequest(self._path, self._opening, self._shown)
        # Before the network is there, the first frame belongs to it alone.
        awaited = self.state is not None and self._shown
        if awaited and ready is not None and frame is not None and frame.image is not None:
            crop = chosen.at(*frame.image.shape[:2]) if chosen is not None else None
            player = self.player
            drive = (player.path, player.options) if player.path is not None else None
            request = replace(
                request,
                frame=frame,
                device=ready.device,
                crop=crop,
                drive=drive,
                busy=lambda: player.playing,
            )
        self.worker.ask(request)

    def _hear(self, message: object) -> None:
        match message:
            case RunState():
                self._on_state(message)
            case RunFailed():
                self._loading = False
                if message.opened:
                    self.panel.set_trouble(message.text)
                else:
                    self.failed.emit(message.text)
                    if self.state is not None:  # the run of before is still on show: go on with it
                        self.open(self.state.path)
            case SeenBy():
                self._on_seen(message)

    def _on_finished(self, text: str) -> None:
        if text:
            self.player.trouble.emit(Trouble(text))

    def _on_state(self, state: RunState) -> None:
        first = self._loading
        another = self.state is None or self.state.path != state.path
        self.state, self._loading = state, False
        if another:
            self.clear_frame()
        self.panel.set_run(state)
        if another and self.player.on_gap:
            self.panel.clear_frame(NO_PICTURE)
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
        frame, shown = message.frame, self.player.shown_frame
        if shown is None or frame.generation != shown.generation:
            return
        driven = frame.record.driven_rad
        seen = message.seen
        self._coming[seen.checkpoint.path] = seen
        # All pictures change together, so that they are of one frame; only where there is none, it comes at once.
        edits = frame.record.edits.words
        if message.whole:
            self.panel.show_seen(list(self._coming.values()), driven, edits)
            self._coming.clear()
            self.made = frame
        elif not self.panel.has_picture(seen.checkpoint.path):
            self.panel.show_seen([seen], driven, edits)
        self._caption()

    def _caption(self) -> None:
        made, shown = self.made, self.player.shown_frame
        late = ""
        if made is not None and shown is not None and shown.index != made.index:
            seconds = (shown.record.timestamp_ns - made.record.timestamp_ns) / 1e9
            late = f"{seconds:.2f} s late" if 0 < seconds < LATE_S else f"of frame {made.index}"
        edited = "edited" if made is not None and made.record.edits else ""
        self.panel.set_late(" · ".join(filter(None, (late, edited))))
