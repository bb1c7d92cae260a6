"""The numbers of every frame, as CSV or Parquet (extra `vbp[parquet]`): angles, error, speed, gaps."""

from __future__ import annotations

import csv
import json
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from vbp.errors import VbpError
from vbp.export.about import about
from vbp.export.frames import Source, open_source
from vbp.export.job import Job
from vbp.export.part_file import growing
from vbp.export.registry import CancelledError, Progress, format_of
from vbp.files import check_target
from vbp.frames.table import HEAD, Row, columns_of, row_of
from vbp.readable import cell
from vbp.results import MapRequest

METADATA = b"vbp"  # the key of a Parquet file's metadata under which `about` is, as JSON

_ROWS = 16384  # of a row group: some 2 MB in memory


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


def _rows(source: Source) -> Generator[Row, None, None]:
    drive, engine = source.drive.info.name, source.engine
    with closing(source.frames(maps=(MapRequest(),), layers=False)) as frames:
        for frame in frames:
            yield row_of(frame, drive, engine.name, engine.spec)


class Table(Protocol):
    def add(self, row: Row) -> None: ...


class _CsvTable:
    def __init__(self, file: Any, columns: Iterable[str]) -> None:
        self._writer = csv.writer(file, lineterminator="\n")
        self._writer.writerow(columns)

    def add(self, row: Row) -> None:
        self._writer.writerow(
            map(cell, row)
        )  # floats by their shortest form that reads back the same; None empty


@contextmanager
def _csv(path: str, source: Source) -> Iterator[Table]:
    with open(path, "w", newline="", encoding="utf-8") as file:
        yield _CsvTable(file, columns_of(source.engine.spec))


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

    fields = [pa.field(name, getattr(pa, kind)()) for name, kind in columns_of(source.engine.spec).items()]
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
    with path.open("rb") as file:
        head = file.read(len(HEAD))
    return not head or head == HEAD


def is_parquet(path: Path) -> bool:
    """Whether an existing file is empty, or a Parquet file that this export wrote."""
    import pyarrow.parquet as pq

    if path.stat().st_size == 0:
        return True
    try:
        return METADATA in (pq.read_schema(path).metadata or {})
    except (ValueError, OSError):  # pyarrow's own errors are kinds of these
        return False
