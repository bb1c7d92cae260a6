"""How the window looks: colours, overlay, panels shown and hidden, the picture alone, its layout, the page of keys."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial

from PySide6.QtCore import QByteArray, QObject, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QApplication, QDialog, QDockWidget, QMainWindow, QVBoxLayout

from vbp.app import theme
from vbp.app.control.presenter import Presenter
from vbp.app.dialogs.keys import KeysPage
from vbp.app.panels import layout
from vbp.app.panels.panels import Panels
from vbp.app.panels.title import PanelTitle
from vbp.app.panels.toolbar import TopBar
from vbp.app.player.playback import Player
from vbp.app.state.actions import PANELS, keys_table
from vbp.app.state.settings import Settings
from vbp.overlay import DIALS, GROUNDS, STYLE_TITLES, Overlay

OTHER_SHAPE = 1.5  # times as wide or as narrow: maps are arranged anew
FLOATS_MS = 150  # a window manager has placed the panels that float


class ViewControl(QObject):
    """keep_scheme: whether the colours are those of the settings, and not the command line's."""

    docks_placed = Signal()  # by the kept layout, or by the default one

    def __init__(
        self,
        window: QMainWindow,
        player: Player,
        panels: Panels,
        docks: dict[str, QDockWidget],
        presenter: Presenter,
        settings: Settings,
        actions: dict[str, QAction],
        top: TopBar,
        keep_scheme: bool,
    ) -> None:
        super().__init__(window)
        self._window, self._player, self._panels, self._docks = window, player, panels, docks
        self._presenter, self._settings, self._actions, self._top = presenter, settings, actions, top
        self._keep_scheme = keep_scheme
        self._with_panels: QByteArray | None = None  # the layout to go back to while the picture is alone
        self._aspect = layout.WIDE  # of the network's input; the kept layout is that for a wide one
        self._waiting = QByteArray()  # a session's layout, until the window is shown
        self.keys: QDialog | None = None
        self.placed = False  # before that, the window has no layout worth keeping
        for name, dock in docks.items():
            # Also tells of a tab that is chosen or left; isVisible is true for panels behind others.
            dock.visibilityChanged.connect(partial(presenter.set_seen, name))
            title = dock.titleBarWidget()
            if isinstance(title, PanelTitle) and name in layout.maps(docks):
                title.close_button.clicked.connect(self._fill)
        panels.picture.activated.connect(self.toggle_alone)
        top.overlay_changed.connect(self.set_overlay)
        self.set_overlay(_kept_overlay(settings))

    # Colours and the overlay.

    def set_scheme(self, name: str) -> None:
        app = QApplication.instance()
        if isinstance(app, QApplication):
            theme.apply(app, name)
            if self._keep_scheme:
                self._settings.set("scheme", name)

    def set_overlay(self, overlay: Overlay) -> None:
        self._top.set_overlay(overlay)
        self._presenter.set_overlay(overlay)
        for name, on in (("overlay", overlay.shown), ("fade", overlay.fade), ("fixed", overlay.fixed)):
            self._actions[name].setChecked(on)
        for name, value in asdict(overlay).items():
            if name != "shown":  # who hides the mask does not want it hidden tomorrow
                self._settings.set(f"overlay/{name}", value)

    @property
    def overlay(self) -> Overlay:
        return self._presenter.overlay

    def show_overlay_menu(self) -> None:
        """Below its button."""
        button = self._top.overlay_button
        self._top.overlay_menu.popup(button.mapToGlobal(button.rect().bottomLeft()))

    def set_mask_shown(self, on: bool) -> None:
        self.set_overlay(replace(self._presenter.overlay, shown=on))

    def set_faded(self, on: bool) -> None:
        self.set_overlay(replace(self._presenter.overlay, fade=on))

    def set_fixed(self, on: bool) -> None:
        self.set_overlay(replace(self._presenter.overlay, fixed=on))

    def next_style(self) -> None:
        styles = list(STYLE_TITLES)
        overlay = self._presenter.overlay
        self.set_overlay(replace(overlay, style=styles[(styles.index(overlay.style) + 1) % len(styles)]))

    def change_opacity(self, percent: int) -> None:
        overlay = self._presenter.overlay
        self.set_overlay(replace(overlay, opacity=min(1.0, max(0.0, overlay.opacity + percent / 100))))

    # Panels.

    def toggle_full_screen(self) -> None:
        self._window.setWindowState(self._window.windowState() ^ Qt.WindowState.WindowFullScreen)

    def toggle_panel(self, name: str, on: bool) -> None:
        dock, below = self._docks[name], layout.heights_below(self._window, self._docks)
        behind = dock.isVisible() and name not in self._presenter.seen
        dock.setVisible(on or behind)  # of a panel behind another tab one wants to see it, not close it
        self._actions[f"panel-{name}"].setChecked(dock.isVisible())
        if dock.isVisible():
            dock.raise_()
        if name in layout.ROWS:
            layout.show_rows(self._window, self._docks, name)
        if name in layout.maps(self._docks):
            layout.arrange_maps(self._window, self._docks, self._aspect, below)

    def _fill(self) -> None:
        """There are fewer maps, or maps of another shape: they get the room there is."""
        below = layout.heights_below(self._window, self._docks)
        layout.arrange_maps(self._window, self._docks, self._aspect, below)

    def add_method(self) -> None:
        """One more panel with a method, as long as there are some left."""
        for name in self._panels.methods:
            if not self._docks[name].isVisible():
                self.toggle_panel(name, True)
                return

    def name_docks(self, of_classes: bool) -> None:
        """Two docks are called by what the network predicts."""
        titles = {name: title for name, title, _ in PANELS}
        for name, title in (("steering", "Class"), ("angle", "Probability")):
            title = title if of_classes else titles[name]
            self._docks[name].setWindowTitle(title)
            bar = self._docks[name].titleBarWidget()
            if isinstance(bar, PanelTitle):
                bar.name.setText(title)
            self._actions[f"panel-{name}"].setText(title)

    def place_bars(self) -> None:
        """The transport for a recording, the live bar for a camera; a kept layout may say otherwise."""
        live = self._player.live is not None
        self._panels.transport.setVisible(not live)
        self._panels.live_bar.setVisible(live)
        self._actions["record"].setEnabled(live)

    # The layout.

    def place(self) -> None:
        """The kept layout, when the window is shown: before, panels get other sizes."""
        layout.place_docks(self._window, self._docks)
        if not layout.restore(self._window, self._waiting):
            layout.restore(self._window, self._settings.bytes("window/state"))
        aspect, self._aspect = self._aspect, layout.WIDE
        self.arrange_maps(aspect)  # of a network that was there before
        self.place_bars()
        self.docks_placed.emit()
        places = {dock: dock.pos() for dock in self._docks.values() if dock.isFloating()}
        QTimer.singleShot(FLOATS_MS, self, lambda: layout.move_back(places))
        self.placed = True

    def remember(self) -> None:
        """Keep the layout, that for a wide input, with its panels."""
        if self.placed:
            self.arrange_maps(layout.WIDE)
            self._settings.set("window/geometry", self._window.saveGeometry())
            self._settings.set("window/state", self._with_panels or self._window.saveState(layout.VERSION))
            self._presenter.methods.remember(self._settings)

    def state(self) -> str:
        """The layout for a wide input, in base64."""
        aspect = self._aspect
        self.arrange_maps(layout.WIDE)
        state = self._with_panels or self._window.saveState(layout.VERSION)
        self.arrange_maps(aspect)
        return bytes(state.toBase64().data()).decode()

    def restore(self, state: str) -> None:
        """A layout that `state` gave; one that is damaged or of another version changes nothing."""
        kept = QByteArray.fromBase64(state.encode())
        if not self.placed:  # before it stands, panels get other sizes
            self._waiting = kept
            return
        aspect, self._aspect = self._aspect, layout.WIDE
        self._with_panels = None
        layout.restore(self._window, kept)
        self.arrange_maps(aspect)
        self.place_bars()

    def arrange_maps(self, aspect: float) -> None:
        """For another network: width by height of its input. A little more or less changes nothing."""
        if self._with_panels is None and not 1 / OTHER_SHAPE < aspect / self._aspect < OTHER_SHAPE:
            self._aspect = aspect
            self._fill()

    def make_room(self) -> None:
        """For the form of a specification, which was opened."""
        layout.make_room(self._window, self._docks)

    def follow(self, before: QSize) -> None:
        """The window was made larger or smaller; before: its size till then."""
        if self.placed and self._with_panels is None:
            layout.follow(self._window, self._docks, before)

    def toggle_alone(self) -> None:
        """The picture alone, and back."""
        if self._with_panels is None:
            self._with_panels = self._window.saveState(layout.VERSION)
            for dock in self._docks.values():
                dock.hide()
        else:
            state, self._with_panels = self._with_panels, None
            layout.restore(self._window, state)
        self.place_bars()

    def reset_layout(self) -> None:
        window = self._window
        self._with_panels = None
        self._top.show()
        window.addToolBar(Qt.ToolBarArea.TopToolBarArea, self._top)
        for bar in (self._panels.transport, self._panels.live_bar):
            window.addToolBar(Qt.ToolBarArea.BottomToolBarArea, bar)
        self.place_bars()
        layout.place_docks(window, self._docks, self._aspect)
        QTimer.singleShot(0, self, lambda: layout.place_docks(window, self._docks, self._aspect))
        QTimer.singleShot(0, self, self.docks_placed.emit)

    # Help.

    def show_keys(self) -> None:
        if self.keys is None:
            self.keys = QDialog(self._window)
            self.keys.setWindowTitle("Keys – vbp")
            page = KeysPage()
            page.set_actions(keys_table())
            box = QVBoxLayout(self.keys)
            box.setContentsMargins(0, 0, 0, 0)
            box.addWidget(page)
            self.keys.resize(1120, 640)
        self.keys.show()
        self.keys.raise_()


def _kept_overlay(settings: Settings) -> Overlay:
    """As it was left."""
    usual = Overlay()
    numbers = {
        name: settings.number(f"overlay/{name}", getattr(usual, name), dial.low, dial.high)
        for name, dial in DIALS.items()
    }
    numbers["smooth"] = round(numbers["smooth"])
    switches = {
        name: settings.flag(f"overlay/{name}", getattr(usual, name))
        for name in ("fade", "fixed", "outline", "bar")
    }
    return Overlay(
        style=settings.text("overlay/style", usual.style, tuple(STYLE_TITLES)),
        ground=settings.text("overlay/ground", usual.ground, tuple(GROUNDS)),
        **numbers,  # type: ignore[arg-type]
        **switches,
    )
