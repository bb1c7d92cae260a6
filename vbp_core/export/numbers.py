"""The numbers of every frame, as CSV or Parquet (extra `vbp[parquet]`): angles, error, speed, gaps."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from vbp.errors import VbpError
from vbp.export.about import about, made_by, model_name
from vbp.export.frames import Annotated, Source, open_source
from vbp.export.job import Job
from vbp.export.part_file import growing
from vbp.export.registry import CancelledError, Progress, format_of
from vbp.files import check_target

# name -> Parquet type. Texts are the same in every row so that tables of several drives can be put together.
COLUMNS: dict[str, str] = {
    "frame": "int64",
    "timestamp_ns": "int64",
    "driven_rad": "float64",
    "predicted_rad": "float64",
    "error_rad": "float64",
    "driven_deg": "float64",
    "predicted_deg": "float64",
    "error_deg": "float64",
    "speed_mps": "float64",
    "gap": "string",
    "warning": "string",
    "drive": "string",
    "model": "string",
    "made_by": "string",
}
# Of a classifier, after those: empty where the true class is not known.
CLASS_COLUMNS: dict[str, str] = {
    "class": "int64",
    "class_name": "string",
    "probability": "float64",
    "label": "int64",
    "label_name": "string",
}
METADATA = b"vbp"  # the key of a Parquet file's metadata under which `about` is, as JSON

_ROWS = 16384  # of a row group: some 2 MB in memory

Row = list[Any]  # a value per column; None where it is not known


def write(job: Job, progress: Progress) -> Path:
    """One row per frame of `job`. A value that is not known is an empty cell, or null; never 0, never NaN.

    Raises VbpError, CancelledError.
    """
    parquet = format_of(job) == ".parquet"
    if parquet:
        _need_pyarrow()
    target = check_target(job.output, is_parquet if parquet else is_csv, job.drive_path, job.force)
    with open_source(job) as source, growing(target, job.output) as file:
        with (_parquet if parquet else _csv)(file.path, source) as table:
            rows = _rows(source)
            total = len(source.indices)
            with closing(rows):
                for done, row in enumerate(rows, 1):
                    table.add(row)
                    if not progress(done, total):
                        raise CancelledError("the export was cancelled")
        file.finish()
    return job.output


def row_of(a: Annotated, drive: str, model: str, of_classes: bool = False) -> Row:
    """The values of one frame, in the order of COLUMNS, and for a classifier of CLASS_COLUMNS."""
    angles = (a.driven_rad, a.predicted_rad, a.error_rad)
    row = [
        a.index,
        a.timestamp_ns,
        *(_known(v) for v in angles),
        *(_known(math.degrees(v)) for v in angles),
        _known(a.speed_mps),
        a.gap or None,
        a.warning or None,
        drive,
        model,
        made_by(),
    ]
    if of_classes:
        told = a.classes
        row += (
            [None] * len(CLASS_COLUMNS)
            if told is None
            else [
                told.number,
                told.name,
                told.probability,
                told.label if told.label >= 0 else None,
                told.label_name or None,
            ]
        )
    return row


def columns_of(source: Source) -> dict[str, str]:
    """name -> Parquet type, of what a network of that kind gives."""
    return COLUMNS | CLASS_COLUMNS if source.engine.spec.is_classifier else COLUMNS


def _rows(source: Source) -> Generator[Row, None, None]:
    drive, model = source.drive.info.path.name, model_name(source)
    with closing(source.frames(methods=(), layers=False)) as frames:
        for a in frames:
            yield row_of(a, drive, model, source.engine.spec.is_classifier)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


class Table(Protocol):
    def add(self, row: Row) -> None: ...


class _CsvTable:
    def __init__(self, file: Any, columns: Iterable[str]) -> None:
        self._writer = csv.writer(file, lineterminator="\n")
        self._writer.writerow(columns)

    def add(self, row: Row) -> None:
        self._writer.writerow(row)  # floats by their shortest form that reads back the same; None empty


@contextmanager
def _csv(path: str, source: Source) -> Iterator[Table]:
    with open(path, "w", newline="", encoding="utf-8") as file:
        yield _CsvTable(file, columns_of(source))


class _ParquetTable:
    """Collects rows and writes them a group at a time."""

    def __init__(self, writer: Any, schema: Any) -> None:
        self._writer, self._schema = writer, schema
        self._rows: list[Row] = []

    def add(self, row: Row) -> None:
        self._rows.append(row)
        if len(self._rows) >= _ROWS:
            self.flush()

    def flush(self) -> None:
        import pyarrow as pa

        if self._rows:
            columns = zip(*self._rows, strict=True)
            arrays = [pa.array(values, f.type) for values, f in zip(columns, self._schema, strict=True)]
            self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
            self._rows.clear()


@contextmanager
def _parquet(path: str, source: Source) -> Iterator[Table]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields = [pa.field(name, getattr(pa, kind)()) for name, kind in columns_of(source).items()]
    schema = pa.schema(fields, metadata={METADATA: json.dumps(about(source)).encode()})
    with open(path, "wb") as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        table = _ParquetTable(writer, schema)
        yield table
        table.flush()


def _need_pyarrow() -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise VbpError(
            "Parquet files need pyarrow: pip install 'vbp[parquet]', or write a .csv instead"
        ) from error


def is_csv(path: Path) -> bool:
    """Whether an existing file is empty, or a CSV that this export wrote."""
    headers = [",".join(columns).encode() + b"\n" for columns in (COLUMNS, COLUMNS | CLASS_COLUMNS)]
    with path.open("rb") as file:
        head = file.readline(len(headers[-1]))
    return not head or head in headers


def is_parquet(path: Path) -> bool:
    """Whether an existing file is empty, or a Parquet file that this export wrote."""
    import pyarrow.parquet as pq

    if path.stat().st_size == 0:
        return True
    try:
        return METADATA in (pq.read_schema(path).metadata or {})
    except (ValueError, OSError):  # pyarrow's own errors are kinds of these
        return False
