"""The window: what stands in it, and what its actions do."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import QByteArray, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QActionGroup, QCloseEvent, QDragEnterEvent, QDropEvent, QShowEvent
from PySide6.QtWidgets import (
    QAbstractScrollArea,
    QApplication,
    QDialog,
    QDockWidget,
    QMainWindow,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from vbp.app import theme
from vbp.app.control.evidence import Evidence
from vbp.app.control.export import Exporter
from vbp.app.control.methods import make_panels
from vbp.app.control.presenter import Panels, Presenter
from vbp.app.control.run import RunFollower
from vbp.app.control.view_commands import ViewCommands
from vbp.app.jobs.run_folder import looks_like_run
from vbp.app.panels.compare import ComparePanel
from vbp.app.panels.evidence import EvidencePanel
from vbp.app.panels.info import InfoPanel
from vbp.app.panels.masked import STYLE_TITLES, MaskedView, Overlay
from vbp.app.panels.method import MethodPanel
from vbp.app.panels.prediction import PredictionPanel
from vbp.app.panels.run import RunPanel
from vbp.app.panels.status import StatusLine
from vbp.app.panels.title import PanelTitle
from vbp.app.panels.toolbar import TopBar
from vbp.app.panels.transport import Transport
from vbp.app.player.playback import Player
from vbp.app.shell import layout
from vbp.app.state.actions import ACTIONS, GROUPS, PANELS, build_actions
from vbp.app.state.marks import Marks
from vbp.app.state.settings import Settings
from vbp.app.widgets.layers import LayersView
from vbp.app.widgets.notice import Notice
from vbp.app.widgets.plot import AnglePlot
from vbp.app.widgets.start_page import StartPage
from vbp.demo import demo_drive
from vbp.drives.base import OpenOptions

ICON_SIZE = QSize(18, 18)
DEFAULT_SIZE = QSize(1280, 720)
FLOATS_MS = 150  # a window manager has placed the panels that float


class MainWindow(ViewCommands):
    told = Signal(str)  # something unexpected, from any thread

    def __init__(self, settings: Settings | None = None, scheme: str | None = None) -> None:
        super().__init__()
        self.settings = settings or Settings()
        self.setWindowTitle("vbp")
        self.setAcceptDrops(True)
        self.setDockOptions(
            QMainWindow.DockOption.AllowNestedDocks
            | QMainWindow.DockOption.AllowTabbedDocks
            | QMainWindow.DockOption.AnimatedDocks
        )
        app = QApplication.instance()
        if isinstance(app, QApplication):
            theme.apply(app, scheme or self.settings.text("scheme", "system", theme.SCHEMES))
        self._keep_scheme = scheme is None
        self._shown_before = self._placed = False
        self._said: set[str] = set()
        self._alone: QByteArray | None = None
        self._tall = False  # the network's input; the kept layout is that for a wide one
        self._keys: QDialog | None = None
        self.threads_left: list[str] = []
        self.player = Player(self)
        self._before: tuple[Path, OpenOptions, int, float] | None = (
            None  # what was open before the last opening
        )
        self.marks = Marks(self.settings, self)
        self.actions_by_id = build_actions(self)
        self.addActions(list(self.actions_by_id.values()))
        self._build_menus()
        self._build_centre()
        self.panels = self._build_panels()
        self.docks = self._build_docks()
        self.presenter = Presenter(self.player, self.panels, self.marks, self)
        self.run = RunFollower(self.player, self.panels.run, self)
        self.evidence = Evidence(self.player, self.panels.evidence, self._methods_shown, self)
        self._build_live()
        self.exporter = Exporter(self)
        self._connect()
        self._load_settings()
        for area in self.findChildren(QAbstractScrollArea):
            area.setAcceptDrops(False)  # a recording may be dropped anywhere: let the window have it
            area.viewport().setAcceptDrops(False)
        self.resize(DEFAULT_SIZE)
        self.show_start()

    # What stands in it.

    def _build_menus(self) -> None:
        bar = self.menuBar()
        self._menus = {group: bar.addMenu(f"&{group}") for group in GROUPS}
        for spec in ACTIONS:
            self._menus[spec.group].addAction(self.actions_by_id[spec.id])
        self._recent_menu = self._menus["File"].addMenu("Open &recent")
        self._menus["File"].insertMenu(self.actions_by_id["open-network"], self._recent_menu)
        self._recent_menu.aboutToShow.connect(self._fill_recent)
        schemes = self._menus["View"].addMenu("&Colours")
        group = QActionGroup(self)
        for name in theme.SCHEMES:
            action = schemes.addAction({"system": "As the &system"}.get(name, f"&{name.capitalize()}"))
            action.setCheckable(True)
            action.setChecked(name == theme.scheme())
            action.triggered.connect(lambda _=False, name=name: self.set_scheme(name))
            group.addAction(action)

    def _build_centre(self) -> None:
        self.notice = Notice()
        self.start_page = StartPage()
        self.picture = MaskedView()
        self.picture.setAccessibleName("Camera picture with the mask")
        self.stack = QStackedWidget()
        self.stack.addWidget(self.start_page)
        self.stack.addWidget(self.picture)
        centre = QWidget()
        box = QVBoxLayout(centre)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        box.addWidget(self.notice)
        box.addWidget(self.stack, 1)
        centre.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCentralWidget(centre)
        centre.setFocus()

    def _build_panels(self) -> Panels:
        self.top = TopBar(self.actions_by_id, self._menus["Panels"])
        transport = Transport(self.actions_by_id)
        status = StatusLine()
        self.addToolBar(Qt.ToolBarArea.TopToolBarArea, self.top)
        self.addToolBar(Qt.ToolBarArea.BottomToolBarArea, transport)
        for bar in (self.top, transport):
            bar.setIconSize(ICON_SIZE)
            bar.setMovable(False)  # their places are good ones, and a handle takes width
            if (inside := bar.layout()) is not None:
                inside.setContentsMargins(0, 0, 0, 0)  # height belongs to the picture
        self.setStatusBar(status)
        return Panels(
            picture=self.picture,
            visualbackprop=MethodPanel("visualbackprop", "What the network sees appears here"),
            methods=make_panels(),
            prediction=PredictionPanel(),
            layers=LayersView(),
            compare=ComparePanel(),
            angle=AnglePlot(),
            info=InfoPanel(),
            run=RunPanel(),
            evidence=EvidencePanel(),
            transport=transport,
            status=status,
        )

    def _build_docks(self) -> dict[str, QDockWidget]:
        docks = {}
        for name, title, tip in PANELS:
            dock = QDockWidget(title, self)
            dock.setObjectName(f"dock-{name}")
            dock.setWidget(self.panels.widget(name))
            title_line = PanelTitle(dock, getattr(dock.widget(), "header", None))
            title_line.name.setToolTip(tip)
            dock.widget().setAccessibleName(title)
            dock.widget().setAccessibleDescription(tip)
            dock.setTitleBarWidget(title_line)
            action = self.actions_by_id[f"panel-{name}"]
            if name in self.panels.methods:  # the chooser tells the title; tabs and menu want it too
                title_line.name.hide()
                self.panels.methods[name].method_changed.connect(dock.setWindowTitle)
                self.panels.methods[name].method_changed.connect(action.setText)
            dock.toggleViewAction().toggled.connect(action.setChecked)
            docks[name] = dock
        layout.place_docks(self, docks)
        return docks

    def _connect(self) -> None:
        player, top = self.player, self.top
        player.opening.connect(self._on_opening)
        player.opened.connect(self._on_opened)
        player.open_failed.connect(self._on_open_failed)
        player.choices.connect(self._on_choices)
        player.network_loading.connect(
            lambda name: self.panels.status.set_device(f"loading {Path(name).stem} …")
        )
        player.network_ready.connect(self._on_network)
        player.network_failed.connect(self._on_network_failed)
        player.predict_ended.connect(self._on_predict_ended)
        player.trouble.connect(lambda trouble: self.say_once(trouble.text))
        player.pace_changed.connect(lambda _, realtime: self.actions_by_id["realtime"].setChecked(realtime))
        self.told.connect(self.say_once, Qt.ConnectionType.QueuedConnection)
        top.network_chosen.connect(self.use_network)
        top.open_network_requested.connect(self.open_network_file)
        top.device_chosen.connect(self.use_device)
        top.overlay_changed.connect(self.set_overlay)
        top.target_chosen.connect(self._on_target)
        self.panels.transport.speed.activated.connect(
            lambda k: player.set_pace(float(self.panels.transport.speed.itemData(k)))
        )
        self.panels.status.cancel.clicked.connect(player.stop_predicting)
        self.picture.activated.connect(self.toggle_alone)
        self.start_page.open_file_requested.connect(self.open_file)
        self.start_page.open_folder_requested.connect(self.open_folder)
        self.start_page.camera_requested.connect(self.choose_camera)
        self.start_page.set_demo(str(demo_drive() or ""))
        self.start_page.open_requested.connect(lambda path: self.drop(Path(path)))
        for name, dock in self.docks.items():
            # Also tells of a tab that is chosen or left; isVisible is true for panels behind others.
            dock.visibilityChanged.connect(partial(self._panel_seen, name))
        self.docks["run"].visibilityChanged.connect(self.run.set_shown)
        self.panels.run.open_requested.connect(self.open_run)
        self.run.network_wanted.connect(self._use_checkpoint)
        self.run.drive_wanted.connect(self._open_runs_drive)
        self.run.failed.connect(lambda text: self.notice.show_message(text, "error"))

    def _load_settings(self) -> None:
        s = self.settings
        overlay = Overlay(
            s.text("overlay/style", "paper", tuple(STYLE_TITLES)),
            s.number("overlay/opacity", 0.8, 0.0, 1.0),
        )
        self.set_overlay(overlay)
        self.presenter.methods.restore(s)
        self.player.set_pace(1.0, s.flag("realtime", True))
        self.actions_by_id["overlay"].setChecked(True)
        self.top.set_device(s.text("device", "auto"))
        self.top.target.restore(s.text("target/angle", "output"), s.text("target/class", "class"))

    def say_once(self, text: str) -> None:
        """An unexpected error: shown, but not again when it comes back."""
        if text not in self._said:
            self._said.add(text)
            self.notice.show_message(text, "error")

    # Qt's own.

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not self._shown_before:
            self._shown_before = True
            QTimer.singleShot(0, self._place)

    def _place(self) -> None:
        # Only now: a layout that is restored before the window is shown gets other sizes.
        layout.place_docks(self, self.docks)
        layout.restore(self, self.settings.bytes("window/state"))
        tall, self._tall = self._tall, False
        self._arrange_maps(tall)  # of a network that was there before
        self.place_bars()
        self._raise_run()
        places = {dock: dock.pos() for dock in self.docks.values() if dock.isFloating()}
        QTimer.singleShot(FLOATS_MS, lambda: layout.move_back(places))
        self._placed = True  # closed before that, the window has no layout worth keeping

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if paths:
            event.acceptProposedAction()
            self.drop(paths[0])

    def drop(self, path: Path) -> None:
        if path.suffix in (".safetensors", ".pt2"):
            self.open_network(path)
        elif looks_like_run(path):
            self.show_run(path)
        else:
            self.open_drive(path)

    def close_soon(self) -> None:
        """For a signal, which can come in the middle of a paint event: there, a window must not be hidden."""
        QTimer.singleShot(0, self.close)

    def closeEvent(self, event: QCloseEvent) -> None:
        if self._placed:
            self._arrange_maps(False)
            self.settings.set("window/geometry", self.saveGeometry())
            self.settings.set("window/state", self._alone or self.saveState(layout.VERSION))
            self.presenter.methods.remember(self.settings)
        self.settings.flush()
        self.hide()
        left = self.exporter.close()  # first: an export that runs is to end soon
        self.threads_left = [*left, *self.player.close(), *self.run.close(), *self.evidence.close()]
        super().closeEvent(event)
