"""`vbp find`: a condition as a whole question, and rows as a person reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from vbp.errors import VbpError
from vbp.fleet.dataset import Fleet
from vbp.fleet.schema import DRIVES, FINDINGS, FRAMES, PREFIX_B
from vbp.readable import printable

# What is shown of a table where nothing else is asked for; the files have all columns.
SHOWN: dict[str, tuple[str, ...]] = {
    FRAMES: (
        "drive",
        "frame",
        "driven_deg",
        "predicted_deg",
        "error_deg",
        "speed_mps",
        "mask_strength",
        "weak",
        "gap",
    ),
    FINDINGS: ("drive", "peak_frame", "kind", "value", "unit", "seconds", "weight", "error_deg", "speed_mps"),
    DRIVES: ("drive", "frames", "played_s", "labelled_frames", "gap_frames", "findings", "error"),
}
ORDER = {FRAMES: "drive, frame", FINDINGS: "weight DESC", DRIVES: "drive"}
OF_B = ("b_predicted_deg", "b_error_deg")
WIDEST = 60  # letters of a cell; of a path the last ones


def question(
    fleet: Fleet, condition: str, table: str = FRAMES, order: str = "", most: int | None = None
) -> str:
    """The SELECT of the rows of a table for which a condition holds; "": all. Raises VbpError for what is no condition.

    order: "abs(error_deg) DESC". most: rows.
    """
    columns = list(SHOWN[table])
    if table == FRAMES and PREFIX_B + "predicted_deg" in fleet.frames.schema.names:
        columns[4:4] = OF_B
    _check(condition, "condition")
    _check(order, "order")
    where = f" WHERE ({condition}\n)" if condition else ""
    limit = f" LIMIT {most}" if most is not None else ""
    return f"SELECT {', '.join(columns)} FROM {table}{where} ORDER BY {order or ORDER[table]}{limit}"


def _check(text: str, what: str) -> None:
    if ";" in text:
        raise VbpError(
            f"{text} is no {what}: it holds a semicolon; give one such as: error_deg > 8 AND speed_mps > 10"
        )


def count(fleet: Fleet, condition: str, table: str) -> int:
    """How many rows."""
    where = f" WHERE ({condition}\n)" if condition else ""
    _check(condition, "condition")
    return int(fleet.sql(f"SELECT count(*) AS n FROM {table}{where}")["n"][0].as_py())


def lines(found: pa.Table) -> Iterator[str]:
    """A table as text, numbers to the right."""
    columns = [[_cell(value) for value in column.to_pylist()] for column in found.columns]
    numeric = [pa.types.is_integer(f.type) or pa.types.is_floating(f.type) for f in found.schema]
    widths = [
        max(len(name), *(len(c) for c in cells)) if cells else len(name)
        for name, cells in zip(found.column_names, columns, strict=True)
    ]
    for row in [found.column_names, *zip(*columns, strict=True)]:
        cells = (
            c.rjust(w) if right else c.ljust(w) for c, w, right in zip(row, widths, numeric, strict=True)
        )
        yield "  ".join(cells).rstrip()


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = printable(str(value))
    return text if len(text) <= WIDEST else f"…{text[1 - WIDEST :]}"
