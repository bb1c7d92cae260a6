"""The window: what stands in it, and what its actions do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from PySide6.QtCore import QByteArray, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QActionGroup, QCloseEvent, QDragEnterEvent, QDropEvent, QShowEvent
from PySide6.QtWidgets import (
    QAbstractScrollArea,
    QApplication,
    QDialog,
    QDockWidget,
    QFileDialog,
    QMainWindow,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app import layout, theme
from app.actions import ACTIONS, GROUPS, PANELS, build_actions, keys_table
from app.evidence_thread import Evidence
from app.export_control import Exporter
from app.live_commands import LiveCommands
from app.marks import Marks
from app.messages import Choices, DriveFailed, Frame, NetworkFailed, NetworkReady, PredictEnded
from app.method_panels import make_panels
from app.panels.compare import ComparePanel
from app.panels.evidence import EvidencePanel
from app.panels.info import InfoPanel
from app.panels.masked import STYLE_TITLES, MaskedView, Overlay
from app.panels.method import MethodPanel
from app.panels.prediction import PredictionPanel
from app.panels.run import RunPanel
from app.panels.status import StatusLine
from app.panels.title import PanelTitle
from app.panels.transport import Transport
from app.playback import Player
from app.presenter import Panels, Presenter
from app.run_folder import looks_like_run
from app.run_follower import RunFollower
from app.settings import Settings
from app.toolbar import TopBar
from app.widgets.keys_page import KeysPage
from app.widgets.layers import LayersView
from app.widgets.notice import Notice
from app.widgets.plot import AnglePlot
from app.widgets.start_page import StartPage
from models.source import NetworkSource
from vbp_core.demo import demo_drive
from vbp_core.drives.base import Drive, OpenOptions

DEFAULT_NETWORK = "NetSVF"
ICON_SIZE = QSize(18, 18)
DEFAULT_SIZE = QSize(1280, 720)
TALL = 0.6  # of an input's width
FLOATS_MS = 150  # a window manager has placed the panels that float


class MainWindow(LiveCommands):
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

    # The recording.

    def open_drive(
        self, path: Path, options: OpenOptions | None = None, frame: int = 0, min_speed: float = 0.0
    ) -> None:
        self.notice.dismiss()
        player = self.player
        if player.drive is not None and player.path is not None:
            self._before = (player.path, player.options, player.target, player.min_speed)
        player.open(path, options, frame, min_speed)

    def play_demo(self) -> None:
        """For who opened nothing yet: the demo drive, playing as soon as the network is there to be seen."""
        demo = demo_drive()
        if demo is None:
            return

        def begin(frame: Frame) -> None:
            if frame.shot is not None or self.player.path != demo:
                self.player.shown.disconnect(begin)
                if self.player.path == demo:
                    self.player.play()

        self.player.shown.connect(begin)
        self.open_drive(demo)

    def open_file(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Open a recording", self._last_folder())
        if name:
            self.open_drive(Path(name))

    def open_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Open a folder with a recording", self._last_folder())
        if name:
            self.open_drive(Path(name))

    def _last_folder(self) -> str:
        recent = self.settings.recent()
        return str(Path(recent[0]).parent) if recent else str(Path.home())

    def close_drive(self) -> None:
        self.player.close_drive()
        self.run.clear_frame()
        self.evidence.forget()
        self.presenter.clear()
        self.marks.set_drive(None, 0)
        self.show_start()

    def export(self) -> None:
        self.exporter.ask()

    def show_start(self) -> None:
        self.setWindowTitle("vbp")
        self.start_page.set_recent(self.settings.recent())
        self.stack.setCurrentWidget(self.start_page)
        self._enable(False)

    def _enable(self, drive_open: bool) -> None:
        for spec in ACTIONS:
            works_without = spec.id == "realtime"
            if (spec.group in ("Playback", "Marks", "Analysis") and not works_without) or spec.id in (
                "close-drive",
                "export",
            ):
                self.actions_by_id[spec.id].setEnabled(drive_open)

    def _on_opening(self, path: str) -> None:
        self.presenter.clear()
        self.marks.set_drive(None, 0)
        self.setWindowTitle(f"{Path(path).name} – vbp")
        self.picture.set_empty(f"Opening {Path(path).name} …")
        self.stack.setCurrentWidget(self.picture)
        self._enable(False)
        self.actions_by_id["close-drive"].setEnabled(True)

    def _on_opened(self, drive: Drive) -> None:
        self.picture.set_empty("")
        self.actions_by_id["loop"].setChecked(False)
        self.marks.set_drive(self.player.path, len(drive))
        if self.player.path != demo_drive():  # which the start page offers anyway
            self.settings.add_recent(str(self.player.path))
        self.picture.setToolTip("")
        info = drive.info
        self.setWindowTitle(f"{info.path.name} – {info.kind}, {len(drive)} frames – vbp")
        self._enable(True)

    def _on_open_failed(self, failed: DriveFailed) -> None:
        self.show_start()
        self.presenter.clear()
        if failed.needs_unit:
            frame, options, speed = self.player.first_frame, self.player.options, self.player.min_speed

            def again(unit: str) -> Callable[[], None]:
                return lambda: self.open_drive(failed.path, replace(options, angle_unit=unit), frame, speed)

            answers = [("Radians", again("rad")), ("Degrees", again("deg")), ("−1 to 1", again("unit"))]
            said = failed.text.partition("; pass --")[0]  # the buttons are the window's way
            self.notice.show_message(f"{said}; what are its numbers?", "warning", answers + self._way_back())
        else:
            if not failed.path.exists():
                self.settings.forget_recent(str(failed.path))
                self.start_page.set_recent(self.settings.recent())
            self.notice.show_message(failed.text, "error", self._way_back())

    def _way_back(self) -> list[tuple[str, Callable[[], None]]]:
        """The recording that gave way to one that did not open, at the frame where it was."""
        before = self._before
        return [(f"Back to {before[0].name}", lambda: self.open_drive(*before))] if before else []

    def _fill_recent(self) -> None:
        self._recent_menu.clear()
        for path in self.settings.recent():
            self._recent_menu.addAction(path, lambda path=path: self.open_drive(Path(path)))
        if self._recent_menu.isEmpty():
            self._recent_menu.addAction("Nothing yet").setEnabled(False)

    # The network.

    def use_network(self, name: str) -> None:
        self.top.set_network(name)
        self.player.load_network(name, str(self.top.device.currentData() or "auto"))

    def start_network(self, name: str, device: str | None = None) -> None:
        """The first network; a device named on the command line is for this time only."""
        if device is not None:
            self.top.set_device(device)
        self.top.set_network(name)
        self.player.load_network(name, device or str(self.top.device.currentData() or "auto"))

    def use_device(self, name: str) -> None:
        self.top.set_device(name)
        self.settings.set("device", name)
        self.player.load_network(self.player.network_name or DEFAULT_NETWORK, name)

    def open_network_file(self) -> None:
        recent = self.settings.recent("networks")
        start = str(Path(recent[0]).parent) if recent else str(Path.home())
        name, _ = QFileDialog.getOpenFileName(
            self, "Open a network", start, "Networks (*.safetensors *.pt2);;All files (*)"
        )
        if name:
            self.open_network(Path(name))

    def open_network(self, path: Path) -> None:
        """A network's file; of a .pt2 file without a specification beside it, that is asked for."""
        source = NetworkSource(str(path))
        if path.suffix == ".pt2" and not path.with_suffix(".toml").is_file():
            title = f"The specification of {path.name}: what goes in and comes out"
            spec, _ = QFileDialog.getOpenFileName(self, title, str(path.parent), "Specifications (*.toml)")
            source = NetworkSource(str(path), spec=spec)
        self.use_network(str(source))

    def _on_choices(self, choices: Choices) -> None:
        files = [p for p in self.settings.recent("networks") if Path(NetworkSource.parse(p).model).is_file()]
        self.top.set_choices(choices, files)

    def _name_docks(self, of_classes: bool) -> None:
        """Two docks are called by what the network tells."""
        titles = {name: title for name, title, _ in PANELS}
        for name, title in (("steering", "Class"), ("angle", "Probability")):
            title = title if of_classes else titles[name]
            self.docks[name].setWindowTitle(title)
            bar = self.docks[name].titleBarWidget()
            if isinstance(bar, PanelTitle):
                bar.name.setText(title)
            self.actions_by_id[f"panel-{name}"].setText(title)

    def _on_network(self, ready: NetworkReady) -> None:
        self.top.set_network(ready.name)
        self._name_docks(ready.network.spec.is_classifier)
        self.top.target.set_spec(ready.network.spec)
        self._arrange_maps(ready.network.spec.input_height > TALL * ready.network.spec.input_width)
        if self.run.owns(ready.name):
            return  # passed through on the way; the network that is remembered is the one before
        source = NetworkSource.parse(ready.name)
        if source.is_factory:
            return  # the user's own code is run when they ask for it, not because it was run before
        if Path(source.model).is_file():
            self.settings.add_recent(str(source.absolute()), "networks")
        self.settings.set("network", ready.name)

    def _arrange_maps(self, tall: bool) -> None:
        if tall != self._tall and self._alone is None:
            self._tall = tall
            layout.arrange_maps(self, self.docks, tall)

    def _on_target(self, target: str) -> None:
        self.presenter.methods.set_target(target)
        of_classes = target.startswith("class")
        self.settings.set("target/class" if of_classes else "target/angle", target)

    # A training run.

    def open_run(self) -> None:
        start = self.settings.text("run", self._last_folder())
        name = QFileDialog.getExistingDirectory(
            self, "Open a training run: the folder of vbp train -o", start
        )
        if name:
            self.show_run(Path(name))

    def show_run(self, path: Path) -> None:
        """Bring up the panel and follow the run in this folder."""
        self.notice.dismiss()
        self.settings.set("run", str(path.expanduser().absolute().parent))
        self.run.open(path)
        self._raise_run()

    def _raise_run(self) -> None:
        if self.run.opened:
            self.docks["run"].show()
            self.docks["run"].raise_()

    def _use_checkpoint(self, name: str) -> None:
        before = self.player.network_name
        self.use_network(name)
        if self.run.owns(before):
            self.top.forget_file(before)  # the list of networks holds the one in use, not all that were seen

    def _open_runs_drive(self, path: Path, options: OpenOptions, frame: int) -> None:
        if self.stack.currentWidget() is self.start_page:
            self.open_drive(path, options, frame)

    def _on_network_failed(self, failed: NetworkFailed) -> None:
        self.notice.show_message(failed.text, "error")
        ready = self.player.ready
        source = NetworkSource.parse(failed.name)
        known = Path(source.model).is_file() and str(source.absolute()) in self.settings.recent("networks")
        if not known and (ready is None or failed.name != ready.name):
            self.top.forget_file(failed.name)
        if ready is not None:
            self.top.set_network(ready.name)
            self.panels.status.set_device(ready.device_text)
        elif failed.name != DEFAULT_NETWORK:
            self.use_network(DEFAULT_NETWORK)
        else:
            self.panels.status.set_device("no network")

    def _on_predict_ended(self, ended: PredictEnded) -> None:
        self.actions_by_id["predict"].setChecked(False)
        if ended.text and ended.text != "stopped":
            self.notice.show_message(ended.text, "error")

    # The view.

    def set_scheme(self, name: str) -> None:
        app = QApplication.instance()
        if isinstance(app, QApplication):
            theme.apply(app, name)
            if self._keep_scheme:
                self.settings.set("scheme", name)

    def toggle_full_screen(self) -> None:
        self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)

    def toggle_panel(self, name: str, on: bool) -> None:
        dock = self.docks[name]
        behind = dock.isVisible() and name not in self.presenter.seen
        dock.setVisible(on or behind)  # of a panel behind another tab one wants to see it, not close it
        self.actions_by_id[f"panel-{name}"].setChecked(dock.isVisible())
        if dock.isVisible():
            dock.raise_()

    def add_method(self) -> None:
        """One more panel with a method, as long as there are some left."""
        for name in self.panels.methods:
            if not self.docks[name].isVisible():
                self.toggle_panel(name, True)
                strips = [self.docks[n] for n in ("visualbackprop", *self.panels.methods)]
                QTimer.singleShot(0, partial(layout.share, self, strips))  # when it has its place
                return

    def toggle_alone(self) -> None:
        """The picture alone, and back."""
        if self._alone is None:
            self._alone = self.saveState(layout.VERSION)
            for dock in self.docks.values():
                dock.hide()
        else:
            state, self._alone = self._alone, None
            layout.restore(self, state)
        self.place_bars()

    def _methods_shown(self) -> list[str]:
        """The methods of the maps that are seen, VisualBackProp among them."""
        seen = self.presenter.seen
        return ["visualbackprop", *(p.method for name, p in self.panels.methods.items() if name in seen)]

    def _panel_seen(self, name: str, seen: bool) -> None:
        self.presenter.set_seen(name, seen)

    def reset_layout(self) -> None:
        self._alone = None
        self.top.show()
        self.addToolBar(Qt.ToolBarArea.TopToolBarArea, self.top)
        for bar in (self.panels.transport, self.live_bar):
            self.addToolBar(Qt.ToolBarArea.BottomToolBarArea, bar)
        self.place_bars()
        layout.place_docks(self, self.docks)
        tall, self._tall = self._tall, False
        QTimer.singleShot(0, lambda: layout.place_docks(self, self.docks))
        QTimer.singleShot(0, lambda: self._arrange_maps(tall))
        QTimer.singleShot(0, self._raise_run)

    def show_keys(self) -> None:
        if self._keys is None:
            self._keys = QDialog(self)
            self._keys.setWindowTitle("Keys – vbp")
            page = KeysPage()
            page.set_actions(keys_table())
            box = QVBoxLayout(self._keys)
            box.setContentsMargins(0, 0, 0, 0)
            box.addWidget(page)
            self._keys.resize(1120, 640)
        self._keys.show()
        self._keys.raise_()

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
