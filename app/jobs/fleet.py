"""Findings of a fleet, sorted and filtered by DuckDB behind the window; and its errors by speed and by curvature."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vbp.app.jobs.fleet_errors import Share, errors_by_curvature, errors_by_speed
from vbp.app.jobs.worker import Worker
from vbp.errors import VbpError
from vbp.fleet.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

    from vbp.fleet.dataset import Fleet

MOST = 1_000_000  # rows that are fetched, 120 MB of them; nobody scrolls further, and a condition finds the others
ALIKE = 200  # moments like one
Place = tuple[str, int]  # a drive and a frame of it


@dataclass(frozen=True)
class FleetRequest:
    """What the panel is to show. folder: None lets go of the one that is open. opening: counts how often one was opened.

    condition: of SQL, on findings; "" for all. order: of SQL. like: the moments that are most like this one, instead. at: a row
    whose place in this order is wanted.
    """

    folder: Path | None
    opening: int = 0
    condition: str = ""
    order: str = "weight DESC"
    like: Place | None = None
    at: Place | None = None


@dataclass(frozen=True)
class FleetOpened:
    """drives: that are indexed; failed: that could not be. findings: of all of them."""

    request: FleetRequest
    settings: Settings
    drives: int
    failed: int
    unfinished: int
    findings: int


@dataclass(frozen=True, eq=False)
class FleetRows:
    """table: the columns of `vbp find --in findings`, in the order that was asked for; total: how many there are, of which no
    more than MOST are in the table. at: the row that was asked for, -1 where it is not among them."""

    request: FleetRequest
    table: pa.Table
    total: int
    at: int


@dataclass(frozen=True)
class FleetErrors:
    """Over all frames of the fleet, whatever the condition."""

    request: FleetRequest
    speed: list[Share]
    curvature: list[Share]


class FleetJob:
    """Keeps the fleet open, with a connection of its own, which is its thread's."""

    def __init__(self) -> None:
        self._fleet: Fleet | None = None
        self._opening = -1
        self._told_errors = False

    def __call__(self, request: FleetRequest, worker: Worker[FleetRequest]) -> None:
        """Tells `FleetOpened` of another one, `FleetRows`, and once `FleetErrors`. Raises VbpError."""
        if request.folder is None or request.opening != self._opening:
            self._fleet, self._told_errors, self._opening = None, False, -1
        if request.folder is None:
            return
        if self._fleet is None:
            self._open(request.folder, request, worker)
        fleet = self._fleet
        assert fleet is not None
        table, total = _alike(fleet, request.like) if request.like else _rows(fleet, request)
        worker.tell(FleetRows(request, table, total, _row_of(table, request.at)))
        if not self._told_errors:
            worker.check()
            speed = errors_by_speed(fleet)
            worker.check()
            worker.tell(FleetErrors(request, speed, errors_by_curvature(fleet)))
            self._told_errors = True

    def _open(self, folder: Path, request: FleetRequest, worker: Worker[FleetRequest]) -> None:
        from vbp.fleet.dataset import open_fleet
        from vbp.fleet.find import count

        fleet = open_fleet(folder)
        if not fleet.keys:
            raise VbpError(f"{folder} holds no indexed drive; vbp index DRIVES -o {folder} goes on with it")
        failed = count(fleet, "error IS NOT NULL", "drives")
        found = count(fleet, "", "findings")
        self._fleet, self._opening = fleet, request.opening
        worker.tell(FleetOpened(request, fleet.settings, len(fleet.keys), failed, fleet.unfinished, found))


def _rows(fleet: Fleet, request: FleetRequest) -> tuple[pa.Table, int]:
    from vbp.fleet.find import count, question

    order = f"{request.order}, drive, peak_frame"
    table = fleet.sql(question(fleet, request.condition, "findings", order, MOST + 1))
    total = len(table) if len(table) <= MOST else count(fleet, request.condition, "findings")
    return _small(table[:MOST]), total


def _alike(fleet: Fleet, like: Place) -> tuple[pa.Table, int]:
    """The same columns of the moments that are most like one."""
    import pyarrow as pa

    from vbp.fleet.alike import alike

    found = alike(fleet, f"{like[0]}:{like[1]}", ALIKE)
    rows = len(found)
    columns = {
        "drive": found["drive"].cast(pa.string()),
        "peak_frame": found["frame"],
        "kind": pa.array(["alike"] * rows, pa.string()),
        "value": found["alike"] if rows else pa.array([], pa.float64()),
        "unit": pa.array([""] * rows, pa.string()),
        "seconds": pa.nulls(rows, pa.float64()),
        "weight": pa.nulls(rows, pa.float64()),
        "error_deg": found["error_deg"],
        "speed_mps": found["speed_mps"],
    }
    return _small(pa.table(columns)), rows


def _small(table: pa.Table) -> pa.Table:
    """The words that stand in many rows are kept once."""
    for k, name in enumerate(table.column_names):
        if name in ("drive", "kind", "unit"):
            table = table.set_column(k, name, table[name].dictionary_encode())
    return table.unify_dictionaries()


def _row_of(table: pa.Table, at: Place | None) -> int:
    import pyarrow as pa
    import pyarrow.compute as pc

    if at is None or not len(table):
        return -1
    there = pc.and_(pc.equal(table["peak_frame"], at[1]), pc.equal(table["drive"].cast(pa.string()), at[0]))
    return int(pc.index(there, True).as_py())
