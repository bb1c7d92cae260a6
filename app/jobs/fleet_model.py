"""The findings of a fleet as a table of any length: of its rows, only the pages that are looked at become words."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from vbp.findings.kinds import KINDS
from vbp.findings.table import value_words
from vbp.readable import clean, how_long, signed

if TYPE_CHECKING:
    import pyarrow as pa

PAGE, PAGES = 128, 32  # rows of a page, and pages that are kept
Row = dict[str, Any]
Index = QModelIndex | QPersistentModelIndex
UNKNOWN = "–"


@dataclass(frozen=True)
class Column:
    """order: what it is sorted by, in SQL."""

    title: str
    order: str
    words: Callable[[Row], str]
    number: bool = False


def _known(name: str, words: Callable[[Any], str]) -> Callable[[Row], str]:
    return lambda row: UNKNOWN if row[name] is None else words(row[name])


def _kind(row: Row) -> str:
    return KINDS[row["kind"]].title if row["kind"] in KINDS else str(row["kind"]).capitalize()


def _value(row: Row) -> str:
    if row["value"] is None:  # of a mask that is all zero it is no number
        return "all zero" if row["kind"] == "weak" else UNKNOWN
    if row["kind"] not in KINDS:
        return f"{row['value']:.2f}"
    return value_words(row["kind"], row["value"], row["unit"])


COLUMNS = (
    Column("Drive", "drive", lambda row: clean(Path(row["drive"]).name)),
    Column("Kind", "kind", _kind),
    Column("At its peak", "abs(value)", _value),
    Column("Weight", "weight", _known("weight", lambda v: f"{v:.2f}"), True),
    Column("Error", "abs(error_deg)", _known("error_deg", lambda v: f"{signed(v)}°"), True),
    Column("Speed", "speed_mps", _known("speed_mps", lambda v: f"{v:.1f} m/s"), True),
    Column("Length", "seconds", _known("seconds", how_long), True),
    Column("Frame", "peak_frame", lambda row: str(row["peak_frame"]), True),
)
WEIGHT = 3  # column


class FleetModel(QAbstractTableModel):
    """Sorting is somebody else's, who gives the rows in another order."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._table: pa.Table | None = None
        self.pages: OrderedDict[int, list[Row]] = OrderedDict()

    def set_table(self, table: pa.Table | None) -> None:
        """The columns of `vbp find --in findings`; None for no rows."""
        self.beginResetModel()
        self._table = table
        self.pages.clear()
        self.endResetModel()

    def row(self, number: int) -> Row:
        """Column -> value; None where it is not known."""
        assert self._table is not None
        page, rest = divmod(number, PAGE)
        rows = self.pages.get(page)
        if rows is None:
            rows = self.pages[page] = self._table.slice(page * PAGE, PAGE).to_pylist()
            if len(self.pages) > PAGES:
                self.pages.popitem(last=False)
        self.pages.move_to_end(page)
        return rows[rest]

    # Qt's own.

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if self._table is None or parent.isValid() else len(self._table)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section].title
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        column = COLUMNS[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.words(self.row(index.row()))
        if role == Qt.ItemDataRole.TextAlignmentRole and column.number:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.ToolTipRole:
            row = self.row(index.row())
            meaning = [KINDS[row["kind"]].meaning] if row["kind"] in KINDS else []
            return "\n".join([clean(row["drive"]), *meaning])
        return None
