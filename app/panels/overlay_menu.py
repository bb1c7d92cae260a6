"""How masks are laid over pictures, as sliders and switches that drop down from the toolbar."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QCheckBox, QGridLayout, QLabel, QMenu, QPushButton, QWidget, QWidgetAction

from vbp.app.widgets.boxes import ComboBox
from vbp.app.widgets.number_slider import NumberSlider
from vbp.overlay import DIALS, GROUNDS, Overlay

SWITCHES = {
    "outline": ("Outline", "A thin line around what is marked: specks and what lies on yellow stay visible"),
    "bar": ("Colour bar", "What the colours mean, beside each picture"),
    "fade": ("Fade weak masks", "Fade masks weaker than usual: nothing was seen there (W)"),
    "fixed": ("Fixed scale", "VisualBackProp on one scale for all frames (Shift+S)"),
}
GROUND_TITLES = {"picture": "Picture", "black": "Black", "grey": "Grey"}
WIDTH = 300


class OverlayMenu(QMenu):
    """It stays open while one sets something; Escape or a click beside it closes it."""

    changed = Signal(object)  # Overlay

    def __init__(self) -> None:
        super().__init__("Overlay")
        self._overlay = Overlay()
        self.ground = ComboBox()
        self.ground.setAccessibleName("Mask over")
        self.ground.setToolTip("What the mask lies on: the picture, or a plain ground, the mask alone")
        for name in GROUNDS:
            self.ground.addItem(GROUND_TITLES[name], name)
        self.sliders: dict[str, NumberSlider] = {}
        for name, dial in DIALS.items():
            if name == "opacity":  # which stands in the toolbar
                continue
            default = getattr(Overlay(), name)
            slider = NumberSlider("", default, dial.low, dial.high, dial.log, dial.whole)
            slider.bar.setAccessibleName(dial.title)
            self.sliders[name] = slider
        self.switches = {name: QCheckBox(title) for name, (title, _) in SWITCHES.items()}
        self.reset = QPushButton("Back to the paper's red")
        self._lay_out()
        self.ground.activated.connect(self._touched)
        for slider in self.sliders.values():
            slider.changed.connect(self._touched)
        for switch in self.switches.values():
            switch.toggled.connect(self._touched)
        self.reset.clicked.connect(lambda: self.changed.emit(Overlay()))

    def _lay_out(self) -> None:
        page = QWidget()
        page.setMinimumWidth(WIDTH)
        grid = QGridLayout(page)
        grid.setContentsMargins(12, 8, 12, 10)
        grid.setVerticalSpacing(6)
        grid.addWidget(QLabel("Mask over"), 0, 0)
        grid.addWidget(self.ground, 0, 1)
        for row, (name, slider) in enumerate(self.sliders.items(), 1):
            label, dial = QLabel(DIALS[name].title), DIALS[name]
            for widget in (label, slider):
                widget.setToolTip(f"{dial.title}: {dial.tip}; a double click on the slider sets it back")
            grid.addWidget(label, row, 0)
            grid.addWidget(slider, row, 1)
        row = grid.rowCount()
        for k, (name, switch) in enumerate(self.switches.items()):
            switch.setToolTip(SWITCHES[name][1])
            switch.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            grid.addWidget(switch, row + k, 0, 1, 2)
        self.reset.setToolTip("Everything as it is at first: the paper's red at 80 %")
        grid.addWidget(self.reset, row + len(self.switches), 0, 1, 2)
        action = QWidgetAction(self)
        action.setDefaultWidget(page)
        self.addAction(action)

    def set_overlay(self, overlay: Overlay) -> None:
        """Show it; tells nobody."""
        self._overlay = overlay
        with QSignalBlocker(self.ground):
            self.ground.setCurrentIndex(self.ground.findData(overlay.ground))
        for name, slider in self.sliders.items():
            with QSignalBlocker(slider):
                slider.set_value(getattr(overlay, name))
        for name, switch in self.switches.items():
            with QSignalBlocker(switch):
                switch.setChecked(getattr(overlay, name))

    def _touched(self) -> None:
        values: dict[str, Any] = {name: slider.value() for name, slider in self.sliders.items()}
        values |= {name: switch.isChecked() for name, switch in self.switches.items()}
        values |= {"smooth": int(values["smooth"]), "ground": str(self.ground.currentData())}
        self._overlay = replace(self._overlay, **values)
        self.changed.emit(self._overlay)
