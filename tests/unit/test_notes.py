"""Notes as a table and as a report: what goes out comes back, and harms nobody."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from picturemaker import picture
from vbp.cli.main import main
from vbp.drives import open_drive
from vbp.drives.base import OpenOptions
from vbp.edits.edit import Adjust, Edits
from vbp.errors import VbpError
from vbp.export.job import Job, Part, Settings
from vbp.export.registry import CancelledError, export
from vbp.session.document import Document, save
from vbp.session.fingerprint import fingerprint
from vbp.session.note import Note, one_line
from vbp.session.table import read_notes, write_notes

ODD = ("=1+1", "'=1+1", "''", "'", "@a", "+", "-3", 'a "b", c;d', "'hello", "0,25")
WORDS = st.sampled_from(ODD) | st.text(max_size=20).map(one_line)


@st.composite
def notes(draw: st.DrawFn) -> Note:
    frame, end = sorted(draw(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6))))
    stamp = st.integers(-(2**63), 2**63 - 1)
    return Note(frame, end, draw(stamp), draw(stamp), draw(WORDS), draw(WORDS), draw(WORDS))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(notes(), min_size=1, max_size=4))
def test_what_goes_out_comes_back(tmp_path: Path, given_notes: list[Note]) -> None:
    path = tmp_path / "notes.csv"
    write_notes(given_notes, path, None)
    assert read_notes(path) == given_notes
    with path.open(newline="", encoding="utf-8") as file:
        assert not any(
            row[k][:1] in ("=", "+", "-", "@")
            for row in list(csv.reader(file))[1:]
            for k in (4, 5, 6)
            if row[k]
        )


def test_tables_that_others_wrote(tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text("Text;Frame\nlook;7\n", encoding="utf-8-sig")
    assert read_notes(path) == [Note(7, 7, text="look")]
    for rows, said in (
        ("a,b\n1,2\n", "frame"),
        ("frame\nx\n", "row 2"),
        ("frame,end_frame\n5,4\n", "row 2"),
        ("", "empty"),
    ):
        path.write_text(rows)
        with pytest.raises(VbpError, match=said):
            read_notes(path)
    path.write_text("mine")
    with pytest.raises(VbpError, match="was not written by vbp"):
        write_notes([], path, None)


@pytest.fixture
def session(tmp_path: Path) -> Path:
    folder = tmp_path / "drive"
    folder.mkdir()
    for k in range(3):
        picture(folder / f"{k}.png")
    with open_drive(folder) as drive:
        times = [int(t) for t in drive.timestamps_ns]
    said = (
        Note(0, 2, times[0], times[2], "<script>alert(1)</script>", "bend", "why & how"),
        Note(1, 1, times[1], times[1]),
        Note(99, 99, times[2] + 10**12, times[2] + 10**12, "gone"),
    )
    path = tmp_path / "mine.vbp.json"
    save(Document(str(folder), fingerprint(folder), networks=("NetHVF",), notes=said), path)
    return path


def test_a_report_and_a_table_of_a_session(session: Path, tmp_path: Path, capsys) -> None:
    page, table = tmp_path / "notes.html", tmp_path / "notes.csv"
    assert main(["notes", str(session), "-o", str(page), "--csv", str(table), "--device", "cpu"]) == 0
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text and "&lt;script&gt;" in text and "why &amp; how" in text
    assert text.count("data:image/jpeg;base64,") == 4  # three of the range, one of the bookmark
    assert "1 note outside of this recording" in text and "NetHVF" in text
    assert [note.name for note in read_notes(table)] == ["<script>alert(1)</script>", "", "gone"]
    assert main(["notes", str(session), "-o", str(page), "--device", "cpu"]) == 0  # its own may be replaced
    picture(tmp_path / "drive" / "3.png")
    capsys.readouterr()
    assert main(["notes", str(session)]) == 0
    assert "is not the one that the session was written with" in capsys.readouterr().out


def test_a_page_says_edits_and_gaps_and_one_that_is_cancelled_leaves_nothing(
    session: Path, tmp_path: Path
) -> None:
    (tmp_path / "drive" / "1.png").write_bytes(b"no picture")
    edits = Edits((Adjust("brightness", 40.0),))
    job = Job(
        tmp_path / "drive",
        OpenOptions(),
        "NetHVF",
        "cpu",
        tmp_path / "notes.html",
        0,
        2,
        settings=Settings(format="notes"),
        edits=edits.to_text(),
        parts=(Part(0, 0, ("a",)), Part(1, 1, ("b",))),
        remarks=("<said> first",),
    )
    told: list[tuple[int, int]] = []
    with pytest.raises(CancelledError):
        export(job, lambda *step: bool(told.append(step)))
    assert told == [(1, 2)] and not job.output.exists()
    export(job)
    text = job.output.read_text(encoding="utf-8")
    assert "&lt;said&gt; first" in text and "edited: brightness 40" in text
    assert text.count("data:image/jpeg;base64,") == 1 and "<p>frame 1, " in text
    with pytest.raises(VbpError, match="no notes"):
        export(replace(job, parts=()))


def test_what_a_session_lacks_is_one_sentence(session: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "drive").rename(tmp_path / "elsewhere")
    assert main(["notes", str(session)]) == 2
    assert "is not there" in capsys.readouterr().err
    save(Document(), session)
    assert main(["notes", str(session)]) == 2
    assert "names no recording" in capsys.readouterr().err
    code = Document(str(tmp_path / "elsewhere"), networks=("package.of_mine:make",), notes=(Note(0, 0),))
    save(code, session)
    assert main(["notes", str(session), "-o", str(tmp_path / "a.html")]) == 2
    assert "does not run" in capsys.readouterr().err and not (tmp_path / "a.html").exists()
