"""Where the panels stand: the default for small and large windows, and what the user made of it."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

from PySide6.QtCore import QByteArray, QPoint, QSize, Qt, QTimer
from PySide6.QtWidgets import QDockWidget, QMainWindow, QToolBar

from vbp.app.panels.layout_state import is_sound

VERSION = 1
RIGHT, BOTTOM = Qt.DockWidgetArea.RightDockWidgetArea, Qt.DockWidgetArea.BottomDockWidgetArea
LEFT = Qt.DockWidgetArea.LeftDockWidgetArea
LARGE_HEIGHT = 860  # from here on the layers have a place of their own
WIDE = 640 / 125  # width by height of the paper's input; the layout that is kept is that for such maps
TITLE = 26  # pixels of height of a panel's title
NARROW = 180  # pixels of width of a panel in whose title a method's name has room
NARROWEST, LOWEST = 104, 24  # pixels of width of a panel with a map, and of height of the map, at the least
ABOVE = 154  # pixels that what stands over the maps keeps: a title, the wheel with its numbers, tabs
SHARE = 0.3  # of the height that it keeps, where that is more
ALIKE = 0.85  # times as high as in the best number of columns: as good
GAP = 5  # pixels between two panels
FORM = 330  # pixels of width of the form of a specification
# Pixels of height of a panel of rows with pictures, so that some of them are seen, of a fleet with its bars.
ROWS = {"findings": 250, "fleet": 330}
CHROME = 124  # pixels of bars and titles over and under the picture
LEAST = 200  # pixels of height of the picture
# Behind one another.
GROUP = ("layers", "compare", "second", "run", "evidence", "findings", "fleet", "notes", "edits", "info")
FIRST_HIDDEN = (
    "spec",
    "run",
    "evidence",
    "findings",
    "fleet",
    "edits",
    "second",
    "method-2",
    "method-3",
    "method-4",
    "method-5",
    "method-6",
)


def place_docks(window: QMainWindow, docks: dict[str, QDockWidget], aspect: float = WIDE) -> None:
    """The default. The picture keeps the left; what explains it stands at its right, the drive below both.

    aspect: width by height of the network's input.
    """
    window.setCorner(Qt.Corner.BottomRightCorner, BOTTOM)
    window.setCorner(Qt.Corner.BottomLeftCorner, LEFT)  # a form needs height
    for dock in docks.values():  # one that is shown has its height added to the window's least one
        dock.setFloating(False)
        dock.hide()
    large = window.height() >= LARGE_HEIGHT
    window.addDockWidget(RIGHT, docks["steering"])
    group = list(GROUP)
    if large:
        window.splitDockWidget(docks["steering"], docks["layers"], Qt.Orientation.Horizontal)
    else:
        group.insert(0, "steering")
    for first, second in pairwise(group):
        window.tabifyDockWidget(docks[first], docks[second])
    window.addDockWidget(BOTTOM, docks["angle"])
    window.addDockWidget(LEFT, docks["spec"])  # a form that is filled in beside the picture
    for name in maps(docks):
        window.addDockWidget(RIGHT, docks[name], Qt.Orientation.Vertical)
    for name, dock in docks.items():
        dock.setVisible(name not in FIRST_HIDDEN)
    docks[group[0]].raise_()
    plot = max(190, window.height() // 8) if large else 140 if window.height() >= 640 else 134
    height = max(LEAST, window.height() - plot - CHROME)
    width = window.width()
    # The picture (4:3, most often) gets the height that is there, and its panels the rest of the width.
    right = int(min(max(width - height * 4 / 3 - 16, width * 0.34), width * 0.52))
    window.resizeDocks([docks["angle"]], [plot], Qt.Orientation.Vertical)
    window.resizeDocks([docks["steering"]], [right], Qt.Orientation.Horizontal)
    if large:
        parts = [int(right * 0.42), int(right * 0.58)]
        window.resizeDocks([docks["steering"], docks["layers"]], parts, Qt.Orientation.Horizontal)
    _place_maps(window, docks, aspect, right, height)


def maps(docks: dict[str, QDockWidget]) -> list[str]:
    """The panels that show maps."""
    return ["visualbackprop", "lrp", *(name for name in docks if name.startswith("method-"))]


def heights_below(window: QMainWindow, docks: dict[str, QDockWidget]) -> dict[QDockWidget, int]:
    """Of the panels under the picture: a map that is shown takes of them until all are arranged."""
    return {d: d.height() for d in docks.values() if d.isVisible() and window.dockWidgetArea(d) == BOTTOM}


def arrange_maps(
    window: QMainWindow, docks: dict[str, QDockWidget], aspect: float, below: dict[QDockWidget, int]
) -> None:
    """Another number of maps, or maps of another shape: they stand so that they are largest.

    below: the heights that the panels under the picture had before, and get again. Panels that the user took away from
    the right or laid over each other stay where they are.
    """
    centre = window.centralWidget()
    here = [docks[name] for name in maps(docks) if _on_the_right(window, docks[name])]
    if here and not any(window.tabifiedDockWidgets(dock) for dock in here):
        right = max(window.width() - centre.geometry().right() - 6, here[0].width())
        taken = sum(height - dock.height() for dock, height in below.items())
        _place_maps(window, docks, aspect, right, centre.height() - taken)
        give_back = partial(window.resizeDocks, list(below), list(below.values()), Qt.Orientation.Vertical)
        QTimer.singleShot(0, window, give_back)


def make_room(window: QMainWindow, docks: dict[str, QDockWidget]) -> None:
    """The form was opened: it stands beside the picture, which takes the width that it needs from the maps."""
    if docks["spec"].isFloating() or window.dockWidgetArea(docks["spec"]) != LEFT:
        return
    right = [dock for dock in docks.values() if _on_the_right(window, dock) and dock.geometry().right() > 0]
    widths = [min(dock.width(), int(window.width() * 0.34)) for dock in right]
    window.resizeDocks([docks["spec"], *right], [FORM, *widths], Qt.Orientation.Horizontal)


def show_rows(window: QMainWindow, docks: dict[str, QDockWidget], name: str) -> None:
    """A panel of rows was opened at the right: where it is low, the maps below it leave it room."""
    dock, wanted = docks[name], ROWS[name]
    short = wanted - dock.height()
    below = [docks[name] for name in maps(docks) if _on_the_right(window, docks[name])]
    if short > 0 and below and _on_the_right(window, dock):
        share = short // len({other.y() for other in below})
        heights = [max(LOWEST + TITLE, other.height() - share) for other in below]
        window.resizeDocks([dock, *below], [wanted, *heights], Qt.Orientation.Vertical)


def follow(window: QMainWindow, docks: dict[str, QDockWidget], before: QSize) -> None:
    """The window had another size: the panels on the right keep their share of its width, and their maps their shape."""
    right = [dock for dock in docks.values() if _on_the_right(window, dock)]
    here = [
        dock for dock in right if dock.geometry().right() > 0
    ]  # not behind another tab, which Qt moves away
    times = window.width() / max(1, before.width())
    widths = [int(min(dock.width() * times, window.width() * 0.52)) for dock in here]
    window.resizeDocks(here, widths, Qt.Orientation.Horizontal)
    shown = [docks[name] for name in maps(docks) if docks[name] in here]
    heights = [int((dock.height() - TITLE) * times + TITLE) for dock in shown]
    window.resizeDocks(shown, heights, Qt.Orientation.Vertical)


def _on_the_right(window: QMainWindow, dock: QDockWidget) -> bool:
    return not (dock.isHidden() or dock.isFloating()) and window.dockWidgetArea(dock) == RIGHT


def _place_maps(
    window: QMainWindow, docks: dict[str, QDockWidget], aspect: float, width: int, height: int
) -> None:
    """Rows of maps below what else stands on the right, which keeps what they leave, in a column of this size."""
    here = [docks[name] for name in maps(docks) if _on_the_right(window, docks[name])]
    above = next((d for n, d in docks.items() if n not in maps(docks) and _on_the_right(window, d)), None)
    least = max(ABOVE, int(SHARE * height)) + GAP if above is not None else 0
    room = height - least
    columns, strip = grid(len(here), width, room, aspect)
    rows = [here[k : k + columns] for k in range(0, len(here), columns)]
    for dock in here:  # into a row of its own first: within a row, a panel could not be put below all of it
        window.removeDockWidget(dock)
        window.addDockWidget(RIGHT, dock, Qt.Orientation.Vertical)
    for row in rows:
        for left, right in pairwise(row):
            window.splitDockWidget(left, right, Qt.Orientation.Horizontal)
    for dock in here:  # not before: more rows than there will be would make the window higher
        dock.show()
    column, heights = [row[0] for row in rows], [strip] * len(rows)
    if above is not None:
        column, heights = [above, *column], [height - (strip + GAP) * len(rows), *heights]
    window.resizeDocks(column, heights, Qt.Orientation.Vertical)
    for row in rows:
        each = (width - GAP * (len(row) - 1)) // len(row)
        window.resizeDocks(row, [each] * len(row), Qt.Orientation.Horizontal)


def grid(count: int, width: int, height: int, aspect: float) -> tuple[int, int]:
    """In how many columns that many maps are largest, or nearly, and how high a row is, with its title.

    Fewer rows leave more of the height to what stands above.
    """

    title = GAP + TITLE
    if not count:
        return 0, 0

    def side(columns: int) -> float:
        """The height of a map."""
        rows = -(-count // columns)
        return min(width / columns / aspect, height / rows - title)

    most = max(1, min(count, width // NARROW))
    best = max(map(side, range(1, most + 1)))
    good = [k for k in range(1, most + 1) if side(k) >= min(best, ALIKE * best)]
    columns = min(good, key=lambda k: (-(-count // k), k))
    while side(columns) < LOWEST and columns < min(count, width // NARROWEST):
        columns += 1  # low windows, in which names may end in dots
    return columns, int(max(LOWEST, side(columns)) + title) - GAP


def restore(window: QMainWindow, state: QByteArray) -> bool:
    """What was kept; False where it is not usable (another version, damaged)."""
    docks, bars = ({w.objectName() for w in window.findChildren(kind)} for kind in (QDockWidget, QToolBar))
    return is_sound(bytes(state.data()), VERSION, docks, bars) and window.restoreState(state, VERSION)


def move_back(places: dict[QDockWidget, QPoint]) -> None:
    """Some window managers put a panel that is restored as floating into a corner of the screen."""
    for dock, place in places.items():
        if dock.isFloating() and dock.pos() != place:
            dock.move(place)
