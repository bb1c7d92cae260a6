"""How the window looks: colours, panels shown and hidden, the picture alone, its layout, the page of keys."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication, QDialog, QVBoxLayout

from vbp.app import theme
from vbp.app.control.network_commands import NetworkCommands
from vbp.app.dialogs.keys import KeysPage
from vbp.app.shell import layout
from vbp.app.state.actions import keys_table


class ViewCommands(NetworkCommands):
    """The window makes the parts."""

    _keep_scheme: bool
    _keys: QDialog | None

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
