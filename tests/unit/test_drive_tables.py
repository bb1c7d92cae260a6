"""The CSV reader: by property, against independent oracles."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vbp.drives.tables import first_columns, first_rows, read_table
from vbp.errors import DriveError

FUNCTION_FIXTURES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
INT64 = st.integers(-(2**63), 2**63 - 1)


def table_of(tmp_path: Path, data: str | bytes):  # type: ignore[no-untyped-def]
    path = tmp_path / "t.csv"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_table(path)


# --- csv-spectrum -------------------------------------------------------------------------------------


SPECTRUM = {
    "comma_in_quotes": {
        "first": ["John"],
        "address": ["120 any st."],
        "city": ["Anytown, WW"],
        "zip": ["08123"],
    },
    "empty": {"a": ["1", "2"], "b": ["", "3"], "c": ["", "4"]},
    "empty_crlf": {"a": ["1", "2"], "b": ["", "3"], "c": ["", "4"]},
    "escaped_quotes": {"a": ["1", "3"], "b": ['ha "ha" ha', "4"]},
    "json": {"key": ["1"], "val": ['{"type": "Point", "coordinates": [102.0, 0.5]}']},
    "location_coordinates": {"Cities": ["Modesto"], "Counties": ["Stanislaus"]},
    "newlines": {"a": ["1", "Once upon \na time", "7"], "b": ["2", "5", "8"], "c": ["3", "6", "9"]},
    "newlines_crlf": {"a": ["1", "Once upon \r\na time", "7"], "b": ["2", "5", "8"]},
    "quotes_and_newlines": {"a": ["1", "3"], "b": ['ha \n"ha" \nha', "4"]},
    "simple": {"a": ["1"], "b": ["2"], "c": ["3"]},
    "simple_crlf": {"a": ["1"], "b": ["2"], "c": ["3"]},
    "utf8": {"a": ["1", "4"], "c": ["3", "ʤ"]},
}


@pytest.mark.shared
def test_every_file_of_csv_spectrum(shared: Path) -> None:
    files = sorted((shared / "data/broken-media/csv-spectrum").glob("*.csv"))
    assert {f.stem for f in files} == set(SPECTRUM)
    for file in files:
        table = read_table(file)
        for column, cells in SPECTRUM[file.stem].items():
            assert table.text(column) == cells, (file.name, column)


# --- what is accepted ---------------------------------------------------------------------------------


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-32"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encodings_line_ends_and_delimiters(tmp_path: Path, encoding: str, end: str, delimiter: str) -> None:
    rows = [["timestamp", "angle", "name"], ["1479425476188653632", "0.5", "Jürgen.jpg"], ["2", "", "x"]]
    data = end.join(delimiter.join(row) for row in rows).encode(encoding)
    table = table_of(tmp_path, data)
    assert table.columns == ("timestamp", "angle", "name")
    assert table.integers("timestamp")[0].tolist() == [1479425476188653632, 2]
    np.testing.assert_array_equal(table.floats("angle"), [0.5, np.nan])
    assert table.text("name") == ["Jürgen.jpg", "x"]


def test_decimal_commas_with_semicolons(tmp_path: Path) -> None:
    table = table_of(tmp_path, "timestamp;angle\n1;-0,25\n2;1,5\n")
    assert table.floats("angle").tolist() == [-0.25, 1.5]


def test_old_windows_encoding_blank_lines_short_and_long_rows(tmp_path: Path) -> None:
    table = table_of(tmp_path, b"\n\na, b ,C\n\n1,2,J\xfcrgen\n   \n4\n5,6,7,8,9\n\n")
    assert table.text("A") == ["1", "4", "5"]
    assert table.text("b") == ["2", "", "6"]
    assert table.text("c") == ["Jürgen", "", "7"]


def test_a_column_that_occurs_twice_is_the_first(tmp_path: Path) -> None:
    assert table_of(tmp_path, "a,a\n1,2\n").text("a") == ["1"]


def test_columns_that_are_not_kept_take_no_memory(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b,c\n1,2,3\n")
    table = read_table(tmp_path / "t.csv", keep=("C", "nothing"))
    assert table.cells == {"c": ["3"]} and len(table) == 1


def test_a_file_without_header(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("1,2\n3,4\n")
    assert read_table(tmp_path / "t.csv", names=("x", "y")).text("y") == ["2", "4"]


# --- numbers ------------------------------------------------------------------------------------------


@given(st.lists(INT64, min_size=1, max_size=30), st.booleans())
@FUNCTION_FIXTURES
def test_integers_are_exact_over_the_whole_of_int64(tmp_path: Path, numbers: list[int], slow: bool) -> None:
    cells = [str(n) for n in numbers] + (["nan"] if slow else [])
    values, ok = table_of(tmp_path, "t\n" + "\n".join(cells)).integers("t")
    assert values[: len(numbers)].tolist() == numbers
    assert ok.tolist() == [True] * len(numbers) + [False] * slow


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("1.479425476188653632e18", 1479425476188653632),
        ("1479425476188653632.0", 1479425476188653632),
        ("+5", 5),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", None),
        ("1e999999999", None),
        ("inf", None),
        ("-", None),
        ("", None),
        ("0x10", None),
        ("9" * 5000, None),
        ("12 34", None),
    ],
)
def test_odd_integers(tmp_path: Path, cell: str, number: int | None) -> None:
    values, ok = table_of(tmp_path, f"t,u\n{cell},x\n1,x\n").integers("t")
    assert (int(values[0]) if ok[0] else None) == number
    assert values[1] == 1 and ok[1]


@given(st.lists(st.one_of(st.floats(), st.sampled_from(["", "abc", "NaN", "-inf", "1e400"])), min_size=1))
@FUNCTION_FIXTURES
def test_floats_are_exact_or_nan(tmp_path: Path, values: list[float | str]) -> None:
    read = table_of(
        tmp_path, "t,u\n" + "\n".join(f"{v!r},x" if isinstance(v, float) else f"{v},x" for v in values)
    )
    expected = [v if isinstance(v, float) and np.isfinite(v) else np.nan for v in values]
    np.testing.assert_array_equal(read.floats("t"), expected)


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"), max_size=12)


@given(
    st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=8), st.booleans(), st.booleans()
)
@FUNCTION_FIXTURES
def test_what_csv_writes_is_read_back(tmp_path: Path, rows: list[list[str]], crlf: bool, bom: bool) -> None:
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n" if crlf else "\n")
    writer.writerows([["one", "two", "three"], *rows])
    table = table_of(tmp_path, out.getvalue().encode("utf-8-sig" if bom else "utf-8"))
    assert table.columns == ("one", "two", "three")
    for k, name in enumerate(table.columns):
        assert table.text(name) == [row[k].strip() for row in rows]


@given(st.binary(max_size=300))
@FUNCTION_FIXTURES
def test_any_bytes_are_read_or_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(data)
    first_rows(path)
    try:
        table = read_table(path)
    except DriveError as error:
        assert str(path) in str(error)
        return
    assert all(len(table.text(name)) == len(table) for name in table.cells)
    for name in table.cells:
        table.floats(name)
        table.integers(name)


def test_a_quarter_of_a_million_rows(tmp_path: Path) -> None:
    rows = 250_000
    start = 1479425476188653632
    lines = (
        f"x,{start + 50_000_000 * k},640,480,center_camera,center/{k}.jpg,0.5,0,1,2,3,4" for k in range(rows)
    )
    path = tmp_path / "interpolated.csv"
    path.write_text(
        "index,timestamp,width,height,frame_id,filename,angle,torque,speed,lat,long,alt\n" + "\n".join(lines)
    )
    table = read_table(path, keep=("timestamp", "angle", "filename"))
    assert len(table) == rows and len(table.cells) == 3
    values, ok = table.integers("timestamp")
    assert ok.all() and values[-1] == start + 50_000_000 * (rows - 1)


# --- what is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b" \r\n\n", "empty"),
        (b"a,b\n", "no rows"),
        (b",,\n,,\n", "no header"),
        ("a,b\n1,2\n3,4\n".encode("utf-16-le"), "UTF-16"),
        ("a,b\n1,2\n3,4\n".encode("utf-16-be"), "UTF-16"),
        (b"\xff\xfe" + "a,b\n1,2".encode("utf-16-le") + b"\0", "UTF-16"),
        (bytes(range(256)) * 4, "not a text file"),
        (b'a,b\n1,"2\n3,4\n5,6\n', "line"),
        (b"a,b\n1," + b"x" * 200_000 + b"\n", "longer than"),
    ],
)
def test_refused_with_one_sentence(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(DriveError, match=said) as caught:
        table_of(tmp_path, data)
    message = str(caught.value)
    assert str(tmp_path / "t.csv") in message and "\n" not in message and len(message) < 400


def test_missing_columns_are_named_with_those_found(tmp_path: Path) -> None:
    table = table_of(tmp_path, "time,angle\n1,2\n")
    with pytest.raises(DriveError) as caught:
        table.require("timestamp", "filename", "angle")
    message = str(caught.value)
    assert "lacks the columns timestamp, filename" in message and "time, angle" in message
    with pytest.raises(DriveError, match="lacks the column speed"):
        table.text("speed")


def test_a_folder_named_like_a_csv(tmp_path: Path) -> None:
    (tmp_path / "x.csv").mkdir()
    with pytest.raises(DriveError, match="not a file"):
        read_table(tmp_path / "x.csv")
    assert first_columns(tmp_path / "x.csv") == set() == first_columns(tmp_path / "absent.csv")


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions do not bind this user"
)
def test_permission_denied(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a\n1\n")
    path.chmod(0)
    with pytest.raises(DriveError, match="cannot be read"):
        read_table(path)


def test_a_peek_that_cuts_a_character(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "ü" * 60_000 + ",1\n", encoding="utf-8")
    assert first_columns(path) == {"a", "b"}
