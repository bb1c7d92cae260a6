"""An indexed fleet, opened: its tables as datasets of pyarrow, and questions to them by DuckDB."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from vbp.errors import VbpError
from vbp.fleet.places import FAILED, PLAN, names, table_path
from vbp.fleet.schema import DRIVES, FINDINGS, FRAMES, PARTS, drive_schema, finding_schema, frame_schema
from vbp.fleet.settings import read_settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

TABLES = (FRAMES, FINDINGS, DRIVES)
MAGIC = b"PAR1"


class Fleet:
    """What `vbp index` wrote into a folder, as it is now. Only drives that are whole are in it.

    settings: its networks, and how drives were opened. frames, findings, drives: datasets of pyarrow, see `vbp.fleet.schema`; of
    drives also those that could not be indexed, with the reason in `error`.
    """

    def __init__(self, folder: str | Path) -> None:
        """Raises VbpError for what is no folder of an indexed fleet, is of another version, or has a table that is damaged."""
        self.folder = Path(folder).expanduser()
        self.settings = read_settings(self.folder)
        rows = names(self.folder / DRIVES)
        keys = [name.removesuffix(".parquet") for name in rows if not name.startswith(FAILED)]
        files = [self.folder / DRIVES / name for name in rows]
        self.drives = _dataset(files, drive_schema(self.settings))
        self.frames = _dataset(self._of(FRAMES, keys), frame_schema(self.settings))
        self.findings = _dataset(self._of(FINDINGS, keys), finding_schema(self.settings))
        self.keys = keys

    def _of(self, name: str, keys: list[str]) -> list[Path]:
        return [table_path(self.folder, name, key) for key in keys]

    def __repr__(self) -> str:
        sides = " and ".join(self.settings.names)
        return f"<fleet {self.folder}: {len(self.keys)} drives by {sides}>"

    @property
    def unfinished(self) -> int:
        """Drives of which only some pieces are indexed."""
        parts = self.folder / PARTS
        return sum((parts / key / PLAN).is_file() for key in os.listdir(parts)) if parts.is_dir() else 0

    @cached_property
    def _connection(self) -> DuckDBPyConnection:
        from vbp.fleet.needs import need

        need("duckdb")
        from vbp.fleet.ask import connect

        return connect({FRAMES: self.frames, FINDINGS: self.findings, DRIVES: self.drives})

    def relation(self, table: str = FRAMES) -> DuckDBPyRelation:
        """A table as a relation of DuckDB, which can be filtered, sorted and counted; "frames", "findings" or "drives".

        Questions to it can read these tables and nothing else. Raises VbpError where DuckDB is not installed.
        """
        if table not in TABLES:
            raise VbpError(f"there is no table {table!r}; accepted: {', '.join(TABLES)}")
        return self._connection.table(table)

    def sql(self, question: str, parameters: list[Any] | None = None) -> pa.Table:
        """What a SELECT gives, as a table of pyarrow. Raises VbpError for what is no single SELECT, and for one that fails."""
        from vbp.fleet.ask import ask

        return ask(self._connection, question, parameters)

    def frames_of(self, key: str, columns: list[str] | None = None) -> pa.Table:
        """The rows of one drive, by its `drive_key`, in the order of its frames. Raises VbpError."""
        path = table_path(self.folder, FRAMES, key)
        try:
            return pq.read_table(path, columns=columns)
        except (OSError, ValueError) as error:  # pyarrow's own errors are kinds of these
            raise VbpError(_damaged(path)) from error


def open_fleet(folder: str | Path) -> Fleet:
    """`vbp.fleet(FOLDER)`. Raises VbpError."""
    from vbp.fleet.needs import need

    need("pyarrow")
    return Fleet(folder)


def _dataset(files: list[Path], schema: pa.Schema) -> ds.FileSystemDataset:
    for path in files:
        if not _is_whole(path):
            raise VbpError(_damaged(path))
    found: ds.FileSystemDataset = ds.dataset([str(path) for path in files], schema=schema, format="parquet")
    return found


def _is_whole(path: Path) -> bool:
    """By its last bytes, which every Parquet file has: thousands are looked at in a moment."""
    try:
        with path.open("rb") as file:
            file.seek(-len(MAGIC), os.SEEK_END)
            return file.read() == MAGIC
    except OSError:
        return False


def _damaged(path: Path) -> str:
    return f"{path} is missing or cut short; remove {path.parent.parent / DRIVES / path.name}, and index that drive again"
