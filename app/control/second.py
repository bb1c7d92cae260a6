"""A second network beside the first: chosen, opened, let go, and what is shown of it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, QPoint
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QDockWidget, QFileDialog, QMenu, QWidget

from vbp.app.jobs.second import SecondRequest, open_second
from vbp.app.jobs.worker import Worker
from vbp.app.panels.second import SecondPanel
from vbp.app.panels.toolbar import TopBar
from vbp.app.player.messages import Choices, Second
from vbp.app.player.playback import Player
from vbp.app.state.settings import Settings
from vbp.app.widgets.notice import Notice
from vbp.comparing.pair import check_alike
from vbp.errors import VbpError
from vbp.models.formats import ALL_SUFFIXES
from vbp.models.source import NetworkSource


class SecondControl(QObject):
    """name: of the second network in use, or being opened; "" where there is none."""

    def __init__(
        self,
        window: QWidget,
        player: Player,
        panel: SecondPanel,
        dock: QDockWidget,
        top: TopBar,
        settings: Settings,
        notice: Notice,
        stop_action: QAction,
    ) -> None:
        super().__init__(window)
        self._window, self._player, self._panel, self._dock, self._top = window, player, panel, dock, top
        self._settings, self._notice, self._stop_action = settings, notice, stop_action
        self.name = ""
        self._generation = 0
        self._waiting: Second | None = None  # until it is known what it is to stand beside
        self._networks: list[str] = []
        failure = "The second network could not be opened"
        self.worker: Worker[SecondRequest] = Worker("second", open_second, failure, self)
        self.worker.told.connect(self._on_opened)
        self.worker.finished.connect(self._on_finished)
        self.menu = QMenu(window)
        self.menu.setToolTipsVisible(True)
        self.menu.aboutToShow.connect(self._fill)
        player.choices.connect(self._on_choices)
        player.network_ready.connect(self._on_first)
        player.network_failed.connect(self._on_first)  # the one before stays
        top.compare_requested.connect(self.choose)
        panel.choose.clicked.connect(self.choose)
        panel.stop.clicked.connect(self.stop)
        self._tell()

    # What the user asks for.

    def choose(self) -> None:
        """A menu of the networks there are, under the one in use."""
        box = self._top.network
        self.menu.popup(box.mapToGlobal(QPoint(0, box.height())))

    def choose_file(self) -> None:
        patterns = " ".join(f"*{suffix}" for suffix in ALL_SUFFIXES)
        name, _ = QFileDialog.getOpenFileName(
            self._window,
            "Compare with a network",
            self._settings.last_folder("networks"),
            f"Networks ({patterns});;All files (*)",
        )
        if name:
            self.open(Path(name))

    def open(self, path: Path) -> None:
        self.use(str(NetworkSource(str(path))))

    def use(self, name: str) -> None:
        """Run this network beside the first, and bring up the panel."""
        self._notice.dismiss()
        self._dock.show()
        self._dock.raise_()
        self._open(name)

    def stop(self) -> None:
        self.worker.cancel()
        self._waiting, self.name = None, ""
        if self._player.second is not None:
            self._player.set_second(None)
        self._tell()

    def bring_back(self, name: str) -> None:
        """The second network that was in use with a recording; "" where there was none."""
        source = NetworkSource.parse(name)
        if not name or source.is_factory:  # the user's own code is run only when they ask for it
            self.stop()
        elif str(source.absolute()) != self.kept():
            self._open(name)

    def kept(self) -> str:
        """Its name from any folder; "" where there is none."""
        return str(NetworkSource.parse(self.name).absolute()) if self.name else ""

    @property
    def view(self) -> str:
        """What its panel shows."""
        return self._panel.view

    def show_view(self, name: str) -> None:
        self._panel.set_view(name)

    def takes_drop(self, place: QPoint) -> bool:
        """Whether what is dropped at this place of the window is for the second network."""
        return self._panel.isVisible() and self._panel.rect().contains(
            self._panel.mapFrom(self._window, place)
        )

    def _fill(self) -> None:
        self.menu.clear()
        first = NetworkSource.parse(self._player.network_name).title if self._player.network_name else ""
        self.menu.addAction(f"Compare {first} with" if first else "Compare with").setEnabled(False)
        self.menu.addSeparator()
        files = [p for p in self._settings.recent("networks") if Path(NetworkSource.parse(p).model).is_file()]
        for name in (*self._networks, *files):
            action = self.menu.addAction(NetworkSource.parse(name).title)
            action.setToolTip(name)
            action.setCheckable(True)
            action.setChecked(name == self.name)
            action.triggered.connect(lambda _=False, name=name: self.use(name))
        self.menu.addSeparator()
        self.menu.addAction("Network file…", self.choose_file)
        self.menu.addAction(self._stop_action)

    # What comes of it.

    def _open(self, name: str) -> None:
        self.worker.cancel()
        self._waiting, self.name = None, name
        self._generation += 1
        self.worker.ask(SecondRequest(self._generation, name, self._device()))
        self._tell()

    def _device(self) -> str:
        ready = self._player.ready
        return ready.device if ready is not None else str(self._top.device.currentData() or "auto")

    def _on_choices(self, choices: Choices) -> None:
        self._networks = [name for name, _ in choices.networks]

    def _on_opened(self, second: Second) -> None:
        if self._player.ready is None or self._player.loading:
            self._waiting = second
        else:
            self._begin(second)

    def _begin(self, second: Second) -> None:
        self._waiting = None
        if not self._fits(second):
            return
        network = second.engine.network
        if text := " ".join(filter(None, (network.assumed, network.unused))):
            self._notice.show_message(text, "warning" if network.unused else "info")
        source = NetworkSource.parse(second.name)
        if Path(source.model).is_file():
            self._settings.add_recent(str(source.absolute()), "networks")
        self._player.set_second(second)
        self._tell()

    def _fits(self, second: Second) -> bool:
        """Whether it predicts the same as the first; else the comparison ends, and why is said."""
        ready = self._player.ready
        try:
            if ready is not None:
                check_alike(ready.network.spec, second.engine.spec)
        except VbpError as error:
            self._give_up(str(error))
            return False
        return True

    def _give_up(self, text: str) -> None:
        """What was in use before stays, if that fits."""
        before = self._player.second
        if before is not None and before.name != self.name:
            self.name = before.name
            self._tell()
        else:
            self.stop()
        self._notice.show_message(text, "error")

    def _on_finished(self, text: str) -> None:
        if text:
            self._give_up(text)

    def _on_first(self) -> None:
        """Another first network, or another device."""
        ready = self._player.ready
        if ready is None:
            return
        if self._waiting is not None:
            self._begin(self._waiting)
        elif (second := self._player.second) is not None and self._fits(second):
            if second.engine.device != ready.device:
                self._open(second.name)
            else:
                self._tell()

    def _tell(self) -> None:
        second, ready = self._player.second, self._player.ready
        opening = bool(self.name) and (second is None or second.name != self.name)
        self._stop_action.setEnabled(bool(self.name))
        self._panel.set_names(
            ready.network.spec.name if ready is not None else "",
            second.engine.spec.name if second is not None else "",
            NetworkSource.parse(self.name).title if opening else "",
        )
