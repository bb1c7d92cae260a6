"""Questions to a fleet in SQL, by DuckDB, which can read its tables and nothing else: no file, no address, no extension."""

from __future__ import annotations

import os
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from vbp.errors import VbpError

# Set when DuckDB starts, and locked before the first question.
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "allow_unsigned_extensions": False,
    "python_enable_replacements": False,  # variables of the program are no tables
}
MEMORY = "1GB"  # of questions; what takes more is an error, as nothing is written elsewhere


def connect(tables: dict[str, ds.FileSystemDataset]) -> duckdb.DuckDBPyConnection:
    """A database in memory with those tables, which reads their very files and no others. Raises VbpError."""
    try:
        return _connected(tables)
    except duckdb.Error as error:
        raise VbpError(f"the fleet's tables cannot be read: {_words(error)}") from error


def _connected(tables: dict[str, ds.FileSystemDataset]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:", config=_CONFIG)
    allowed: list[str] = []
    for name, table in tables.items():
        files = [os.path.abspath(file) for file in table.files]
        if files:
            connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet({_quoted(files)})")
            allowed += files
        else:
            kept = [field for field in table.schema if not _is_half(field.type)]
            connection.register(name, pa.schema(kept).empty_table())
    connection.execute(f"SET memory_limit='{MEMORY}'")
    connection.execute(f"SET allowed_paths={_quoted(allowed)}")
    connection.execute("SET enable_external_access=false")
    connection.execute("SET lock_configuration=true")
    return connection


def _quoted(files: list[str]) -> str:
    return "[" + ", ".join("'" + file.replace("'", "''") + "'" for file in files) + "]"


def _is_half(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) and pa.types.is_float16(kind.value_type))


def ask(
    connection: duckdb.DuckDBPyConnection, question: str, parameters: list[Any] | None = None
) -> pa.Table:
    """What one SELECT gives. Raises VbpError for anything else, with DuckDB's own words on what is wrong."""
    try:
        statements = connection.extract_statements(question)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise VbpError("a question is one SELECT; what changes, writes or configures is not run")
        return connection.sql(question, params=parameters or None).to_arrow_table()
    except duckdb.Error as error:
        raise VbpError(f"the question cannot be answered: {_words(error)}") from error


def _words(error: duckdb.Error) -> str:
    text = str(error).split("\n\nLINE ")[0]
    return " ".join(text.split())
