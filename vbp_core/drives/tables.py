"""CSV files as they occur: BOM, CRLF, quotes, `;`, tabs or spaces, decimal commas, ragged rows; times kept exact."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vbp.drives.paths import LINK_OUT, leads_out
from vbp.errors import DriveError
from vbp.reading import read_file, read_head

MAX_BYTES = 2**30  # a drive of a million frames has a CSV of some 200 MB
PEEK_BYTES = 2**16
WHY_BYTES = 2**24  # of a table that is read for the sake of its fault
INT64 = np.iinfo(np.int64)

_CELL = "\x1f"  # the unit separator: between cells that spaces, or commas with a space, keep apart
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?")
_TAIL = re.compile(r"-0+|0\d+")  # whole numbers that are parts of a number
_WHOLE = re.compile(r"[-+]?\d+")


@dataclass
class _Reading:
    """A recording that is being opened: the folder out of which no link is followed, what the user named, what was read."""

    root: Path
    named: Path
    texts: set[Path]


_read: ContextVar[_Reading | None] = ContextVar("read", default=None)

_TROUBLE = (  # what Python's csv says, in other words
    ("unexpected end of data", "a quote that was opened is never closed"),
    ("field larger than field limit", f"a cell is longer than {csv.field_size_limit()} letters"),
)

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its mark starts with the UTF-16 one
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True)
class Table:
    """The columns of a CSV, as text. Column names are looked up without regard to case or spaces.

    columns: the names as the file has them. The cells have no spaces around them; a cell that a short
    row lacks is "". A number may be written 0,25: a comma inside a cell is the decimal one.
    """

    path: Path
    columns: tuple[str, ...]
    cells: dict[str, list[str]]

    def __len__(self) -> int:
        return len(next(iter(self.cells.values()), []))

    def __contains__(self, name: str) -> bool:
        return column_key(name) in self.cells

    def require(self, *names: str) -> None:
        """Raise the DriveError that names the file, the missing columns and those found."""
        missing = [name for name in names if name not in self]
        if missing:
            raise DriveError(
                f"{self.path} lacks the {_listed(missing, 'column')}; "
                f"it has: {_shown(self.columns)}; needed: {', '.join(names)}"
            )

    def text(self, name: str) -> list[str]:
        """The cells of a column. Raises DriveError when there is no such column."""
        self.require(name)
        return self.cells[column_key(name)]

    def floats(self, name: str) -> NDArray[np.float64]:
        """A column as float64 (rows,); a cell that is no finite number is NaN."""
        cells = [cell.replace(",", ".") for cell in self.text(name)]
        try:
            values = np.fromiter(map(float, cells), np.float64, len(cells))
        except ValueError:
            values = np.fromiter(map(_float_or_nan, cells), np.float64, len(cells))
        values[~np.isfinite(values)] = np.nan
        return values

    def integers(self, name: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """A column as int64 (rows,), exactly as written and never through a float, and which rows hold one.

        1.479425476188653632e18 is read by its decimal digits; fractions are rounded; a cell that is no
        number, or does not fit, is 0 and marked False.
        """
        cells = self.text(name)
        ok = np.ones(len(cells), dtype=np.bool_)
        try:
            return np.fromiter(map(int, cells), np.int64, len(cells)), ok
        except (ValueError, OverflowError):
            pass
        values = np.zeros(len(cells), dtype=np.int64)
        for i, cell in enumerate(cells):
            number = _int_or_none(cell)
            if number is None:
                ok[i] = False
            else:
                values[i] = number
        return values, ok


def read_table(path: Path, keep: Collection[str] | None = None, names: Sequence[str] | None = None) -> Table:
    """Read a CSV. Raises DriveError with one sentence for a file that is no CSV or has no rows.

    keep: only these columns are held in memory (those of them that exist); all, when None.
    names: the column names of a file that has no header line.
    """
    rows = _Rows(read_text(path))
    try:
        columns = tuple(names) if names is not None else _header(rows)
        wanted: dict[str, int] = {}
        kept_names = None if keep is None else {column_key(name) for name in keep}
        for index, column in enumerate(columns):
            key = column_key(column)
            if key and key not in wanted and (kept_names is None or key in kept_names):
                wanted[key] = index
        kept: list[list[str]] = [[] for _ in wanted]
        slots = list(zip(kept, wanted.values(), strict=True))
        any_rows = cut = False
        for row in rows:
            if not row or (len(row) == 1 and not row[0].strip()):
                continue  # a blank line
            if not any_rows:
                cut = len(row) > len(columns)
            any_rows = True
            if cut and len(row) > len(columns):
                row = _without_decimal_commas(row, len(columns), path)
            n = len(row)
            for cells, index in slots:
                cells.append(row[index].strip() if index < n else "")
    except csv.Error as error:
        why = next((words for start, words in _TROUBLE if str(error).startswith(start)), str(error))
        raise DriveError(f"{path} is not a CSV that can be read (line {rows.line_num}: {why})") from error
    if not columns or not any(column.strip() for column in columns):
        raise DriveError(f"{path} has no header line with column names")
    if not any_rows:
        raise DriveError(f"{path} has no rows below its header; its columns: {_shown(columns)}")
    return Table(path, columns, dict(zip(wanted, kept, strict=True)))


def _without_decimal_commas(row: list[str], width: int, path: Path) -> list[str]:
    """A row that is too long as 0,25 was cut in two: put together again. Raises DriveError where it cannot be told how.

    Only whole numbers beside each other can have been one; a row that is too long for another reason stays.
    """
    cells = [cell.strip() for cell in row]
    numbers = [k for k, cell in enumerate(cells) if _WHOLE.fullmatch(cell)]
    surplus = len(cells) - width
    run = numbers[-1] - numbers[0] + 1 if numbers else 0
    if len(numbers) <= surplus or run != len(numbers) or "" in cells:
        return row
    if len(numbers) != 2 * surplus:
        if not any(_TAIL.fullmatch(cells[k]) for k in numbers):
            return row
        raise DriveError(
            f"{path} has commas between its cells and in its numbers ({', '.join(cells)[:120]}): which is which cannot "
            f"be told; write the numbers with a point, or the cells apart with semicolons"
        )
    pairs = [f"{cells[k]},{cells[k + 1]}" for k in numbers[::2]]
    return [*cells[: numbers[0]], *pairs, *cells[numbers[-1] + 1 :]]


def first_rows(path: Path, count: int = 2) -> list[list[str]]:
    """The first rows of a CSV, cells stripped; [] for anything that is no text file. Never raises."""
    try:
        data = read_head(path, PEEK_BYTES)
        text = _decode(data, path, cut=len(data) == PEEK_BYTES)
        rows = (row for row in _Rows(text) if any(cell.strip() for cell in row))
        return [[cell.strip() for cell in row] for row in islice(rows, count)]
    except (OSError, ValueError, csv.Error, DriveError):
        return []


def why_unreadable(path: Path) -> str:
    """What keeps a table from being read, without its path; "" where nothing does, or where that would take long."""
    try:
        if len(first_rows(path, 2)) < 2 and path.is_file() and path.stat().st_size <= WHY_BYTES:
            read_table(path, keep=())
    except DriveError as error:
        return f"it {str(error).removeprefix(f'{path} ')}"
    except OSError as error:
        return f"it cannot be read: {error.strerror or error}"
    return ""


def first_columns(path: Path) -> set[str]:
    """The keys of the column names in a CSV's first line; empty for anything else. Never raises."""
    rows = first_rows(path, 1)
    return {column_key(name) for name in rows[0]} if rows else set()


def column_key(name: str) -> str:
    return name.strip().strip("\ufeff").strip().casefold()


def read_text(path: Path) -> str:
    """The text of a file, whatever its encoding. Raises DriveError for what is no text, empty, or huge."""
    reading = _read.get()
    if reading is not None and path != reading.named and leads_out(path, reading.root):
        raise DriveError(f"{path} {LINK_OUT}; open what it leads to, or copy it there")
    try:
        data = read_file(path, MAX_BYTES)
    except OSError as error:
        raise DriveError(f"{path} cannot be read: {error.strerror or error}") from error
    note_read(path)
    text = _decode(data, path)
    if not text.strip():
        raise DriveError(f"{path} is empty")
    return text


def note_read(path: Path) -> None:
    """A file is part of the recording that is being opened, if one is."""
    if (reading := _read.get()) is not None:
        reading.texts.add(path)


@contextmanager
def texts_read(path: Path) -> Iterator[set[Path]]:
    """The text files that are read meanwhile, in this thread: what the recording `path` is made of, when it is opened.

    One that a link brings in from outside its folder raises DriveError, unless it is `path` itself.
    """
    read: set[Path] = set()
    token = _read.set(_Reading(path if path.is_dir() else path.parent, path, read))
    try:
        yield read
    finally:
        _read.reset(token)


def _decode(data: bytes, path: Path, cut: bool = False) -> str:
    """`cut`: the data may end in the middle of a character."""
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            body = data[len(bom) :]
            try:
                return body.decode(encoding, errors="ignore" if cut else "strict")
            except UnicodeDecodeError:
                if encoding == "utf-8":
                    return body.decode("latin-1")
                raise DriveError(f"{path} is damaged {encoding.upper()[:6]} text; save it as UTF-8") from None
    if b"\0" in data[:PEEK_BYTES]:
        odd, even = data[1:PEEK_BYTES:2].count(0), data[:PEEK_BYTES:2].count(0)
        if max(odd, even) * 4 > min(len(data), PEEK_BYTES) and min(odd, even) * 8 < max(odd, even):
            raise DriveError(f"{path} is UTF-16 text without a byte order mark; save it as UTF-8")
        raise DriveError(f"{path} is not a text file; give a CSV in UTF-8")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if cut and error.start >= len(data) - 3:
            return data[: error.start].decode("utf-8")
        return data.decode("latin-1")  # file names of an old Windows; the numbers are ASCII anyway


def _separated(text: str) -> tuple[str, str]:
    """A table's text and what stands between its cells: the one of `,` `;` tab that occurs most in the first line.

    Cells kept apart by spaces, and by ", " where a comma alone is the decimal one, get a separator of their own.
    """
    lines = [line for line in text[:PEEK_BYTES].splitlines() if line.strip()][:20]
    first = lines[0] if lines else ""
    unquoted = "".join(first.split('"')[::2])
    apart = len(re.findall(r"(?<!\d),|,(?!\d)", unquoted))  # commas that are none in a number
    counts = {
        ",": (apart, unquoted.count(",")),
        ";": (n := unquoted.count(";"), n),
        "\t": (n := unquoted.count("\t"), n),
    }
    delimiter = max(counts, key=lambda sign: counts[sign])
    if counts[delimiter][0] == 0:
        if '"' in first or {len(line.split()) for line in lines[:2]} <= {0, 1} or len(lines) < 2:
            return text, delimiter
        if len(lines[0].split()) == len(lines[1].split()):
            return re.sub(r"[^\S\r\n]+", _CELL, re.sub(r"(?m)^[^\S\r\n]+|[^\S\r\n]+$", "", text)), _CELL
    if delimiter == "," and ", " in text:
        rows = [line.strip().split(", ") for line in lines]
        below = rows[1:] or rows
        cells = [cell for row in below for cell in row if "," in cell]
        if (
            cells
            and all(map(_DECIMAL_COMMA.fullmatch, map(str.strip, cells)))
            and len(set(map(len, below))) == 1
        ):
            header, line_end, rest = text.lstrip().partition("\n")
            if len(rows[0]) != len(below[0]) and first.count(",") == len(below[0]) - 1:
                return header.replace(",", _CELL) + line_end + rest.replace(", ", _CELL), _CELL
            if len(rows[0]) == len(below[0]):
                return text.replace(", ", _CELL), _CELL
    return text, delimiter


class _Rows:
    """csv.reader over text, with every kind of line end; an unclosed quote is an error, not the end."""

    def __init__(self, text: str) -> None:
        text, delimiter = _separated(text)
        self._reader = csv.reader(
            io.StringIO(text, newline=""),
            delimiter=delimiter,
            skipinitialspace=delimiter != "\t",
            strict=True,
        )

    def __iter__(self) -> _Rows:
        return self

    def __next__(self) -> list[str]:
        return next(self._reader)

    @property
    def line_num(self) -> int:
        return self._reader.line_num


def _header(rows: _Rows) -> tuple[str, ...]:
    for row in rows:
        if any(cell.strip() for cell in row):
            return tuple(cell.strip().strip("\ufeff") for cell in row)
    return ()


def _float_or_nan(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return np.nan


def _int_or_none(cell: str) -> int | None:
    try:
        number = int(cell)
    except ValueError:
        try:
            exact = Decimal(cell)
            if not exact.is_finite() or exact.adjusted() > 20:
                return None
            number = int(exact.to_integral_value())
        except (InvalidOperation, ValueError):
            return None
    return number if INT64.min <= number <= INT64.max else None


def _listed(names: Sequence[str], noun: str) -> str:
    return f"{noun}{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _shown(columns: Sequence[str], limit: int = 20) -> str:
    """Column names for a message, bounded: a file that is no CSV may have anything in its first line."""
    short = [name if len(name) <= 40 else name[:37] + "..." for name in columns[:limit]]
    return ", ".join(short) + (f" and {len(columns) - limit} more" if len(columns) > limit else "")
