"""The menus over the window, of the table of actions."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMainWindow, QMenu

from vbp.app import theme
from vbp.app.state.actions import ACTIONS, GROUPS


def build_menus(
    window: QMainWindow, actions: dict[str, QAction], set_scheme: Callable[[str], None]
) -> tuple[dict[str, QMenu], QMenu]:
    """The menus by their group, and the one of what was open lately."""
    bar = window.menuBar()
    menus = {group: bar.addMenu(f"&{group}") for group in GROUPS}
    for spec in ACTIONS:
        menus[spec.group].addAction(actions[spec.id])
    recent = menus["File"].addMenu("Open &recent")
    menus["File"].insertMenu(actions["open-network"], recent)
    schemes = menus["View"].addMenu("&Colours")
    group = QActionGroup(window)
    for name in theme.SCHEMES:
        action = schemes.addAction({"system": "As the &system"}.get(name, f"&{name.capitalize()}"))
        action.setCheckable(True)
        action.setChecked(name == theme.scheme())
        action.triggered.connect(lambda _=False, name=name: set_scheme(name))
        group.addAction(action)
    return menus, recent
