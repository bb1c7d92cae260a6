"""Where the panels stand: the default for small and large windows, and what the user made of it."""

from __future__ import annotations

from itertools import pairwise

from PySide6.QtCore import QByteArray, QPoint, Qt
from PySide6.QtWidgets import QDockWidget, QMainWindow

VERSION = 1
RIGHT, BOTTOM = Qt.DockWidgetArea.RightDockWidgetArea, Qt.DockWidgetArea.BottomDockWidgetArea
LARGE_HEIGHT = 860  # from here on the layers have a place of their own


def place_docks(window: QMainWindow, docks: dict[str, QDockWidget]) -> None:
    """The default. The picture keeps the left; what explains it stands at its right, the drive below both."""
    window.setCorner(Qt.Corner.BottomRightCorner, BOTTOM)
    window.setCorner(Qt.Corner.BottomLeftCorner, BOTTOM)
    for dock in docks.values():
        dock.setFloating(False)
    # Of use only with a run, which shows it; the others are shown one by one, when asked for. Hidden before they are
    # placed: a column of all of them would make the window higher.
    hidden = ["run", "evidence", *(name for name in docks if name.startswith("method-"))]
    for name in hidden:
        docks[name].hide()
    large = window.height() >= LARGE_HEIGHT
    window.addDockWidget(RIGHT, docks["steering"])
    window.splitDockWidget(docks["steering"], docks["visualbackprop"], Qt.Orientation.Vertical)
    window.splitDockWidget(docks["visualbackprop"], docks["lrp"], Qt.Orientation.Vertical)
    if large:
        window.splitDockWidget(docks["steering"], docks["layers"], Qt.Orientation.Horizontal)
        rest = ["layers", "compare", "run", "evidence", "info"]
    else:
        rest = ["steering", "layers", "compare", "run", "evidence", "info"]
    for first, second in pairwise(rest):
        window.tabifyDockWidget(docks[first], docks[second])
    window.addDockWidget(BOTTOM, docks["angle"])
    for name, dock in docks.items():
        dock.setVisible(name not in hidden)
    _place_methods(window, [docks["lrp"], *(docks[name] for name in hidden[2:])], columns=2)
    docks[rest[0]].raise_()
    size_docks(window, docks, large)


def arrange_maps(window: QMainWindow, docks: dict[str, QDockWidget], tall: bool) -> None:
    """Maps of a tall input stand beside each other, those of a wide one below: so they are largest.

    Panels that the user took apart stay where they are.
    """
    first, second = docks["visualbackprop"], docks["lrp"]
    if any(d.isFloating() or d.isHidden() or window.dockWidgetArea(d) != RIGHT for d in (first, second)):
        return
    width, height = first.width(), docks["steering"].height() + first.height() + second.height()
    if tall:
        window.splitDockWidget(first, second, Qt.Orientation.Horizontal)
        window.resizeDocks([first, second], [width // 2] * 2, Qt.Orientation.Horizontal)
        column, parts = [docks["steering"], first], [150, height - 150]
    else:
        window.splitDockWidget(first, second, Qt.Orientation.Vertical)
        strip = int(width * 125 / 640) + 26
        column, parts = [docks["steering"], first, second], [max(150, height - 2 * strip), strip, strip]
    window.resizeDocks(column, parts, Qt.Orientation.Vertical)


def size_docks(window: QMainWindow, docks: dict[str, QDockWidget], large: bool) -> None:
    """Give the picture (4:3, most often) the height that is there, and its panels the rest of the width."""
    plot = 190 if large else 140
    height = max(300, window.height() - plot - 124)
    width = window.width()
    right = int(min(max(width - height * 4 / 3 - 16, width * 0.34), width * 0.52))
    strip = int(right * 125 / 640) + 26  # the network's input is 640x125, its title comes on top
    column = [docks["steering"], docks["visualbackprop"], docks["lrp"]]
    window.resizeDocks([docks["angle"]], [plot], Qt.Orientation.Vertical)
    window.resizeDocks([docks["steering"]], [right], Qt.Orientation.Horizontal)
    if large:
        parts = [int(right * 0.42), int(right * 0.58)]
        window.resizeDocks([docks["steering"], docks["layers"]], parts, Qt.Orientation.Horizontal)
    window.resizeDocks(column, [max(150, height - 2 * strip), strip, strip], Qt.Orientation.Vertical)


def _place_methods(window: QMainWindow, docks: list[QDockWidget], columns: int) -> None:
    """Rows of panels below each other."""
    rows = [docks[k : k + columns] for k in range(0, len(docks), columns)]
    for above, below in pairwise(rows):
        window.splitDockWidget(above[0], below[0], Qt.Orientation.Vertical)
    for row in rows:
        for left, right in pairwise(row):
            window.splitDockWidget(left, right, Qt.Orientation.Horizontal)


def share(window: QMainWindow, docks: list[QDockWidget]) -> None:
    """Panels that stand below each other get the same height, and those beside each other the same width."""
    here = [dock for dock in docks if dock.isVisible() and not dock.isFloating()]
    rows: dict[int, list[QDockWidget]] = {}
    for dock in here:
        rows.setdefault(dock.y(), []).append(dock)
    height = sum(row[0].height() for row in rows.values()) // max(1, len(rows))
    window.resizeDocks(here, [height] * len(here), Qt.Orientation.Vertical)
    for row in rows.values():
        window.resizeDocks(
            row, [sum(d.width() for d in row) // len(row)] * len(row), Qt.Orientation.Horizontal
        )


def restore(window: QMainWindow, state: QByteArray) -> bool:
    """What was kept; False where it is not usable (another version, damaged)."""
    return not state.isEmpty() and window.restoreState(state, VERSION)


def move_back(places: dict[QDockWidget, QPoint]) -> None:
    """Some window managers put a panel that is restored as floating into a corner of the screen."""
    for dock, place in places.items():
        if dock.isFloating() and dock.pos() != place:
            dock.move(place)
