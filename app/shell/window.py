"""The window: it builds what stands in it, and what its actions do."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import (
    QAbstractScrollArea,
    QApplication,
    QDockWidget,
    QMainWindow,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from vbp.app import theme
from vbp.app.control.camera import CameraControl
from vbp.app.control.crop import CropControl
from vbp.app.control.differences import DifferencesControl
from vbp.app.control.edits import EditControl
from vbp.app.control.evidence import EvidenceControl
from vbp.app.control.explanations import Explanations
from vbp.app.control.export import ExportControl
from vbp.app.control.findings import FindingsControl
from vbp.app.control.fleet import FleetControl
from vbp.app.control.kept import KeptPredictions
from vbp.app.control.network import NetworkControl
from vbp.app.control.notes import NotesControl
from vbp.app.control.playback import PlaybackControl
from vbp.app.control.predictions import Predictions
from vbp.app.control.presenter import Presenter
from vbp.app.control.record import RecordControl
from vbp.app.control.run import RunControl
from vbp.app.control.second import SecondControl
from vbp.app.control.session import SessionControl
from vbp.app.control.snapshot import SnapshotControl
from vbp.app.control.source import SourceControl
from vbp.app.control.spec import SpecControl
from vbp.app.control.thumbnails import Thumbnails
from vbp.app.control.view import ViewControl
from vbp.app.dialogs.quit import QuitQuestion
from vbp.app.jobs.fleet_folder import looks_like_fleet
from vbp.app.jobs.run_folder import looks_like_run
from vbp.app.panels import layout
from vbp.app.panels.masked import MaskedView
from vbp.app.panels.panels import Panels, make_panels
from vbp.app.panels.title import PanelDock, PanelTitle
from vbp.app.panels.toolbar import TopBar
from vbp.app.player.playback import Player
from vbp.app.shell.menus import build_menus
from vbp.app.state.actions import PANELS, build_actions, connect_actions
from vbp.app.state.marks import Marks
from vbp.app.state.settings import Settings
from vbp.app.widgets.crop_editor import CropEditor
from vbp.app.widgets.notice import Notice
from vbp.app.widgets.start_page import StartPage
from vbp.models.formats import looks_like_network
from vbp.session.document import FIRST_SUFFIX, SUFFIX

ICON_SIZE = QSize(18, 18)
DEFAULT_SIZE = QSize(1280, 720)
FRAME = QSize(8, 44)  # that a desktop puts around a window, more or less


class MainWindow(QMainWindow):
    unexpected = Signal(str)  # something unexpected, from any thread

    def __init__(self, settings: Settings | None = None, scheme: str | None = None) -> None:
        super().__init__()
        self.settings = settings or Settings()
        self.setWindowTitle("vbp")
        self.setAcceptDrops(True)
        self.setDockOptions(QMainWindow.DockOption.AllowNestedDocks | QMainWindow.DockOption.AllowTabbedDocks)
        app = QApplication.instance()
        if isinstance(app, QApplication):
            theme.apply(app, scheme or self.settings.text("scheme", "system", theme.SCHEMES))
        self._keep_scheme = scheme is None
        self._shown_before = self._ending = False
        self._said: set[str] = set()
        self.threads_left: list[str] = []
        self.player = Player(self)
        self.marks = Marks(self.settings, self)
        self.actions_by_id = build_actions(self)
        self.addActions(list(self.actions_by_id.values()))
        menus = build_menus(self, self.actions_by_id, lambda name: self.view.set_scheme(name))
        self.menus, self.recent_menu = menus
        self._build_centre()
        self.question = QuitQuestion(self, self.end)
        self.panels = self._build_panels()
        self.docks = self._build_docks()
        self._build_controls()
        self._connect()
        connect_actions(self.actions_by_id, self)
        self.methods.restore(self.settings)
        self.player.set_pace(1.0, self.settings.flag("realtime", True))
        self.view.place_bars()
        for area in self.findChildren(QAbstractScrollArea):
            area.setAcceptDrops(False)  # a recording may be dropped anywhere: let the window have it
            area.viewport().setAcceptDrops(False)
        self.resize(DEFAULT_SIZE.boundedTo(self.screen().availableSize() - FRAME))
        self.source.show_start()

    # What stands in it.

    def _build_centre(self) -> None:
        self.notice = Notice()
        self.start_page = StartPage()
        self.picture = MaskedView()
        self.picture.setAccessibleName("Camera picture with the mask")
        self.stack = QStackedWidget()
        self.stack.addWidget(self.start_page)
        self.stack.addWidget(self.picture)
        centre = QWidget()
        box = self._centre_box = QVBoxLayout(centre)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        box.addWidget(self.stack, 1)
        centre.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCentralWidget(centre)
        self.notice.lie_over(centre)
        centre.setFocus()

    def _build_panels(self) -> Panels:
        panels = make_panels(self.actions_by_id, self.picture)
        self.top = TopBar(self.actions_by_id, self.menus["Panels"])
        self.explain_menu = self.menus["Analysis"].addMenu("&Explain")
        self.explain_menu.aboutToShow.connect(lambda: self.top.target.fill_menu(self.explain_menu))
        self.addToolBar(Qt.ToolBarArea.TopToolBarArea, self.top)
        self.addToolBar(Qt.ToolBarArea.BottomToolBarArea, panels.transport)
        self.addToolBar(Qt.ToolBarArea.BottomToolBarArea, panels.live_bar)
        for bar in (self.top, panels.transport, panels.live_bar):
            bar.setIconSize(ICON_SIZE)
            bar.setMovable(False)  # their places are good ones, and a handle takes width
            if (inside := bar.layout()) is not None:
                inside.setContentsMargins(0, 0, 0, 0)  # height belongs to the picture
        panels.live_plot.setParent(self)
        panels.live_plot.hide()
        self.setStatusBar(panels.status)
        return panels

    def _build_docks(self) -> dict[str, QDockWidget]:
        docks: dict[str, QDockWidget] = {}
        for name, title, tip in PANELS:
            dock = PanelDock(title, self)
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

    def _build_controls(self) -> None:
        """What the actions do; later ones may know earlier ones."""
        player, panels, settings, notice = self.player, self.panels, self.settings, self.notice
        actions, marks = self.actions_by_id, self.marks
        self.predictions = Predictions(player, self)
        self.kept = KeptPredictions(player, self.predictions, panels.status, notice, self)
        self.explanations = Explanations(player, self)
        self.presenter = Presenter(player, self.predictions, self.explanations, panels, marks, self)
        self.methods = self.presenter.methods
        self.run = RunControl(self, player, panels.run, self.docks["run"], settings, notice)
        self.view = ViewControl(
            self, player, panels, self.docks, self.presenter, settings, actions, self.top, self._keep_scheme
        )
        presenter = self.presenter
        self.evidence = EvidenceControl(
            player, panels.evidence, presenter.methods_seen, presenter.doubts, self
        )
        self.differences = DifferencesControl(player, self.predictions, panels, notice, self)
        self.live = self.presenter.live
        self.edits = EditControl(
            player, self.predictions, panels.edits, self.docks["edits"], self.picture, notice, actions, self
        )
        panels.edits.test_wanted.connect(self._test_maps)
        editor = CropEditor(self.picture, self.picture.picture_rect)
        self._centre_box.insertWidget(0, editor.bar)
        self.crop = CropControl(player, self.presenter, settings, notice, editor, self.centralWidget())
        self.thumbnails = Thumbnails(player, panels.transport.timeline)
        self.playback = PlaybackControl(self, player, marks, self.predictions, settings, actions, notice)
        self.export = ExportControl(self, player, marks, self.presenter, settings, notice, self.edits.lying)
        self.notes = NotesControl(
            self,
            player,
            marks,
            panels.notes,
            notice,
            self.export,
            lambda: self.view.toggle_panel("notes", True),
        )
        self.source = SourceControl(
            self,
            player,
            marks,
            self.presenter,
            settings,
            actions,
            notice,
            self.stack,
            self.start_page,
            self.picture,
            self.recent_menu,
        )
        self.record = RecordControl(
            player, settings, notice, panels.live_bar, actions["record"], self.source.open_drive
        )
        self.snapshot = SnapshotControl(player, self.picture, settings, notice, self)
        self.camera = CameraControl(
            self,
            player,
            self.live,
            self.source,
            self.crop,
            self.record,
            self.view,
            settings,
            actions,
            notice,
            panels,
            self.docks["angle"],
        )
        self.network = NetworkControl(
            self,
            player,
            self.methods,
            self.view,
            settings,
            notice,
            self.top,
            panels.status,
            self.run.owns,
        )
        drawer = CropEditor(self.picture, self.picture.picture_rect, of_any_shape=True)
        self._centre_box.insertWidget(0, drawer.bar)
        self.spec = SpecControl(
            self, player, self.network, panels.spec, self.docks["spec"], drawer, notice, self.view.make_room
        )
        self.second = SecondControl(
            self,
            player,
            panels.second,
            self.docks["second"],
            self.top,
            settings,
            notice,
            actions["stop-comparing"],
        )
        self.session = SessionControl(
            self,
            player,
            self.source,
            self.network,
            self.second,
            self.view,
            self.methods,
            self.edits,
            marks,
            settings,
            notice,
            self.run.owns,
        )
        self.findings = FindingsControl(
            self,
            player,
            self.predictions,
            marks,
            panels.findings,
            panels.transport.timeline,
            panels.angle,
            settings,
            notice,
            self.export,
            self.thumbnails,
        )
        self.kept.restored.connect(self.findings.look_at_known)
        self.fleet = FleetControl(
            self,
            player,
            self.source,
            self.network,
            self.findings,
            self.view,
            panels.fleet,
            settings,
            notice,
            actions["close-fleet"],
        )

    def _connect(self) -> None:
        """What no control does alone."""
        player = self.player
        player.trouble.connect(lambda trouble: self.say_once(trouble.text))
        self.unexpected.connect(self.say_once, Qt.ConnectionType.QueuedConnection)
        speed = self.panels.transport.speed
        speed.activated.connect(lambda k: player.set_pace(float(speed.itemData(k))))
        self.panels.status.cancel.clicked.connect(self.predictions.stop)
        self.start_page.camera_requested.connect(self.camera.choose)
        self.start_page.open_requested.connect(lambda path: self.drop(Path(path)))
        self.panels.info.reading.clicked.connect(self.actions_by_id["reading"].trigger)
        self.source.leaving.connect(self.predictions.leave)
        self.source.returning.connect(self.predictions.come_back)
        for forget in (self.run.clear_frame, self.evidence.forget, self.findings.forget, self.edits.forget):
            self.source.closed.connect(forget)
        self.findings.note_wanted.connect(self.notes.write_on)
        self.run.network_wanted.connect(self.network.use_checkpoint)
        self.run.drive_wanted.connect(self.source.open_if_none)
        self.view.docks_placed.connect(self.run.raise_panel)

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
            QTimer.singleShot(0, self, self.view.place)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.view.follow(event.oldSize())

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if paths:
            event.acceptProposedAction()
            if looks_like_network(paths[0]) and self.second.takes_drop(event.position().toPoint()):
                self.second.open(paths[0])
            else:
                self.drop(paths[0])

    def drop(self, path: Path) -> None:
        if path.name.endswith((SUFFIX, FIRST_SUFFIX)) and path.is_file():
            self.session.open(path)
        elif looks_like_network(path):
            self.network.open(path)
        elif looks_like_run(path):
            self.run.show(path)
        elif looks_like_fleet(path):
            self.fleet.open(path)
        else:
            self.source.open_drive(path)

    def end_soon(self) -> None:
        """For a signal, which can come in the middle of a paint event: there, a window must not be hidden."""
        QTimer.singleShot(0, self.end)

    def end(self) -> None:
        """Close, whatever is under way, without a question."""
        self._ending = True
        self.close()

    def _test_maps(self) -> None:
        self.view.toggle_panel("evidence", True)
        self.evidence.test()

    def closeEvent(self, event: QCloseEvent) -> None:
        controls = (self.export, self.record, self.predictions, self.evidence, self.findings, self.spec)
        under_way = [words for control in controls if (words := control.under_way())]
        if under_way and not self._ending:
            event.ignore()
            self.question.ask(under_way)
            return
        self.question.hide()
        self.session.remember()
        self.view.remember()
        self.settings.flush()
        self.hide()
        left = self.export.close()  # first: an export that runs is to end soon
        of_networks = self.predictions, self.explanations, self.second, self.differences, self.run, self.spec
        of_frames = self.evidence, self.findings, self.edits, self.thumbnails
        owners = (*of_networks, *of_frames, self.fleet, self.fleet.pictures)
        workers = [self.predictions.sampler, *(owner.worker for owner in owners)]
        for worker in workers:
            worker.stop()
        left += [name for worker in workers for name in worker.close()]
        left += self.kept.close()  # after whoever still fills the table
        self.threads_left = [*left, *self.player.close()]
        super().closeEvent(event)
