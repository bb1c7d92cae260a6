"""The bar at the top: open, the network, the device, the overlay, the panels."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QLabel, QMenu, QSizePolicy, QSlider, QToolBar, QToolButton, QWidget

from vbp.app import theme
from vbp.app.panels.overlay_menu import OverlayMenu
from vbp.app.player.messages import Choices
from vbp.app.state.actions import PANELS
from vbp.app.widgets.boxes import ComboBox
from vbp.app.widgets.target_box import TargetBox
from vbp.models.source import NetworkSource
from vbp.overlay import STYLE_TITLES, Overlay

SPACING = 4  # pixels between two things on the bar
OPEN_OTHER, COMPARE = "\0open", "\0compare"  # no path holds them


class TopBar(QToolBar):
    network_chosen = Signal(str)  # a name or a path
    open_network_requested = Signal()
    compare_requested = Signal()
    device_chosen = Signal(str)
    overlay_changed = Signal(object)  # Overlay
    target_chosen = Signal(str)

    def __init__(self, actions: dict[str, QAction], panels_menu: QMenu) -> None:
        super().__init__("Tools")
        self.setObjectName("tools")
        self._overlay = Overlay()
        self._wanted = ""
        self._built_in: set[str] = set()
        self._given_up: list[tuple[QAction, QWidget]] = []  # where it is narrow; the first goes first
        self.addAction(actions["open"])
        self.addAction(actions["camera"])
        self.addAction(actions["export"])
        self.addSeparator()
        self.network = self._combo("Network", "The network that predicts and that the maps explain", 150)
        self.device = self._combo("Device", "The device that the network runs on", 80)
        self.addSeparator()
        self.style_box = self._combo("Overlay", "Style of the mask over the picture (S)", 100)
        for name, title in STYLE_TITLES.items():
            self.style_box.addItem(title, name)
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, 100)
        self.opacity.setFixedWidth(110)
        self.opacity.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.opacity.setAccessibleName("Opacity of the mask")
        self.opacity.setToolTip("Opacity of the mask (↑ and ↓; M hides it)")
        self.addWidget(self.opacity)
        self.percent = QLabel()
        self.percent.setFont(theme.number_font())
        self.percent.setFixedWidth(self.percent.fontMetrics().horizontalAdvance("100 %") + 10)
        percent = self.addWidget(self.percent)
        self.overlay_menu = OverlayMenu()
        self.overlay_button = QToolButton()
        self.overlay_button.setToolTip("More of the overlay: threshold, brightness, outline, ... (Ctrl+M)")
        self.overlay_button.setAccessibleName("More of the overlay")
        self.overlay_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.overlay_button.setStyleSheet("QToolButton::menu-indicator { image: none; width: 0; }")
        theme.set_icon(self.overlay_button, "overlay")
        self.overlay_button.setMenu(self.overlay_menu)
        self.addWidget(self.overlay_button)
        self.addSeparator()
        self.target = TargetBox()
        self._add_combo(
            "Explain",
            "Which output the maps explain; VisualBackProp and φ are the same for every output",
            130,
            self.target,
        )
        spacer = QWidget()
        spacer.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.addWidget(spacer)
        self.panels = QToolButton()
        self.panels.setText("Panels")
        self.panels.setToolTip(f"Show and hide panels (1 to {len(PANELS)})")
        self.panels.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.panels.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.panels.setStyleSheet("QToolButton::menu-indicator { image: none; width: 0; }")
        theme.set_icon(self.panels, "panels")
        self.panels.setMenu(panels_menu)
        self.addWidget(self.panels)
        self._given_up.reverse()
        self._given_up.append((percent, self.percent))
        self.device.addItem("Automatic", "auto")
        self.set_overlay(self._overlay)
        self.network.activated.connect(self._network_picked)
        self.device.activated.connect(lambda k: self.device_chosen.emit(str(self.device.itemData(k))))
        self.style_box.activated.connect(self._touched)
        self.opacity.valueChanged.connect(self._touched)
        self.overlay_menu.changed.connect(self.overlay_changed)
        self.target.chosen.connect(self.target_chosen)

    def _combo(self, title: str, tip: str, width: int) -> ComboBox:
        box = ComboBox()
        self._add_combo(title, tip, width, box)
        return box

    def _add_combo(self, title: str, tip: str, width: int, box: ComboBox) -> None:
        label = QLabel(title)
        label.setContentsMargins(4, 0, 2, 0)
        box.setToolTip(tip)
        box.setAccessibleName(title)
        box.setMinimumWidth(width)
        box.setSizeAdjustPolicy(ComboBox.SizeAdjustPolicy.AdjustToContents)
        box.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._given_up.append((self.addWidget(label), label))
        self.addWidget(box)

    def event(self, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.Resize, QEvent.Type.LayoutRequest):
            self._fit()
        return super().event(event)

    def _fit(self) -> None:
        """Where there is no room for all, the labels go first, of boxes that say in a tip what they are."""
        widgets = [w for w in map(self.widgetForAction, self.actions()) if w is not None]
        spare = self.width() - sum(map(_width, widgets)) - 2 * SPACING
        text, icon = Qt.ToolButtonStyle.ToolButtonTextBesideIcon, Qt.ToolButtonStyle.ToolButtonIconOnly
        word = self.fontMetrics().horizontalAdvance(self.panels.text()) + SPACING
        if self.panels.toolButtonStyle() == icon:
            spare -= word
        self.panels.setToolButtonStyle(text if spare >= 0 else icon)
        spare += 0 if spare >= 0 else word
        for action, widget in self._given_up:
            action.setVisible(spare >= 0)
            spare += 0 if spare >= 0 else _width(widget)

    # The network and the device.

    def set_choices(self, choices: Choices, files: list[str]) -> None:
        """Fill the lists; files: network files opened before."""
        self.network.clear()
        self._built_in = {name for name, _ in choices.networks}
        for name, note in choices.networks:
            self.network.addItem(f"{name} ({note.split(':')[0]})" if note else name, name)
            self.network.setItemData(self.network.count() - 1, note, Qt.ItemDataRole.ToolTipRole)
        for path in files:
            self._add_file(path)
        self.network.insertSeparator(self.network.count())
        self.network.addItem("Open network file…", OPEN_OTHER)
        self.network.addItem("Compare with…", COMPARE)
        chosen = self.device.currentData()
        self.device.clear()
        self.device.addItem("Automatic", "auto")
        for name in choices.devices:
            self.device.addItem(name, name)
        self.set_device(str(chosen))
        self.set_network(self._wanted)

    def forget_file(self, name: str) -> None:
        """A file that turned out to be no network is not offered again."""
        at = self._find(name)
        if at >= 0 and name not in self._built_in:
            self.network.removeItem(at)

    def _add_file(self, path: str) -> None:
        self.network.addItem(NetworkSource.parse(path).title, path)
        self.network.setItemData(self.network.count() - 1, path, Qt.ItemDataRole.ToolTipRole)

    def set_network(self, name: str) -> None:
        """Show which network is in use; asks for nothing."""
        self._wanted = name
        if not name:
            return
        at = self._find(name)
        if at < 0:
            others = self.network.findData(OPEN_OTHER)
            if others > 0:  # files stand above the separator
                self.network.insertItem(others - 1, NetworkSource.parse(name).title, name)
                self.network.setItemData(others - 1, name, Qt.ItemDataRole.ToolTipRole)
            else:
                self._add_file(name)
            at = self._find(name)
        self.network.setCurrentIndex(at)

    def _find(self, name: str) -> int:
        data = [str(self.network.itemData(k)) for k in range(self.network.count())]
        return next((k for k, d in enumerate(data) if d.lower() == name.lower()), -1)

    def _network_picked(self, index: int) -> None:
        name = self.network.itemData(index)
        if name in (OPEN_OTHER, COMPARE):
            self.set_network(self._wanted)
            (self.open_network_requested if name == OPEN_OTHER else self.compare_requested).emit()
        elif name:
            self.network_chosen.emit(str(name))

    def set_device(self, name: str) -> None:
        if self.device.findData(name) < 0 and self.device.count() == 1:
            self.device.addItem(name, name)  # before it is known what this machine has
        self.device.setCurrentIndex(max(0, self.device.findData(name)))

    # The overlay.

    def set_overlay(self, overlay: Overlay) -> None:
        self._overlay = overlay
        for widget in (self.style_box, self.opacity):
            widget.blockSignals(True)
        self.style_box.setCurrentIndex(self.style_box.findData(overlay.style))
        self.opacity.setValue(round(overlay.opacity * 100))
        for widget in (self.style_box, self.opacity):
            widget.blockSignals(False)
        self.overlay_menu.set_overlay(overlay)
        self.percent.setText(f"{self.opacity.value()} %")

    def _touched(self) -> None:
        self.percent.setText(f"{self.opacity.value()} %")
        style, opacity = str(self.style_box.currentData()), self.opacity.value() / 100
        overlay = replace(self._overlay, style=style, opacity=opacity)
        self._overlay = overlay
        self.overlay_changed.emit(overlay)


def _width(widget: QWidget) -> int:
    return max(widget.sizeHint().width(), widget.minimumWidth()) + SPACING
